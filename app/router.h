/* app/router.h — which of a module's routes answers a request.
 *
 * A route's path is made of segments between slashes: literal text, "{name}" (one whole segment,
 * not empty), or last of all "{name...}" (the rest with its slashes, which may be empty).
 * Literal text is compared with the decoded segment of the request, but an encoded slash (%2F)
 * never begins a new segment. Nothing is normalised: "//", "." and ".." are segments like any
 * other, and a trailing slash counts.
 *
 * Where several routes fit, segment by segment a literal wins over "{name}", and that over
 * "{name...}"; a route that fits but not for the request's method lets others try. */
#pragma once
#include <licorne/slice.h>

struct lc_error;
struct lc_request;
struct lc_route;
struct lc_router;

/* Compiles a table, which must outlive the router. NULL and `err` (LC_E_APP_LOAD), which names
 * the route, when one is not well formed or two cannot be told apart. */
struct lc_router *lc_router_create(const struct lc_route *routes, struct lc_error *err);
void lc_router_destroy(struct lc_router *router); /* NULL is fine */

/* The route for the request, whose params it sets (decoded into the request's arena where they
 * must be). A route for GET answers HEAD as well, unless there is one for HEAD.
 * NULL when there is none; then `allow` lists the methods that the path has ("GET, HEAD"), or is
 * empty when no route has the path. */
const struct lc_route *lc_router_match(const struct lc_router *router,
                                       struct lc_request *request,
                                       struct lc_slice *allow);
