#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Noreturn void out_of_memory(size_t size)
{
    fprintf(stderr, "licorne: out of memory (%zu bytes)\n", size);
    abort();
}

void *lc_malloc(size_t size)
{
    void *p = malloc(size == 0 ? 1 : size);

    if (p == NULL)
        out_of_memory(size);
    return p;
}

void *lc_calloc(size_t count, size_t size)
{
    void *p = calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);

    if (p == NULL)
        out_of_memory(size);
    return p;
}

void *lc_realloc(void *old, size_t size)
{
    void *p = realloc(old, size == 0 ? 1 : size);

    if (p == NULL)
        out_of_memory(size);
    return p;
}

char *lc_strdup(const char *text)
{
    return text == NULL ? NULL : lc_strndup(text, strlen(text));
}

char *lc_strndup(const char *at, size_t len)
{
    char *copy = lc_malloc(len + 1);

    if (len != 0)
        memcpy(copy, at, len);
    copy[len] = '\0';
    return copy;
}

char *lc_printf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = lc_vprintf(format, args);
    va_end(args);
    return text;
}

char *lc_vprintf(const char *format, va_list args)
{
    char *text;

    if (vasprintf(&text, format, args) < 0)
        out_of_memory(strlen(format));
    return text;
}

_Noreturn void lc_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "licorne: %s:%d: this must hold and does not: %s\n", file, line,
            condition);
    abort();
}
