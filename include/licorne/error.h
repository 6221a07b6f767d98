/* licorne/error.h — what went wrong, in words for the administrator.
 *
 * A call that can fail returns -1 or NULL and fills a `struct lc_error`. Each caller that knows
 * more puts its part in front ("bind = 10.0.0.9:80: bind: Cannot assign requested address").
 * Errors travel up and are logged once, by whoever decides what follows from them. */
#pragma once
#include <licorne/api.h>

LC_C_BEGIN

enum lc_error_code {
    LC_E_NONE = 0,
    LC_E_SYSTEM,   /* a system call failed; `sys` holds errno   */
    LC_E_USAGE,    /* the command line is wrong: exit code 2    */
    LC_E_CONFIG,   /* a setting is wrong: exit code 1           */
    LC_E_BOOT,     /* a worker cannot start: exit code 3        */
    LC_E_APP_LOAD, /* there is no such application: exit code 4 */
    LC_E_PROTOCOL, /* a peer sent what it must not              */
};

enum { LC_ERROR_TEXT_MAX = 2048 };

struct lc_error {
    enum lc_error_code code;
    int sys;                      /* errno, or 0 */
    char text[LC_ERROR_TEXT_MAX]; /* longer texts are cut; always ends in NUL */
};

/* Each returns -1, so that `return lc_error_set(...)` reads well. `err` may be NULL. */

/* Replaces what `err` says. */
LC_API int lc_error_set(struct lc_error *err, enum lc_error_code code, const char *format,
                        ...) LC_PRINTF(3, 4);

/* From errno: "what: No such file or directory". Keeps errno. */
LC_API int lc_error_sys(struct lc_error *err, const char *what, ...) LC_PRINTF(2, 3);

/* Puts "context: " in front of what `err` says; code and errno stay. */
LC_API int lc_error_wrap(struct lc_error *err, const char *context, ...) LC_PRINTF(2, 3);

LC_C_END
