#include "worker/lend.h"

#include "app/pipeline.h"
#include "base/clock.h"
#include "base/inherit.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "worker/conn.h"
#include "worker/lent.h"
#include "worker/queue.h"
#include "worker/reply.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <pthread.h>

enum { GARBAGE_MAX = 64 }; /* things that may wait for a thread that comes by anyway */

/* --- on the application's thread: its life ------------------------------------------------- */

static int on_thread_start(void *owner, unsigned thread, struct lc_error *err)
{
    struct lc_lender *lender = owner;

    lender->desks[thread].bytes = lc_malloc(LC_DESK_SIZE);
    return lc_pipeline_thread_start(lender->server->pipeline, err);
}

static void on_thread_end(void *owner, unsigned thread)
{
    struct lc_lender *lender = owner;

    lc_pipeline_thread_end(lender->server->pipeline);
}

static void on_turn_start(void *owner, unsigned thread)
{
    struct lc_lender *lender = owner;

    lc_pipeline_thread_turn_start(lender->server->pipeline);
}

static void on_turn_end(void *owner, unsigned thread)
{
    struct lc_lender *lender = owner;

    lc_pipeline_thread_turn_end(lender->server->pipeline);
}

static void collect_garbage(struct lc_lender *lender, bool was_called)
{
    struct lc_parcels garbage;

    if (!was_called && !atomic_load_explicit(&lender->has_garbage, memory_order_relaxed))
        return;
    pthread_mutex_lock(&lender->lock);
    if (was_called)
        lender->is_awaited = false;
    lc_parcels_move(&garbage, &lender->garbage);
    lender->garbage_count = 0;
    atomic_store_explicit(&lender->has_garbage, false, memory_order_relaxed);
    pthread_mutex_unlock(&lender->lock);
    lc_parcels_drop(&garbage);
}

static void call_application(struct lc_exchange *exchange)
{
    struct lc_lent *lent = &exchange->lent;
    struct lc_server *server = lent->lender->server;
    struct lc_request *request = &exchange->request;
    struct lc_slot *slot = server->inherit->slot;

    uint64_t now_us = lc_clock_us();

    if (request->called_us == 0)
        request->called_us = now_us;
    lc_slot_take_in_hand(slot, lent->thread, now_us / 1000, request->method,
                         request->target, request->endpoints->remote_addr);
    if (lent->is_begun) {
        lc_pipeline_resume(server->pipeline, request);
    } else {
        lent->is_begun = true;
        lc_pipeline_start(server->pipeline, request);
    }
    lc_slot_put_down(slot, lent->thread);
}

static void run(void *owner, unsigned thread, struct lc_task *task)
{
    struct lc_lender *lender = owner;

    collect_garbage(lender, task == &lender->collection);
    if (task == &lender->collection)
        return;

    struct lc_delivery *delivery = LC_CONTAINER(task, struct lc_delivery, task);
    struct lc_exchange *exchange = delivery->exchange;
    struct lc_lent *lent = &exchange->lent;

    lent->thread = thread;
    if (lent->is_begun || !lender->is_quitting)
        call_application(exchange);
    else
        lent->is_skipped = true;
    lc_lent_write_gathered(exchange);
    lent->handed += delivery->parcels.bytes;

    /* The loop has to do more about it than to take note. */
    bool is_urgent = delivery->parcels.first != NULL || !lent->is_ended ||
                     !exchange->request.response.keeps;
    lc_threads_post(lender->threads, task, is_urgent);
}

/* --- on the loop's thread ------------------------------------------------------------------- */

unsigned lc_lender_room(const struct lc_lender *lender)
{
    return lender->lent < lender->count ? lender->count - lender->lent : 0;
}

bool lc_lender_is_slow(const struct lc_lender *lender)
{
    return lc_threads_are_slow(lender->threads);
}

static bool may_recall(void *owner, const struct lc_task *task)
{
    const struct lc_lender *lender = owner;

    if (task == &lender->collection)
        return false;
    const struct lc_exchange *exchange =
        LC_CONTAINER(task, struct lc_delivery, task)->exchange;
    return !exchange->lent.is_begun && lc_share_is_portable(exchange->conn);
}

