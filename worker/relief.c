#include "worker/relief.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/inherit.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "worker/conn.h"
#include "worker/queue.h"
#include "worker/relay.h"
#include "worker/reply.h"
#include "worker/share.h"
#include "worker/takeback.h"

#include <licorne/log.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    STACK_SIZE = 512 * 1024,
    PAUSE_MAX_US = 8000,  /* between two looks while all calls are quick       */
    QUICK_LOOKS = 512,    /* that found no long call, until the pause doubles  */
    PROGRESS_US = 100,    /* after some connection got further                 */
    STUCK_US = 500,       /* after none could                                  */
    READY_MAX_US = 50000, /* to wait for a request, before a look at the call  */
    READY_COUNT = 16,     /* connections looked at, at a time                  */
    MEET_COUNT = 64,      /* connections added to the watched, at a time       */
    RELAY_COUNT = 32,     /* events of relays, at a time                       */
};

struct lc_relief {
    struct lc_server *server;
    pthread_t thread;
    int bell;          /* an eventfd: is_stopping has changed               */
    int watch;         /* an epoll of its own, of all connections           */
    int relays;        /* another, of those that siblings have, both ways */
    char *read_buffer; /* the loop's may hold the request in hand */
    uint64_t now_us;   /* server->now_us, which is about the call, meanwhile */
    _Atomic bool is_stopping;
    unsigned pause_us;
    unsigned quick_looks;
};

/* --- the thread's pauses ---------------------------------------------------------------------- */

/* Until a descriptor can be read, or the bell rings. */
static void wait_for(struct lc_relief *relief, int fd, int timeout_ms)
{
    struct pollfd at[] = {{.fd = relief->bell, .events = POLLIN},
                          {.fd = fd, .events = POLLIN}};

    poll(at, LC_COUNT(at), timeout_ms);
}

