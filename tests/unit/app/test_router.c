#include "app/router.h"
#include "tests/unit/app/given_request.h"

#include <licorne/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static enum lc_step handler(struct lc_request *request, void *state)
{
    (void)request;
    (void)state;
    return LC_NEXT;
}

#define ROUTE(methods, path)   \
    {                          \
        methods, path, handler \
    }
#define END              \
    {                    \
        NULL, NULL, NULL \
    }

static const struct lc_route shop[] = {
    ROUTE("GET", "/"),
    ROUTE("GET", "/users"),
    ROUTE("POST", "/users"),
    ROUTE("GET", "/users/me"),
    ROUTE("GET, DELETE", "/users/{id}"),
    ROUTE("GET", "/users/{id}/cart"),
    ROUTE("GET", "/users/{user}/cart/{item}"),
    ROUTE("GET", "/users/admin/rights"),
    ROUTE("GET", "/static/{path...}"),
    ROUTE("GET", "/static/api/{rest...}"),
    ROUTE(NULL, "/any"),
    ROUTE("POST", "/any"),
    ROUTE("GET", "/folder/"),
    ROUTE("GET", "/hello world/ümlaut"),
    ROUTE("HEAD", "/head"),
    ROUTE("GET", "/head"),
    ROUTE("GET", "/{page}/about"),
    END,
};

static int given_shop(void **state)
{
    struct lc_error err;
    struct lc_router *router = lc_router_create(shop, &err);

    *state = router;
    return router == NULL ? -1 : 0;
}

static int destroy_shop(void **state)
{
    lc_router_destroy(*state);
    return 0;
}

/* "GET /users/{id}", or "" when there is none. */
static const char *route_for(struct lc_router *router, const char *method,
                             const char *target)
{
    static char text[256];
    struct lc_request *request = given_request(method, target);
    struct lc_slice allow;
    const struct lc_route *route = lc_router_match(router, request, &allow);

    text[0] = '\0';
    if (route != NULL)
        snprintf(text, sizeof(text), "%s %s", route->methods ? route->methods : "*",
                 route->path);
    else if (allow.len > 0)
        snprintf(text, sizeof(text), "allow: %.*s", LC_ARG(allow));
    return text;
}

static const char *get(struct lc_router *router, const char *target)
{
    return route_for(router, "GET", target);
}

static struct lc_slice param(struct lc_router *router, const char *target,
                             const char *name)
{
    struct lc_request *request = given_request("GET", target);
    struct lc_slice allow;

    assert_non_null(lc_router_match(router, request, &allow));
    return lc_request_param(request, name);
}

#define assert_slice(slice, text)                               \
    do {                                                        \
        struct lc_slice slice_ = (slice);                       \
        assert_int_equal(slice_.len, sizeof(text) - 1);         \
        assert_memory_equal(slice_.at, text, sizeof(text) - 1); \
    } while (0)

static void a_path_finds_its_route(void **state)
{
    assert_string_equal(get(*state, "/"), "GET /");
    assert_string_equal(get(*state, "/users"), "GET /users");
    assert_string_equal(route_for(*state, "POST", "/users"), "POST /users");
    assert_string_equal(get(*state, "/users/7"), "GET, DELETE /users/{id}");
    assert_string_equal(route_for(*state, "DELETE", "/users/7"),
                        "GET, DELETE /users/{id}");
    assert_string_equal(get(*state, "/nowhere"), "");
    assert_string_equal(get(*state, "/users/7/nowhere"), "");
}

static void a_query_is_no_part_of_the_path(void **state)
{
    assert_string_equal(get(*state, "/?/users"), "GET /");
    assert_string_equal(get(*state, "/users?a=/b"), "GET /users");
}

static void a_literal_wins_over_a_param(void **state)
{
    assert_string_equal(get(*state, "/users/me"), "GET /users/me");
    assert_string_equal(get(*state, "/users/mean"), "GET, DELETE /users/{id}");
}

static void a_literal_that_leads_nowhere_lets_the_param_try(void **state)
{
    assert_string_equal(get(*state, "/users/admin/rights"), "GET /users/admin/rights");
    assert_string_equal(get(*state, "/users/admin/cart"), "GET /users/{id}/cart");
    assert_string_equal(get(*state, "/users/about"), "GET, DELETE /users/{id}");
    assert_string_equal(get(*state, "/static/about"), "GET /static/{path...}");
    assert_string_equal(get(*state, "/other/about"), "GET /{page}/about");
}

