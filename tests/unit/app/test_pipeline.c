#include "app/pipeline.h"
#include "base/log.h"
#include "config/config.h"
#include "tests/unit/app/given_request.h"

#include <licorne/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int logger = -1; /* the end where records arrive */

static struct lc_pipeline *pipeline_of(const char *app, struct lc_error *err)
{
    struct lc_config config = {
        .app = (char *)app,
        .chdir = (char *)TEST_MODULES,
        .start_dir = (char *)"/",
        .workers = 1,
        .threads = 1,
    };

    return lc_pipeline_create(&config, err);
}

static int open_shop(void **state)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        return -1;
    logger = ends[0];
    lc_log_open(ends[1], LC_INFO);
    setenv("TEST_SHOP", "the shop", 1);
    *state = pipeline_of("shop.so", NULL);
    return *state == NULL ? -1 : 0;
}

static int close_shop(void **state)
{
    int sender = lc_log_fd();

    lc_pipeline_destroy(*state);
    lc_log_open(-1, LC_INFO);
    close(sender);
    close(logger);
    return 0;
}

/* Whether the error log has got a message with this in it. */
static bool was_logged(const char *text)
{
    char message[8192];
    ssize_t len;

    lc_log_flush();
    while ((len = recv(logger, message, sizeof(message), 0)) > 0)
        if (memmem(message, (size_t)len, text, strlen(text)) != NULL)
            return true;
    return false;
}

static struct lc_request *answered(void *pipeline, const char *method, const char *target)
{
    struct lc_request *request = given_request(method, target);

    lc_pipeline_start(pipeline, request);
    return request;
}

static void assert_heard(const char *text)
{
    if (strstr(heard.text, text) == NULL)
        fail_msg("'%s' is not in '%s'", text, heard.text);
}

static void a_handler_answers_with_its_modules_state(void **state)
{
    struct lc_request *request = answered(*state, "GET", "/");

    assert_heard("HTTP/1.1 200 OK\r\n");
    assert_heard("\r\n\r\nhello from the shop\n");
    assert_int_equal(heard.ends, 1);
    assert_false(request->is_later);
    assert_ptr_equal(request->pipeline, *state);
}

static void a_handler_sees_the_params_of_its_route(void **state)
{
    answered(*state, "PUT", "/items/a%2Fb%20c");
    assert_heard("\r\n\r\na/b c");
}

static void a_path_without_a_route_is_not_found(void **state)
{
    answered(*state, "GET", "/nowhere");
    assert_heard("HTTP/1.1 404 Not Found\r\n");
    assert_heard("\r\n\r\n404 Not Found\n\nThe resource could not be found.\n");
    assert_int_equal(heard.ends, 1);
}

static void a_wrong_method_is_told_the_right_ones(void **state)
{
    answered(*state, "DELETE", "/items/7");
    assert_heard("HTTP/1.1 405 Method Not Allowed\r\n");
    assert_heard("\r\nAllow: GET, HEAD, PUT\r\n");
    assert_heard("The method DELETE is not allowed for this resource.\n");
    assert_int_equal(heard.ends, 1);
}

static void a_handler_that_passes_leaves_a_404_without_its_traces(void **state)
{
    answered(*state, "GET", "/pass");
    assert_heard("HTTP/1.1 404 Not Found\r\n");
    answered(*state, "GET", "/pass/status");
    assert_heard("HTTP/1.1 404 Not Found\r\n");
    assert_null(strstr(heard.text, "X-Half"));
    assert_int_equal(heard.ends, 1);
}

static void a_handler_that_passes_too_late_is_cut_off(void **state)
{
    answered(*state, "GET", "/pass/late");
    assert_int_equal(heard.ends, 1);
    assert_true(heard.is_broken);
    assert_null(strstr(heard.text, "404"));
    assert_true(was_logged("GET /pass/late: "));
}

static void a_forgotten_answer_is_a_500_and_an_error_that_names_the_route(void **state)
{
    answered(*state, "GET", "/forget?a=1");
    assert_heard("500 Internal Server Error");
    assert_int_equal(heard.ends, 1);
    assert_true(
        was_logged("shop: the handler of route GET /forget said LC_DONE but has not "
                   "ended the response (GET /forget?a=1)"));
}

static void a_forgotten_end_breaks_the_response(void **state)
{
    answered(*state, "GET", "/forget/end");
    assert_int_equal(heard.ends, 1);
    assert_true(heard.is_broken);
    assert_true(was_logged("route GET /forget/end said LC_DONE"));
}