static void publish_room(struct lc_lender *lender)
{
    atomic_store_explicit(&lender->server->inherit->slot->free_threads,
                          lc_lender_room(lender), memory_order_relaxed);
}

struct lc_conn *lc_lender_recall(struct lc_lender *lender)
{
    struct lc_task *task = lc_threads_recall(lender->threads);

    if (task == NULL)
        return NULL;
    struct lc_conn *conn = LC_CONTAINER(task, struct lc_delivery, task)->exchange->conn;
    conn->is_lent = false;
    lender->lent--;
    publish_room(lender);
    return conn;
}

/* The request's bytes lie in a buffer of the loop, which goes on to use it. */
bool lc_lend_prepare(struct lc_conn *conn)
{
    struct lc_exchange *exchange = conn->exchange;
    struct lc_error err;

    lc_request_relocate(&exchange->request, &exchange->head);
    if (lc_gather_settle(&exchange->body, &err) == 0)
        return true;
    lc_log(LC_ERROR, "%s", err.text);
    return false;
}

void lc_lend(struct lc_conn *conn)
{
    struct lc_exchange *exchange = conn->exchange;
    struct lc_lent *lent = &exchange->lent;
    struct lc_lender *lender = conn->server->lender;

    lc_reply_flush(conn);
    lc_parcels_init(&lent->delivery.parcels);
    lent->delivery.exchange = exchange;
    lent->delivery.is_return = true;
    lent->lender = lender;
    lent->is_begun = exchange->request.is_later;
    lent->is_skipped = lent->is_ended = lent->has_failed = false;
    lent->handed = lent->received = conn->queued;
    atomic_store_explicit(&lent->sent, 0, memory_order_relaxed);
    atomic_store_explicit(&lent->is_gone, conn->is_gone, memory_order_relaxed);
    atomic_store_explicit(&lent->is_last,
                          conn->is_last || (conn->has_eof && conn->pending_len == 0 &&
                                            !lc_pull_has_rest(exchange)),
                          memory_order_relaxed);
    exchange->request.host = &lc_lent_ops;
    conn->is_lent = true;
    lender->lent++;
    publish_room(lender);
    lc_threads_push(lender->threads, &lent->delivery.task);
}

static void wake_waiting(struct lc_lender *lender)
{
    pthread_mutex_lock(&lender->lock);
    pthread_cond_broadcast(&lender->moved);
    pthread_mutex_unlock(&lender->lock);
}

void lc_lent_on_moved(struct lc_conn *conn)
{
    struct lc_lent *lent = &conn->exchange->lent;

    atomic_store_explicit(&lent->sent, lent->received - conn->queued,
                          memory_order_release);
    if (conn->queue == NULL)
        wake_waiting(lent->lender);
}

void lc_lent_abandon(struct lc_conn *conn)
{
    struct lc_lent *lent = &conn->exchange->lent;

    atomic_store_explicit(&lent->is_gone, true, memory_order_relaxed);
    lc_wire_cut(&conn->wire); /* closed only when the thread is done with it */
    wake_waiting(lent->lender);
}

void lc_lent_on_eof(struct lc_conn *conn)
{
    if (conn->pending_len == 0)
        atomic_store_explicit(&conn->exchange->lent.is_last, true, memory_order_relaxed);
}

/* --- what belongs to the application ---------------------------------------------------------- */

/* Soon: some thread comes by for another reason, as a rule. */
static void add_garbage(struct lc_lender *lender, struct lc_parcel *parcel)
{
    pthread_mutex_lock(&lender->lock);
    lc_parcels_append(&lender->garbage, parcel);
    atomic_store_explicit(&lender->has_garbage, true, memory_order_relaxed);
    bool is_urgent = ++lender->garbage_count >= GARBAGE_MAX || parcel->len != 0;
    bool needs_thread = is_urgent && !lender->is_awaited;
    lender->is_awaited |= needs_thread;
    pthread_mutex_unlock(&lender->lock);
    if (needs_thread)
        lc_threads_push(lender->threads, &lender->collection);
}