static void a_route_with_the_wrong_method_lets_others_try(void **state)
{
    /* "/users/me" is for GET only, "/users/{id}" takes DELETE. */
    assert_string_equal(route_for(*state, "DELETE", "/users/me"),
                        "GET, DELETE /users/{id}");
}

static void the_longest_prefix_wins(void **state)
{
    assert_string_equal(get(*state, "/static/logo.png"), "GET /static/{path...}");
    assert_string_equal(get(*state, "/static/api/users/7"), "GET /static/api/{rest...}");
    assert_string_equal(get(*state, "/static/apiary"), "GET /static/{path...}");
    assert_string_equal(get(*state, "/static/api"), "GET /static/{path...}");
}

static void the_rest_keeps_its_slashes_and_may_be_empty(void **state)
{
    assert_slice(param(*state, "/static/css//a.css", "path"), "css//a.css");
    assert_slice(param(*state, "/static/", "path"), "");
    assert_slice(param(*state, "/static/a/", "path"), "a/");
    assert_string_equal(get(*state, "/static"), "");
}

static void a_param_is_one_segment_and_not_empty(void **state)
{
    assert_slice(param(*state, "/users/7", "id"), "7");
    assert_slice(param(*state, "/users/a/cart/b", "user"), "a");
    assert_slice(param(*state, "/users/a/cart/b", "item"), "b");
    assert_string_equal(get(*state, "/users/"), "");
    assert_string_equal(get(*state, "/users//cart"), "");
}

static void a_param_that_the_route_has_not_is_null(void **state)
{
    assert_null(param(*state, "/users/7", "user").at);
    assert_null(param(*state, "/", "id").at);
}

static void a_param_is_decoded(void **state)
{
    assert_slice(param(*state, "/users/a%20b", "id"), "a b");
    assert_slice(param(*state, "/users/%E2%82%ac", "id"), "\xe2\x82\xac");
    assert_slice(param(*state, "/users/a%00b", "id"), "a\0b");
    assert_slice(param(*state, "/users/a+b", "id"), "a+b");
    assert_slice(param(*state, "/static/a%2fb/c%3Fd", "path"), "a/b/c?d");
}

static void an_encoded_slash_makes_no_segment(void **state)
{
    assert_slice(param(*state, "/users/a%2Fcart", "id"), "a/cart");
    assert_string_equal(get(*state, "/users%2F7"), "");
    assert_string_equal(get(*state, "%2F"), "");
    assert_string_equal(get(*state, "/%2Fabout"), "");
    assert_string_equal(get(*state, "/folder%2f"), "");
}

static void an_encoded_literal_is_the_same_literal(void **state)
{
    assert_string_equal(get(*state, "/%75sers/m%65"), "GET /users/me");
    assert_string_equal(get(*state, "/hello%20world/%c3%bcmlaut"),
                        "GET /hello world/ümlaut");
    assert_string_equal(get(*state, "/hello+world/%c3%bcmlaut"), "");
}

static void a_broken_escape_stands_for_itself(void **state)
{
    assert_slice(param(*state, "/users/%", "id"), "%");
    assert_slice(param(*state, "/users/%4", "id"), "%4");
    assert_slice(param(*state, "/users/%zz%41", "id"), "%zzA");
    assert_slice(param(*state, "/users/%%34", "id"), "%4");
    assert_string_equal(get(*state, "/%7%35sers"), "");
}

static void a_trailing_slash_counts(void **state)
{
    assert_string_equal(get(*state, "/users/me/"), "");
    assert_string_equal(get(*state, "/folder/"), "GET /folder/");
    assert_string_equal(get(*state, "/folder"), "");
    assert_string_equal(get(*state, "//"), "");
}

static void dots_are_segments_like_any_other(void **state)
{
    assert_string_equal(get(*state, "/users/../users"), "");
    assert_slice(param(*state, "/users/..", "id"), "..");
    assert_slice(param(*state, "/static/../../etc/passwd", "path"), "../../etc/passwd");
}

static void a_target_without_a_path_has_no_route(void **state)
{
    assert_string_equal(route_for(*state, "OPTIONS", "*"), "");
    assert_string_equal(get(*state, ""), "");
    assert_string_equal(get(*state, "?a"), "");
    assert_string_equal(get(*state, "users"), "");
}

