/* A module that calls what nobody has. */
#include <licorne/licorne.h>

int lc_test_nobody_has_this(void);

static int open_module(void **state, struct lc_error *err)
{
    (void)state;
    (void)err;
    return lc_test_nobody_has_this();
}

static const struct lc_route routes[] = {{NULL, NULL, NULL}};

LC_MODULE(.name = "unresolved", .routes = routes, .open = open_module);
