/* What an application finds in its environ. */
#include "given_app.h"

#include <stdio.h>
#include <stdlib.h>

static const char *environ_of(struct lc_request *r)
{
    static char text[8192];

    serve(r);
    snprintf(text, sizeof(text), "\n%s", answer(r));
    forget(r);
    return text;
}

static void environ_has_gunicorns_keys_and_values(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/show_environ/a%20b%E9?x=1&y=%32");
    given_header(&r, "Host", "example.org:8000");
    given_header(&r, "X-Thing-Two", "2");

    assert_string_equal(environ_of(&r), "\n"
                                        "HTTP_HOST='example.org:8000'\n"
                                        "HTTP_X_THING_TWO='2'\n"
                                        "PATH_INFO='/show_environ/a b\xe9'\n"
                                        "QUERY_STRING='x=1&y=%32'\n"
                                        "RAW_URI='/show_environ/a%20b%E9?x=1&y=%32'\n"
                                        "REMOTE_ADDR='192.0.2.7'\n"
                                        "REMOTE_PORT='51234'\n"
                                        "REQUEST_METHOD='GET'\n"
                                        "SCRIPT_NAME=''\n"
                                        "SERVER_NAME='0.0.0.0'\n"
                                        "SERVER_PORT='8000'\n"
                                        "SERVER_PROTOCOL='HTTP/1.1'\n"
                                        "SERVER_SOFTWARE='licorne/test'\n"
                                        "wsgi.input_terminated=True\n"
                                        "wsgi.multiprocess=True\n"
                                        "wsgi.multithread=False\n"
                                        "wsgi.run_once=False\n"
                                        "wsgi.url_scheme='http'\n"
                                        "wsgi.version=(1, 0)\n");
}

static void environ_is_new_for_each_request(void **state)
{
    struct lc_request r;

    given_request(&r, "PUT", "/show_environ?q");
    r.version = 10;
    r.scheme = "https";
    given_header(&r, "Content-Type", "text/css");
    given_header(&r, "Content-Length", "0");
    const char *text = environ_of(&r);
    assert_has(text, "\nREQUEST_METHOD='PUT'\n");
    assert_has(text, "\nSERVER_PROTOCOL='HTTP/1.0'\n");
    assert_has(text, "\nwsgi.url_scheme='https'\n");
    assert_has(text, "\nCONTENT_TYPE='text/css'\n");
    assert_has(text, "\nCONTENT_LENGTH='0'\n");
    assert_has_not(text, "HTTP_CONTENT");

    given_request(&r, "PURGE", "/show_environ");
    text = environ_of(&r);
    assert_has(text, "\nREQUEST_METHOD='PURGE'\n");
    assert_has(text, "\nSERVER_PROTOCOL='HTTP/1.1'\n");
    assert_has(text, "\nwsgi.url_scheme='http'\n");
    assert_has(text, "\nQUERY_STRING=''\n");
    assert_has_not(text, "CONTENT_TYPE");
}

static void repeated_fields_are_joined(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/show_environ");
    given_header(&r, "X-A", "1");
    given_header(&r, "Cookie", "a=1");
    given_header(&r, "x-a", "2");
    given_header(&r, "Cookie", "b=2");
    given_header(&r, "X-a", "");

    const char *text = environ_of(&r);
    assert_has(text, "\nHTTP_X_A='1,2,'\n");
    assert_has(text, "\nHTTP_COOKIE='a=1,b=2'\n");
}

static void values_are_latin_1(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/show_environ");
    given_header(&r, "User-Agent", "caf\xe9");
    given_header(&r, "X-New", "\xff");

    const char *text = environ_of(&r);
    assert_has(text, "\nHTTP_USER_AGENT='caf\xe9'\n");
    assert_has(text, "\nHTTP_X_NEW='\xff'\n");
}

