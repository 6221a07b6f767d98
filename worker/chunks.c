#include "worker/chunks.h"

#include "worker/fault.h"

#include <string.h>

static bool wrong(struct lc_fault *fault, const char *why)
{
    return lc_fault_set(fault, 400, "Bad Request", "Invalid chunked body: %s", why);
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* A digit, or what may stand behind the digits: CRLF, or blanks and a semicolon. */
static bool read_size(struct lc_chunks *chunks, char c, struct lc_fault *fault)
{
    if (chunks->state == LC_CHUNK_SIZE && is_hex(c)) {
        if (chunks->digits == LC_CHUNK_DIGITS_MAX)
            return wrong(fault, "a chunk's size is too large");
        chunks->line[2 + chunks->digits++] = c;
        return true;
    }
    if (chunks->digits == 0)
        return wrong(fault, "a chunk has no size");
    if (c == ';')
        chunks->state = LC_CHUNK_EXTENSION;
    else if (c == ' ' || c == '\t')
        chunks->state = LC_CHUNK_BLANKS;
    else if (c == '\r' && chunks->state == LC_CHUNK_SIZE)
        chunks->state = LC_CHUNK_SIZE_LF;
    else
        return wrong(fault, "a chunk's size is no number");
    return true;
}

static bool read_byte(struct lc_chunks *chunks, char c, struct lc_fault *fault)
{
    switch (chunks->state) {
    case LC_CHUNK_SIZE:
    case LC_CHUNK_BLANKS: return read_size(chunks, c, fault);
    case LC_CHUNK_EXTENSION:
        if (c == '\r')
            chunks->state = LC_CHUNK_SIZE_LF;
        else if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f)
            return wrong(fault, "a chunk's extension holds a control byte");
        return true;
    case LC_CHUNK_SIZE_LF:
        chunks->state = LC_CHUNK_DATA;
        return c == '\n' || wrong(fault, "a chunk's size does not end in CRLF");
    case LC_CHUNK_CR:
        chunks->state = LC_CHUNK_LF;
        return c == '\r' || wrong(fault, "a chunk does not end in CRLF");
    case LC_CHUNK_LF:
        chunks->state = LC_CHUNK_SIZE;
        chunks->digits = chunks->line_len = 0;
        return c == '\n' || wrong(fault, "a chunk does not end in CRLF");
    case LC_CHUNK_DATA: break;
    }
    return false;
}

bool lc_chunks_read(struct lc_chunks *chunks, struct lc_slice bytes, size_t *used,
                    struct lc_fault *fault)
{
    for (*used = 0; *used < bytes.len && chunks->state != LC_CHUNK_DATA; ++*used) {
        if (++chunks->line_len > LC_CHUNK_LINE_MAX)
            return wrong(fault, "a chunk's extensions are too large");
        if (!read_byte(chunks, bytes.at[*used], fault))
            return false;
    }
    return true;
}

struct lc_slice lc_chunks_line(struct lc_chunks *chunks)
{
    bool is_first = chunks->line[0] == '\0';
    char *line = chunks->line;

    chunks->line_len = 0;
    memcpy(line, "\r\n", 2);
    memcpy(line + 2 + chunks->digits, "\r\n", 2);
    if (is_first)
        return (struct lc_slice){line + 2, chunks->digits + 2u};
    return (struct lc_slice){line, chunks->digits + 4u};
}
