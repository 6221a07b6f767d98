#include <licorne/error.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int lc_error_set(struct lc_error *err, enum lc_error_code code, const char *format, ...)
{
    if (err == NULL)
        return -1;

    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    err->code = code;
    err->sys = 0;
    return -1;
}

int lc_error_sys(struct lc_error *err, const char *what, ...)
{
    int sys = errno;

    if (err == NULL)
        return -1;

    va_list args;
    va_start(args, what);
    int len = vsnprintf(err->text, sizeof(err->text), what, args);
    va_end(args);
    if (len >= 0 && (size_t)len < sizeof(err->text))
        snprintf(err->text + len, sizeof(err->text) - (size_t)len, ": %s", strerror(sys));
    err->code = LC_E_SYSTEM;
    err->sys = sys;
    errno = sys;
    return -1;
}

int lc_error_wrap(struct lc_error *err, const char *context, ...)
{
    char text[LC_ERROR_TEXT_MAX];

    if (err == NULL)
        return -1;

    va_list args;
    va_start(args, context);
    int len = vsnprintf(text, sizeof(text), context, args);
    va_end(args);
    if (len < 0)
        return -1;
    if ((size_t)len < sizeof(text)) {
        size_t room = sizeof(text) - (size_t)len;
        int more = snprintf(text + len, room, ": ");

        if (more > 0 && (size_t)more < room) {
            size_t rest = strnlen(err->text, room - (size_t)more - 1);
            memcpy(text + len + more, err->text, rest);
            text[(size_t)len + (size_t)more + rest] = '\0';
        }
    }
    memcpy(err->text, text, sizeof(text));
    return -1;
}