static struct timespec in_us(unsigned us)
{
    return (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
}

static void nap(unsigned us)
{
    struct timespec pause = in_us(us);

    nanosleep(&pause, NULL);
}

/* While a call is long: until a relay has something to do, or, unless `fd` is -1, that can be
 * read. */
static void doze(struct lc_relief *relief, int fd, unsigned us)
{
    struct timespec pause = in_us(us);
    struct pollfd at[] = {{.fd = relief->bell, .events = POLLIN},
                          {.fd = relief->relays, .events = POLLIN},
                          {.fd = fd, .events = POLLIN}};

    ppoll(at, LC_COUNT(at), &pause, NULL);
}

static bool has_relays(const struct lc_relief *relief)
{
    return atomic_load_explicit(&relief->server->relay_count, memory_order_relaxed) != 0;
}

/* While there is nothing for the loop to do there is nothing to watch over. While all its calls
 * are quick, looking less often keeps the processor free for them; but what is relayed must not wait
 * for a look. */
static void rest(struct lc_relief *relief, unsigned call_age_us)
{
    struct lc_server *server = relief->server;

    if (!atomic_load_explicit(&server->is_awake, memory_order_relaxed))
        wait_for(relief, uv_backend_fd(&server->loop), -1);
    if (++relief->quick_looks % QUICK_LOOKS == 0 && relief->pause_us < PAUSE_MAX_US)
        relief->pause_us *= 2;
    nap((has_relays(relief) ? LC_LONG_CALL_US : relief->pause_us) - call_age_us);
}

/* --- while a call is long: the server is borrowed ---------------------------------------------- */

static void swap_buffers(struct lc_relief *relief)
{
    char *buffer = relief->server->read_buffer;

    relief->server->read_buffer = relief->read_buffer;
    relief->read_buffer = buffer;
}

static bool borrow(struct lc_relief *relief)
{
    struct lc_server *server = relief->server;

    if (!lc_loan_borrow(&server->loan))
        return false;
    server->is_relieved = true;
    relief->now_us = server->now_us;
    swap_buffers(relief);
    uv_update_time(&server->loop); /* for deadlines */
    return true;
}

static void give_back(struct lc_relief *relief)
{
    struct lc_server *server = relief->server;

    swap_buffers(relief);
    server->now_us = relief->now_us;
    server->handshake_us = 0;
    server->is_relieved = false;
    lc_loan_return(&server->loan);
}

static uint64_t call_age_us(const struct lc_relief *relief)
{
    const struct lc_slot *slot = relief->server->inherit->slot;
    uint64_t since = atomic_load_explicit(&slot->busy_since_us, memory_order_relaxed);
    uint64_t now = lc_clock_us();

    return since == 0 || now <= since ? 0 : now - since;
}

static struct epoll_event awaited(struct lc_conn *conn)
{
    return (struct epoll_event){.events = (conn->events & UV_READABLE ? EPOLLIN : 0u) |
                                          (conn->events & UV_WRITABLE ? EPOLLOUT : 0u),
                                .data.ptr = conn};
}

static void watch_new_connections(struct lc_relief *relief)
{
    struct lc_list *unwatched = &relief->server->unwatched;
    struct lc_conn *conn;

    for (int i = 0; i < MEET_COUNT; i++) {
        if ((conn = LC_LIST_FIRST(unwatched, struct lc_conn, unwatched)) == NULL)
            break;
        struct epoll_event event = awaited(conn);

        lc_list_remove(&conn->unwatched);
        conn->is_watched = epoll_ctl(relief->watch, EPOLL_CTL_ADD, conn->wire.fd,
                                     &event) == 0;
    }
}

/* Those with bytes that no socket tells of: only the relays of them, or the others. True if any has
 * still more. */
static bool serve_restless(struct lc_server *server, bool are_relays)
{
    struct lc_conn *conn;
    unsigned count = 0;
    bool has_more = false;

    LC_LIST_EACH (at, &server->restless)
        count++;
    for (; count > 0 && (conn = LC_LIST_FIRST(&server->restless, struct lc_conn, more));
         count--) {
        lc_list_remove(&conn->more);
        if ((conn->state == LC_CONN_RELAYED) != are_relays || lc_conn_needs_loop(conn) ||
            lc_share_is_at_rest(conn)) {
            lc_list_append(&server->restless, &conn->more);
        } else {
            lc_conn_take_turn(conn);
            has_more |= !lc_list_is_empty(&conn->more);
        }
    }
    return has_more;
}

/* True if something is still to be done at once. */
static bool serve_relays(struct lc_relief *relief)
{
    struct epoll_event ready[RELAY_COUNT];

    int count = epoll_wait(relief->relays, ready, RELAY_COUNT, 0);
    for (int i = 0; i < count; i++) {
        struct lc_conn *conn = ready[i].data.ptr;

        if (conn->state == LC_CONN_RELAYED) /* the other event may have been its last */
            lc_relay_go_on(conn);
    }
    return serve_restless(relief->server, true);
}

enum outcome {
    MOVED,   /* some connection got further, or went to a sibling */
    STUCK,   /* none could: no sibling has room, or none is ripe  */
    NO_NEED, /* there is nothing to do for any                    */
};

static bool pass(struct lc_conn *conn)
{
    return lc_share_is_ripe(conn) && lc_share_pass(conn);
}

/* Those that wait for the application; and of encrypted ones the next request may have been read from
 * the socket already. */
static bool pass_restless(struct lc_server *server)
{
    LC_LIST_EACH_SAFE (at, &server->restless)
        if (pass(LC_CONTAINER(at, struct lc_conn, more)))
            return true;
    return false;
}

/* Looking at a connection puts it behind the others in the kernel's list. So each look takes one:
 * who has waited longest goes first. */
static struct lc_conn *next_ready(struct lc_relief *relief, int *events)
{
    struct epoll_event ready;

