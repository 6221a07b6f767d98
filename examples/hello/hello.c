/* A whole application: licorne ./hello.so */
#include <licorne/licorne.h>

static enum lc_step hello(struct lc_request *request, void *state)
{
    (void)state;
    return lc_response_text(request, 200, "Hello, world!\n");
}

static enum lc_step greet(struct lc_request *request, void *state)
{
    struct lc_slice name = lc_request_param(request, "name");

    (void)state;
    return lc_response_text(
        request, 200,
        lc_arena_printf(lc_request_arena(request), "Hello, %.*s!\n", LC_ARG(name)));
}

static enum lc_step echo(struct lc_request *request, void *state)
{
    char block[16384];
    ssize_t n;

    (void)state;
    while ((n = lc_request_body_read(request, block, sizeof(block))) > 0)
        lc_response_write(request, (struct lc_slice){block, (size_t)n});
    lc_response_end(request);
    return LC_DONE;
}

static const struct lc_route routes[] = {
    {"GET", "/", hello},
    {"GET", "/hello/{name}", greet},
    {"POST", "/echo", echo},
    {NULL, NULL, NULL},
};

LC_MODULE(.name = "hello", .routes = routes);