static void get_answers_head_unless_there_is_a_route_for_it(void **state)
{
    assert_string_equal(route_for(*state, "HEAD", "/users"), "GET /users");
    assert_string_equal(route_for(*state, "HEAD", "/head"), "HEAD /head");
    assert_string_equal(get(*state, "/head"), "GET /head");
}

static void a_route_for_one_method_wins_over_one_for_any(void **state)
{
    assert_string_equal(route_for(*state, "POST", "/any"), "POST /any");
    assert_string_equal(route_for(*state, "PURGE", "/any"), "* /any");
}

static void a_wrong_method_is_told_what_is_allowed(void **state)
{
    assert_string_equal(route_for(*state, "PUT", "/"), "allow: GET, HEAD");
    assert_string_equal(route_for(*state, "PUT", "/users"), "allow: GET, HEAD, POST");
    assert_string_equal(route_for(*state, "OPTIONS", "/users/me"),
                        "allow: GET, HEAD, DELETE");
    assert_string_equal(route_for(*state, "get", "/"), "allow: GET, HEAD");
    assert_string_equal(route_for(*state, "", "/"), "allow: GET, HEAD");
}

static void the_params_of_a_vain_branch_leave_no_trace(void **state)
{
    struct lc_request *request = given_request("GET", "/users/admin/cart");
    struct lc_slice allow;

    assert_non_null(lc_router_match(*state, request, &allow));
    assert_int_equal(request->param_count, 1);
    assert_slice(request->params[0].name, "id");
    assert_slice(request->params[0].value, "admin");
}

static void many_routes_are_all_found(void **state)
{
    enum { COUNT = 500 };
    static char paths[COUNT][32];
    static struct lc_route routes[COUNT + 1];
    struct lc_error err;

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        snprintf(paths[i], sizeof(paths[i]), "/%d/x%d", i * 7919 % COUNT, i);
        routes[i] = (struct lc_route)ROUTE("GET", paths[i]);
    }
    struct lc_router *router = lc_router_create(routes, &err);
    assert_non_null(router);
    for (int i = 0; i < COUNT; i++) {
        char encoded[64], expected[64];

        snprintf(expected, sizeof(expected), "GET %s", paths[i]);
        assert_string_equal(get(router, paths[i]), expected);
        snprintf(encoded, sizeof(encoded), "/%d/%%78%d", i * 7919 % COUNT, i);
        assert_string_equal(get(router, encoded), expected);
    }
    lc_router_destroy(router);
}

/* The cost of a path that fits everywhere but at its end is bounded by the tree. */
static void a_path_that_tempts_every_branch_ends(void **state)
{
    static const struct lc_route routes[] = {
        ROUTE("GET", "/a/a/a/a/a/a/a/end"),
        ROUTE("GET", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h...}"),
        ROUTE("GET", "/a/{b}/a/{d}/a/{f}/a/end"),
        ROUTE("POST", "/{a}/a/{c}/a/{e}/a/{g}/x"),
        END,
    };
    struct lc_error err;
    struct lc_router *router = lc_router_create(routes, &err);
    char target[60001];

    (void)state;
    assert_non_null(router);
    assert_string_equal(get(router, "/a/a/a/a/a/a/a/x"),
                        "GET /{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h...}");
    for (size_t i = 0; i < sizeof(target) - 1; i++)
        target[i] = "/a"[i % 2];
    target[sizeof(target) - 1] = '\0';
    assert_string_equal(get(router, target), "GET /{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h...}");
    memset(target, '/', sizeof(target) - 1);
    assert_string_equal(get(router, target), "");
    memset(target + 1, '%', sizeof(target) - 2);
    assert_string_equal(get(router, target), "");
    lc_router_destroy(router);
}

static void assert_refused(const struct lc_route *routes, const char *text)
{
    struct lc_error err = {.code = LC_E_NONE};

    assert_null(lc_router_create(routes, &err));
    assert_int_equal(err.code, LC_E_APP_LOAD);
    assert_string_equal(err.text, text);
}