    if (epoll_wait(relief->watch, &ready, 1, 0) != 1)
        return NULL;
    *events = (ready.events & ~(uint32_t)EPOLLOUT ? UV_READABLE : 0) |
              (ready.events & ~(uint32_t)EPOLLIN ? UV_WRITABLE : 0);
    return ready.data.ptr;
}

/* Who is in the call may have its answer sent, but its input is the call's. */
static bool serve_one(struct lc_conn *conn, int events)
{
    events &= conn->events;
    if (conn->exchange != NULL && conn->exchange->is_calling)
        events &= UV_WRITABLE;
    if (events == 0)
        return false;
    lc_conn_on_ready(conn, events);
    return true;
}

static enum outcome serve_ready(struct lc_relief *relief, bool may_pass)
{
    enum outcome outcome = STUCK;
    struct lc_conn *conn;
    int events;

    for (int i = 0; i < READY_COUNT && (conn = next_ready(relief, &events)) != NULL;
         i++) {
        if (!lc_share_is_at_rest(conn)) {
            if (serve_one(conn, events))
                outcome = MOVED;
        } else if (may_pass && pass(conn)) {
            return MOVED;
        }
    }
    return outcome;
}

static enum outcome serve(struct lc_relief *relief)
{
    struct pollfd watched = {.fd = relief->watch, .events = POLLIN};
    struct lc_server *server = relief->server;

