/* Keeps something with a connection; tells which thread has released it. */
#include <licorne/licorne.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 20 * 1000 * 1000 }; /* more than sockets hold */

static pthread_t own;
static atomic_int here, elsewhere;

static void on_gone(void *data)
{
    if (pthread_equal(pthread_self(), own))
        here++;
    else
        elsewhere++;
}

/* GET /large */
static enum lc_step large(struct lc_request *request, void *state)
{
    struct lc_keep *keep = lc_request_keep(request);
    char *body = calloc(1, SIZE);

    own = pthread_self();
    *keep = (struct lc_keep){.data = body, .release = on_gone};
    lc_response_send_owned(request, (struct lc_slice){body, SIZE}, free, body);
    return LC_DONE;
}

static enum lc_step tell(struct lc_request *request)
{
    return lc_response_text(request, 200,
                            lc_arena_printf(lc_request_arena(request), "%d %d %d",
                                            (int)getpid(), here, elsewhere));
}

/* GET /: the process, and how often what was kept was released by its own thread, and by another. */
static enum lc_step told(struct lc_request *request, void *state)
{
    return tell(request);
}

/* GET /nap: the same after a second. */
static enum lc_step nap(struct lc_request *request, void *state)
{
    nanosleep(&(struct timespec){1, 0}, NULL);
    return tell(request);
}

static const struct lc_route routes[] = {{"GET", "/large", large},
                                         {"GET", "/nap", nap},
                                         {"GET", "/", told},
                                         {NULL, NULL, NULL}};

LC_MODULE(.name = "releases", .routes = routes);
