/* licorne/slice.h — bytes that somebody else owns: a start and a length, no NUL at the end. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct lc_slice {
    const char *at;
    size_t len;
};

/* A string literal as a slice, without counting at run time. */
#define LC_SLICE(literal) ((struct lc_slice){"" literal, sizeof(literal) - 1})

/* "%.*s" takes an int and a pointer: printf("%.*s", LC_ARG(slice)). */
#define LC_ARG(slice) (int)(slice).len, (slice).at

/* A C string (NULL counts as empty) as a slice; the bytes stay where they are. */
static inline struct lc_slice lc_slice(const char *text)
{
    return (struct lc_slice){text, text == NULL ? 0 : strlen(text)};
}

static inline bool lc_slice_equals(struct lc_slice a, struct lc_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* ASCII letters compare without regard to case, as HTTP field names do (RFC 9110, 5.1). */
static inline bool lc_slice_equals_nocase(struct lc_slice a, struct lc_slice b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.at, b.at, a.len) == 0);
}
