/* worker/lent.h — a lent request as its thread has it: the host's calls, on the thread that runs
 * the application. Bytes are gathered on the thread's desk, go straight to the socket as long as
 * nothing waits there, and else to the loop.
 *
 * For lend.c, which lends requests and takes them back. */
#pragma once
#include "worker/date.h"
#include "worker/lend.h"

#include <licorne/app.h>

#include <pthread.h>

enum { LC_DESK_SIZE = 64 * 1024 }; /* answers of one request, gathered until they leave */

/* What a thread has for itself. */
struct lc_desk {
    struct lc_date date;
    char *bytes;
    size_t used;
};

struct lc_lender {
    struct lc_server *server;
    struct lc_threads *threads;
    bool is_open;  /* they have not ended */
    unsigned lent; /* requests that wait for a thread or have one */
    _Atomic bool is_quitting;

    pthread_mutex_t lock;
    pthread_cond_t moved; /* some connection's queue is shorter, or its client gone */
    struct lc_parcels garbage;
    unsigned garbage_count;
    _Atomic bool has_garbage;
    bool is_awaited;           /* `collection` is in the threads' queue */
    struct lc_task collection; /* nothing but a reason for a thread to come by */

    unsigned count;
    struct lc_desk desks[];
};

/* What a request answers to while it is lent. */
extern const struct lc_host_ops lc_lent_ops;

/* What is on the desk goes to the socket, or into the parcels for the loop. */
void lc_lent_write_gathered(struct lc_exchange *exchange);
