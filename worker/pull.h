/* worker/pull.h — request_buffering = off: the application pulls the body out of the socket.
 *
 * From the end of the head to the end of the response (LC_CONN_HANDLING) the receiving side of the
 * connection is lent with the request to the thread that runs the application: the wire's
 * reads, the exchange's parser and this. The loop neither watches the socket for input nor reads
 * from it, and looks at none of the three until the request has come back. What is written
 * goes its ordinary way. So there is no queue, and nothing to lock.
 *
 * One buffer, in this order: body that is decoded (request.body), and, once the request is
 * complete, the bytes behind it. Chunks are decoded in place. */
#pragma once
#include "worker/pace.h"

#include <licorne/slice.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lc_conn;
struct lc_exchange;

struct lc_pull {
    char *buffer; /* NULL: the body is complete before the application is called */
    size_t room;
    size_t end;        /* of what the buffer holds                                      */
    size_t rest;       /* where the bytes behind the request begin, once it is complete */
    uint64_t received; /* bytes of body */
    bool has_eof;

    /* Its clock goes only while the client is waited for. */
    struct lc_pace pace;
    uint64_t waited_us;
    uint64_t paced; /* bytes of body that it has seen */
};

enum lc_pull_wait {
    LC_PULL_READY, /* the socket may have bytes                   */
    LC_PULL_LATE,  /* the time has passed without                 */
    LC_PULL_OVER, /* nobody will read them: the connection is given up, or the worker stops */
};

/* Waits for the socket, at most `patience_ms`; 0: for ever. */
typedef enum lc_pull_wait (*lc_pull_wait_fn)(struct lc_conn *conn, uint64_t patience_ms);

/* The head is complete and lies in the arena; `rest` is what came with it. */
void lc_pull_begin(struct lc_exchange *exchange, struct lc_slice rest);

/* The application has consumed what there was: brings more of the body, its end, or why there
 * will be no more (request.body.error). A client that waits for 100 Continue is told now. */
void lc_pull_receive(struct lc_exchange *exchange, lc_pull_wait_fn wait);

/* Takes what has come, without waiting. Whether the body is complete: then the connection can
 * serve another request, even if the application does not read it. */
bool lc_pull_settle(struct lc_exchange *exchange);

/* Whether bytes that follow the request are here already. */
bool lc_pull_has_rest(const struct lc_exchange *exchange);

/* The request has come back: the bytes that follow it, valid as long as the exchange. */
struct lc_slice lc_pull_end(struct lc_exchange *exchange);

void lc_pull_deinit(struct lc_pull *pull);
