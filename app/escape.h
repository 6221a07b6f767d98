/* app/escape.h — text from outside on its way into a log line: it can neither leave its quotes
 * nor its line. */
#pragma once
#include <licorne/slice.h>

#include <stdbool.h>
#include <stddef.h>

enum { LC_ESCAPED_MAX = 4 }; /* bytes that one byte can become: \xNN */

static inline bool lc_must_escape(unsigned char c)
{
    return c < 0x20 || c == 0x7f || c == '"';
}

static inline size_t lc_escaped_size(unsigned char c)
{
    return !lc_must_escape(c) ? 1 : c == '"' ? 2 : LC_ESCAPED_MAX;
}

/* Writes c, \" for a quote, or \xNN for a control byte. Returns what follows. */
char *lc_put_escaped_byte(char *at, unsigned char c);

/* The same for a text; `at` must have room for LC_ESCAPED_MAX * text.len bytes. */
char *lc_put_escaped(char *at, struct lc_slice text);
