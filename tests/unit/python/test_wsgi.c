/* The Python plugin, driven through its module table by a host in memory (host.h). The interpreter
 * is the one that LICORNE_TEST_PYTHON names, else whatever the plugin finds. */
#include "host.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- given, when, then ---- */

static const struct lc_app_ops *wsgi;
static void *app;
static const struct lc_endpoints on_unix = {
    .remote_addr = "", .server_addr = "/run/app.sock", .is_unix = true};

static struct lc_app_options options_for(const char *spec)
{
    return (struct lc_app_options){
        .stack_fd = -1,
        .spec = spec,
        .chdir = LICORNE_WSGI_APPS,
        .python = getenv("LICORNE_TEST_PYTHON"),
        .is_multiprocess = true,
    };
}
static void serve(struct lc_request *r)
{
    enum lc_step step = wsgi->call(app, r);

    assert_int_equal(step == LC_DONE, r->is_ended);
    wsgi->turn_end(app);
}

static void client_catches_up(struct lc_request *r)
{
    r->unsent = 0;
    wsgi->resume(app, r);
    wsgi->turn_end(app);
}

static const char *answer(const struct lc_request *r)
{
    return r->answer == NULL ? "" : r->answer;
}

/* Serves GET `target` and forgets all but the answer, which lives until the next call. */
static const char *get(const char *target)
{
    static char text[65536];
    struct lc_request r;

    given_request(&r, "GET", target);
    serve(&r);
    assert_false(r.is_aborted);
    snprintf(text, sizeof(text), "%s", answer(&r));
    forget(&r);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in:\n%s", part, text);
}

static void assert_has_not(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("'%s' is in:\n%s", part, text);
}

static void assert_starts(const char *text, const char *start)
{
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("does not start with '%s':\n%s", start, text);
}

/* GET `target` must give a 500 page and a record with `reason`. */
static void assert_fails(const char *target, const char *reason)
{
    struct lc_request r;

    given_request(&r, "GET", target);
    serve(&r);
    assert_true(r.is_aborted);
    assert_string_equal(r.fields, "");
    assert_has(logged, "ERROR Error handling request GET ");
    assert_has(logged, target);
    assert_has(logged, reason);
    forget(&r);
}

static void assert_answers(const char *target, const char *text)
{
    assert_string_equal(get(target), text);
    assert_string_equal(logged, "");
}

/* ---- environ ---- */

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

/* ---- wsgi.input ---- */

static void assert_reads(const char *target, const char *body, const char *expected)
{
    enum { IN_MEMORY, IN_FILE, STREAMED, WAYS };

    /* Wherever it lies, and if it is still on its way, it must read alike. */
    for (int way = 0; way < WAYS; way++) {
        struct lc_request r;

        given_request(&r, "POST", target);
        given_body(&r, body);
        r.body_lies_in_file = way == IN_FILE;
        r.body_is_streamed = way == STREAMED;
        serve(&r);
        assert_string_equal(logged, "");
        assert_string_equal(answer(&r), expected);
        forget(&r);
    }
}

static void the_body_reads_like_a_file(void **state)
{
    assert_reads("/read_all", "", "");
    assert_reads("/read_all", "some text", "some text");
    assert_reads("/read_parts", "0123456789", "0|12|3456789||");
    assert_reads("/read_lines", "a\nbc\n\nd", "a\n|bc\n|\n|d");
    assert_reads("/read_lines", "", "");
    assert_reads("/read_iterated", "a\nbc\n\nd\n", "a\n|bc\n|\n|d\n");
    assert_reads("/read_iterated", "\n", "\n");
    assert_reads("/read_line_limits", "abcd\nef\ngh", "ab|cd\n||ef\n|gh");
    assert_reads("/read_lines_hint", "a\nb\nc", "a\n|rest|b\nc");
    assert_reads("/read_wrong", "abc", "TypeError TypeError abc");
}

static void a_line_may_be_longer_than_a_block(void **state)
{
    enum { LONG = 200000, REST = 100000 };
    char *body = malloc(LONG + 1 + REST + 1);

    memset(body, 'x', LONG + 1 + REST);
    body[LONG] = '\n';
    body[LONG + 1 + REST] = '\0';
    assert_reads("/read_mixed", body, "200001 100000");
    free(body);
}

static void a_body_that_cannot_be_read_raises(void **state)
{
    struct lc_request r;

    given_request(&r, "POST", "/read_all");
    given_body(&r, "0123456789");
    r.body_lies_in_file = r.body_fails = true;
    serve(&r);
    assert_true(r.is_aborted);
    assert_has(logged, "OSError");
    forget(&r);
}

/* Reading a streamed body fails with `error` in /read_all. */
static void assert_input_fails(int error, const char *log)
{
    struct lc_request r;

    given_request(&r, "POST", "/read_all");
    given_body(&r, "0123456789");
    r.body_is_streamed = r.body_fails = true;
    r.body_error = error;
    serve(&r);
    assert_true(r.is_aborted);
    assert_starts(logged, log);
    forget(&r);
}

