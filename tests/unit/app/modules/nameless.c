#include <licorne/licorne.h>

static const struct lc_route routes[] = {{NULL, NULL, NULL}};

LC_MODULE(.routes = routes);
