#include "app/format.h"
#include "tests/unit/app/given_request.h"

#include <licorne/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* 3.004005 seconds after it began. */
enum { NOW_US = 1000000 + 3004005 };

static const char *line_of(const char *text, const struct lc_request *request)
{
    static char line[65536];
    struct lc_error err;
    struct lc_format *format = lc_format_create(text, &err);

    if (format == NULL)
        fail_msg("%s: %s", text, err.text);
    size_t room = lc_format_prepare(format, request, NOW_US);
    assert_true(room < sizeof(line));
    size_t len = lc_format_write(format, line, room);
    assert_true(len <= room);
    line[len] = '\0';
    lc_format_destroy(format);
    return line;
}

/* A browser's request and its answer. */
static struct lc_request *given_answered_request(void)
{
    struct lc_request *request = given_request("POST", "/a%20b?x=1&y=%22");

    given_header(request, "Host", "shop.example:8080");
    given_header(request, "User-Agent", "Mozilla/5.0 \"quoted\"");
    given_header(request, "referer", "http://example.com/");
    given_header(request, "Authorization", "Basic YW5uOnNlY3JldA=="); /* ann:secret */
    given_header(request, "X-Twice", "first");
    given_header(request, "x-twice", "second");
    given_header(request, "Empty", "");
    given_header(request, "Content-Type", "text/plain");
    request->response.status = 404;
    request->response.written = 1234;
    request->response.fields = LC_SLICE("Content-Type: text/html; a=\"b\"\r\nX-Id: 1\r\n"
                                        "Set-Cookie: a=1\r\nset-cookie: b=2\r\n");
    return request;
}