void lc_lender_release(struct lc_lender *lender, void (*release)(void *), void *owner)
{
    if (!lc_lender_is_open(lender)) {
        release(owner);
        return;
    }
    add_garbage(lender, lc_parcel_own((struct lc_slice){"", 0}, release, owner));
}

static void on_parcel_left(void *data)
{
    struct lc_parcel *parcel = data;

    if (parcel->release == NULL || !lc_lender_is_open(parcel->lender))
        lc_parcel_destroy(parcel);
    else
        add_garbage(parcel->lender, parcel);
}

static void enqueue(struct lc_conn *conn, struct lc_parcel *parcel)
{
    if (conn->is_gone) {
        on_parcel_left(parcel);
    } else if (parcel->file >= 0) {
        lc_queue_file(conn, parcel->file, parcel->offset, parcel->len);
        lc_parcel_destroy(parcel);
    } else {
        struct lc_slice bytes = {parcel->at, parcel->len};

        lc_queue_owned(conn, bytes, on_parcel_left, parcel);
    }
}

/* --- returns ------------------------------------------------------------------------------------ */

static void on_post(void *owner, struct lc_task *post)
{
    struct lc_lender *lender = owner;
    struct lc_delivery *delivery = LC_CONTAINER(post, struct lc_delivery, task);
    struct lc_exchange *exchange = delivery->exchange;
    struct lc_conn *conn = exchange->conn;
    struct lc_parcel *parcel;

    exchange->lent.received += delivery->parcels.bytes;
    while ((parcel = lc_parcels_take(&delivery->parcels)) != NULL) {
        parcel->lender = lender;
        enqueue(conn, parcel);
    }
    if (!delivery->is_return) {
        free(delivery);
        return;
    }
    conn->is_lent = false;
    lender->lent--;
    publish_room(lender);
    lc_conn_on_returned(conn);
    lc_room_on_free(lender->server);
}

void lc_lender_hear(struct lc_lender *lender)
{
    lc_threads_hear(lender->threads);
}

void lc_lender_before_sleep(struct lc_lender *lender)
{
    lc_threads_before_sleep(lender->threads);
}

/* --- life --------------------------------------------------------------------------------------- */

static const struct lc_threads_ops thread_ops = {
    .start = on_thread_start,
    .end = on_thread_end,
    .turn_start = on_turn_start,
    .turn_end = on_turn_end,
    .run = run,
    .may_recall = may_recall,
    .on_post = on_post,
};

struct lc_lender *lc_lender_create(struct lc_server *server, unsigned threads,
                                   struct lc_error *err)
{
    struct lc_lender *lender = lc_calloc(1, sizeof(*lender) +
                                                threads * sizeof(lender->desks[0]));

    lender->server = server;
    lender->count = threads;
    pthread_mutex_init(&lender->lock, NULL);
    pthread_cond_init(&lender->moved, NULL);
    lc_parcels_init(&lender->garbage);
    lender->threads = lc_threads_create(&server->loop, threads, &thread_ops, lender, err);
    if (lender->threads == NULL) {
        lc_lender_destroy(lender);
        return NULL;
    }
    lender->is_open = true;
    atomic_store(&server->inherit->slot->threads, threads);
    publish_room(lender);
    return lender;
}

bool lc_lender_is_open(const struct lc_lender *lender)
{
    return lender != NULL && lender->is_open;
}

bool lc_lender_stop(struct lc_lender *lender, unsigned limit_ms)
{
    lender->is_quitting = true;
    if (!lc_threads_stop(lender->threads, limit_ms))
        return false;
    /* From here on the application has one thread again: this one. What comes back unfinished
     * ends here. */
    lender->is_open = false;
    lc_threads_hear(lender->threads);
    lc_parcels_drop(&lender->garbage);
    return true;
}

void lc_lender_destroy(struct lc_lender *lender)
{
    if (lender == NULL)
        return;
    lc_threads_destroy(lender->threads);
    for (unsigned i = 0; i < lender->count; i++)
        free(lender->desks[i].bytes);
    pthread_cond_destroy(&lender->moved);
    pthread_mutex_destroy(&lender->lock);
    free(lender);
}
