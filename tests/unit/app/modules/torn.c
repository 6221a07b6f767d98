/* A module whose route table is wrong. */
#include <licorne/licorne.h>

static enum lc_step pass(struct lc_request *request, void *state)
{
    (void)request;
    (void)state;
    return LC_NEXT;
}

static const struct lc_route routes[] = {
    {"GET", "/{torn", pass},
    {NULL, NULL, NULL},
};

LC_MODULE(.name = "torn", .routes = routes);
