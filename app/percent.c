#include "app/percent.h"

#include <licorne/arena.h>

#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int lc_percent_byte(const char *at, const char *end)
{
    if (end - at < 3 || at[0] != '%')
        return -1;

    int high = hex(at[1]), low = hex(at[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

struct lc_slice lc_percent_decode(struct lc_arena *arena, struct lc_slice text)
{
    if (text.len == 0 || memchr(text.at, '%', text.len) == NULL)
        return text;

    const char *end = text.at + text.len;
    char *out = lc_arena_alloc(arena, text.len);
    size_t len = 0;
    for (const char *at = text.at; at < end;) {
        int byte = lc_percent_byte(at, end);

        out[len++] = byte < 0 ? *at : (char)byte;
        at += byte < 0 ? 1 : 3;
    }
    return (struct lc_slice){out, len};
}