static void every_atom_has_its_value(void **state)
{
    static const struct {
        const char *format, *line;
    } table[] = {
        {"", ""},
        {"plain text", "plain text"},
        {"100%% %%(h)s %%", "100% %(h)s %"},
        {"%(h)s", "192.0.2.7"},
        {"%(l)s", "-"},
        {"%(u)s", "ann"},
        {"%(r)s", "POST /a%20b?x=1&y=%22 HTTP/1.1"},
        {"%(m)s", "POST"},
        {"%(U)s", "/a b"},
        {"%(q)s", "x=1&y=%22"},
        {"%(H)s", "HTTP/1.1"},
        {"%(s)s", "404"},
        {"%(B)s %(B)d", "1234 1234"},
        {"%(b)s", "1234"},
        {"%(f)s", "http://example.com/"},
        {"%(a)s", "Mozilla/5.0 \\\"quoted\\\""},
        {"%(T)s %(M)s %(D)s %(L)s", "3 3004 3004005 3.004005"},
        {"%(T)d %(M)d %(D)d", "3 3004 3004005"},
        {"%(nothing)s %()s %(hh)s", "- - -"},
        {"%(a(b)c)s", "-"},
        {"%({Host}i)s %({hOST}I)s", "shop.example:8080 shop.example:8080"},
        {"%({X-Twice}i)s", "second"},
        {"%({Empty}i)s|%({Missing}i)s", "|-"},
        {"%({X_Twice}i)s", "-"},
        {"%({content-type}o)s", "text/html; a=\\\"b\\\""},
        {"%({Set-Cookie}o)s", "b=2"},
        {"%({Content-Typ}o)s %({Missing}o)s", "- -"},
        {"%({x}z)s %({x})s %({)s %({}i)s", "- - - -"},
        {"%({REQUEST_METHOD}e)s", "POST"},
        {"%({PATH_INFO}e)s %({RAW_URI}e)s", "/a b /a%20b?x=1&y=%22"},
        {"%({QUERY_STRING}e)s", "x=1&y=%22"},
        {"%({SERVER_PROTOCOL}e)s", "HTTP/1.1"},
        {"%({REMOTE_ADDR}e)s %({remote_port}e)s", "192.0.2.7 51234"},
        {"%({SERVER_NAME}e)s %({SERVER_PORT}e)s", "127.0.0.1 8000"},
        {"%({SERVER_SOFTWARE}e).8s", "licorne/"},
        {"%({wsgi.url_scheme}e)s", "http"},
        {"%({SCRIPT_NAME}e)s|", "|"},
        {"%({HTTP_X_TWICE}e)s", "first,second"},
        {"%({HTTP_HOST}e)s", "shop.example:8080"},
        {"%({HTTP_X-TWICE}e)s", "-"},
        {"%({CONTENT_TYPE}e)s %({HTTP_CONTENT_TYPE}e)s", "text/plain -"},
        {"%({CONTENT_LENGTH}e)s", "-"},
        {"%({wsgi.version}e)s %({REMOTE_USER}e)s", "- -"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_string_equal(line_of(table[i].format, given_answered_request()),
                            table[i].line);
}

/* What Python 3 prints for the same values. */
static void widths_and_precisions_are_pythons(void **state)
{
    static const struct {
        const char *format, *line;
    } table[] = {
        {"%(D)12s|%(D)-12s|", "     3004005|3004005     |"},
        {"%(s)08s|%(s)-08s|", "     404|404     |"},
        {"%(U)8s|%(U).2s|%(U)5.2s|%(U).0s|%(U).s|", "    /a b|/a|   /a|||"},
        {"%(r).9s|%(r)-40s|", "POST /a%2|POST /a%20b?x=1&y=%22 HTTP/1.1          |"},
        {"%(r)2s", "POST /a%20b?x=1&y=%22 HTTP/1.1"},
        {"%(D)3d|%(D)d|%(D)i|%(D)u|%(D)ld|%(D)hd",
         "3004005|3004005|3004005|3004005|3004005|3004005"},
        {"%(B)08d|%(B)-8d|%(B)+d|%(B) d|%(B)+08d|%(B)-08d|",
         "00001234|1234    |+1234| 1234|+0001234|1234    |"},
        {"%(B).6d|%(B)10.6d|%(B)010.6d|%(T).0d|", "001234|    001234|0000001234|3|"},
        {"%(B)x|%(B)X|%(B)o|%(B)#x|%(B)#X|%(B)#o|", "4d2|4D2|2322|0x4d2|0X4D2|0o2322|"},
        {"%(B)#010x|%(B)-#10x|%(B)#.5x|%(B)010x|",
         "0x000004d2|0x4d2     |0x004d2|00000004d2|"},
        {"%(T)f|%(T).1f|%(T)8.2f|%(T)08.2f|%(T)+.0f|%(T)#.0f|",
         "3.000000|3.0|    3.00|00003.00|+3|3.|"},
        {"%(B)e|%(B).2E|%(D)g|%(D)G|%(T)#g|%(T)F|",
         "1.234000e+03|1.23E+03|3.004e+06|3.004E+06|3.00000|3.000000|"},
        {"%(B).2s|%(B)r|%(B).3r|%(B)6a|", "12|1234|123|  1234|"},
        {"%(m)r|%(m)a|%(m)8r|%(m).3r|", "'POST'|'POST'|  'POST'|'PO|"},
        {"%(a)r", "'Mozilla/5.0 \\\\\"quoted\\\\\"'"},
        {"%(h)+#s|%(h)ls", "192.0.2.7|192.0.2.7"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_string_equal(line_of(table[i].format, given_answered_request()),
                            table[i].line);
}

static void what_was_not_sent_is_a_dash(void **state)
{
    struct lc_request *request = given_request("GET", "/");

    (void)state;
    assert_string_equal(line_of("%(u)s %(f)s %(a)s %(s)s %(b)s %(q)s|", request),
                        "- - - 200 0 |");
    assert_string_equal(line_of("%(B)d %(B).0d %(B).0x %(B)#x", request), "0 0 0 0x0");
}

static void a_client_behind_a_proxy_is_shown_as_announced(void **state)
{
    static const struct lc_endpoints endpoints = {.remote_addr = "2001:db8::7",
                                                  .remote_port = "7",
                                                  .server_addr = "127.0.0.1",
                                                  .server_port = "8000",
                                                  .proxy_protocol = "TCP6",
                                                  .proxy_addr = "::1",
                                                  .proxy_port = "443"};
    struct lc_request *request = given_request("GET", "/");
    const char *format =
        "%(h)s|%({PROXY_PROTOCOL}e)s|%({PROXY_ADDR}e)s|%({PROXY_PORT}e)s";

    assert_string_equal(line_of(format, request), "192.0.2.7|-|-|-");
    request->endpoints = &endpoints;
    assert_string_equal(line_of(format, request), "2001:db8::7|TCP6|::1|443");
}

static void a_unix_socket_has_no_address(void **state)
{
    static const struct lc_endpoints endpoints = {
        .remote_addr = "", .server_addr = "/run/shop.sock", .is_unix = true};
    struct lc_request *request = given_request("GET", "/");
    const char *format = "%(h)s|%({REMOTE_PORT}e)s|%({SERVER_NAME}e)s|%({SERVER_PORT}e)s";

    (void)state;
    request->endpoints = &endpoints;
    assert_string_equal(line_of(format, request), "|-|/run/shop.sock|");
    given_header(request, "Host", "shop.example");
    assert_string_equal(line_of(format, request), "|-|shop.example|80");
    request->is_https = true;
    assert_string_equal(line_of(format, request), "|-|shop.example|443");
    request->headers[0].value = LC_SLICE("shop.example:81");
    assert_string_equal(line_of(format, request), "|-|shop.example|81");
    request->headers[0].value = LC_SLICE("[::1]:81");
    assert_string_equal(line_of(format, request), "|-|[::1]|81");
    request->headers[0].value = LC_SLICE("[::1]");
    assert_string_equal(line_of(format, request), "|-|[::1]|443");
    request->headers[0].value = LC_SLICE("");
    assert_string_equal(line_of(format, request), "|-||443");
}

static const char *user_of(const char *authorization)
{
    struct lc_request *request = given_request("GET", "/");

    given_header(request, "Authorization", authorization);
    return line_of("%(u)s", request);
}

static void the_user_comes_from_basic_credentials_only(void **state)
{
    (void)state;
    assert_string_equal(user_of("Basic YW5uOnNlY3JldA=="), "ann");
    assert_string_equal(user_of("bAsIc  YW5uOnNlY3JldA=="), "ann");
    assert_string_equal(user_of("Basic YW5uOg=="), "ann");     /* ann: */
    assert_string_equal(user_of("Basic OnNlY3JldA=="), "-");   /* :secret */
    assert_string_equal(user_of("Basic YW5u"), "-");           /* ann */
    assert_string_equal(user_of("Basic YW5uOnNlY3JldA"), "-"); /* not padded */
    assert_string_equal(user_of("Basic !!!!"), "-");
    assert_string_equal(user_of("Basic "), "-");
    assert_string_equal(user_of("Basic"), "-");
    assert_string_equal(user_of("Bearer YW5uOnNlY3JldA=="), "-");
    assert_string_equal(user_of("BasicYW5uOnNlY3JldA=="), "-");
    assert_string_equal(user_of(""), "-");
    /* a"\nb\0:x */
    assert_string_equal(user_of("Basic YSIKYgA6eA=="), "a\\\"\\x0ab\\x00");
}

static void text_from_outside_cannot_leave_its_quotes_or_its_line(void **state)
{
    struct lc_request *request = given_request("GET", "/%0a%22?\"\x7f");

    (void)state;
    given_header(request, "User-Agent", "a\tb\x1b[31mc\x01");
    given_header(request, "Referer", "\"\n\"\"\"\"\"\"\"\r\x1f \x80\xc3\xbc\xff");
    assert_string_equal(line_of("\"%(r)s\"", request),
                        "\"GET /%0a%22?\\\"\\x7f HTTP/1.1\"");
    assert_string_equal(line_of("%(U)s", request), "/\\x0a\\\"");
    assert_string_equal(line_of("%(a)s", request), "a\\x09b\\x1b[31mc\\x01");
    assert_string_equal(
        line_of("%(f)s", request),
        "\\\"\\x0a\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\x0d\\x1f \x80\xc3\xbc\xff");
    assert_string_equal(line_of("%(a)30s", request), "           a\\x09b\\x1b[31mc\\x01");
}

static void every_byte_is_escaped_wherever_it_stands(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        for (size_t at = 0; at < 19; at++) {
            char text[20], expected[32];
            struct lc_request *request = given_request("GET", "/");

            memset(text, 'x', sizeof(text));
            text[at] = (char)c;
            request->query = (struct lc_slice){text, 19};
            size_t n = (size_t)snprintf(expected, sizeof(expected), "%.*s", (int)at,
                                        text);
            if (c == '"')
                n += (size_t)snprintf(expected + n, sizeof(expected) - n, "\\\"");
            else if (c < 0x20 || c == 0x7f)
                n += (size_t)snprintf(expected + n, sizeof(expected) - n, "\\x%02x", c);
            else
                expected[n++] = (char)c;
            snprintf(expected + n, sizeof(expected) - n, "%.*s", (int)(18 - at),
                     text + at + 1);
            assert_string_equal(line_of("%(q)s", request), expected);
        }
    }
}

static void a_precision_never_cuts_an_escape(void **state)
{
    struct lc_request *request = given_request("GET", "/?a\"b\nc");

    (void)state;
    assert_string_equal(line_of("%(q).1s", request), "a");
    assert_string_equal(line_of("%(q).2s", request), "a");
    assert_string_equal(line_of("%(q).3s", request), "a\\\"");
    assert_string_equal(line_of("%(q).7s", request), "a\\\"b");
    assert_string_equal(line_of("%(q).8s", request), "a\\\"b\\x0a");
    assert_string_equal(line_of("%(q)10.7s", request), "      a\\\"b");
}

static void times_are_local_and_english(void **state)
{
    char earlier[64], later[64];
    struct lc_request *request = given_request("GET", "/");

    (void)state;
    setenv("TZ", "XXX+03:30", 1); /* west of Greenwich */
    tzset();
    time_t now = time(NULL);
    strftime(earlier, sizeof(earlier), "[%d/%b/%Y:%H:%M:%S -0330]", localtime(&now));
    const char *line = line_of("%(t)s", request);
    now = time(NULL);
    strftime(later, sizeof(later), "[%d/%b/%Y:%H:%M:%S -0330]", localtime(&now));
    if (strcmp(line, earlier) != 0)
        assert_string_equal(line, later);
}

static void the_pid_is_the_process_that_made_the_format(void **state)
{
    char expected[32];

    (void)state;
    snprintf(expected, sizeof(expected), "<%d>", (int)getpid());
    assert_string_equal(line_of("%(p)s", given_request("GET", "/")), expected);
}

static void the_application_may_have_a_place_of_its_own(void **state)
{
    const char *format = "%({SCRIPT_NAME}e)s|%(U)s|%(r)s";

    (void)state;
    setenv("SCRIPT_NAME", "/shop", 1);
    assert_string_equal(line_of(format, given_request("GET", "/shop/cart")),
                        "/shop|/cart|GET /shop/cart HTTP/1.1");
    unsetenv("SCRIPT_NAME");

    struct lc_request *request = given_request("GET", "/shop/cart");
    given_header(request, "SCRIPT_NAME", "/shop");
    assert_string_equal(line_of(format, request), "/shop|/cart|GET /shop/cart HTTP/1.1");
}

static void other_versions_of_http_are_shown(void **state)
{
    struct lc_request *request = given_request("GET", "/");

    (void)state;
    request->version = 10;
    assert_string_equal(line_of("%(H)s %(r)s", request), "HTTP/1.0 GET / HTTP/1.0");
}

static void a_clock_that_goes_backwards_is_no_long_time(void **state)
{
    struct lc_request *request = given_request("GET", "/");

    (void)state;
    request->started_us = NOW_US + 1;
    assert_string_equal(line_of("%(D)s %(L)s", request), "0 0.000000");
}

static void a_line_is_cut_to_the_room_there_is(void **state)
{
    struct lc_request *request = given_request("GET", "/?abcdefgh\"ijk");
    struct lc_format *format = lc_format_create("<%(q)s>", NULL);
    char line[8] = "#######";

    (void)state;
    assert_true(lc_format_prepare(format, request, NOW_US) > 5);
    assert_int_equal(lc_format_write(format, line, 5), 5);
    assert_string_equal(line, "<abcd##");
    assert_int_equal(lc_format_write(format, line, 0), 0);
    lc_format_destroy(format);
}

static void a_format_is_used_again_and_again(void **state)
{
    struct lc_format *format = lc_format_create("%(m)s %(U)-9s|", NULL);
    static const char *const paths[] = {"/a", "/much%20longer%20than%20that", "/b"};
    static const char *const lines[] = {"GET /a       |", "GET /much longer than that|",
                                        "GET /b       |"};

    (void)state;
    for (int i = 0; i < 3000; i++) {
        char line[512];
        struct lc_request *request = given_request("GET", paths[i % 3]);
        size_t room = lc_format_prepare(format, request, NOW_US);

        assert_true(room < sizeof(line));
        line[lc_format_write(format, line, room)] = '\0';
        assert_string_equal(line, lines[i % 3]);
    }
    lc_format_destroy(format);
}

static void what_python_would_refuse_is_refused_with_its_offset(void **state)
{
    static const struct {
        const char *format, *text;
    } table[] = {
        {"%",
         "offset 0: after % comes a name in parentheses, as in %(h)s; a percent sign is "
         "written %%"},
        {"abc %s",
         "offset 4: after % comes a name in parentheses, as in %(h)s; a percent "
         "sign is written %%"},
        {"%5%",
         "offset 0: after % comes a name in parentheses, as in %(h)s; a percent sign "
         "is written %%"},
        {"%%%",
         "offset 2: after % comes a name in parentheses, as in %(h)s; a percent sign "
         "is written %%"},
        {"% (h)s",
         "offset 0: after % comes a name in parentheses, as in %(h)s; a percent "
         "sign is written %%"},
        {"%(h)s %(", "offset 6: the name has no closing parenthesis"},
        {"%(a(b)s", "offset 0: the name has no closing parenthesis"},
        {"%(h)", "offset 4: the format ends within a conversion"},
        {"%(h)5", "offset 5: the format ends within a conversion"},
        {"%(h)-", "offset 5: the format ends within a conversion"},
        {"%(h).", "offset 5: the format ends within a conversion"},
        {"%(h)l", "offset 5: the format ends within a conversion"},
        {"%(h)y", "offset 4: there is no conversion 'y' (0x79): use s, or d for numbers"},
        {"%(h)%", "offset 4: there is no conversion '%' (0x25): use s, or d for numbers"},
        {"%(h)lls",
         "offset 5: there is no conversion 'l' (0x6c): use s, or d for numbers"},
        {"%(h)\n",
         "offset 4: there is no conversion '?' (0x0a): use s, or d for numbers"},
        {"%(h)\xc3\xbc",
         "offset 4: there is no conversion '?' (0xc3): use s, or d for numbers"},
        {"%(D)c", "offset 4: there is no conversion 'c' (0x63): use s, or d for numbers"},
        {"%(h)d", "offset 4: 'd' is for numbers, but h is text: use %(h)s"},
        {"%(s)d", "offset 4: 'd' is for numbers, but s is text: use %(s)s"},
        {"%(nothing)5.2f", "offset 13: 'f' is for numbers, but nothing is text: use "
                           "%(nothing)s"},
        {"%(D)*d", "offset 4: '*' is not possible here: write a number"},
        {"%(D).*d", "offset 5: '*' is not possible here: write a number"},
        {"%(D)5000d", "offset 4: at most 4096 is possible here"},
        {"%(D).99999999999999999999d", "offset 5: at most 4096 is possible here"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct lc_error err = {.code = LC_E_NONE};

        assert_null(lc_format_create(table[i].format, &err));
        assert_int_equal(err.code, LC_E_CONFIG);
        assert_string_equal(err.text, table[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_atom_has_its_value),
        cmocka_unit_test(widths_and_precisions_are_pythons),
        cmocka_unit_test(what_was_not_sent_is_a_dash),
        cmocka_unit_test(a_client_behind_a_proxy_is_shown_as_announced),
        cmocka_unit_test(a_unix_socket_has_no_address),
        cmocka_unit_test(the_user_comes_from_basic_credentials_only),
        cmocka_unit_test(text_from_outside_cannot_leave_its_quotes_or_its_line),
        cmocka_unit_test(every_byte_is_escaped_wherever_it_stands),
        cmocka_unit_test(a_precision_never_cuts_an_escape),
        cmocka_unit_test(times_are_local_and_english),
        cmocka_unit_test(the_pid_is_the_process_that_made_the_format),
        cmocka_unit_test(the_application_may_have_a_place_of_its_own),
        cmocka_unit_test(other_versions_of_http_are_shown),
        cmocka_unit_test(a_clock_that_goes_backwards_is_no_long_time),
        cmocka_unit_test(a_line_is_cut_to_the_room_there_is),
        cmocka_unit_test(a_format_is_used_again_and_again),
        cmocka_unit_test(what_python_would_refuse_is_refused_with_its_offset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