static void a_client_that_fails_while_it_is_read_from_is_no_fault_of_the_application(
    void **state)
{
    assert_input_fails(EBADMSG, "ERROR Socket error processing request.\n"
                                "Traceback (most recent call last):\n");
    assert_has(logged, "is not coded in chunks as it says");
    assert_input_fails(ETIMEDOUT, "DEBUG ");
    assert_input_fails(ECONNRESET, "DEBUG ");
    assert_input_fails(EFBIG, "DEBUG ");
}

static void a_spill_file_that_lost_its_end_reads_short(void **state)
{
    static const char *const targets[] = {"/read_all", "/read_lines", "/read_iterated"};

    for (size_t i = 0; i < 3; i++) {
        struct lc_request r;

        given_request(&r, "POST", targets[i]);
        given_body(&r, "0123456789");
        r.body_lies_in_file = r.body_is_cut = true;
        serve(&r);
        assert_string_equal(answer(&r), "01234");
        forget(&r);
    }
}

static void early_hints_leave_before_the_response(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/early_hints");
    serve(&r);
    assert_string_equal(r.interim, "103 Link: </a.css>; rel=preload\n"
                                   "103 Link: </b.js>\n103 X-Caf\xe9: \xe9\n");
    assert_string_equal(answer(&r), "[None, None, 'ValueError', 'TypeError', "
                                    "'ValueError', 'TypeError', 'ValueError']");
    assert_string_equal(logged, "");
    forget(&r);
    assert_answers("/hint_again", "None");
}

static void what_an_application_keeps_raises_later(void **state)
{
    assert_answers("/keep_input", "kept");
    assert_answers("/hello", "hello");
    assert_answers("/use_kept",
                   "ValueError ValueError ValueError RuntimeError RuntimeError");
}

/* ---- start_response ---- */

static void assert_head(const char *target, const char *status, const char *fields,
                        const char *body)
{
    struct lc_request r;

    given_request(&r, "GET", target);
    serve(&r);
    assert_string_equal(logged, "");
    assert_string_equal(r.status, status);
    assert_string_equal(r.fields, fields);
    assert_string_equal(answer(&r), body);
    forget(&r);
}

static void status_and_fields_arrive(void **state)
{
    assert_head("/hello", "200 OK", "Content-Type: text/plain\n", "hello");
    assert_head("/empty_list", "204 No Content", "", "");
    assert_head("/header_latin", "200 OK", "X-A: caf\xe9\n", "ok");
    assert_head("/header_lists", "200 OK", "X-A: 1\nX-B: 2\n", "ok");
    assert_head("/start_again_named", "200 OK", "X-First: 1\n", "named");
    assert_head("/generator", "200 OK", "X-Late: 1\n", "generated");
}

static void exc_info_replaces_what_has_not_left(void **state)
{
    assert_head("/start_again", "500 Oops", "X-Second: 2\n", "sorry");
}

static void exc_info_raises_again_when_the_head_has_left(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/start_too_late");
    serve(&r);
    assert_true(r.is_aborted);
    assert_string_equal(answer(&r), "begun");
    assert_has(logged, "ValueError: too late\n");
    forget(&r);
}

static void a_response_starts_once(void **state)
{
    assert_fails("/start_twice", "AssertionError: Response headers already set!");
    assert_fails("/no_start", "the application did not call start_response");
    assert_fails("/no_start_pieces", "the application did not call start_response");
    assert_fails("/write_after_failed_start",
                 "AssertionError: write was called without a status");
}

static void wrong_types_are_refused(void **state)
{
    assert_fails("/status_bytes", "TypeError: status must be a str, not b'200 OK'");
    assert_fails("/header_bytes", "TypeError: b'X-A' is not a string");
    assert_fails("/header_int", "TypeError: 2 is not a string");
    assert_fails("/header_triple", "ValueError: a header must be (name, value)");
    assert_fails("/status_short", "ValueError: invalid status 'OK'");
    assert_fails("/status_split", "ValueError: invalid status '200 OK\\r\\nX: y'");
}

static void a_header_that_would_split_the_response_never_leaves(void **state)
{
    assert_fails("/header_split",
                 "ValueError: header 'X-A': the value holds a control byte\n");
    assert_fails("/header_name", "ValueError: header 'X A<b>': the name is no token\n");
    assert_fails("/header_wide", "ValueError: header 'X-A': the value is not latin-1\n");
    assert_head("/start_caught", "503 Sorry", "X-Other: 1\n", "recovered");
}

static void write_sends_at_once(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/writer");
    serve(&r);
    assert_string_equal(answer(&r), "one,two,three");
    assert_int_equal(r.flushes, 2); /* each write(); a list needs none */
    forget(&r);
    assert_fails("/write_str", "TypeError: 'text' is not a byte");
}

static void write_waits_for_a_slow_client(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/write_much");
    r.reads_slowly_after = 4500;
    serve(&r);
    assert_int_equal(r.answer_size, 20000);
    assert_int_equal(r.waits, 4);
    forget(&r);
}

static void write_raises_when_the_client_has_gone(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/write_much");
    r.goes_after = 4500;
    serve(&r);
    assert_true(r.is_aborted);
    assert_int_equal(r.answer_size, 5000);
    assert_has_not(logged, "ERROR");
    forget(&r);
}

