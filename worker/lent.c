#include "worker/lent.h"

#include "base/clock.h"
#include "config/config.h"
#include "worker/conn.h"
#include "worker/queue.h"

#include <poll.h>
#include <string.h>

enum { LONG_MS = 60 * 1000 };

static struct lc_exchange *exchange_of(const struct lc_request *request)
{
    return (struct lc_exchange *)(void *)request;
}

static struct lc_desk *desk_of(const struct lc_exchange *exchange)
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
    struct lc_desk *desk = desk_of(exchange);
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

void lc_lent_write_gathered(struct lc_exchange *exchange)
{
    if (desk_of(exchange)->used != 0)
        write_out(exchange, nothing, NULL, NULL);
}

static void gather(struct lc_desk *desk, struct lc_slice bytes)
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
    struct lc_desk *desk = desk_of(exchange);

    if (text.len > LC_COPY_MAX) { /* a head of many fields, or a page */
        write_out(exchange, text, NULL, NULL);
        text.len = 0;
    }
    if (LC_DESK_SIZE - desk->used < text.len + LC_COPY_MAX)
        lc_lent_write_gathered(exchange);
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

    lc_lent_write_gathered(exchange);
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
static bool gather_file(struct lc_desk *desk, int file, off_t offset, size_t len)
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
    if (LC_DESK_SIZE - desk_of(exchange)->used < LC_COPY_MAX)
        lc_lent_write_gathered(exchange);
    if (!gather_file(desk_of(exchange), file, (off_t)offset, (size_t)length))
        send_file(exchange, file, (off_t)offset, (size_t)length);
    return flow(&exchange->lent);
}

static enum lc_flow on_flush(struct lc_request *request)
{
    struct lc_exchange *exchange = exchange_of(request);

    lc_lent_write_gathered(exchange);
    hand_over(exchange);
    return flow(&exchange->lent);
}

static enum lc_flow on_wait(struct lc_request *request)
{
    struct lc_exchange *exchange = exchange_of(request);
    struct lc_lent *lent = &exchange->lent;
    struct lc_lender *lender = lent->lender;

    on_flush(request);
    /* The loop ends this by write_timeout at the latest. */
    pthread_mutex_lock(&lender->lock);
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
    lc_lent_write_gathered(exchange); /* the application may go on working for a while */
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

const struct lc_host_ops lc_lent_ops = {
    .send = on_send,
    .send_file = on_send_file,
    .flush = on_flush,
    .wait = on_wait,
    .receive = on_receive,
    .end = on_end,
    .may_keep = may_keep,
    .date_line = date_line,
};
