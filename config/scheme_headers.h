/* config/scheme_headers.h — the header fields by which a trusted proxy tells that its client came by
 * https, as secure_scheme_headers names them.
 *
 * Two forms: "X-FORWARDED-PROTO=https, X-FORWARDED-SSL=on" and, as Gunicorn's users have it,
 * "{'X-FORWARDED-PROTO': 'https'}". */
#pragma once
#include <licorne/slice.h>

#include <stddef.h>

struct lc_error;

struct lc_scheme_header {
    struct lc_slice name, value; /* the name in any case, the value exact */
};

struct lc_scheme_headers {
    struct lc_scheme_header *items;
    size_t count;
    char *bytes; /* where the slices point to */
};

/* 0, or -1 with `err` (LC_E_CONFIG); `out` is empty then. */
int lc_scheme_headers_parse(const char *text, struct lc_scheme_headers *out,
                            struct lc_error *err);
void lc_scheme_headers_clear(struct lc_scheme_headers *headers);
