/* worker/chunks.h — what stands between the chunks of a body (RFC 9112, 7.1): the CRLF behind each and
 * the line that tells the size of the next.
 *
 * llhttp decodes chunks, but its versions differ in what they let pass there. So these bytes are
 * read here first, in any pieces, and llhttp is shown the size alone. */
#pragma once
#include <licorne/slice.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lc_fault;

enum {
    LC_CHUNK_LINE_MAX = 4096, /* bytes of a size line with its extensions */
    LC_CHUNK_DIGITS_MAX = 15, /* so the sum of sizes does not overflow */
};

enum lc_chunk_state {
    LC_CHUNK_SIZE,      /* a hex digit comes now                  */
    LC_CHUNK_BLANKS,    /* behind the digits, before an extension */
    LC_CHUNK_EXTENSION, /* from its semicolon on                  */
    LC_CHUNK_SIZE_LF,
    LC_CHUNK_DATA, /* the line is complete                   */
    LC_CHUNK_CR,   /* the chunk is; its CRLF comes now       */
    LC_CHUNK_LF,
};

/* All zero at first. */
struct lc_chunks {
    enum lc_chunk_state state;
    unsigned line_len, digits;
    uint64_t left; /* bytes of the chunk that are still to come */
    char line[2 + LC_CHUNK_DIGITS_MAX + 2]; /* what llhttp is shown */
};

/* Reads on between two chunks; `*used` tells how many bytes it took, all of them until DATA. False:
 * `fault` says why. */
bool lc_chunks_read(struct lc_chunks *chunks, struct lc_slice bytes, size_t *used,
                    struct lc_fault *fault);

/* In DATA: the size line without extensions, behind the CRLF of the chunk before it, if any. */
struct lc_slice lc_chunks_line(struct lc_chunks *chunks);
