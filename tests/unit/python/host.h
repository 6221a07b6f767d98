/* The host of the Python plugin's tests: the public calls, over requests and responses that lie in
 * memory. A test fills in what came and how the client behaves, and looks at what was answered. */
#pragma once
#include "base/arena.h"

#include <licorne/licorne.h>

#include <stdint.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { FIELDS_MAX = 64 };

struct lc_request {
    /* What came. */
    const char *method, *target, *scheme;
    int version;
    struct lc_header headers[FIELDS_MAX];
    size_t header_count;
    const struct lc_endpoints *endpoints;
    struct lc_keep *keep;
    const char *body;
    size_t body_size, body_read;
    bool body_lies_in_file; /* no peeking */
    bool body_is_cut;       /* the file ends early */
    bool body_fails;        /* reading gives EIO, or body_error */
    bool body_is_streamed;  /* it comes in small pieces, and nobody knows how many */
    int body_error;         /* what reading has failed with */

    /* How the client behaves. */
    size_t reads_slowly_after; /* body bytes; WAIT beyond, until the client caught up */
    size_t goes_after;         /* body bytes; GONE beyond */
    size_t waits, flushes;

    /* What the application answered. */
    char status[128];
    char fields[4096];
    char interim[1024]; /* "103 Name: value" lines */
    uint64_t length;    /* Content-Length, UINT64_MAX without */
    char *answer;
    size_t answer_size, unsent;
    bool is_started, is_ended, is_aborted, was_copied, was_sent_as_file;
    void (*release)(void *);
    void *owner;

    void *data;
    struct lc_arena arena;
    _Alignas(16) char memory[4096];
    char path[1024];
    size_t path_len;
};

/* What was logged since the request was given: lines with their level, and raw text. */
enum { LOG_ROOM = 65536 };
extern char logged[LOG_ROOM], raw[LOG_ROOM];

/* The connection of all requests that bring no other. */
extern struct lc_keep connection;

/* A request over TCP, HTTP/1.1, on `connection`; the log is empty. */
void given_request(struct lc_request *r, const char *method, const char *target);
void given_header(struct lc_request *r, const char *name, const char *value);
void given_body(struct lc_request *r, const char *body);

/* The client has taken everything; nothing of the request stays. */
void forget(struct lc_request *r);