/* ---- iteration ---- */

static void pieces_leave_one_by_one(void **state)
{
    struct lc_request r;

    get("/what_was_closed");
    given_request(&r, "GET", "/pieces");
    serve(&r);
    assert_string_equal(answer(&r), "abcd");
    assert_int_equal(r.flushes, 4); /* not before the first; b"" needs one too */
    forget(&r);
    assert_answers("/what_was_closed", "pieces");
}

static void a_complete_response_may_be_held(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/pieces_length");
    serve(&r);
    assert_string_equal(answer(&r), "abc");
    assert_int_equal(r.flushes, 1); /* after "a"; after "bc" nothing is missing */
    forget(&r);
}

static void all_kinds_of_bodies_are_served(void **state)
{
    assert_answers("/hello", "hello");
    assert_answers("/tuple_of_one", "tuple");
    assert_answers("/list_of_many", "abc");
    assert_answers("/generator", "generated");
    assert_answers("/pieces_none", "");
    assert_answers("/wrapper_by_hand", "0123|4567|89");
    assert_fails("/list_of_str", "TypeError: 'text' is not a byte");
    assert_fails("/not_iterable", "TypeError: 'int' object is not iterable");
}

static void a_large_body_is_not_copied_and_released_once(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/large");
    serve(&r);
    assert_int_equal(r.answer_size, 1000000);
    assert_false(r.was_copied);
    assert_non_null(r.release);
    forget(&r); /* releases between two turns, without Python's lock */
    assert_answers("/hello", "hello");
}

static void a_slow_client_suspends_the_iteration(void **state)
{
    struct lc_request r;
    unsigned resumed = 0;

    get("/what_was_closed");
    given_request(&r, "GET", "/many?1000");
    r.reads_slowly_after = 999;
    serve(&r);
    while (!r.is_ended) {
        assert_true(r.unsent <= 1004);
        assert_answers("/hello", "hello"); /* others are served meanwhile */
        client_catches_up(&r);
        resumed++;
    }
    assert_int_equal(r.answer_size, 5000);
    assert_int_equal(resumed, 5);
    assert_int_equal(strncmp(r.answer, "0000000001", 10), 0);
    assert_string_equal(r.answer + 4990, "0099800999");
    forget(&r);
    assert_answers("/what_was_closed", "many");
}

static void a_client_that_goes_ends_the_iteration(void **state)
{
    struct lc_request r;

    get("/what_was_closed");
    given_request(&r, "GET", "/forever");
    r.reads_slowly_after = 999;
    serve(&r);
    assert_false(r.is_ended);
    client_catches_up(&r);
    assert_false(r.is_ended);

    r.goes_after = 0;
    client_catches_up(&r);
    assert_true(r.is_aborted);
    assert_string_equal(logged, "");
    forget(&r);

    given_request(&r, "GET", "/many?1000");
    r.goes_after = 2000;
    serve(&r);
    assert_true(r.is_aborted);
    assert_string_equal(logged, "");
    forget(&r);
    assert_answers("/what_was_closed", "forever many");
}

static void close_is_called_once_whatever_happens(void **state)
{
    struct lc_request r;

    get("/what_was_closed");
    assert_answers("/pieces", "abcd");
    assert_answers("/pieces_none", "");
    assert_fails("/pieces_str_first", "TypeError: 'b' is not a byte");
    assert_fails("/pieces_fail_first", "ZeroDivisionError: at once");
    static const char *const broken[] = {"/pieces_str", "/pieces_fail", "/pieces_exit"};
    for (size_t i = 0; i < 3; i++) {
        given_request(&r, "GET", broken[i]);
        serve(&r);
        assert_true(r.is_aborted);
        assert_string_equal(answer(&r), "a");
        assert_has(logged, broken[i]);
        forget(&r);
    }
    assert_answers("/what_was_closed",
                   "pieces pieces_none pieces_str_first "
                   "pieces_fail_first pieces_str pieces_fail pieces_exit");
}

static void a_failing_close_is_logged_only(void **state)
{
    struct lc_request r;

    given_request(&r, "GET", "/close_fails");
    serve(&r);
    assert_false(r.is_aborted);
    assert_string_equal(answer(&r), "a");
    assert_has(logged, "ERROR Error handling request GET /close_fails\n");
    assert_has(logged, "RuntimeError: close failed");
    forget(&r);
}

static void two_streams_keep_their_contexts_apart(void **state)
{
    struct lc_request one, two;

    given_request(&one, "GET", "/context_stream?one");
    given_request(&two, "GET", "/context_stream?two");
    one.reads_slowly_after = two.reads_slowly_after = 0;
    serve(&one);
    serve(&two);
    while (!one.is_ended || !two.is_ended) {
        if (!one.is_ended)
            client_catches_up(&one);
        if (!two.is_ended)
            client_catches_up(&two);
    }
    assert_string_equal(answer(&one), "oneoneoneonenobody");
    assert_string_equal(answer(&two), "twotwotwotwonobody");
    forget(&one);
    forget(&two);
}

static void a_context_does_not_leak_into_the_next_request(void **state)
{
    assert_answers("/context_leak", "nobody");
    assert_answers("/context_leak", "nobody");
}

