#include "worker/unfold.h"

#include "base/token.h"

#include <licorne/arena.h>

#include <string.h>

static char *put(char *at, struct lc_slice text)
{
    return (char *)memcpy(at, text.at, text.len) + text.len;
}

static char *put_line(char *at, struct lc_slice line, bool strips_names)
{
    const char *colon = memchr(line.at, ':', line.len);

    while (line.len > 0 && lc_is_blank(line.at[line.len - 1]))
        line.len--;
    if (strips_names && colon != NULL) {
        struct lc_slice rest = {colon, line.len - (size_t)(colon - line.at)};
        struct lc_slice name = {line.at, (size_t)(colon - line.at)};

        at = put(at, lc_without_blanks(name));
        line = rest;
    }
    return put(put(at, line), LC_SLICE("\r\n"));
}

/* Over the CRLF of the line before it, and what blanks stand there. */
static char *put_fold(char *at, struct lc_slice line)
{
    at -= 2;
    while (lc_is_blank(at[-1]))
        at--;
    *at++ = ' ';
    return put(put(at, lc_without_blanks(line)), LC_SLICE("\r\n"));
}

struct lc_slice lc_unfold(struct lc_arena *arena, struct lc_slice fields,
                          bool strips_names)
{
    char *out = lc_arena_alloc(arena, fields.len), *at = out;
    const char *end = fields.at + fields.len;

    for (const char *from = fields.at; from < end;) {
        const char *newline = memchr(from, '\n', (size_t)(end - from));
        struct lc_slice line = {from, (size_t)(newline - 1 - from)};

        at = line.len > 0 && lc_is_blank(*line.at) && at > out
                 ? put_fold(at, line)
                 : put_line(at, line, strips_names);
        from = newline + 1;
    }
    return (struct lc_slice){out, (size_t)(at - out)};
}