static void a_later_answer_goes_on_where_it_was(void **state)
{
    struct lc_request *request = answered(*state, "GET", "/later");

    assert_true(request->is_later);
    assert_int_equal(heard.ends, 0);
    assert_heard("first");
    lc_pipeline_turn_end(*state);
    lc_pipeline_resume(*state, request);
    assert_heard("second");
    assert_int_equal(heard.ends, 1);
    assert_false(heard.is_broken);
}

static void a_later_answer_cannot_pass(void **state)
{
    struct lc_request *request = answered(*state, "GET", "/later/pass");

    assert_true(request->is_later);
    lc_pipeline_resume(*state, request);
    assert_int_equal(heard.ends, 1);
    assert_true(was_logged("route GET /later/pass said LC_NEXT after LC_LATER"));
}

static void an_answer_that_is_there_is_not_later(void **state)
{
    struct lc_request *request = answered(*state, "GET", "/later/answered");

    assert_false(request->is_later);
    assert_int_equal(heard.ends, 1);
}

static void a_request_forgets_the_one_before_it(void **state)
{
    struct lc_request *request = given_request("GET", "/");

    request->param_count = 3;
    request->data = request;
    request->is_later = true;
    lc_pipeline_start(*state, request);
    assert_int_equal(request->param_count, 0);
    assert_null(request->data);
    assert_false(request->is_later);
}

static void a_module_is_closed_with_its_state(void **state)
{
    (void)state;
    setenv("TEST_SHOP", "the second shop", 1);
    unsetenv("TEST_CLOSED");
    lc_pipeline_destroy(pipeline_of(TEST_MODULES "/shop.so", NULL));
    assert_non_null(getenv("TEST_CLOSED"));
    assert_string_equal(getenv("TEST_CLOSED"), "the second shop");
}

static void assert_refused(const char *app, enum lc_error_code code, const char *text)
{
    struct lc_error err = {.code = LC_E_NONE};

    assert_null(pipeline_of(app, &err));
    assert_int_equal(err.code, code);
    assert_string_equal(err.text, text);
}

static void what_cannot_be_loaded_is_refused_with_its_reason(void **state)
{
    (void)state;
    assert_refused(NULL, LC_E_CONFIG,
                   "no application: name one, as in licorne shop.wsgi:application or "
                   "licorne ./shop.so");
    assert_refused("none.so", LC_E_APP_LOAD, "there is no file " TEST_MODULES "/none.so");
    assert_refused("./none.so", LC_E_APP_LOAD,
                   "there is no file " TEST_MODULES "/./none.so");
    assert_refused("/none.so", LC_E_APP_LOAD, "there is no file /none.so");
    assert_refused("plugin.so", LC_E_APP_LOAD,
                   "plugin.so is a plugin for applications of the kind 'test', no "
                   "application");
    assert_refused(
        "torn.so", LC_E_APP_LOAD,
        "torn: route GET /{torn: '{torn': braces must hold a whole segment, as in "
        "{name}");
}

static void a_module_that_cannot_open_says_why_and_how_bad_it_is(void **state)
{
    (void)state;
    unsetenv("TEST_CLOSED");
    unsetenv("TEST_SHOP");
    assert_refused("shop.so", LC_E_BOOT, "shop: TEST_SHOP is not set");
    setenv("TEST_SHOP", "", 1);
    assert_refused("shop.so", LC_E_BOOT, "shop: open failed and did not say why");
    setenv("TEST_SHOP", "?", 1);
    assert_refused("shop.so", LC_E_APP_LOAD, "shop: there is no shop");
    assert_null(getenv("TEST_CLOSED"));
}

#define shop_test(test) cmocka_unit_test_setup_teardown(test, open_shop, close_shop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        shop_test(a_handler_answers_with_its_modules_state),
        shop_test(a_handler_sees_the_params_of_its_route),
        shop_test(a_path_without_a_route_is_not_found),
        shop_test(a_wrong_method_is_told_the_right_ones),
        shop_test(a_handler_that_passes_leaves_a_404_without_its_traces),
        shop_test(a_handler_that_passes_too_late_is_cut_off),
        shop_test(a_forgotten_answer_is_a_500_and_an_error_that_names_the_route),
        shop_test(a_forgotten_end_breaks_the_response),
        shop_test(a_later_answer_goes_on_where_it_was),
        shop_test(a_later_answer_cannot_pass),
        shop_test(an_answer_that_is_there_is_not_later),
        shop_test(a_request_forgets_the_one_before_it),
        cmocka_unit_test(a_module_is_closed_with_its_state),
        cmocka_unit_test(what_cannot_be_loaded_is_refused_with_its_reason),
        cmocka_unit_test(a_module_that_cannot_open_says_why_and_how_bad_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