/* ---- files ---- */

static void a_wrapped_file_leaves_in_large_blocks(void **state)
{
    struct lc_request r;

    get("/what_was_closed");
    given_request(&r, "GET", "/wrapped_file");
    r.reads_slowly_after = 100000;
    serve(&r);
    while (!r.is_ended) {
        assert_true(r.unsent <= 3 * 65536);
        client_catches_up(&r);
    }
    assert_int_equal(r.answer_size, 200000);
    forget(&r);
    assert_answers("/file_sizes", "[65536, 65536, 65536, 65536, 65536]");
    assert_answers("/what_was_closed", "file");
    assert_fails("/wrapped_text", "TypeError: 'text' is not a byte");
}

static void a_file_is_read_as_far_as_its_length_says(void **state)
{
    struct lc_request r;

    get("/what_was_closed");
    given_request(&r, "GET", "/wrapped_file?70000");
    serve(&r);
    assert_int_equal(r.answer_size, 70000);
    forget(&r);
    assert_answers("/file_sizes", "[65536, 4464]");
    assert_answers("/what_was_closed", "file");
}

/* Serves what `expression` opens; whether the host was given the descriptor. */
static bool is_sent_as_file(const char *expression, const char *expected)
{
    struct lc_request r;
    char target[256];
    bool is_file;

    get("/what_was_closed");
    snprintf(target, sizeof(target), "/wrapped_plain?%s", expression);
    given_request(&r, "GET", target);
    serve(&r);
    assert_string_equal(answer(&r), expected);
    assert_string_equal(logged, "");
    is_file = r.was_sent_as_file;
    forget(&r);
    assert_answers("/what_was_closed", "plain");
    return is_file;
}

static void a_plain_file_is_left_to_the_host(void **state)
{
    static const char rest[] = "56789"
                               "0123456789012345678901234567890123456789"
                               "012345678901234567890123456789";

    assert_true(is_sent_as_file("disk_file(lambda%20n:open(n,'rb'))", rest));
    assert_true(is_sent_as_file("disk_file(lambda%20n:open(n,'rb',0))", rest));
    assert_true(is_sent_as_file("disk_file(lambda%20n:open(n,'r%2Bb'))", rest));
    assert_true(is_sent_as_file("disk_file(lambda%20n:open(n,'r%2Bb',0))", rest));
}

static void what_reads_otherwise_than_its_descriptor_is_read(void **state)
{
    assert_false(is_sent_as_file("io.BytesIO(b'bytes')", "bytes"));
    assert_false(is_sent_as_file("open('/proc/sys/kernel/ostype','rb')", "Linux\n"));
    assert_false(is_sent_as_file(
        "gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(b'zip')))", "zip"));
    assert_false(is_sent_as_file("tempfile.SpooledTemporaryFile()", ""));
    assert_false(is_sent_as_file("open('/dev/null','rb')", ""));
}

/* ---- errors and the log ---- */

static void an_exception_is_logged_with_its_traceback(void **state)
{
    assert_fails("/fail", "ERROR Error handling request GET /fail\n"
                          "Traceback (most recent call last):\n");
    assert_fails("/fail", "raise ValueError(\"broken <by> design\")\n");
    assert_fails("/fail", "ValueError: broken <by> design\n");
    assert_fails("/fail_after_start", "ValueError: after start");
    assert_fails("/fail_unprintable", "Unprintable");
}

static void nothing_an_application_raises_ends_the_worker(void **state)
{
    assert_fails("/leave", "SystemExit: 3");
    assert_fails("/interrupt", "KeyboardInterrupt");
    assert_answers("/hello", "hello");
}

static void wsgi_errors_go_to_the_log_line_by_line(void **state)
{
    assert_string_equal(get("/log"), "logged");
    assert_string_equal(raw, "one line\n[]no newline \\udc80[]left over; TypeError[]");
}

static void threads_may_log_and_read_during_the_call(void **state)
{
    struct lc_request r;

    given_request(&r, "POST", "/log_in_thread");
    given_body(&r, "body");
    serve(&r);
    assert_string_equal(answer(&r), "joined");
    assert_string_equal(raw, "thread read b'body'\n[]");
    forget(&r);
}

static void a_thread_that_outlives_its_request_may_log(void **state)
{
    assert_answers("/log_later", "started");
    assert_answers("/let_it_log", "done");
    assert_string_equal(raw, "from afar\n[]too late to read\n[]");
}

/* ---- leaks ---- */

static void serve_all_kinds(void)
{
    static const char *const kinds[] = {
        "/hello",        "/large",        "/show_environ?x=1", "/pieces",
        "/generator",    "/list_of_many", "/wrapped_file",     "/writer",
        "/context_leak", "/header_many",  "/start_again",      "/keep_input",
        "/fail",         "/no_start",     "/header_split",     "/start_twice",
        "/pieces_fail",  "/not_iterable", "/header_int",       "/status_short"};
    struct lc_request r;
    char value[32];
    static unsigned number;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct lc_keep keep = {0};

        given_request(&r, "POST", kinds[i]);
        r.keep = &keep;
        r.reads_slowly_after = i % 3 == 0 ? 2 : SIZE_MAX;
        given_header(&r, "Host", "localhost");
        snprintf(value, sizeof(value), "agent %u", number++);
        given_header(&r, "User-Agent", value);
        given_header(&r, "X-Unknown-And-Far-Too-Long-To-Be-Kept-By-Its-Spelling-Here",
                     value);
        given_header(&r, "Accept", "a");
        given_header(&r, "Accept", "b");
        given_body(&r, "a\nb\n");
        serve(&r);
        while (!r.is_ended)
            client_catches_up(&r);
        forget(&r);
        keep.release(keep.data);
    }
}

