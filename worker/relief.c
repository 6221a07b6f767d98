#include "worker/relief.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/inherit.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "worker/conn.h"
#include "worker/queue.h"
#include "worker/share.h"
#include "worker/side_loop.h"
#include "worker/takeback.h"

#include <licorne/log.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    STACK_SIZE = 512 * 1024,
    PAUSE_MAX_US = 8000,  /* between two looks while all calls are quick       */
    QUICK_LOOKS = 512,    /* that found no long call, until the pause doubles  */
    PROGRESS_US = 100,    /* after some connection got further                 */
    STUCK_US = 500,       /* after none could                                  */
    ALONE_US = 10000,     /* … and no sibling will have room for any           */
    READY_MAX_US = 50000, /* to wait for a request, before a look at the call  */
};

struct lc_relief {
    struct lc_server *server;
    pthread_t thread;
    int bell;          /* an eventfd: is_stopping has changed           */
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
                          {.fd = relief->server->side_loop.relays, .events = POLLIN},
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

static unsigned stuck_us(const struct lc_server *server)
{
    return lc_share_has_siblings(server) ? STUCK_US : ALONE_US;
}

static void relieve(struct lc_relief *relief)
{
    struct lc_server *server = relief->server;

    if (!borrow(relief)) {
        nap(PROGRESS_US);
        return;
    }
    bool is_busy = lc_side_loop_relay(server);
    uint64_t age = call_age_us(relief);
    if (age < LC_LONG_CALL_US) { /* another call by now, or only relays to serve */
        give_back(relief);
        nap((unsigned)(LC_LONG_CALL_US - age));
        return;
    }
    enum lc_side_outcome outcome = lc_side_loop_turn(server);
    is_busy |= !lc_list_is_empty(&server->unwatched);
    give_back(relief);

    relief->quick_looks = 0;
    relief->pause_us = LC_LONG_CALL_US;
    switch (outcome) {
    case LC_SIDE_MOVED: nap(PROGRESS_US); break;
    case LC_SIDE_STUCK: doze(relief, -1, is_busy ? 0 : stuck_us(server)); break;
    case LC_SIDE_NO_NEED:
        doze(relief, server->side_loop.watch, is_busy ? 0 : READY_MAX_US);
        break;
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
    lc_side_loop_close(relief->server);
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
    int failed = relief->bell < 0 || lc_side_loop_open(server) < 0 ? errno
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
    server->relief = NULL;
    destroy(relief);
}
