/* app/request.h — the inside of a request, for the worker that makes it and the pipeline that
 * answers it. Controllers see <licorne/request.h> only. */
#pragma once
#include "base/arena.h"

#include <licorne/app.h>
#include <licorne/request.h>
#include <licorne/response.h>

#include <stdbool.h>
#include <stdint.h>

struct lc_pipeline;

/* How a response leaves. The worker hands this table to each request, so that app/ answers
 * without knowing sockets. */
struct lc_host_ops {
    /* Bytes for the client, framing included. Those of `text` are copied; those of `body` stay
     * the caller's and may be referred to until `release(owner)` if release is not NULL, else
     * are copied where they cannot leave at once. */
    enum lc_flow (*send)(struct lc_request *request, struct lc_slice text,
                         struct lc_slice body, void (*release)(void *), void *owner);
    /* `text`, then `length` bytes from `offset` on of a regular file. The descriptor stays the
     * caller's; what cannot leave at once is sent from a duplicate. A file that ends too early
     * breaks the response: the host logs it and closes the connection. */
    enum lc_flow (*send_file)(struct lc_request *request, struct lc_slice text, int file,
                              uint64_t offset, uint64_t length);
    enum lc_flow (*flush)(struct lc_request *request);
    enum lc_flow (*wait)(struct lc_request *request);
    /* All that came of a streamed body is consumed: waits for more. Afterwards `body` has unread
     * bytes, or there is no more to come. */
    void (*receive)(struct lc_request *request);
    /* The response is over. `is_broken`: the connection must close without more bytes. */
    void (*end)(struct lc_request *request, bool is_broken);
    /* Whether the connection may stay open after this response, as things stand now. */
    bool (*may_keep)(const struct lc_request *request);
    /* "Date: …\r\n" for this second. */
    struct lc_slice (*date_line)(const struct lc_request *request);
};

enum { LC_HEAD_COUNT = 24, LC_PARAM_COUNT = 8 };

struct lc_param {
    struct lc_slice name, value;
};

/* Goes to the client when a body cannot be received and the application does not answer. */
struct lc_refusal {
    int status; /* 0: the connection just closes */
    struct lc_slice answer;
    size_t page_len;
};

/* What there is of a body: all, or, while it is streamed, the part that came last. */
struct lc_body {
    const char *at;    /* in memory, or NULL: in `fd` */
    uint64_t size;     /* of what there is */
    uint64_t consumed; /* of these, by the controller */
    uint64_t length;   /* of the whole; LC_BODY_UNKNOWN */
    int fd;            /* spill file, or -1 */
    bool has_more;     /* it is streamed and not complete */
    int error;         /* errno: why the rest cannot be received */
    struct lc_refusal refusal;
};

struct lc_response {
    int status;                  /* 0 until set: then 200 */
    struct lc_slice status_text; /* "200 OK" */
    struct lc_slice fields;      /* the controller's fields, as they go on the wire */
    size_t fields_room;
    uint64_t length;  /* Content-Length, if has_length */
    uint64_t written; /* body bytes that left or are held */
    bool has_length;
    bool is_started, is_ended;
    bool is_chunked;
    bool is_bodiless; /* HEAD, 1xx, 204, 304 */
    bool is_upgrade;  /* Connection: upgrade was asked for */
    bool keeps;       /* Connection: keep-alive was promised */
    bool was_cut;     /* more bytes than Content-Length came */
    bool was_dropped; /* there were bytes, and a status that allows none */
};

struct lc_request {
    /* What came. Slices of the read buffer or of the arena. */
    struct lc_slice method, target, raw_path, path, query;
    struct lc_header *headers;
    size_t header_count, header_room;
    uint8_t version; /* 10, 11 … */
    bool is_https;
    bool wants_close; /* by version and Connection field */
    bool expects_100;
    bool is_chunked_body;  /* Transfer-Encoding ends in chunked */
    bool has_endless_body; /* … does not: nobody can tell which bytes are its body */
    struct lc_body body;
    const struct lc_endpoints *endpoints;
    struct lc_keep *keep;

    /* What the pipeline found. */
    struct lc_pipeline *pipeline;
    struct lc_param params[LC_PARAM_COUNT];
    unsigned param_count;
    const struct lc_route *route; /* a native application's; NULL: none */
    void *data;                   /* the controller's */
    bool is_later;                /* LC_LATER was said */
    bool is_detached;             /* its bytes lie in the arena */

    struct lc_response response;
    uint64_t started_us; /* the head's first byte was read; lc_clock_us */
    uint64_t ready_us;   /* all was there that the application needs    */
    uint64_t called_us;  /* it was called; 0: not yet                   */

    const struct lc_host_ops *host;
    /* From here on nothing is cleared between requests. */
    struct lc_arena arena;
    struct lc_header first_headers[LC_HEAD_COUNT];
};

/* The authority of an absolute target, "user@host:80"; {NULL, 0} for others. `*rest` is what
 * follows it, or a scheme, or all of the target. As Python's urlsplit. */
struct lc_slice lc_target_authority(struct lc_slice target, struct lc_slice *rest);

/* Splits the target (already validated) into raw_path, path and query; decodes the path into
 * the arena where it holds "%". RFC 9112, 3.2. */
void lc_request_split_target(struct lc_request *request);

/* How long the request waited for the application, in microseconds; 0 for one that it never saw. */
static inline uint64_t lc_request_waited_us(const struct lc_request *request)
{
    return request->called_us > request->ready_us ? request->called_us - request->ready_us
                                                  : 0;
}

/* Copies the head's bytes into the arena and lets every slice that pointed into them point there;
 * `head` becomes the copy. Nothing is done a second time. */
void lc_request_relocate(struct lc_request *request, struct lc_slice *head);

/* Makes room for one more header; NULL beyond `limit`. */
struct lc_header *lc_request_add_header(struct lc_request *request, size_t limit);