static long blocks_in_use(void)
{
    get("/what_was_closed");
    return atol(get("/allocated_blocks"));
}

static void twenty_thousand_requests_leave_nothing_behind(void **state)
{
    enum { ROUNDS = 500, KINDS = 20, SLACK = 700 };

    for (int i = 0; i < ROUNDS; i++)
        serve_all_kinds();
    long before = blocks_in_use();
    for (int i = 0; i < 2 * ROUNDS; i++)
        serve_all_kinds();
    long after = blocks_in_use();

    /* One block lost in one kind of request would be 1000. */
    if (after - before > SLACK)
        fail_msg("%ld blocks before, %ld after %d requests", before, after,
                 2 * ROUNDS * KINDS);
}

/* ---- loading ---- */

static const char *loaded(const char *spec)
{
    static char text[256];
    struct lc_app_options options = options_for(spec);
    struct lc_error err = {0};
    void *here = app;
    void *it = wsgi->open(&options, &err);

    if (it == NULL)
        fail_msg("%s: %s\n%s", spec, err.text, logged);
    app = it;
    snprintf(text, sizeof(text), "%s", get("/"));
    app = here;
    wsgi->close(it);
    return text;
}

static void a_spec_names_an_attribute_or_a_factory(void **state)
{
    assert_string_equal(loaded("loads"), "default");
    assert_string_equal(loaded("loads:other"), "other");
    assert_string_equal(loaded("loads:factory()"), "() []");
    assert_string_equal(loaded("loads:factory('a', 2, k=[1, {'x': None}])"),
                        "('a', 2) [('k', [1, {'x': None}])]");
    assert_string_equal(loaded("shop.wsgi:application"), "shop");
}

static void assert_refused_with(struct lc_app_options *options, enum lc_error_code code,
                                const char *start)
{
    struct lc_error err = {0};

    logged[0] = '\0';
    assert_null(wsgi->open(options, &err));
    assert_int_equal(err.code, code);
    assert_has(err.text, options->spec);
    assert_starts(logged, "ERROR ");
    assert_starts(logged + 6, start);
    assert_has_not(logged, "<licorne>");
    assert_has_not(logged, "importlib");
    assert_answers("/hello", "hello");
}

static void assert_refused(const char *spec, enum lc_error_code code, const char *start)
{
    struct lc_app_options options = options_for(spec);

    assert_refused_with(&options, code, start);
}

/* The record that opening `spec` leaves. */
static const char *complaint(const char *spec)
{
    static char text[8192];
    struct lc_app_options options = options_for(spec);
    struct lc_error err = {0};

    logged[0] = '\0';
    assert_null(wsgi->open(&options, &err));
    snprintf(text, sizeof(text), "%.8000s", logged);
    return text;
}

static void what_is_no_application_is_refused_in_gunicorns_words(void **state)
{
    assert_refused("loads:no_such_thing_at_all", LC_E_APP_LOAD,
                   "Failed to find attribute 'no_such_thing_at_all' in 'loads'.");
    assert_refused(
        "loads:othr", LC_E_APP_LOAD,
        "Failed to find attribute 'othr' in 'loads'. Did you mean 'loads:other'?\n");
    assert_refused("loads:a.b", LC_E_APP_LOAD,
                   "Failed to parse 'a.b' as an attribute name or function call.\n");
    assert_refused("loads:1+", LC_E_APP_LOAD,
                   "Failed to parse '1+' as an attribute name or function call.\n");
    assert_refused("loads:", LC_E_APP_LOAD,
                   "Failed to parse '' as an attribute name or function call.\n");
    assert_refused("loads:a.b()", LC_E_APP_LOAD,
                   "Function reference must be a simple name: 'a.b()'\n");
    assert_refused("loads:factory(x)", LC_E_APP_LOAD,
                   "Failed to parse arguments as literal values: 'factory(x)'\n");
    assert_refused("loads:strict()", LC_E_APP_LOAD,
                   "TypeError: strict() missing 1 required");
    assert_refused("loads:nothing", LC_E_APP_LOAD,
                   "Failed to find application object: 'nothing'\n");
    assert_refused("loads:gives_nothing()", LC_E_APP_LOAD,
                   "Failed to find application object: 'gives_nothing()'\n");
    assert_refused("loads:number", LC_E_APP_LOAD,
                   "Application object must be callable.\n");
}