static void a_bad_route_is_named(void **state)
{
    static const struct {
        struct lc_route routes[3];
        const char *text;
    } table[] = {
        {{ROUTE("GET", "users"), END}, "route GET users: a path begins with /"},
        {{ROUTE("GET", ""), END}, "route GET : a path begins with /"},
        {{{"GET", "/x", NULL}, END}, "route GET /x: it has no handler"},
        {{ROUTE("GET", "/a//b"), END}, "route GET /a//b: two slashes follow each other"},
        {{ROUTE("GET", "/a{b}"), END},
         "route GET /a{b}: 'a{b}': braces must hold a whole segment, as in {name}"},
        {{ROUTE("GET", "/{b"), END},
         "route GET /{b: '{b': braces must hold a whole segment, as in {name}"},
        {{ROUTE("GET", "/{"), END},
         "route GET /{: '{': braces must hold a whole segment, as in {name}"},
        {{ROUTE("GET", "/{}"), END},
         "route GET /{}: '' is not a name: letters, digits and _, no digit first"},
        {{ROUTE("GET", "/{...}"), END},
         "route GET /{...}: '' is not a name: letters, digits and _, no digit first"},
        {{ROUTE("GET", "/{id:int}"), END},
         "route GET /{id:int}: 'id:int' is not a name: letters, digits and _, no digit "
         "first"},
        {{ROUTE("GET", "/{1}"), END},
         "route GET /{1}: '1' is not a name: letters, digits and _, no digit first"},
        {{ROUTE("GET", "/{a}/{a}"), END}, "route GET /{a}/{a}: {a} stands there twice"},
        {{ROUTE("GET", "/{a...}/b"), END},
         "route GET /{a...}/b: nothing may follow {a...}"},
        {{ROUTE("GET", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}"), END},
         "route GET /{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}: more than 8 parts in braces"},
        {{ROUTE("GET", "/a%20b"), END},
         "route GET /a%20b: '%' cannot be matched: a path is written decoded and without "
         "a "
         "query"},
        {{ROUTE("GET", "/a?b"), END},
         "route GET /a?b: '?' cannot be matched: a path is written decoded and without a "
         "query"},
        {{ROUTE("get", "/"), END},
         "route get /: 'get' is no list of methods such as \"GET, POST\""},
        {{ROUTE("", "/"), END},
         "route  /: '' is no list of methods such as \"GET, POST\""},
        {{ROUTE("GET POST", "/"), END},
         "route GET POST /: 'GET POST' is no list of methods such as \"GET, POST\""},
        {{ROUTE("GET,", "/"), END},
         "route GET, /: 'GET,' is no list of methods such as \"GET, POST\""},
        {{ROUTE("GET", "/x"), ROUTE("GET", "/x"), END},
         "route GET /x: route GET /x takes the same requests"},
        {{ROUTE("GET", "/{a}/x"), ROUTE("POST,GET", "/{b}/x"), END},
         "route POST,GET /{b}/x: route GET /{a}/x takes the same requests"},
        {{ROUTE(NULL, "/{a...}"), ROUTE(NULL, "/{b...}"), END},
         "route * /{b...}: route * /{a...} takes the same requests"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_refused(table[i].routes, table[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_finds_its_route),
        cmocka_unit_test(a_query_is_no_part_of_the_path),
        cmocka_unit_test(a_literal_wins_over_a_param),
        cmocka_unit_test(a_literal_that_leads_nowhere_lets_the_param_try),
        cmocka_unit_test(a_route_with_the_wrong_method_lets_others_try),
        cmocka_unit_test(the_longest_prefix_wins),
        cmocka_unit_test(the_rest_keeps_its_slashes_and_may_be_empty),
        cmocka_unit_test(a_param_is_one_segment_and_not_empty),
        cmocka_unit_test(a_param_that_the_route_has_not_is_null),
        cmocka_unit_test(a_param_is_decoded),
        cmocka_unit_test(an_encoded_slash_makes_no_segment),
        cmocka_unit_test(an_encoded_literal_is_the_same_literal),
        cmocka_unit_test(a_broken_escape_stands_for_itself),
        cmocka_unit_test(a_trailing_slash_counts),
        cmocka_unit_test(dots_are_segments_like_any_other),
        cmocka_unit_test(a_target_without_a_path_has_no_route),
        cmocka_unit_test(get_answers_head_unless_there_is_a_route_for_it),
        cmocka_unit_test(a_route_for_one_method_wins_over_one_for_any),
        cmocka_unit_test(a_wrong_method_is_told_what_is_allowed),
        cmocka_unit_test(the_params_of_a_vain_branch_leave_no_trace),
        cmocka_unit_test(many_routes_are_all_found),
        cmocka_unit_test(a_path_that_tempts_every_branch_ends),
        cmocka_unit_test(a_bad_route_is_named),
    };

    return cmocka_run_group_tests(tests, given_shop, destroy_shop);
}
