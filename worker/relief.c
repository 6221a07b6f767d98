#include "worker/relief.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/inherit.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "worker/conn.h"
#include "worker/takeback.h"
#include "worker/reply.h"
#include "worker/share.h"

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
    STACK_SIZE = 256 * 1024,
    PAUSE_MAX_US = 8000, /* between two looks while all calls are quick       */
    QUICK_LOOKS = 512,   /* that found no long call, until the pause doubles  */
    PROGRESS_US = 100,   /* after a connection was passed                     */
    STUCK_US = 500,      /* after one could not be                            */
    READY_MAX_MS = 50,   /* to wait for a request, before a look at the call  */
    READY_COUNT = 16,    /* connections looked at, at a time                  */
    MEET_COUNT = 64,     /* connections added to the watched, at a time       */
};

struct lc_relief {
    struct lc_server *server;
    pthread_t thread;
    int bell;  /* an eventfd: is_stopping has changed       */
    int watch; /* an epoll of its own, of all connections */
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

static void nap(unsigned us)
{
    nanosleep(&(struct timespec){.tv_nsec = (long)us * 1000}, NULL);
}

/* While there is nothing for the loop to do there is nothing to watch over. While all its calls
 * are quick, looking less often keeps the processor free for them. */
static void rest(struct lc_relief *relief, unsigned call_age_us)
{
    struct lc_server *server = relief->server;

    if (!atomic_load_explicit(&server->is_awake, memory_order_relaxed))
        wait_for(relief, uv_backend_fd(&server->loop), -1);
    if (++relief->quick_looks % QUICK_LOOKS == 0 && relief->pause_us < PAUSE_MAX_US)
        relief->pause_us *= 2;
    nap(relief->pause_us - call_age_us);
}

/* --- while a call is long: the server is borrowed ---------------------------------------------- */

static uint64_t call_age_us(const struct lc_relief *relief)
{
    const struct lc_slot *slot = relief->server->inherit->slot;
    uint64_t since = atomic_load_explicit(&slot->busy_since_us, memory_order_relaxed);
    uint64_t now = lc_clock_us();

    return since == 0 || now <= since ? 0 : now - since;
}

static void watch_new_connections(struct lc_relief *relief)
{
    struct lc_list *unwatched = &relief->server->unwatched;
    struct lc_conn *conn;

    for (int i = 0; i < MEET_COUNT; i++) {
        if ((conn = LC_LIST_FIRST(unwatched, struct lc_conn, unwatched)) == NULL)
            break;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};

        lc_list_remove(&conn->unwatched);
        conn->is_watched = epoll_ctl(relief->watch, EPOLL_CTL_ADD, conn->wire.fd,
                                     &event) == 0;
    }
}

enum outcome {
    PASSED,  /* a connection went to a sibling                   */
    STUCK,   /* none could: no sibling has room, or none is ripe */
    NO_NEED, /* no connection has anything to read               */
};

/* Looking at a connection puts it behind the others in the kernel's list. So each look takes one:
 * who has waited longest goes first. */
static struct lc_conn *next_ready(struct lc_relief *relief)
{
    struct epoll_event ready;

    return epoll_wait(relief->watch, &ready, 1, 0) == 1 ? ready.data.ptr : NULL;
}

static enum outcome pass_one(struct lc_relief *relief)
{
    struct pollfd watched = {.fd = relief->watch, .events = POLLIN};
    struct lc_conn *conn;

    if (poll(&watched, 1, 0) <= 0)
        return NO_NEED;
    if (lc_share_is_pending(relief->server) || !lc_share_has_taker(relief->server))
        return STUCK;
    for (int i = 0; i < READY_COUNT && (conn = next_ready(relief)) != NULL; i++)
        if (lc_share_is_ripe(conn) && lc_share_pass(conn))
            return PASSED;
    return STUCK;
}

static void relieve(struct lc_relief *relief)
{
    struct lc_server *server = relief->server;

    if (!lc_loan_borrow(&server->loan)) {
        nap(PROGRESS_US);
        return;
    }
    if (call_age_us(relief) < LC_LONG_CALL_US) { /* another call by now */
        lc_loan_return(&server->loan);
        return;
    }
    lc_reply_flush_all(server);
    lc_log_flush(); /* their lines */
    watch_new_connections(relief);
    enum outcome outcome = pass_one(relief);
    bool has_more = !lc_list_is_empty(&server->unwatched);
    lc_loan_return(&server->loan);

    relief->quick_looks = 0;
    relief->pause_us = LC_LONG_CALL_US;
    switch (outcome) {
    case PASSED: nap(PROGRESS_US); break;
    case STUCK: nap(STUCK_US); break;
    case NO_NEED: wait_for(relief, relief->watch, has_more ? 0 : READY_MAX_MS); break;
    }
}

static void *run(void *arg)
{
    struct lc_relief *relief = arg;

    while (!atomic_load(&relief->is_stopping)) {
        uint64_t age = call_age_us(relief);

        if (age >= LC_LONG_CALL_US)
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

void lc_relief_forget(struct lc_conn *conn)
{
    lc_list_remove(&conn->unwatched);
    /* Closing would not do: the socket lives on in a sibling, or in a process that the
     * application has forked. */
    if (conn->is_watched)
        epoll_ctl(conn->server->relief->watch, EPOLL_CTL_DEL, conn->wire.fd, NULL);
    conn->is_watched = false;
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
        (server->config->workers < 2 && !lc_share_has_siblings(server)))
        return;
    struct lc_relief *relief = lc_new(struct lc_relief);
    relief->server = server;
    relief->pause_us = LC_LONG_CALL_US;
    relief->bell = eventfd(0, EFD_CLOEXEC);
    relief->watch = epoll_create1(EPOLL_CLOEXEC);
    int failed = relief->bell < 0 || relief->watch < 0 ? errno : start_thread(relief);
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
