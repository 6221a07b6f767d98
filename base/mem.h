/* base/mem.h — memory that cannot fail, and variables that clean up after themselves.
 *
 * What a client can make large is bounded by a setting before it is allocated; when a small
 * allocation fails all the same the process ends with a message. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

void *lc_malloc(size_t size);
void *lc_calloc(size_t count, size_t size);
void *lc_realloc(void *old, size_t size);
char *lc_strdup(const char *text); /* NULL stays NULL */
char *lc_strndup(const char *at, size_t len);
char *lc_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *lc_vprintf(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

#define lc_new(type) ((type *)lc_calloc(1, sizeof(type)))

/* Checked in releases too: a broken promise inside the program ends it at once. */
#define lc_assert(condition) \
    ((condition) ? (void)0 : lc_assert_failed(#condition, __FILE__, __LINE__))
_Noreturn void lc_assert_failed(const char *condition, const char *file, int line);

/* `LC_AUTOFREE char *text = ...;` is freed at the end of its block; `return lc_take(&text);`
 * gives it to the caller instead. */
#define LC_AUTOFREE __attribute__((cleanup(lc_autofree)))
static inline void lc_autofree(void *variable)
{
    free(*(void **)variable);
}
#define lc_take(variable)                                \
    __extension__({                                      \
        __typeof__(*(variable)) lc_taken_ = *(variable); \
        *(variable) = NULL;                              \
        lc_taken_;                                       \
    })

#define LC_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LC_CONTAINER(pointer, type, member) \
    ((type *)((char *)(pointer)-offsetof(type, member)))