    if (poll(&watched, 1, 0) <= 0 && lc_list_is_empty(&server->restless))
        return NO_NEED;
    bool may_pass = !lc_share_is_pending(server) && lc_share_has_taker(server);
    if (may_pass && pass_restless(server))
        return MOVED;
    bool has_more = serve_restless(server, false);
    enum outcome outcome = serve_ready(relief, may_pass);
    return has_more ? MOVED : outcome;
}

static void relieve(struct lc_relief *relief)
{
    struct lc_server *server = relief->server;

    if (!borrow(relief)) {
        nap(PROGRESS_US);
        return;
    }
    bool is_busy = serve_relays(relief);
    uint64_t age = call_age_us(relief);
    if (age < LC_LONG_CALL_US) { /* another call by now, or only relays to serve */
        give_back(relief);
        nap((unsigned)(LC_LONG_CALL_US - age));
        return;
    }
    lc_reply_flush_all(server);
    watch_new_connections(relief);
    enum outcome outcome = serve(relief);
    lc_reply_flush_all(server); /* who was refused */
    lc_log_flush();             /* the lines of what was sent */
    is_busy |= !lc_list_is_empty(&server->unwatched);
    give_back(relief);

    relief->quick_looks = 0;
    relief->pause_us = LC_LONG_CALL_US;
    switch (outcome) {
    case MOVED: nap(PROGRESS_US); break;
    case STUCK: doze(relief, -1, is_busy ? 0 : STUCK_US); break;
    case NO_NEED: doze(relief, relief->watch, is_busy ? 0 : READY_MAX_US); break;
    }
}

static void *run(void *arg)
{
    struct lc_relief *relief = arg;

    while (!atomic_load(&relief->is_stopping)) {
        uint64_t age = call_age_us(relief);

        if (age >= LC_LONG_CALL_US || (age > 0 && has_relays(relief)))
            relieve(relief);
        else
            rest(relief, (unsigned)age);
    }
    return NULL;
}

/* --- from the loop's thread ------------------------------------------------------------------ */

void lc_relief_lend(struct lc_server *server,
                    void (*call)(struct lc_pipeline *, struct lc_request *),
                    struct lc_request *request)
{
    lc_loan_lend(&server->loan);
    call(server->pipeline, request);
    lc_loan_take_back(&server->loan);
    if (!lc_list_is_empty(&server->share.passed))
        lc_share_release_keeps(server);
    if (server->spent != NULL)
        lc_queue_release_spent(server);
}

int lc_relief_poll(struct lc_server *server, struct pollfd *at, unsigned count,
                   int timeout_ms)
{
    if (server->relief != NULL)
        lc_loan_lend(&server->loan);
    int ready = poll(at, count, timeout_ms);
    if (server->relief != NULL)
        lc_loan_take_back(&server->loan);
    return ready;
}

void lc_relief_meet(struct lc_conn *conn)
{
    lc_list_append(&conn->server->unwatched, &conn->unwatched);
}

void lc_relief_follow(struct lc_conn *conn)
{
    struct epoll_event event = awaited(conn);

    if (conn->is_watched)
        epoll_ctl(conn->server->relief->watch, EPOLL_CTL_MOD, conn->wire.fd, &event);
}

void lc_relief_forget(struct lc_conn *conn)
{
    lc_list_remove(&conn->unwatched);
    /* Closing would not do: the socket lives on in a sibling, or in a process that the
     * application has forked. */
    if (conn->is_watched)
        epoll_ctl(conn->server->relief->watch, EPOLL_CTL_DEL, conn->wire.fd, NULL);
    conn->is_watched = false;
}

void lc_relief_attend(struct lc_conn *conn, int fd, uint32_t before, uint32_t events)
{
    const struct lc_relief *relief = conn->server->relief;
    struct epoll_event event = {.events = events, .data.ptr = conn};

    if (relief == NULL || before == events)
        return;
    epoll_ctl(relief->relays,
              before == 0   ? EPOLL_CTL_ADD
              : events == 0 ? EPOLL_CTL_DEL
                            : EPOLL_CTL_MOD,
              fd, &event);
}

/* A process that the application forks has no relief thread that could return the server. */
static struct lc_loan *loan;

static void on_forked(void)
{
    if (loan != NULL)
        lc_loan_forget_borrower(loan);
}

static int start_thread(struct lc_relief *relief)
{
    pthread_attr_t attributes;
    sigset_t all, before;

    /* Signals are the loop's business. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    int failed = pthread_create(&relief->thread, &attributes, run, relief);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed == 0)
        pthread_setname_np(relief->thread, "relief");
    return failed;
}

static void destroy(struct lc_relief *relief)
{
    lc_fd_close(&relief->bell);
    lc_fd_close(&relief->watch);
    lc_fd_close(&relief->relays);
    free(relief->read_buffer);
    free(relief);
}

/* For the requests to come, and for those that are under way. */
static void answer_by(struct lc_server *server, const struct lc_host_ops *host)
{
    server->host = host;
    LC_LIST_EACH (at, &server->conns) {
        struct lc_conn *conn = LC_CONTAINER(at, struct lc_conn, all);

        if (conn->exchange != NULL)
            conn->exchange->request.host = host;
    }
}

void lc_relief_start(struct lc_server *server)
{
    static bool has_failed;

    if (server->relief != NULL || server->lender != NULL || has_failed ||
        (server->config->workers < 2 && !server->has_unfinished &&
         !lc_share_has_siblings(server)))
        return;
    struct lc_relief *relief = lc_new(struct lc_relief);
    relief->server = server;
    relief->read_buffer = lc_malloc(LC_READ_SIZE);
    relief->pause_us = LC_LONG_CALL_US;
    relief->bell = eventfd(0, EFD_CLOEXEC);
    relief->watch = epoll_create1(EPOLL_CLOEXEC);
    relief->relays = epoll_create1(EPOLL_CLOEXEC);
    int failed = relief->bell < 0 || relief->watch < 0 || relief->relays < 0
                     ? errno
                     : start_thread(relief);
    if (failed != 0) {
        lc_log(LC_WARN, "Requests may wait behind slow ones: no relief thread: %s",
               strerror(failed));
        has_failed = true;
        destroy(relief);
        return;
    }
    if (loan == NULL)
        pthread_atfork(NULL, NULL, on_forked);
    loan = &server->loan;
    server->relief = relief;
    answer_by(server, &lc_takeback_ops);
}

void lc_relief_stop(struct lc_server *server)
{
    struct lc_relief *relief = server->relief;

    if (relief == NULL)
        return;
    atomic_store(&relief->is_stopping, true);
    eventfd_write(relief->bell, 1);
    pthread_join(relief->thread, NULL);
    LC_LIST_EACH (at, &server->conns)
        LC_CONTAINER(at, struct lc_conn, all)->is_watched = false;
    server->relief = NULL;
    destroy(relief);
}