static void raw_high_bytes_in_a_path_come_as_gunicorn_had_them(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/show_environ/\xff%ff");

    const char *text = environ_of(&r);
    assert_has(text, "\nPATH_INFO='/show_environ/\xc3\xbf\xff'\n");
    assert_has(text, "\nRAW_URI='/show_environ/\xff%ff'\n");
}

static void a_value_that_changes_is_seen(void **state)
{
    static const char *const agents[] = {"one", "two", "one", "on", ""};
    struct lc_request r;
    char line[64];

    for (size_t i = 0; i < 5; i++) {
        given_request(&r, "GET", i % 2 ? "/show_environ" : "/show_environ/");
        given_header(&r, "User-Agent", agents[i]);
        const char *text = environ_of(&r);

        snprintf(line, sizeof(line), "\nHTTP_USER_AGENT='%s'\n", agents[i]);
        assert_has(text, line);
        assert_has(text, i % 2 ? "\nPATH_INFO='/show_environ'\n"
                               : "\nPATH_INFO='/show_environ/'\n");
    }
}

static void more_names_than_are_kept_still_arrive(void **state)
{
    struct lc_request r;
    char names[2000][24];
    char line[64];

    for (unsigned i = 0; i < 2000; i += 20) {
        given_request(&r, "GET", "/show_environ");
        for (unsigned n = i; n < i + 20; n++) {
            snprintf(names[n], sizeof(names[n]), "X-Flood-%u", n);
            given_header(&r, names[n], "v");
        }
        given_header(&r, names[i], "again");
        given_header(&r, "x-FLOOD-odd-name-that-is-longer-than-what-is-kept-of-any",
                     "long");
        given_header(&r, "Host", "known");
        const char *text = environ_of(&r);

        snprintf(line, sizeof(line), "\nHTTP_X_FLOOD_%u='v,again'\n", i);
        assert_has(text, line);
        snprintf(line, sizeof(line), "\nHTTP_X_FLOOD_%u='v'\n", i + 19);
        assert_has(text, line);
        assert_has(text, "\nHTTP_HOST='known'\n");
        assert_has(
            text,
            "\nHTTP_X_FLOOD_ODD_NAME_THAT_IS_LONGER_THAN_WHAT_IS_KEPT_OF_ANY='long'\n");
    }
}

static void a_unix_socket_takes_its_name_from_host(void **state)
{
    static const struct {
        const char *host, *name, *port;
    } cases[] = {
        {"shop.example:81", "shop.example", "81"},
        {"shop.example", "shop.example", "80"},
        {"[::1]:8000", "[::1]", "8000"},
        {"[::1]", "[::1]", "80"},
        {NULL, "/run/app.sock", ""},
    };
    char line[64];

    for (size_t i = 0; i < 5; i++) {
        struct lc_keep keep = {0};
        struct lc_request r;

        given_request(&r, "GET", "/show_environ");
        r.endpoints = &on_unix;
        r.keep = &keep;
        if (cases[i].host != NULL)
            given_header(&r, "Host", cases[i].host);
        const char *text = environ_of(&r);

        snprintf(line, sizeof(line), "\nSERVER_NAME='%s'\n", cases[i].name);
        assert_has(text, line);
        snprintf(line, sizeof(line), "\nSERVER_PORT='%s'\n", cases[i].port);
        assert_has(text, line);
        assert_has(text, "\nREMOTE_ADDR=''\n");
        assert_has_not(text, "REMOTE_PORT");
        keep.release(keep.data);
    }
}

static void each_connection_has_its_own_peer(void **state)
{
    static const struct lc_endpoints other = {.remote_addr = "2001:db8::7",
                                              .remote_port = "7",
                                              .server_addr = "::1",
                                              .server_port = "81"};
    struct lc_keep keep = {0};
    struct lc_request r;

    given_request(&r, "GET", "/show_environ");
    r.endpoints = &other;
    r.keep = &keep;
    const char *text = environ_of(&r);
    assert_has(text, "\nREMOTE_ADDR='2001:db8::7'\n");
    assert_has(text, "\nREMOTE_PORT='7'\n");
    assert_has(text, "\nSERVER_NAME='::1'\n");
    keep.release(keep.data);

    given_request(&r, "GET", "/show_environ");
    assert_has(environ_of(&r), "\nREMOTE_ADDR='192.0.2.7'\n");
}

