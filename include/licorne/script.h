/* licorne/script.h — configuration files and hooks in the language of a plugin, such as
 * gunicorn.conf.py.
 *
 * The server knows the settings and when a hook is due, the plugin knows the language. All calls
 * come from the main thread: in the master, and after a fork in its children. */
#pragma once
#include <licorne/api.h>
#include <licorne/app.h>
#include <licorne/log.h>
#include <licorne/slice.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

LC_C_BEGIN

struct lc_error;

/* Takes what a file says: a setting's name, its values as an INI file would write them (several
 * for a list), and the place ("gunicorn.conf.py:12"). */
struct lc_script_sink {
    void *to;
    void (*set)(void *to, const char *name, const char *const *values, size_t count,
                const char *place);
};

/* A setting as it is in force, all sources taken together. */
struct lc_script_value {
    const char *name;
    /* `count` of them: one; several or none for a list; none where it is None. */
    const char *const *values;
    size_t count;
    bool is_from_script; /* the file that the script has read had the last word */
};

struct lc_script_listener {
    int fd;
    const char *text; /* "http://127.0.0.1:8000" */
};

/* What a hook is told: each looks at what concerns it. A worker has what its master was told of
 * last: it leaves out what is about the server (`proc_name` is NULL). */
struct lc_hook_details {
    const char *proc_name;
    const char *master_name; /* "Master" */
    unsigned num_workers;    /* as many as are wanted */
    const struct lc_script_listener *listeners;
    size_t listener_count;

    unsigned age; /* of the worker that it is about */
    pid_t pid;
    bool has_failed_to_boot;

    unsigned new_count; /* nworkers_changed */
    long old_count;     /* -1: there was none before */
};

/* What the hook ssl_context changes of the rules for encrypted connections. */
struct lc_script_tls {
    int min_version,
        max_version; /* 0x0303 is TLS 1.2; 0: as ever                       */
    int verify_mode; /* as cert_reqs; -1: as the setting says               */
    uint64_t options,
        no_options; /* OpenSSL's SSL_OP_…: set besides, and cleared        */
    char
        *ciphers; /* of TLS 1.2, for whoever asked to free(); NULL: as the setting says */
};

struct lc_script_ops {
    /* Starts the language in this process, once; later calls do nothing. `interpreter` as in
     * lc_app_options. 0, or -1 with `err`. */
    int (*start)(const char *interpreter, struct lc_error *err);

    /* A script is one configuration: its objects and its hooks. */
    void *(*create)(struct lc_error *err);
    void (*destroy)(void *script);

    /* Runs the file that `asked` names, seen from `folder`. -1 with `err`; longer explanations
     * are logged before. */
    int (*read)(void *script, const char *asked, const char *folder,
                const struct lc_script_sink *sink, struct lc_error *err);

    /* Every setting, and with them the hooks. */
    int (*conclude)(void *script, const struct lc_script_value *values, size_t count,
                    struct lc_error *err);

    /* Whether any hook is set, and so anybody to be told of anything. */
    bool (*has_hooks)(void *script);

    /* Whether the configuration brings a logger of its own, which writes what the process for
     * logs gets, and whether that makes the lines of requests as well, in the workers. If it
     * writes, `least` is the level below which it has no use for records. */
    void (*logging)(void *script, bool *writes, bool *makes_access, enum lc_level *least);

    /* What the configuration's hook has made of the rules for encrypted connections; false when
     * it has none. */
    bool (*tls)(void *script, struct lc_script_tls *tls);

    /* In the process for logs: a record with its newline; and SIGUSR1. */
    void (*write_log)(void *script, bool is_access, struct lc_slice text);
    void (*reopen_logs)(void *script);

    /* 0, or -1 with `err` when it failed, which was logged with its stack. */
    int (*call)(void *script, const char *hook, const struct lc_hook_details *details,
                struct lc_error *err);

    /* The loop is awake: what the language has put off until now may run. */
    void (*attend)(void);

    /* Around each fork of the server's own. */
    void (*before_fork)(void);
    void (*after_fork)(bool is_child);

    /* Loads an application, which `open` of lc_app_ops then finds in every child. */
    int (*preload)(const struct lc_app_options *options, struct lc_error *err);
};

LC_C_END