static void what_cannot_be_imported_is_explained_in_the_first_line(void **state)
{
    const char *text;

    assert_refused("shp.wsgi:application", LC_E_BOOT,
                   "Exception in worker process: No module named 'shp' (application "
                   "shp.wsgi:application); did you mean 'shop.wsgi:application'?; looked "
                   "in: " LICORNE_WSGI_APPS);
    assert_has(complaint("shp.wsgi:application"), "; interpreter /");
    assert_refused(
        "shop.wsgy", LC_E_BOOT,
        "Exception in worker process: No module named 'shop.wsgy' (application "
        "shop.wsgy); did you mean 'shop.wsgi'?; looked in: ");
    assert_refused(
        "apps.py", LC_E_BOOT,
        "Exception in worker process: Failed to find application, did you mean "
        "'apps:application'?");

    text = complaint("needs:application");
    assert_starts(text, "ERROR Exception in worker process: No module named "
                        "'surely_not_installed' (" LICORNE_WSGI_APPS "/needs.py, line 1; "
                        "application needs:application); looked in: ");
    assert_has(text, "\n    import surely_not_installed\n");

    text = complaint("misspelt:application");
    assert_starts(text, "ERROR Exception in worker process: SyntaxError: ");
    assert_has(text, LICORNE_WSGI_APPS "/misspelt.py, line 1; application");

    text = complaint("raises:application");
    assert_starts(
        text,
        "ERROR Exception in worker process: RuntimeError: no database (" LICORNE_WSGI_APPS
        "/raises.py, line 2; application raises");
    assert_has(text, "line 5, in <module>\n    prepare()\n");
    assert_has(text, "RuntimeError: no database\nat all\n");
}

static void exceptions_while_loading_are_boot_failures(void **state)
{
    assert_refused("raises:application", LC_E_BOOT, "Exception in worker process: ");
    assert_refused("needs:application", LC_E_BOOT, "Exception in worker process: ");
    assert_refused("misspelt:application", LC_E_BOOT, "Exception in worker process: ");
    assert_refused("exits:application", LC_E_BOOT,
                   "Exception in worker process: SystemExit: not today (");
    assert_refused(
        "loads:broken_inside()", LC_E_BOOT,
        "Exception in worker process: TypeError: object of type 'int' has no len()");
}

static void pythonpath_adds_folders(void **state)
{
    struct lc_app_options options = options_for("elsewhere");
    struct lc_error err = {0};

    assert_null(wsgi->open(&options, &err));
    options.pythonpath = "/nonexistent, " LICORNE_WSGI_APPS "/more";
    void *it = wsgi->open(&options, &err);
    assert_non_null(it);
    wsgi->close(it);
}

/* ---- interpreters ---- */

static void the_interpreter_is_the_one_that_was_asked_for(void **state)
{
    const char *python = getenv("LICORNE_TEST_PYTHON");
    const char *text = get("/interpreter");
    struct stat st;

    assert_has(text, "\n['licorne']\n");
    assert_has(text, "\nutf-8");
    /* A folder is a virtual environment, and its prefix must be the folder. */
    if (python != NULL && stat(python, &st) == 0 && S_ISDIR(st.st_mode)) {
        assert_starts(text, python);
        assert_has(text, "/bin/python");
    }
}

static void assert_no_python(const char *python, const char *first, const char *second)
{
    struct lc_app_options options = options_for("apps");
    struct lc_error err = {0};

    options.python = python;
    assert_null(wsgi->open(&options, &err));
    assert_int_equal(err.code, LC_E_BOOT);
    assert_has(err.text, first);
    assert_has(err.text, second);
    assert_null(strchr(err.text, '\n'));
}

