#include "worker/lend.h"

#include "app/pipeline.h"
#include "base/clock.h"
#include "base/inherit.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "worker/conn.h"
#include "worker/date.h"
#include "worker/queue.h"
#include "worker/reply.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum {
    DESK_SIZE = 64 * 1024, /* answers of one request, gathered until they leave */
    LONG_MS = 60 * 1000,
    GARBAGE_MAX = 64, /* things that may wait for a thread that comes by anyway */
};

/* What a thread has for itself. */
struct desk {
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
    struct desk desks[];
};

static struct lc_exchange *exchange_of(const struct lc_request *request)
{
    return (struct lc_exchange *)(void *)request;
}

static struct desk *desk_of(const struct lc_exchange *exchange)
{
    return &exchange->lent.lender->desks[exchange->lent.thread];
}

/* --- on the application's thread: bytes -------------------------------------------------- */

static size_t with_loop(struct lc_lent *lent)
{
    return lent->handed - atomic_load_explicit(&lent->sent, memory_order_acquire);
}

static bool is_gone(struct lc_lent *lent)
{
    return lent->has_failed || atomic_load_explicit(&lent->is_gone, memory_order_relaxed);
}

static size_t unsent(struct lc_lent *lent)
{
    return lent->delivery.parcels.bytes + with_loop(lent);
}

/* How many bytes the socket took: none while others have to leave before them. */
static size_t write_now(struct lc_exchange *exchange, struct lc_slice first,
                        struct lc_slice second)
{
    struct lc_lent *lent = &exchange->lent;
    struct iovec parts[2];
    int count = 0;

    if (unsent(lent) != 0)
        return 0;
    if (first.len != 0)
        parts[count++] = (struct iovec){(void *)first.at, first.len};
    if (second.len != 0)
        parts[count++] = (struct iovec){(void *)second.at, second.len};
    if (count == 0)
        return 0;
    ssize_t n = lc_wire_write(&exchange->conn->wire, parts, count);
    if (n < 0)
        lent->has_failed = true;
    return n < 0 ? 0 : (size_t)n;
}

static struct lc_slice cut_front(struct lc_slice bytes, size_t n)
{
    n = n < bytes.len ? n : bytes.len;
    return (struct lc_slice){bytes.at + n, bytes.len - n};
}

/* What was gathered leaves, and `body` behind it; what does not leave becomes parcels. */
static void write_out(struct lc_exchange *exchange, struct lc_slice body,
                      void (*release)(void *), void *owner)
{
    struct lc_lent *lent = &exchange->lent;
    struct desk *desk = desk_of(exchange);
    struct lc_slice gathered = {desk->bytes, desk->used};

    desk->used = 0;
    size_t sent = is_gone(lent) ? 0 : write_now(exchange, gathered, body);
    if (!is_gone(lent)) {
        size_t of_body = sent > gathered.len ? sent - gathered.len : 0;

        lc_parcels_add(&lent->delivery.parcels, cut_front(gathered, sent));
        body = cut_front(body, of_body);
        if (release != NULL && body.len != 0) {
            lc_parcels_append(&lent->delivery.parcels,
                              lc_parcel_own(body, release, owner));
            return;
        }
        lc_parcels_add(&lent->delivery.parcels, body);
    }
    if (release != NULL)
        release(owner);
}

static const struct lc_slice nothing = {"", 0};

static void write_gathered(struct lc_exchange *exchange)
{
    if (desk_of(exchange)->used != 0)
        write_out(exchange, nothing, NULL, NULL);
}

static void gather(struct desk *desk, struct lc_slice bytes)
{
    if (bytes.len != 0)
        memcpy(desk->bytes + desk->used, bytes.at, bytes.len);
    desk->used += bytes.len;
}

/* The loop goes on with them while the request stays here. */
static void hand_over(struct lc_exchange *exchange)
{
    struct lc_lent *lent = &exchange->lent;

    if (lent->delivery.parcels.first == NULL)
        return;
    struct lc_delivery *delivery = lc_new(struct lc_delivery);

    delivery->exchange = exchange;
    lent->handed += lent->delivery.parcels.bytes;
    lc_parcels_move(&delivery->parcels, &lent->delivery.parcels);
    lc_threads_post(lent->lender->threads, &delivery->task, true);
}

static enum lc_flow flow(struct lc_lent *lent)
{
    if (is_gone(lent))
        return LC_FLOW_GONE;
    return unsent(lent) > LC_QUEUE_HIGH ? LC_FLOW_WAIT : LC_FLOW_GO;
}

static enum lc_flow on_send(struct lc_request *request, struct lc_slice text,
                            struct lc_slice body, void (*release)(void *), void *owner)
{
    struct lc_exchange *exchange = exchange_of(request);
    struct desk *desk = desk_of(exchange);

    if (text.len > LC_COPY_MAX) { /* a head of many fields, or a page */
        write_out(exchange, text, NULL, NULL);
        text.len = 0;
    }
    if (DESK_SIZE - desk->used < text.len + LC_COPY_MAX)
        write_gathered(exchange);
    gather(desk, text);
    if (body.len > LC_COPY_MAX) {
        write_out(exchange, body, release, owner);
    } else {
        gather(desk, body);
        if (release != NULL)
            release(owner);
    }
    return flow(&exchange->lent);
}

