/* A native application that counts its openings and does with a request whatever its path says. */
#include <licorne/licorne.h>

#include <stdlib.h>

static enum lc_step hello(struct lc_request *request, void *state)
{
    return lc_response_text(request, 200,
                            lc_arena_printf(lc_request_arena(request), "hello from %s\n",
                                            (const char *)state));
}

static enum lc_step show_item(struct lc_request *request, void *state)
{
    struct lc_slice item = lc_request_param(request, "item");

    (void)state;
    return lc_response_bytes(request, 200, "text/plain", item);
}

static enum lc_step pass(struct lc_request *request, void *state)
{
    (void)request;
    (void)state;
    return LC_NEXT;
}

static enum lc_step pass_after_status(struct lc_request *request, void *state)
{
    (void)state;
    lc_response_status(request, 201);
    lc_response_header(request, LC_SLICE("X-Half"), LC_SLICE("done"), NULL);
    return LC_NEXT;
}

static enum lc_step pass_too_late(struct lc_request *request, void *state)
{
    (void)state;
    lc_response_write(request, LC_SLICE("some"));
    return LC_NEXT;
}

static enum lc_step forget(struct lc_request *request, void *state)
{
    (void)request;
    (void)state;
    return LC_DONE;
}

static enum lc_step forget_the_end(struct lc_request *request, void *state)
{
    (void)state;
    lc_response_write(request, LC_SLICE("some"));
    return LC_DONE;
}

/* Two pieces, and a slow client between them. */
static enum lc_step later(struct lc_request *request, void *state)
{
    (void)state;
    if (lc_request_data(request) == NULL) {
        lc_request_set_data(request, request);
        lc_response_write(request, LC_SLICE("first"));
        return LC_LATER;
    }
    lc_response_write(request, LC_SLICE("second"));
    lc_response_end(request);
    return LC_DONE;
}

static enum lc_step later_then_pass(struct lc_request *request, void *state)
{
    (void)state;
    if (lc_request_data(request) != NULL)
        return LC_NEXT;
    lc_request_set_data(request, request);
    return LC_LATER;
}

static enum lc_step later_but_answered(struct lc_request *request, void *state)
{
    (void)state;
    lc_response_text(request, 200, "at once\n");
    return LC_LATER;
}

static const struct lc_route routes[] = {
    {"GET", "/", hello},
    {"GET, PUT", "/items/{item}", show_item},
    {"GET", "/pass", pass},
    {"GET", "/pass/status", pass_after_status},
    {"GET", "/pass/late", pass_too_late},
    {"GET", "/forget", forget},
    {"GET", "/forget/end", forget_the_end},
    {"GET", "/later", later},
    {"GET", "/later/pass", later_then_pass},
    {"GET", "/later/answered", later_but_answered},
    {NULL, NULL, NULL},
};

/* The tests read in the environment what became of the state. */
static int open_shop(void **state, struct lc_error *err)
{
    const char *name = getenv("TEST_SHOP");

    if (name == NULL)
        return lc_error_set(err, LC_E_SYSTEM, "TEST_SHOP is not set");
    if (name[0] == '\0')
        return -1;
    if (name[0] == '?')
        return lc_error_set(err, LC_E_APP_LOAD, "there is no shop");
    *state = (void *)name;
    return 0;
}

static void close_shop(void *state)
{
    setenv("TEST_CLOSED", state, 1);
}

LC_MODULE(.name = "shop", .routes = routes, .open = open_shop, .close = close_shop);