static char *script(const char *folder, const char *name, const char *text)
{
    char *path = NULL;

    assert_true(asprintf(&path, "%s/%s", folder, name) > 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", text);
    fclose(file);
    assert_int_equal(chmod(path, 0755), 0);
    return path;
}

static void an_interpreter_that_cannot_be_served_is_named(void **state)
{
    static const char facts[] = "echo licorne executable=$0; echo licorne version=%s; "
                                "echo licorne implementation=%s; "
                                "echo licorne free_threaded=%s";
    char folder[] = "/tmp/licorne-test-XXXXXX";
    char text[512];

    assert_non_null(mkdtemp(folder));
    char *old = script(
        folder, "old",
        (snprintf(text, sizeof(text), facts, "3.7.9", "cpython", ""), text));
    char *pypy = script(
        folder, "pypy",
        (snprintf(text, sizeof(text), facts, "3.10.1", "pypy", ""), text));
    char *free_threaded = script(
        folder, "free",
        (snprintf(text, sizeof(text), facts, "3.13.0", "cpython", "1"), text));
    char *broken = script(folder, "broken",
                          "echo cannot open shared object >&2; exit 127");
    char *other = script(folder, "other", "echo hello");
    char *killed = script(folder, "killed", "kill -9 $$");
    char *data = script(folder, "data", "");
    assert_int_equal(chmod(data, 0644), 0);

    assert_no_python("/no/such/venv", "/no/such/venv", "no such interpreter or virtual");
    assert_no_python("no-such-python", "no-such-python on PATH (",
                     "install Python 3.8 or newer");
    assert_no_python(folder, folder, "not a virtual environment");
    assert_no_python(old, "is Python 3.7.9; 3.8 or newer is needed", old);
    assert_no_python(pypy, "is not CPython", pypy);
    assert_no_python(free_threaded, "free-threaded build of Python 3.13.0",
                     free_threaded);
    assert_no_python(broken, "cannot be run as a Python: cannot open shared object",
                     broken);
    assert_no_python(other, "does not behave like a Python", other);
    assert_no_python(killed, "died of signal 9", killed);
    assert_no_python(data, "cannot run", "Permission denied");

    char *all[] = {old, pypy, free_threaded, broken, other, killed, data};
    for (size_t i = 0; i < 7; i++) {
        unlink(all[i]);
        free(all[i]);
    }
    rmdir(folder);
}

static void a_virtual_environment_that_is_missing_is_named(void **state)
{
    setenv("VIRTUAL_ENV", "/no/such/env", 1);
    assert_no_python(NULL, "VIRTUAL_ENV = /no/such/env", "no such virtual environment");
    unsetenv("VIRTUAL_ENV");
}

/* What a new process of this program says (see serve_once): CPython starts once in each. */
static const char *new_process(const char *environment, const char *spec,
                               const char *target)
{
    static char text[8192];
    char command[512];

    snprintf(command, sizeof(command), "%s /proc/%d/exe get '%s' '%s' 2>&1", environment,
             (int)getpid(), spec, target);
    FILE *child = popen(command, "r");
    assert_non_null(child);
    text[fread(text, 1, sizeof(text) - 1, child)] = '\0';
    pclose(child);
    return text;
}

static void an_interpreter_without_a_shared_library_is_named(void **state)
{
    char folder[] = "/tmp/licorne-test-XXXXXX";
    char environment[128];

    assert_non_null(mkdtemp(folder));
    char *lonely = script(folder, "python3",
                          "echo licorne executable=$0; echo licorne version=3.9.1; "
                          "echo licorne implementation=cpython; "
                          "echo licorne library=libpython3.9.a");
    snprintf(environment, sizeof(environment), "LICORNE_TEST_PYTHON=%s", lonely);

    const char *text = new_process(environment, "apps", "/hello");
    assert_starts(text, lonely);
    assert_has(text, "has no shared libpython3.9");
    assert_has(text, "--enable-shared");
    unlink(lonely);
    free(lonely);
    rmdir(folder);
}

static void files_are_utf_8_under_the_c_locale_as_with_python3(void **state)
{
    assert_has(new_process("LC_ALL=C", "apps", "/interpreter"), "\nutf-8");
    assert_has(new_process("LANG=C", "apps", "/interpreter"), "\nutf-8");
}

static void a_worker_that_is_aborted_tells_the_line_it_was_in(void **state)
{
    const char *text = new_process("LC_ALL=C", "apps", "/abort");

    assert_has(text, "Fatal Python error: Aborted");
    assert_has(text, LICORNE_WSGI_APPS "/apps.py\", line ");
    assert_has(text, " in abort\n");
}

static void script_name_comes_from_the_environment(void **state)
{
    const char *text = new_process("SCRIPT_NAME=/shop", "apps:show_environ",
                                   "/shop/a%20b?c");

    assert_has(text, "PATH_INFO='/a b'\n");
    assert_has(text, "\nSCRIPT_NAME='/shop'\n");
    assert_has(text, "\nRAW_URI='/shop/a%20b?c'\n");
    assert_has(new_process("SCRIPT_NAME=/shop", "apps:show_environ", "/else"),
               "does not start with SCRIPT_NAME");
}

/* ---- leaving ---- */

/* Closes the application for good, so it comes last. */
static void leaving_waits_for_threads_and_runs_exit_handlers(void **state)
{
    char path[] = "/tmp/licorne-test-XXXXXX";
    char target[64], text[128] = "";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    snprintf(target, sizeof(target), "/at_exit?%s", path);
    assert_answers(target, "registered");
    wsgi->close(app);
    app = NULL;

    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "pool\nthread\natexit\n");
    assert_string_equal(logged, "");
    close(fd);
    unlink(path);
}

/* ---- the frame ---- */

static int open_app(const char *spec)
{
    struct lc_app_options options = options_for(spec);
    struct lc_error err = {0};

    setenv("SERVER_SOFTWARE", "licorne/test", 1);
    if (options.python != NULL)
        unsetenv("VIRTUAL_ENV");
    void *plugin = dlopen(LICORNE_PLUGIN, RTLD_NOW | RTLD_LOCAL);
    if (plugin == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return -1;
    }

    const struct lc_module *module = dlsym(plugin, LC_MODULE_SYMBOL);
    if (module == NULL || module->abi != LC_ABI)
        return -1;
    wsgi = module->app;
    app = wsgi->open(&options, &err); /* keeps neither of the two */
    if (app == NULL)
        fprintf(stderr, "%s\n%s\n", err.text, logged);
    /* cppcheck-suppress danglingLifetime */
    return app == NULL ? -1 : 0;
}

static int open_plugin(void **state)
{
    return open_app("apps");
}

static int close_plugin(void **state)
{
    if (connection.release != NULL)
        connection.release(connection.data);
    if (app != NULL)
        wsgi->close(app);
    return 0;
}