/* How many bytes of the file the socket took. */
static size_t send_file_now(struct lc_exchange *exchange, int file, off_t offset,
                            size_t len)
{
    struct lc_lent *lent = &exchange->lent;
    size_t sent = 0;

    if (unsent(lent) != 0)
        return 0;
    while (sent < len && !is_gone(lent)) {
        ssize_t n = lc_wire_send_file(&exchange->conn->wire, file, &offset, len - sent);

        if (n == 0)
            break;
        if (n > 0) {
            sent += (size_t)n;
        } else {
            lc_queue_report_file(&exchange->request, len - sent);
            lent->has_failed = true;
        }
    }
    return sent;
}

static void send_file(struct lc_exchange *exchange, int file, off_t offset, size_t len)
{
    struct lc_lent *lent = &exchange->lent;

    write_gathered(exchange);
    size_t sent = send_file_now(exchange, file, offset, len);
    if (is_gone(lent) || sent == len)
        return;
    if (lc_parcels_add_file(&lent->delivery.parcels, file, offset + (off_t)sent,
                            len - sent) == 0)
        return;
    lc_queue_report_file(&exchange->request, len - sent);
    lent->has_failed = true;
}

/* A small file is gathered behind its head. False if it cannot be read in one go. */
static bool gather_file(struct desk *desk, int file, off_t offset, size_t len)
{
    if (len > LC_COPY_MAX ||
        pread(file, desk->bytes + desk->used, len, offset) != (ssize_t)len)
        return false;
    desk->used += len;
    return true;
}

static enum lc_flow on_send_file(struct lc_request *request, struct lc_slice text,
                                 int file, uint64_t offset, uint64_t length)
{
    struct lc_exchange *exchange = exchange_of(request);

    on_send(request, text, nothing, NULL, NULL);
    if (DESK_SIZE - desk_of(exchange)->used < LC_COPY_MAX)
        write_gathered(exchange);
    if (!gather_file(desk_of(exchange), file, (off_t)offset, (size_t)length))
        send_file(exchange, file, (off_t)offset, (size_t)length);
    return flow(&exchange->lent);
}

static enum lc_flow on_flush(struct lc_request *request)
{
    struct lc_exchange *exchange = exchange_of(request);

    write_gathered(exchange);
    hand_over(exchange);
    return flow(&exchange->lent);
}

static enum lc_flow on_wait(struct lc_request *request)
{
    struct lc_exchange *exchange = exchange_of(request);
    struct lc_lent *lent = &exchange->lent;
    struct lc_lender *lender = lent->lender;

    on_flush(request);
    pthread_mutex_lock(
        &lender->lock); /* the loop ends this by write_timeout at the latest */
    while (with_loop(lent) != 0 && !is_gone(lent))
        pthread_cond_wait(&lender->moved, &lender->lock);
    pthread_mutex_unlock(&lender->lock);
    return flow(lent);
}

/* The client may be waiting for what was written. It is for the loop to send what the socket did
 * not take; only the receiving side is ours. */
static enum lc_pull_wait wait_for_input(struct lc_conn *conn, uint64_t patience_ms)
{
    struct pollfd ready = {.fd = conn->wire.fd, .events = POLLIN};
    uint64_t since_ms = lc_clock_ms(), waited_ms = 0;

    on_flush(&conn->exchange->request);
    while (patience_ms == 0 || waited_ms < patience_ms) {
        uint64_t left_ms = patience_ms == 0 ? LONG_MS : patience_ms - waited_ms;

        if (poll(&ready, 1, left_ms < LONG_MS ? (int)left_ms : LONG_MS) > 0)
            return is_gone(&conn->exchange->lent) ? LC_PULL_OVER : LC_PULL_READY;
        waited_ms = lc_clock_ms() - since_ms;
    }
    return LC_PULL_LATE;
}

static void on_receive(struct lc_request *request)
{
    lc_pull_receive(exchange_of(request), wait_for_input);
}

static void on_end(struct lc_request *request, bool is_broken)
{
    struct lc_exchange *exchange = exchange_of(request);

    exchange->is_broken = is_broken;
    exchange->lent.is_ended = true;
    write_gathered(exchange); /* the application may go on working for a while */
    hand_over(exchange);
    exchange->lent.ended_us = lc_clock_us();
}

static bool may_keep(const struct lc_request *request)
{
    struct lc_exchange *exchange = exchange_of(request);
    const struct lc_lent *lent = &exchange->lent;
    const struct lc_server *server = lent->lender->server;

    if (exchange->pull.buffer != NULL && !lc_pull_settle(exchange))
        return false;
    return server->config->keepalive > 0 && !lc_server_is_leaving(server) &&
           !atomic_load_explicit(&lent->is_last, memory_order_relaxed);
}

static struct lc_slice date_line(const struct lc_request *request)
{
    return lc_date_line(&desk_of(exchange_of(request))->date, lc_clock_ms());
}

static const struct lc_host_ops lent_ops = {
    .send = on_send,
    .send_file = on_send_file,
    .flush = on_flush,
    .wait = on_wait,
    .receive = on_receive,
    .end = on_end,
    .may_keep = may_keep,
    .date_line = date_line,
};

/* --- on the application's thread: its life ------------------------------------------------- */

static int on_thread_start(void *owner, unsigned thread, struct lc_error *err)
{
    struct lc_lender *lender = owner;

    lender->desks[thread].bytes = lc_malloc(DESK_SIZE);
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

    lc_slot_take_in_hand(slot, lent->thread, lc_clock_ms(), request->method,
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
    write_gathered(exchange);
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
                          conn->has_eof && conn->pending_len == 0 &&
                              !lc_pull_has_rest(exchange),
                          memory_order_relaxed);
    exchange->request.host = &lent_ops;
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
    add_garbage(lender, lc_parcel_own(nothing, release, owner));
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
