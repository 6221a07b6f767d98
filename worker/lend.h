/* worker/lend.h — requests that are lent to the application's threads (gthread).
 *
 * A complete request goes to a thread with its exchange. As long as it is lent, the loop touches
 * neither: it may read ahead, and note that the client has gone. The thread calls the application
 * and writes the answer itself where nothing waits to be sent before it; what the socket does not
 * take goes to the loop. A streaming response whose client is slow gives its thread free: the
 * request comes back, and is lent again when the client has caught up.
 *
 * All calls are the loop's thread's. */
#pragma once
#include "worker/parcel.h"
#include "worker/threads.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lc_conn;
struct lc_error;
struct lc_exchange;
struct lc_lender;
struct lc_server;

/* A message from a thread, and its way back: the request is returned, or stays with the thread
 * and only bytes come. */
struct lc_delivery {
    struct lc_task task;
    struct lc_exchange *exchange;
    struct lc_parcels parcels;
    bool is_return;
};

/* The part of an exchange that its thread uses. */
struct lc_lent {
    struct lc_delivery delivery; /* for the way there and back */
    struct lc_lender *lender;
    unsigned thread;
    bool is_begun;   /* the application has seen it                    */
    bool is_skipped; /* it never will                                  */
    bool is_ended;   /* the response is complete                       */
    bool has_failed; /* the socket has                                 */
    size_t handed;   /* bytes for the loop to send: the thread's count */
    size_t received; /* … the loop's                                   */
    uint64_t ended_us;

    /* What the loop tells meanwhile. */
    _Atomic size_t sent; /* of `handed` */
    _Atomic bool is_gone;
    _Atomic bool is_last; /* no further request will come on the connection */
};

/* Starts the threads; `server->pipeline` must be there. */
struct lc_lender *lc_lender_create(struct lc_server *server, unsigned threads,
                                   struct lc_error *err);

/* Its threads have not ended. NULL is not open. */
bool lc_lender_is_open(const struct lc_lender *lender);

/* How many more requests would find a free thread. */
unsigned lc_lender_room(const struct lc_lender *lender);

/* Whether requests take their time just now. */
bool lc_lender_is_slow(const struct lc_lender *lender);

/* A connection whose request waits behind slow ones, no thread has begun, and a sibling could do
 * (lc_share_is_portable). It is not lent any more. NULL: there is none. */
struct lc_conn *lc_lender_recall(struct lc_lender *lender);

/* Before a request is lent for the first time: from here on it needs none of the loop's buffers.
 * False: its body cannot be kept, which was logged. */
bool lc_lend_prepare(struct lc_conn *conn);

/* The connection's request, to be begun or to go on with its response. lc_conn_on_returned tells
 * when it is back. */
void lc_lend(struct lc_conn *conn);

/* Takes what the threads have returned. */
void lc_lender_hear(struct lc_lender *lender);
void lc_lender_before_sleep(struct lc_lender *lender);

/* About a connection whose request is lent: its client has gone; it will send no more; some of
 * its queue has left. */
void lc_lent_abandon(struct lc_conn *conn);
void lc_lent_on_eof(struct lc_conn *conn);
void lc_lent_on_moved(struct lc_conn *conn);

/* What came from the application goes back to it on one of its threads. */
void lc_lender_release(struct lc_lender *lender, void (*release)(void *), void *owner);

/* Requests that no thread has begun are skipped, and the others are waited for, at most so
 * long. False: some thread does not come back; the process can only exit. */
bool lc_lender_stop(struct lc_lender *lender, unsigned limit_ms);

/* After a stop that said true, and the end of the loop. NULL is fine. */
void lc_lender_destroy(struct lc_lender *lender);
