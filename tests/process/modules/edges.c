/* What the tests of HTTP's edges ask for: answers of any size, whole, in pieces or too short, and
 * handlers that take their time. */
#include <licorne/licorne.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint64_t number(struct lc_request *request)
{
    struct lc_slice query = lc_request_query(request);
    uint64_t n = 0;

    for (size_t i = 0; i < query.len && query.at[i] >= '0' && query.at[i] <= '9'; i++)
        n = n * 10 + (uint64_t)(query.at[i] - '0');
    return n;
}

/* GET /target?anything: the target, to tell answers apart. */
static enum lc_step target(struct lc_request *request, void *state)
{
    return lc_response_bytes(request, 200, "text/plain", lc_request_target(request));
}

/* GET /whole?SIZE: a body that is not copied. */
static enum lc_step whole(struct lc_request *request, void *state)
{
    size_t size = (size_t)number(request);
    char *body = calloc(1, size + 1);

    lc_response_send_owned(request, (struct lc_slice){memset(body, 'w', size), size},
                           free, body);
    return LC_DONE;
}

struct stream {
    uint64_t left;
    struct lc_slice query; /* as it was when the request came */
};

/* GET /stream?SIZE: chunks as the client takes them, and at last the query once more. */
static enum lc_step stream(struct lc_request *request, void *state)
{
    static char block[16384];
    struct stream *stream = lc_request_data(request);

    if (stream == NULL) {
        memset(block, 's', sizeof(block));
        stream = lc_arena_new(lc_request_arena(request), struct stream);
        *stream = (struct stream){number(request), lc_request_query(request)};
        lc_request_set_data(request, stream);
    }
    while (stream->left > 0) {
        size_t n = stream->left < sizeof(block) ? (size_t)stream->left : sizeof(block);
        enum lc_flow flow = lc_response_write(request, (struct lc_slice){block, n});

        stream->left -= n;
        if (flow == LC_FLOW_GONE)
            break;
        if (flow == LC_FLOW_WAIT)
            return LC_LATER;
    }
    lc_response_write(request, stream->query);
    lc_response_end(request);
    return LC_DONE;
}

/* GET /slow?SIZE keeps the whole worker waiting for three seconds. */
static enum lc_step slow(struct lc_request *request, void *state)
{
    nanosleep(&(struct timespec){3, 0}, NULL);
    return whole(request, state);
}

/* GET /sleep?MILLISECONDS: the same with a short answer. */
static enum lc_step nap(struct lc_request *request, void *state)
{
    uint64_t ms = number(request);
    struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};

    nanosleep(&pause, NULL);
    return lc_response_text(request, 200, "slept\n");
}

/* GET /park waits for GET /release, which answers both. */
static struct lc_request *parked;

static enum lc_step park(struct lc_request *request, void *state)
{
    if (parked == request) { /* the client has gone */
        parked = NULL;
        lc_response_abort(request);
        return LC_DONE;
    }
    parked = request;
    return LC_LATER;
}

static enum lc_step release(struct lc_request *request, void *state)
{
    struct lc_request *waiting = parked;

    parked = NULL;
    if (waiting != NULL)
        lc_response_text(waiting, 200, "released\n");
    return lc_response_text(request, 200, waiting != NULL ? "one\n" : "none\n");
}

static enum lc_step not_modified(struct lc_request *request, void *state)
{
    return lc_response_text(request, 304, "");
}

static enum lc_step nothing(struct lc_request *request, void *state)
{
    lc_response_end(request);
    return LC_DONE;
}

static enum lc_step echo(struct lc_request *request, void *state)
{
    char block[16384];
    ssize_t n;

    while ((n = lc_request_body_read(request, block, sizeof(block))) > 0)
        lc_response_write(request, (struct lc_slice){block, (size_t)n});
    lc_response_end(request);
    return LC_DONE;
}

/* GET /short promises 100 bytes and sends 10; GET /broken stops in the middle. */
static enum lc_step too_short(struct lc_request *request, void *state)
{
    lc_response_header(request, LC_SLICE("Content-Length"), LC_SLICE("100"), NULL);
    lc_response_write(request, LC_SLICE("0123456789"));
    lc_response_end(request);
    return LC_DONE;
}

static enum lc_step broken(struct lc_request *request, void *state)
{
    lc_response_write(request, LC_SLICE("0123456789"));
    lc_response_abort(request);
    return LC_DONE;
}

/* GET /patient?SIZE: pieces of 64 KiB, each written when the one before has been taken. */
static enum lc_step patient(struct lc_request *request, void *state)
{
    static char block[65536];
    uint64_t left = number(request);

    memset(block, 'p', sizeof(block));
    while (left > 0) {
        size_t n = left < sizeof(block) ? (size_t)left : sizeof(block);

        left -= n;
        if (lc_response_write(request, (struct lc_slice){block, n}) == LC_FLOW_GONE)
            break;
        if (left > 0 && lc_response_wait(request) == LC_FLOW_GONE)
            break;
    }
    lc_response_end(request);
    return LC_DONE;
}

static const struct lc_route routes[] = {
    {"GET", "/target", target},   {"GET", "/whole", whole},
    {"GET", "/stream", stream},   {"GET", "/slow", slow},
    {"GET", "/sleep", nap},       {"GET", "/park", park},
    {"GET", "/release", release}, {"GET", "/not-modified", not_modified},
    {"GET", "/nothing", nothing}, {"POST", "/echo", echo},
    {"GET", "/short", too_short}, {"GET", "/broken", broken},
    {"GET", "/patient", patient}, {NULL, NULL, NULL},
};

LC_MODULE(.name = "edges", .routes = routes);
