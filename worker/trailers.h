/* worker/trailers.h — the fields behind the last chunk (RFC 9112, 7.1.2): nobody is shown them, but
 * what is no trailer section must not be read over as one. The bytes may come in any pieces. */
#pragma once
#include <licorne/slice.h>

#include <stdbool.h>
#include <stddef.h>

struct lc_fault;

enum { LC_TRAILERS_MAX = 16 * 1024 }; /* bytes of all of them */

enum lc_trailers_state {
    LC_TRAILERS_LINE, /* a name or the last CRLF comes now */
    LC_TRAILERS_NAME,
    LC_TRAILERS_VALUE,
    LC_TRAILERS_LF, /* of a field's CRLF */
    LC_TRAILERS_LAST_LF,
    LC_TRAILERS_DONE,
};

/* All zero at first. */
struct lc_trailers {
    enum lc_trailers_state state;
    size_t size; /* bytes read */
    size_t name_len;
    /* As much of it as tells whether it may be here. */
    char name[sizeof("Transfer-Encoding")];
};

/* Reads on; `*used` tells how many bytes are no one else's, all of them until DONE. False: this is
 * no trailer section, `fault` says why. */
bool lc_trailers_read(struct lc_trailers *trailers, struct lc_slice bytes, size_t *used,
                      struct lc_fault *fault);
