/* worker/http1.h — HTTP/1.x requests out of bytes (RFC 9112), by llhttp and a policy of our own.
 *
 * The head is looked at line by line and split only when it is complete, so the result
 * never depends on where the bytes were cut. llhttp splits fields and decodes bodies; the request
 * line and all rules on names, numbers and framing are ours (policy.h). */
#pragma once
#include "worker/chunks.h"
#include "worker/policy.h"
#include "worker/trailers.h"

#include <licorne/slice.h>

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lc_request;

enum lc_http1_result {
    LC_HTTP1_MORE, /* all bytes were used, or the head is not complete yet    */
    LC_HTTP1_HEAD, /* the head is complete; a body follows                    */
    LC_HTTP1_DONE, /* the request is complete                                 */
    LC_HTTP1_FAIL, /* `fault` says why; the connection cannot go on           */
};

/* Called with each piece of the body, in order. False: it cannot be kept, fault is filled. */
typedef bool (*lc_http1_body_fn)(void *owner, struct lc_slice piece,
                                 struct lc_fault *fault);

struct lc_http1 {
    llhttp_t parser;
    struct lc_policy policy;
    lc_http1_body_fn on_body;
    void *owner;

    /* The head, in bytes from its beginning. */
    size_t scanned;      /* known to hold no end of it                        */
    size_t line_start;   /* of the line that is being scanned                 */
    size_t fields_start; /* behind the request line                           */
    size_t field_start;  /* of the line's field: another line, if it is folded */
    size_t line_count;   /* lines scanned behind the request line             */
    bool has_odd_lines;  /* that llhttp must not see as they are              */
    bool is_past_head;
    bool is_complete;
    const char *line_base; /* where the head was when its line was read */
    struct lc_slice field; /* the name that waits for its value         */

    uint64_t body_len;
    bool has_last_chunk;
    struct lc_chunks chunks;
    struct lc_trailers trailers;
};

/* Starts a request. `request` is empty and has its arena. */
void lc_http1_begin(struct lc_http1 *http1, struct lc_request *request,
                    const struct lc_rules *rules, bool is_trusted,
                    struct lc_fault *fault);

/* `head` holds every byte since the request began. On HEAD and DONE `*used` tells how long the
 * head is, and the request's slices point into it; on MORE nothing is used. */
enum lc_http1_result lc_http1_head(struct lc_http1 *http1, struct lc_slice head,
                                   size_t *used);

/* Bytes behind the head. `*used` tells how many belong to this request. */
enum lc_http1_result lc_http1_body(struct lc_http1 *http1, struct lc_slice bytes,
                                   size_t *used);

/* Content-Length of the request, or 0 when it is chunked or has no body. */
uint64_t lc_http1_content_length(const struct lc_http1 *http1);