static void a_script_name_field_cuts_the_path(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/pre%20fix/show_environ/x%20y");
    given_header(&r, "SCRIPT_NAME", "/pre%20fix");
    const char *text = environ_of(&r);
    assert_has(text, "\nSCRIPT_NAME='/pre%20fix'\n");
    assert_has(text, "\nHTTP_SCRIPT_NAME='/pre%20fix'\n");
    assert_has(text, "\nPATH_INFO='/show_environ/x y'\n");

    given_request(&r, "GET", "/show_environ");
    given_header(&r, "Script-Name", "/elsewhere");
    text = environ_of(&r);
    assert_has(text, "\nSCRIPT_NAME=''\n");
    assert_has(text, "\nHTTP_SCRIPT_NAME='/elsewhere'\n");
}

/* Both become HTTP_SCRIPT_NAME, where the second value takes the place of the first. */
static void a_field_like_script_name_does_not_disturb_it(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/prefix/show_environ");
    given_header(&r, "SCRIPT_NAME", "/prefix");
    given_header(&r, "Script-Name", "/elsewhere");
    const char *text = environ_of(&r);
    assert_has(text, "\nSCRIPT_NAME='/prefix'\n");
    assert_has(text, "\nHTTP_SCRIPT_NAME='/prefix,/elsewhere'\n");
    assert_has(text, "\nPATH_INFO='/show_environ'\n");
}

static void a_path_outside_script_name_is_refused(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/b<");
    given_header(&r, "SCRIPT_NAME", "/a");
    serve(&r);

    assert_false(r.is_aborted);
    assert_string_equal(r.status, "500 Bad Request");
    assert_has(answer(&r),
               "Configuration problem: Request path '/b<' does not start with "
               "SCRIPT_NAME '/a'");
    assert_string_equal(logged,
                        "WARNING Invalid request from ip=192.0.2.7: Configuration "
                        "problem: Request path '/b<' does not start with SCRIPT_NAME "
                        "'/a'\n");
    forget(&r);
}

static void wsgiref_finds_nothing_to_complain_about(void **state)
{
    struct lc_request r;

    given_request(&r, "POST", "/valid");
    given_header(&r, "Host", "localhost");
    given_header(&r, "Content-Length", "9");
    given_body(&r, "form=data");
    serve(&r);

    assert_string_equal(logged, "");
    assert_string_equal(answer(&r), "form=data.");
    assert_string_equal(raw, "checked\n[]");
    forget(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(environ_has_gunicorns_keys_and_values),
        cmocka_unit_test(environ_is_new_for_each_request),
        cmocka_unit_test(repeated_fields_are_joined),
        cmocka_unit_test(values_are_latin_1),
        cmocka_unit_test(raw_high_bytes_in_a_path_come_as_gunicorn_had_them),
        cmocka_unit_test(a_value_that_changes_is_seen),
        cmocka_unit_test(a_unix_socket_takes_its_name_from_host),
        cmocka_unit_test(each_connection_has_its_own_peer),
        cmocka_unit_test(a_script_name_field_cuts_the_path),
        cmocka_unit_test(a_field_like_script_name_does_not_disturb_it),
        cmocka_unit_test(a_path_outside_script_name_is_refused),
        cmocka_unit_test(wsgiref_finds_nothing_to_complain_about),
        cmocka_unit_test(more_names_than_are_kept_still_arrive),
    };

    unsetenv("SCRIPT_NAME");
    return cmocka_run_group_tests(tests, open_plugin, close_plugin);
}
