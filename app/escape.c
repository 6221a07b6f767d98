#include "app/escape.h"

#include <stdint.h>
#include <string.h>

char *lc_put_escaped_byte(char *at, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";

    if (lc_must_escape(c)) {
        *at++ = '\\';
        if (c != '"') {
            *at++ = 'x';
            *at++ = hex[c >> 4];
            c = (unsigned char)hex[c & 15];
        }
    }
    *at++ = (char)c;
    return at;
}

/* Whether any of eight bytes must be escaped. A byte below n borrows when n is taken from it,
 * which sets its top bit; a byte equal to x is zero, that is below 1, after xor with x. */
static bool must_escape_any(uint64_t eight)
{
    static const uint64_t each = 0x0101010101010101, tops = 0x8080808080808080;
    uint64_t quote = eight ^ each * '"', del = eight ^ each * 0x7f;

    return (((eight - each * 0x20) & ~eight) | ((quote - each) & ~quote) |
            ((del - each) & ~del)) &
           tops;
}

char *lc_put_escaped(char *at, struct lc_slice text)
{
    const char *from = text.at, *end = text.at + text.len;

    while (end - from >= 8) {
        uint64_t eight;

        memcpy(&eight, from, 8);
        if (!must_escape_any(eight)) {
            memcpy(at, &eight, 8);
            at += 8;
            from += 8;
            continue;
        }
        for (const char *stop = from + 8; from < stop; from++)
            at = lc_put_escaped_byte(at, (unsigned char)*from);
    }
    if (from < end && text.len >= 8) {
        /* The last eight at once: where all are harmless, those already written are the same. */
        uint64_t eight;

        memcpy(&eight, end - 8, 8);
        if (!must_escape_any(eight)) {
            at += end - from;
            memcpy(at - 8, &eight, 8);
            return at;
        }
    }
    for (; from < end; from++)
        at = lc_put_escaped_byte(at, (unsigned char)*from);
    return at;
}