/* Answers one GET in this process: the body, or why there is no application, on stdout. */
static int serve_once(const char *spec, const char *target)
{
    struct lc_request r;

    if (open_app(spec) < 0)
        return 1;
    given_request(&r, "GET", target);
    serve(&r);
    fputs(answer(&r), stdout);
    forget(&r);
    return close_plugin(NULL);
}

/* For profilers: the same request again and again. */
static int repeat(const char *spec, const char *target, unsigned count)
{
    struct lc_request r;

    if (open_app(spec) < 0)
        return 1;
    for (unsigned i = 0; i < count; i++) {
        given_request(&r, "GET", target);
        given_header(&r, "Host", "127.0.0.1:8000");
        wsgi->call(app, &r);
        while (!r.is_ended)
            wsgi->resume(app, &r);
        forget(&r);
    }
    wsgi->turn_end(app);
    return close_plugin(NULL);
}

int main(int argc, char **argv)
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
        cmocka_unit_test(the_body_reads_like_a_file),
        cmocka_unit_test(a_line_may_be_longer_than_a_block),
        cmocka_unit_test(a_body_that_cannot_be_read_raises),
        cmocka_unit_test(
            a_client_that_fails_while_it_is_read_from_is_no_fault_of_the_application),
        cmocka_unit_test(a_spill_file_that_lost_its_end_reads_short),
        cmocka_unit_test(early_hints_leave_before_the_response),
        cmocka_unit_test(what_an_application_keeps_raises_later),
        cmocka_unit_test(status_and_fields_arrive),
        cmocka_unit_test(exc_info_replaces_what_has_not_left),
        cmocka_unit_test(exc_info_raises_again_when_the_head_has_left),
        cmocka_unit_test(a_response_starts_once),
        cmocka_unit_test(wrong_types_are_refused),
        cmocka_unit_test(a_header_that_would_split_the_response_never_leaves),
        cmocka_unit_test(write_sends_at_once),
        cmocka_unit_test(write_waits_for_a_slow_client),
        cmocka_unit_test(write_raises_when_the_client_has_gone),
        cmocka_unit_test(pieces_leave_one_by_one),
        cmocka_unit_test(a_complete_response_may_be_held),
        cmocka_unit_test(all_kinds_of_bodies_are_served),
        cmocka_unit_test(a_large_body_is_not_copied_and_released_once),
        cmocka_unit_test(a_slow_client_suspends_the_iteration),
        cmocka_unit_test(a_client_that_goes_ends_the_iteration),
        cmocka_unit_test(close_is_called_once_whatever_happens),
        cmocka_unit_test(a_failing_close_is_logged_only),
        cmocka_unit_test(two_streams_keep_their_contexts_apart),
        cmocka_unit_test(a_context_does_not_leak_into_the_next_request),
        cmocka_unit_test(a_wrapped_file_leaves_in_large_blocks),
        cmocka_unit_test(a_file_is_read_as_far_as_its_length_says),
        cmocka_unit_test(a_plain_file_is_left_to_the_host),
        cmocka_unit_test(what_reads_otherwise_than_its_descriptor_is_read),
        cmocka_unit_test(an_exception_is_logged_with_its_traceback),
        cmocka_unit_test(nothing_an_application_raises_ends_the_worker),
        cmocka_unit_test(wsgi_errors_go_to_the_log_line_by_line),
        cmocka_unit_test(threads_may_log_and_read_during_the_call),
        cmocka_unit_test(a_thread_that_outlives_its_request_may_log),
        cmocka_unit_test(more_names_than_are_kept_still_arrive),
        cmocka_unit_test(twenty_thousand_requests_leave_nothing_behind),
        cmocka_unit_test(a_spec_names_an_attribute_or_a_factory),
        cmocka_unit_test(what_is_no_application_is_refused_in_gunicorns_words),
        cmocka_unit_test(what_cannot_be_imported_is_explained_in_the_first_line),
        cmocka_unit_test(exceptions_while_loading_are_boot_failures),
        cmocka_unit_test(pythonpath_adds_folders),
        cmocka_unit_test(the_interpreter_is_the_one_that_was_asked_for),
        cmocka_unit_test(an_interpreter_that_cannot_be_served_is_named),
        cmocka_unit_test(a_virtual_environment_that_is_missing_is_named),
        cmocka_unit_test(an_interpreter_without_a_shared_library_is_named),
        cmocka_unit_test(files_are_utf_8_under_the_c_locale_as_with_python3),
        cmocka_unit_test(a_worker_that_is_aborted_tells_the_line_it_was_in),
        cmocka_unit_test(script_name_comes_from_the_environment),
        cmocka_unit_test(leaving_waits_for_threads_and_runs_exit_handlers),
    };

    if (argc == 4 && strcmp(argv[1], "get") == 0)
        return serve_once(argv[2], argv[3]);
    if (argc == 5 && strcmp(argv[1], "repeat") == 0)
        return repeat(argv[2], argv[3], (unsigned)atoi(argv[4]));
    unsetenv("SCRIPT_NAME");
    return cmocka_run_group_tests(tests, open_plugin, close_plugin);
}
