/* What a request may look like. Every table row is fed whole and byte by byte: the result must
 * not depend on where the bytes were cut. */
#include "worker/http1.h"

#include "app/request.h"
#include "base/arena.h"
#include "base/mem.h"
#include "given_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

struct outcome {
    enum lc_http1_result result;
    struct lc_fault fault;
    char text[8192]; /* method, target, path, query, version, fields, flags */
    char body[8192];
    size_t body_len, left;
};

static struct lc_rules usual;

static bool collect(void *owner, struct lc_slice piece, struct lc_fault *fault)
{
    struct outcome *o = owner;

    (void)fault;
    assert_true(o->body_len + piece.len < sizeof(o->body));
    memcpy(o->body + o->body_len, piece.at, piece.len);
    o->body_len += piece.len;
    return true;
}

static void describe(struct outcome *o, const struct lc_request *r)
{
    int n = snprintf(o->text, sizeof(o->text), "%.*s %.*s path=%.*s query=%.*s %d",
                     LC_ARG(r->method), LC_ARG(r->target), LC_ARG(r->path),
                     LC_ARG(r->query), r->version);

    for (size_t i = 0; i < r->header_count; i++)
        n += snprintf(o->text + n, sizeof(o->text) - (size_t)n, " [%.*s=%.*s]",
                      LC_ARG(r->headers[i].name), LC_ARG(r->headers[i].value));
    snprintf(o->text + n, sizeof(o->text) - (size_t)n, "%s%s%s%s",
             r->wants_close ? " close" : "", r->is_chunked_body ? " chunked" : "",
             r->expects_100 ? " 100" : "", r->is_https ? " https" : "");
}

/* Feeds `bytes` so that at most `step` new ones come at a time. */
static struct outcome feed(struct lc_slice bytes, size_t step,
                           const struct lc_rules *rules, bool is_trusted)
{
    static _Alignas(16) char block[4096];
    struct lc_request request = {0};
    struct lc_http1 http1;
    struct outcome o = {.result = LC_HTTP1_MORE};
    size_t have = 0, start = 0, used;
    char *copy = NULL;

    lc_arena_init(&request.arena, block, sizeof(block));
    request.headers = request.first_headers;
    request.header_room = LC_HEAD_COUNT;
    lc_http1_begin(&http1, &request, rules, is_trusted, &o.fault);
    http1.on_body = collect;
    http1.owner = &o;
    while (o.result == LC_HTTP1_MORE && have < bytes.len) {
        have = have + step < bytes.len ? have + step : bytes.len;
        free(copy); /* a new place each time: slices must follow */
        copy = lc_strndup(bytes.at, have);
        o.result = lc_http1_head(&http1, (struct lc_slice){copy, have}, &used);
        start = used;
    }
    if (o.result == LC_HTTP1_HEAD || o.result == LC_HTTP1_DONE)
        describe(&o, &request);
    while (o.result == LC_HTTP1_HEAD || o.result == LC_HTTP1_MORE) {
        if (start == bytes.len)
            break;
        size_t n = bytes.len - start < step ? bytes.len - start : step;
        o.result = lc_http1_body(&http1, (struct lc_slice){bytes.at + start, n}, &used);
        start += used;
    }
    o.left = bytes.len - start;
    lc_arena_deinit(&request.arena);
    free(copy);
    return o;
}

/* The one message that tells how much of a line had come. */
static bool counts_bytes(const struct lc_fault *fault)
{
    return strncmp(fault->text, "Request Line is too large", 25) == 0;
}

static struct outcome parse_with(const char *text, size_t len,
                                 const struct lc_rules *rules, bool is_trusted)
{
    struct lc_slice bytes = {text, len};
    struct outcome whole = feed(bytes, len, rules, is_trusted);

    for (size_t step = 1; step < len && step < 4; step++) {
        struct outcome cut = feed(bytes, step, rules, is_trusted);

        assert_int_equal(cut.result, whole.result);
        if (!counts_bytes(&whole.fault) || !counts_bytes(&cut.fault))
            assert_string_equal(cut.fault.text, whole.fault.text);
        assert_string_equal(cut.text, whole.text);
        assert_int_equal(cut.body_len, whole.body_len);
        assert_memory_equal(cut.body, whole.body, whole.body_len);
    }
    return whole;
}

static struct outcome parse(const char *text)
{
    return parse_with(text, strlen(text), &usual, true);
}

static void under_is_understood_as(const struct lc_rules *rules, const char *text,
                                   const char *expected)
{
    struct outcome o = parse_with(text, strlen(text), rules, true);

    if (o.result != LC_HTTP1_DONE)
        print_message("%s\n%s\n", text, o.fault.text);
    assert_int_equal(o.result, LC_HTTP1_DONE);
    assert_string_equal(o.text, expected);
}

static void is_understood_as(const char *text, const char *expected)
{
    under_is_understood_as(&usual, text, expected);
}

static void under_is_refused(const struct lc_rules *rules, const char *text, int status,
                             const char *message)
{
    struct outcome o = parse_with(text, strlen(text), rules, true);

    if (o.result != LC_HTTP1_FAIL)
        print_message("%s\nwas taken as %s\n", text, o.text);
    assert_int_equal(o.result, LC_HTTP1_FAIL);
    assert_string_equal(o.fault.text, message);
    assert_int_equal(o.fault.status, status);
}

static void is_refused(const char *text, int status, const char *message)
{
    under_is_refused(&usual, text, status, message);
}

/* --- the request line ------------------------------------------------------------------- */

static void the_request_line_has_three_parts(void **state)
{
    is_understood_as("GET /a%20b?x=1#f HTTP/1.1\r\n\r\n",
                     "GET /a%20b?x=1#f path=/a b query=x=1 11");
    is_understood_as("GET / HTTP/1.0\r\n\r\n", "GET / path=/ query= 10 close");
    is_understood_as("FROB / HTTP/1.2\r\n\r\n", "FROB / path=/ query= 12");
    is_understood_as("OPTIONS * HTTP/1.1\r\n\r\n", "OPTIONS * path=* query= 11");
    is_understood_as("GET http://a/b?c HTTP/1.1\r\n\r\n",
                     "GET http://a/b?c path=/b query=c 11");
    is_understood_as("GET //a/b HTTP/1.1\r\n\r\n", "GET //a/b path=//a/b query= 11");

    is_refused("GET /\r\n\r\n", 400, "Invalid HTTP request line: 'GET /'");
    is_refused("\r\nGET / HTTP/1.1\r\n\r\n", 400, "Invalid HTTP request line: ''");
    is_refused("GET  / HTTP/1.1\r\n\r\n", 400,
               "Invalid HTTP request line: 'GET  / HTTP/1.1'");
    is_refused("GET a HTTP/1.1\r\n\r\n", 400,
               "Invalid HTTP request line: 'GET a HTTP/1.1'");
    is_refused("GET * HTTP/1.1\r\n\r\n", 400,
               "Invalid HTTP request line: 'GET * HTTP/1.1'");
    is_refused("GET /\x01 HTTP/1.1\r\n\r\n", 400,
               "Invalid HTTP request line: 'GET /\\x01 HTTP/1.1'");
    is_refused(" GET / HTTP/1.1\r\n\r\n", 400, "Invalid HTTP method: ''");
}

static void methods_are_conventional_tokens(void **state)
{
    is_refused("get / HTTP/1.1\r\n\r\n", 400, "Invalid HTTP method: 'get'");
    is_refused("GE / HTTP/1.1\r\n\r\n", 400, "Invalid HTTP method: 'GE'");
    is_refused("G#T / HTTP/1.1\r\n\r\n", 400, "Invalid HTTP method: 'G#T'");
    is_refused("G(T / HTTP/1.1\r\n\r\n", 400, "Invalid HTTP method: 'G(T'");
}

static void unconventional_methods_may_be_permitted(void **state)
{
    struct lc_rules rules = usual;

    rules.permits_any_method = true;
    under_is_understood_as(&rules, "get / HTTP/1.1\r\n\r\n", "get / path=/ query= 11");
    under_is_understood_as(&rules, "G / HTTP/1.1\r\n\r\n", "G / path=/ query= 11");
    under_is_understood_as(&rules, "ABCDEFGHIJKLMNOPQRSTUVWXYZ#1 / HTTP/1.1\r\n\r\n",
                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ#1 / path=/ query= 11");
    under_is_refused(&rules, "G(T / HTTP/1.1\r\n\r\n", 400, "Invalid HTTP method: 'G(T'");
    under_is_refused(&rules, " / HTTP/1.1\r\n\r\n", 400, "Invalid HTTP method: ''");

    rules.casefolds_method = true;
    under_is_understood_as(&rules, "get / HTTP/1.1\r\n\r\n", "GET / path=/ query= 11");
    under_is_understood_as(&rules, "options * HTTP/1.1\r\nA: b\r\n\r\n",
                           "OPTIONS * path=* query= 11 [A=b]");

    rules.permits_any_method = false; /* folding alone lets nobody in */
    under_is_refused(&rules, "get / HTTP/1.1\r\n\r\n", 400, "Invalid HTTP method: 'get'");
    under_is_understood_as(&rules, "GET / HTTP/1.1\r\n\r\n", "GET / path=/ query= 11");
}

static void a_target_is_a_path_or_absolute(void **state)
{
    is_understood_as("GET http://a HTTP/1.1\r\n\r\n", "GET http://a path= query= 11");
    is_understood_as("GET http://a?b HTTP/1.1\r\n\r\n",
                     "GET http://a?b path= query=b 11");
    is_understood_as("GET http://u@[::1]:80/x#y?z HTTP/1.1\r\n\r\n",
                     "GET http://u@[::1]:80/x#y?z path=/x query= 11");
    is_understood_as("GET /a[b HTTP/1.1\r\n\r\n", "GET /a[b path=/a[b query= 11");
    is_understood_as("GET /http://a/b HTTP/1.1\r\n\r\n",
                     "GET /http://a/b path=/http://a/b query= 11");
    is_understood_as("CONNECT a.com:80 HTTP/1.1\r\n\r\n",
                     "CONNECT a.com:80 path=80 query= 11");
    is_understood_as("CONNECT 192.0.2.1:80 HTTP/1.1\r\n\r\n",
                     "CONNECT 192.0.2.1:80 path=192.0.2.1:80 query= 11");
    is_understood_as("GET /\xff HTTP/1.1\r\n\r\n", "GET /\xff path=/\xc3\xbf query= 11");

    static const char *const wrong[] = {
        "GET http://[::1/ HTTP/1.1",
        "GET http://::1]/ HTTP/1.1",
        "GET http://[::1]x/ HTTP/1.1",
        "GET http://x[::1]/ HTTP/1.1",
        "GET http://[1.2.3.4]/ HTTP/1.1",
        "GET http://[v.x]/ HTTP/1.1",
        "GET http://[]/ HTTP/1.1",
        "CONNECT * HTTP/1.1",
        "GET a.com:80 HTTP/1.1",
        "GET ?a HTTP/1.1",
        "GET #a HTTP/1.1",
        "GET  HTTP/1.1",
        "OPTIONS ** HTTP/1.1",
    };
    for (size_t i = 0; i < LC_COUNT(wrong); i++) {
        LC_AUTOFREE char *text = lc_printf("%s\r\n\r\n", wrong[i]);
        LC_AUTOFREE char *message = lc_printf("Invalid HTTP request line: '%s'",
                                              wrong[i]);

        is_refused(text, 400, message);
    }
}

static void a_target_holds_no_control_bytes(void **state)
{
    for (int c = 1; c <= 0x20; c++) {
        LC_AUTOFREE char *text = lc_printf("GET /a%cb HTTP/1.1\r\n\r\n", c);

        assert_int_equal(parse(text).result, LC_HTTP1_FAIL);
    }
    is_refused("GET /\x7f HTTP/1.1\r\n\r\n", 400,
               "Invalid HTTP request line: 'GET /\\x7f HTTP/1.1'");
    is_refused("GET /\t HTTP/1.1\r\n\r\n", 400,
               "Invalid HTTP request line: 'GET /\\t HTTP/1.1'");
}

static void other_versions_may_be_permitted(void **state)
{
    struct lc_rules rules = usual;

    rules.permits_any_version = true;
    under_is_understood_as(&rules, "GET / HTTP/2.0\r\n\r\n", "GET / path=/ query= 20");
    under_is_understood_as(&rules, "GET / HTTP/0.9\r\n\r\n",
                           "GET / path=/ query= 9 close");
    under_is_refused(&rules, "GET / HTTP/2\r\n\r\n", 400,
                     "Invalid HTTP Version: 'HTTP/2'");
    under_is_refused(&rules, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400,
                     "Invalid HTTP request line: 'PRI * HTTP/2.0'");
}

static void only_version_1_is_spoken(void **state)
{
    is_refused("GET / HTTP/2.0\r\n\r\n", 400, "Invalid HTTP Version: (2, 0)");
    is_refused("GET / HTTP/0.9\r\n\r\n", 400, "Invalid HTTP Version: (0, 9)");
    is_refused("GET / http/1.1\r\n\r\n", 400, "Invalid HTTP Version: 'http/1.1'");
    is_refused("GET / HTTP/1.1 \r\n\r\n", 400, "Invalid HTTP Version: 'HTTP/1.1 '");
    is_refused("GET / HTTP/1.10\r\n\r\n", 400, "Invalid HTTP Version: 'HTTP/1.10'");
    is_refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400,
               "Invalid HTTP request line: 'PRI * HTTP/2.0'");
}

static void a_long_request_line_is_refused_at_the_limit(void **state)
{
    struct lc_rules small = usual;
    const char *fits = "GET /12345 HTTP/1.1\r\n\r\n";
    const char *exact = "GET /123456 HTTP/1.1\r\n\r\n";
    const char *over = "GET /1234567 HTTP/1.1\r\n\r\n";

    small.line = 20;
    assert_int_equal(parse_with(fits, strlen(fits), &small, true).result, LC_HTTP1_DONE);
    assert_int_equal(parse_with(exact, strlen(exact), &small, true).result,
                     LC_HTTP1_DONE);
    under_is_refused(&small, over, 400, "Request Line is too large (21 > 20)");

    /* Without its end in sight, too: nothing is gathered beyond the limit. */
    struct outcome o = feed(LC_SLICE("GET /123456789012345678901234567890"), 1, &small,
                            true);
    assert_int_equal(o.result, LC_HTTP1_FAIL);
}

/* parse_with() sees to it that no cut makes a difference. */
static void whether_a_line_is_too_long_does_not_depend_on_cuts(void **state)
{
    static const char *const ends[] = {"\r\n",    "\n",     "\r",
                                       "\rx\r\n", "\r\r\n", "\nx\r\n"};
    struct lc_rules small = usual;

    small.line = 20;
    for (size_t len = 18; len < 30; len++)
        for (size_t end = 0; end < LC_COUNT(ends); end++) {
            char text[100];

            sprintf(text, "GET /%.*s HTTP/1.1%s\r\n", (int)len - 14,
                    "123456789012345678901234567890", ends[end]);
            struct outcome o = parse_with(text, strlen(text), &small, true);
            assert_true(len <= 20 || o.result == LC_HTTP1_FAIL);
        }
}

static void limits_hold_to_the_byte(void **state)
{
    enum { LINE = 4094, FIELD = 8188 };
    LC_AUTOFREE char *text = lc_malloc(20000);
    const char *const ends[] = {"", "x"};

    for (size_t i = 0; i < LC_COUNT(ends); i++) {
        char filler[LINE];

        memset(filler, 'x', sizeof(filler));
        sprintf(text, "GET /%.*s%s HTTP/1.1\r\n\r\n",
                LINE - (int)strlen("GET / HTTP/1.1"), filler, ends[i]);
        struct outcome o = feed(lc_slice(text), strlen(text), &usual, true);
        assert_int_equal(o.result, i == 0 ? LC_HTTP1_DONE : LC_HTTP1_FAIL);
        assert_string_equal(o.fault.text,
                            i == 0 ? "" : "Request Line is too large (4095 > 4094)");
        assert_int_equal(o.fault.status, i == 0 ? 0 : 400);
    }
    for (size_t i = 0; i < LC_COUNT(ends); i++) {
        LC_AUTOFREE char *filler = lc_malloc(FIELD);

        memset(filler, 'x', FIELD);
        sprintf(text, "GET / HTTP/1.1\r\nA: %.*s%s\r\n\r\n", FIELD - 3, filler, ends[i]);
        struct outcome o = feed(lc_slice(text), strlen(text), &usual, true);
        assert_int_equal(o.result, i == 0 ? LC_HTTP1_DONE : LC_HTTP1_FAIL);
        assert_string_equal(o.fault.text,
                            i == 0 ? "" : "limit request headers fields size");
    }
}

static void dropped_fields_count_as_bytes_only(void **state)
{
    struct lc_rules small = usual;
    const char *fits = "GET / HTTP/1.1\r\nA_: 1\r\nB_: 2\r\nC: 3\r\n\r\n";
    const char *over = "GET / HTTP/1.1\r\nA_: 1\r\nB_: 2\r\nC_: 3\r\nD: 4\r\n\r\n";

    small.fields = 1;
    small.head = strlen("A_: 1\r\nB_: 2\r\nC: 3\r\n");
    under_is_understood_as(&small, fits, "GET / path=/ query= 11 [C=3]");
    under_is_refused(&small, over, 431, "max buffer headers");
}

/* --- fields -------------------------------------------------------------------------------- */

static void fields_keep_their_order_and_lose_their_blanks(void **state)
{
    is_understood_as("GET / HTTP/1.1\r\nHost: a\r\nX-A:  b c \t\r\nX-Empty:\r\n\r\n",
                     "GET / path=/ query= 11 [Host=a] [X-A=b c] [X-Empty=]");
}

static void field_names_are_tokens(void **state)
{
    is_refused("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400,
               "Invalid HTTP header name: 'Host '");
    is_refused("GET / HTTP/1.1\r\n: a\r\n\r\n", 400, "Invalid HTTP Header: ': a'");
    is_refused("GET / HTTP/1.1\r\nnothing\r\n\r\n", 400,
               "Invalid HTTP Header: 'nothing'");
    is_refused("GET / HTTP/1.1\r\nX(: a\r\n\r\n", 400, "Invalid HTTP header name: 'X('");
    is_refused("GET / HTTP/1.1\r\n X: a\r\n\r\n", 400, "Invalid HTTP header name: ' X'");
    is_refused("GET / HTTP/1.1\r\nXy: a\r\n b\r\n\r\n", 400,
               "Obsolete line folding is unacceptable: 'XY'");
}

static void folded_fields_may_be_permitted(void **state)
{
    struct lc_rules rules = usual;

    rules.permits_folding = true;
    under_is_understood_as(&rules,
                           "GET / HTTP/1.1\r\nA: b \r\n\t c  d\r\n  e\r\nF: g\r\n\r\n",
                           "GET / path=/ query= 11 [A=b c  d e] [F=g]");
    under_is_understood_as(&rules, "GET / HTTP/1.1\r\nA:\r\n b\r\n\r\n",
                           "GET / path=/ query= 11 [A=b]");
    under_is_understood_as(&rules, "GET / HTTP/1.1\r\nA: b\r\n \r\n\r\n",
                           "GET / path=/ query= 11 [A=b]");
    under_is_understood_as(&rules, "GET / HTTP/1.1\r\nA: b\r\n C: d\r\n\r\n",
                           "GET / path=/ query= 11 [A=b C: d]");

    under_is_refused(&rules, "GET / HTTP/1.1\r\n A: b\r\n\r\n", 400,
                     "Invalid HTTP header name: ' A'");
    under_is_refused(&rules, "GET / HTTP/1.1\r\nA: b\r\n \x01\r\n\r\n", 400,
                     "Invalid HTTP Header: 'A'");
    under_is_refused(&rules, "GET / HTTP/1.1\r\nA\r\n : b\r\n\r\n", 400,
                     "Invalid HTTP Header: 'A'");
    under_is_refused(&rules, "GET / HTTP/1.1\r\nA : b\r\n c\r\n\r\n", 400,
                     "Invalid HTTP header name: 'A '");
}

static void where_a_body_ends_is_never_read_from_folded_fields(void **state)
{
    struct lc_rules rules = usual;

    rules.permits_folding = rules.strips_name_spaces = true;
    under_is_refused(&rules, "POST / HTTP/1.1\r\nContent-Length:\r\n 5\r\n\r\nhello", 400,
                     "Obsolete line folding is unacceptable: 'CONTENT-LENGTH'");
    under_is_refused(&rules,
                     "POST / HTTP/1.1\r\ntransfer-encoding : gzip,\r\n chunked\r\n\r\n",
                     400, "Obsolete line folding is unacceptable: 'TRANSFER-ENCODING'");
}

static void the_lines_of_a_field_count_together(void **state)
{
    struct lc_rules rules = usual;

    rules.permits_folding = true;
    rules.field_size = 16;
    under_is_understood_as(&rules, "GET / HTTP/1.1\r\nA: 34567\r\n 123\r\n\r\n",
                           "GET / path=/ query= 11 [A=34567 123]");
    under_is_refused(&rules, "GET / HTTP/1.1\r\nA: 34567\r\n 1234\r\n\r\n", 431,
                     "limit request headers fields size");
}

static void blanks_before_the_colon_may_be_overlooked(void **state)
{
    struct lc_rules rules = usual;

    rules.strips_name_spaces = true;
    under_is_understood_as(&rules, "GET / HTTP/1.1\r\nHost \t: a\r\nB: c\r\n\r\n",
                           "GET / path=/ query= 11 [Host=a] [B=c]");
    under_is_refused(&rules, "GET / HTTP/1.1\r\nHost : a\r\nHost: a\r\n\r\n", 400,
                     "Invalid HTTP Header: 'HOST'");
    under_is_refused(&rules, "GET / HTTP/1.1\r\nA B : c\r\n\r\n", 400,
                     "Invalid HTTP header name: 'A B'");
    under_is_refused(&rules, "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400,
                     "Obsolete line folding is unacceptable: 'A'");
}

/* RFC 9110, 5.5: blanks and tabs on either side are no part of a value. */
static void blanks_around_a_value_are_no_part_of_it(void **state)
{
    static const char *const blanks[] = {"", " ", "\t", " \t", "\t ", "\t\t \t"};
    static const struct {
        const char *value, *expected;
    } cases[] = {
        {"Content-Length:%s0%s", "[Content-Length=0]"},
        {"Connection:%sclose%s", "[Connection=close] close"},
        {"Connection:%sTE\t, close%s", "[Connection=TE\t, close] close"},
        {"Expect:%s100-continue%s", "[Expect=100-continue] 100"},
        {"X-Forwarded-Proto:%shttps%s", "[X-Forwarded-Proto=https] https"},
        {"Host:%sh%s", "[Host=h]"},
        {"Content-Type:%stext/plain%s", "[Content-Type=text/plain]"},
        {"X:%sa \t b%s", "[X=a \t b]"},
        {"X:%s%s", "[X=]"},
    };

    for (size_t i = 0; i < LC_COUNT(cases); i++)
        for (size_t before = 0; before < LC_COUNT(blanks); before++)
            for (size_t behind = 0; behind < LC_COUNT(blanks); behind++) {
                char field[100], text[200], expected[200];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                sprintf(field, cases[i].value, blanks[before], blanks[behind]);
#pragma GCC diagnostic pop
                sprintf(text, "POST / HTTP/1.1\r\n%s\r\nLast: x\t\r\n\r\n", field);
                sprintf(expected, "POST / path=/ query= 11 %s", cases[i].expected);
                struct outcome o = parse(text);
                assert_int_equal(o.result, LC_HTTP1_DONE);
                char *last = strstr(o.text, " [Last=x]");
                assert_non_null(last);
                memmove(last, last + 9, strlen(last + 9) + 1);
                assert_string_equal(o.text, expected);
            }
}

static void blanks_around_a_coding_are_no_part_of_it(void **state)
{
    static const char *const blanks[] = {"", " ", "\t", " \t", "\t ", "\t\t \t"};
    static const char *const codings[] = {"%s%schunked%s", "%sgzip%s,%schunked",
                                          "gzip%s,%s chunked%s"};

    for (size_t i = 0; i < LC_COUNT(codings); i++)
        for (size_t n = 0; n < 6 * 6 * 6; n++) {
            char value[100], text[200];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            sprintf(value, codings[i], blanks[n % 6], blanks[n / 6 % 6], blanks[n / 36]);
#pragma GCC diagnostic pop
            sprintf(text,
                    "POST / HTTP/1.1\r\nTransfer-Encoding:%s\r\n\r\n"
                    "5\r\nhello\r\n0\r\n\r\nGET",
                    value);
            struct outcome o = parse(text);
            assert_int_equal(o.result, LC_HTTP1_DONE);
            assert_int_equal(o.body_len, 5);
            assert_int_equal(o.left, 3);
        }
    is_refused("POST / HTTP/1.1\r\nTransfer-Encoding: chunked,\t\r\n\r\n", 501,
               "Unsupported transfer coding: ''");
    is_refused(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\t\r\nContent-Length: 5\t\r\n\r\n",
        400, "Invalid HTTP Header: 'CONTENT-LENGTH'");
    is_refused("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\v\r\n\r\n", 400,
               "Invalid HTTP Header: 'TRANSFER-ENCODING'");
    is_refused("POST / HTTP/1.1\r\nContent-Length: 5\t5\r\n\r\n", 400,
               "Invalid HTTP Header: 'CONTENT-LENGTH'");
    is_refused("POST / HTTP/1.1\r\nContent-Length: \t\r\n\r\n", 400,
               "Invalid HTTP Header: 'CONTENT-LENGTH'");
}

static void field_values_hold_no_control_bytes(void **state)
{
    is_refused("GET / HTTP/1.1\r\nX: a\x01\r\n\r\n", 400, "Invalid HTTP Header: 'X'");
    is_refused("GET / HTTP/1.1\r\nX: a\x7f"
               "b\r\n\r\n",
               400, "Invalid HTTP Header: 'X'");
    is_refused("GET / HTTP/1.1\r\nX: a\rb\r\n\r\n", 400, "Invalid HTTP Header: 'X'");
    static const char nul[] = "GET / HTTP/1.1\r\nX: a\0b\r\n\r\n";
    assert_int_equal(parse_with(nul, sizeof(nul) - 1, &usual, true).result,
                     LC_HTTP1_FAIL);
    is_understood_as("GET / HTTP/1.1\r\nX: \xe4\t\xff\r\n\r\n",
                     "GET / path=/ query= 11 [X=\xe4\t\xff]");
}

static void lines_end_in_cr_lf_only(void **state)
{
    is_refused("GET / HTTP/1.1\nHost: a\n\n", 400, "Invalid HTTP Version: 'HTTP/1.1\\n'");
    is_refused("GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400,
               "Invalid HTTP Header: 'Host: a'");
    is_refused("GET / HTTP/1.1\r\nHost: a\r\n\n", 400, "Invalid HTTP Header: ''");
    is_refused("GET / HTTP/1.1\r\nHost: a\r\n\rX\r\n\r\n", 400,
               "Invalid HTTP Header: '\\rX'");
}

static void too_many_or_too_large_fields_are_431(void **state)
{
    struct lc_rules small = usual;
    static const char *const refused[][2] = {
        {"GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n",
         "limit request headers fields"},
        {"GET / HTTP/1.1\r\nA: 345678\r\n\r\n", "limit request headers fields size"},
    };

    small.fields = 2;
    small.field_size = 10;
    for (size_t i = 0; i < LC_COUNT(refused); i++) {
        struct outcome o = parse_with(refused[i][0], strlen(refused[i][0]), &small, true);

        assert_int_equal(o.result, LC_HTTP1_FAIL);
        assert_int_equal(o.fault.status, 431);
        assert_string_equal(o.fault.text, refused[i][1]);
    }
    const char *fits = "GET / HTTP/1.1\r\nA: 34567\r\nB: 2\r\n\r\n";
    assert_int_equal(parse_with(fits, strlen(fits), &small, true).result, LC_HTTP1_DONE);
}

static void names_with_underscores_are_dropped(void **state)
{
    is_understood_as("GET / HTTP/1.1\r\nX_A: 1\r\nX-A: 2\r\n\r\n",
                     "GET / path=/ query= 11 [X-A=2]");

    const char *script = "GET / HTTP/1.1\r\nSCRIPT_NAME: /s\r\n\r\n";
    assert_string_equal(parse_with(script, strlen(script), &usual, true).text,
                        "GET / path=/ query= 11 [SCRIPT_NAME=/s]");
    assert_string_equal(parse_with(script, strlen(script), &usual, false).text,
                        "GET / path=/ query= 11");
}

static void what_becomes_of_underscores_is_a_setting(void **state)
{
    const char *user = "GET / HTTP/1.1\r\nREMOTE_USER: ann\r\nA: b\r\n\r\n";
    struct lc_rules rules = usual;

    rules.header_map = LC_MAP_REFUSE;
    under_is_refused(&rules, user, 400, "Invalid HTTP header name: 'REMOTE_USER'");
    under_is_understood_as(&rules, "GET / HTTP/1.1\r\nPath_Info: /a\r\n\r\n",
                           "GET / path=/ query= 11 [Path_Info=/a]");
    rules.header_map = LC_MAP_DANGEROUS;
    assert_string_equal(parse_with(user, strlen(user), &rules, false).text,
                        "GET / path=/ query= 11 [REMOTE_USER=ann] [A=b]");
}

static void trusted_proxies_may_send_the_names_that_are_listed(void **state)
{
    static const char *const lists[] = {"A_B, remote_user", "*"};
    const char *user = "GET / HTTP/1.1\r\nREMOTE_USER: ann\r\nSCRIPT_NAME: /s\r\n\r\n";
    static const char *const seen[] = {
        "GET / path=/ query= 11 [REMOTE_USER=ann]",
        "GET / path=/ query= 11 [REMOTE_USER=ann] [SCRIPT_NAME=/s]"};

    for (size_t i = 0; i < LC_COUNT(lists); i++) {
        struct lc_config settings = ordinary_settings();

        settings.forwarder_headers = (char *)lists[i];
        struct lc_rules rules = rules_of(settings);
        assert_string_equal(parse_with(user, strlen(user), &rules, true).text, seen[i]);
        assert_string_equal(parse_with(user, strlen(user), &rules, false).text,
                            "GET / path=/ query= 11");
        lc_rules_deinit(&rules);
    }
}

static void a_field_that_must_be_single_is_single(void **state)
{
    is_refused("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400,
               "Invalid HTTP Header: 'HOST'");
    is_refused("POST / HTTP/1.1\r\nContent-Type: a\r\nContent-Type: a\r\n\r\n", 400,
               "Invalid HTTP Header: 'CONTENT-TYPE'");
    is_refused("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400,
               "Invalid HTTP Header: 'CONTENT-LENGTH'");
}

/* --- framing --------------------------------------------------------------------------------- */

static void a_body_is_as_long_as_content_length_says(void **state)
{
    struct outcome o = parse("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET");

    assert_int_equal(o.result, LC_HTTP1_DONE);
    assert_int_equal(o.body_len, 5);
    assert_memory_equal(o.body, "hello", 5);
    assert_int_equal(o.left, 3);
}

static void content_length_is_digits_only(void **state)
{
    static const char *const wrong[] = {"+5",  "-5", "0x5", "5,5",
                                        "5 5", "",   "5a",  "99999999999999999999"};

    for (size_t i = 0; i < LC_COUNT(wrong); i++) {
        char text[200];

        snprintf(text, sizeof(text), "POST / HTTP/1.1\r\nContent-Length: %s\r\n\r\nhello",
                 wrong[i]);
        is_refused(text, 400, "Invalid HTTP Header: 'CONTENT-LENGTH'");
    }
    assert_int_equal(parse("POST / HTTP/1.1\r\nContent-Length: 000000000000000000005\r\n"
                           "\r\nhello")
                         .body_len,
                     5);
}

static void a_body_beyond_the_limit_is_refused_before_it_is_read(void **state)
{
    struct lc_rules rules = usual;

    rules.body = 5;
    const char *fits = "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello";
    assert_int_equal(parse_with(fits, strlen(fits), &rules, true).body_len, 5);
    under_is_refused(&rules,
                     "POST / HTTP/1.1\r\nExpect: 100-continue\r\n"
                     "Content-Length: 6\r\n\r\n",
                     413, "Request body is too large (6 > 5)");

    const char *chunks = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                         "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    assert_int_equal(parse_with(chunks, strlen(chunks), &rules, true).body_len, 5);
    under_is_refused(&rules,
                     "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "3\r\nhel\r\n3\r\n",
                     413, "Request body is too large (6 > 5)");
    under_is_refused(&rules,
                     "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "FFFFFFFFFFFFFFF\r\n",
                     413, "Request body is too large (1152921504606846975 > 5)");
}

static void chunks_are_joined(void **state)
{
    struct outcome o = parse("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n"
                             "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-T: 1\r\n\r\nNEXT");

    assert_int_equal(o.result, LC_HTTP1_DONE);
    assert_int_equal(o.body_len, 11);
    assert_memory_equal(o.body, "hello world", 11);
    assert_int_equal(o.left, 4);
}

static void between_chunks_stands_nothing_but_sizes_and_extensions(void **state)
{
    static const char *const right[] = {
        "5\r\nhello\r\n0\r\n\r\n",
        "05\r\nhello\r\n000\r\n\r\n",
        "5;\r\nhello\r\n0;x\r\n\r\n",
        "5 \t;a=\"b;c\" ; d\r\nhello\r\n0\r\n\r\n",
        "2\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\nC:\r\n\r\n",
    };
    static const char *const wrong[] = {
        "\r\nhello",
        ";x\r\nhello",
        "+5\r\nhello",
        "-5\r\nhello",
        "0x5\r\n",
        "5 \r\nhello",
        " 5\r\nhello",
        "5 5\r\nhello",
        "5,\r\n",
        "5\nhello",
        "5\rhello",
        "5\r\rhello",
        "5;a\nhello",
        "5;a\rb\r\nhello",
        "5;a\x01\r\nhello",
        "5;a\x7f\r\nhello",
        "g\r\n",
        "5\r\nhello0\r\n",
        "5\r\nhello\n0\r\n",
        "5\r\nhello\r0\r\n",
        "5\r\nhello\r\r\n",
        "5\r\nhello\r\n\r\n",
        "1000000000000000\r\n",
        "5\r\nhello\r\n0\r\n A: b\r\n\r\n",
        "5\r\nhello\r\n0\r\nA : b\r\n\r\n",
        "5\r\nhello\r\n0\r\nA: b\nC: d\r\n\r\n",
        "5\r\nhello\r\n0\r\nTE: a\r\n\r\n",
        "5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n",
        "0\r\nHost: a\r\n\r\n",
        "0\r\nauthorization: a\r\n\r\n",
        "0\r\nTrailer: a\r\n\r\n",
        "0\r\n\n",
    };
    const char *head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

    for (size_t i = 0; i < LC_COUNT(right); i++) {
        LC_AUTOFREE char *text = lc_printf("%s%sGET", head, right[i]);
        struct outcome o = parse(text);

        if (o.result != LC_HTTP1_DONE)
            print_message("%s\n%s\n", right[i], o.fault.text);
        assert_int_equal(o.result, LC_HTTP1_DONE);
        assert_memory_equal(o.body, "hello", 5);
        assert_int_equal(o.body_len, 5);
        assert_int_equal(o.left, 3);
    }
    for (size_t i = 0; i < LC_COUNT(wrong); i++) {
        LC_AUTOFREE char *text = lc_printf("%s%s", head, wrong[i]);
        struct outcome o = parse(text);

        if (o.result != LC_HTTP1_FAIL)
            print_message("%s\n", wrong[i]);
        assert_int_equal(o.result, LC_HTTP1_FAIL);
        assert_int_equal(o.fault.status, 400);
    }
}

static void one_request_is_never_seen_as_two(void **state)
{
    is_refused(
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400,
        "Invalid HTTP Header: 'CONTENT-LENGTH'");
    is_refused(
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
        "Invalid HTTP Header: 'CONTENT-LENGTH'");
    static const char *const codings[] = {"gzip", "identity", "gzip, chunked"};
    for (size_t i = 0; i < LC_COUNT(codings); i++) {
        LC_AUTOFREE char *behind = lc_printf(
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: %s\r\n\r\n",
            codings[i]);
        LC_AUTOFREE char *before = lc_printf(
            "POST / HTTP/1.1\r\nTransfer-Encoding: %s\r\nContent-Length: 5\r\n\r\n",
            codings[i]);

        is_refused(behind, 400, "Invalid HTTP Header: 'CONTENT-LENGTH'");
        is_refused(before, 400, "Invalid HTTP Header: 'CONTENT-LENGTH'");
    }
    is_refused("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400,
               "Invalid HTTP Header: 'TRANSFER-ENCODING'");
    is_refused("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
               "Transfer-Encoding: chunked\r\n\r\n",
               400, "Invalid HTTP Header: 'TRANSFER-ENCODING'");
    is_refused("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
               "Transfer-Encoding: gzip\r\n\r\n",
               400, "Invalid HTTP Header: 'TRANSFER-ENCODING'");
    is_refused("POST / HTTP/1.1\r\nTransfer-Encoding: chunked,\r\n\r\n", 501,
               "Unsupported transfer coding: ''");
    is_refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400,
               "Invalid HTTP Header: 'TRANSFER-ENCODING'");
    is_refused("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400,
               "Invalid HTTP Header: 'TRANSFER-ENCODING'");
    is_refused("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400,
               "Invalid HTTP Header: 'TRANSFER-ENCODING'");
    is_refused("POST / HTTP/1.1\r\nTransfer-Encoding: \xa0"
               "chunked\r\n\r\n",
               501, "Unsupported transfer coding: '\\xa0chunked'");
    is_refused("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", 501,
               "Unsupported transfer coding: 'xchunked'");
    is_refused("POST / HTTP/1.1\r\nTransfer-Encoding:\r\n\r\n", 501,
               "Unsupported transfer coding: ''");
}

static void codings_that_frame_nothing_leave_no_body(void **state)
{
    is_understood_as("POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n",
                     "POST / path=/ query= 11 [Transfer-Encoding=identity] close");
    is_understood_as("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
                     "POST / path=/ query= 11 [Transfer-Encoding=gzip] close");
}

static void extensions_and_trailers_are_bounded(void **state)
{
    const char *head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    LC_AUTOFREE char *many = lc_malloc(64 * 1024);

    memset(many, 'x', 64 * 1024);
    LC_AUTOFREE char *fits = lc_printf("%s1;%.*s\r\na\r\n0\r\nA: %.*s\r\n\r\n", head,
                                       LC_CHUNK_LINE_MAX - 4, many, LC_TRAILERS_MAX - 7,
                                       many);
    assert_int_equal(feed(lc_slice(fits), strlen(fits), &usual, true).result,
                     LC_HTTP1_DONE);

    LC_AUTOFREE char *extension = lc_printf("%s1;%.*s\r\na\r\n0\r\n\r\n", head,
                                            LC_CHUNK_LINE_MAX - 3, many);
    LC_AUTOFREE char *trailer = lc_printf("%s0\r\nA: %.*s\r\n\r\n", head,
                                          LC_TRAILERS_MAX - 6, many);
    for (size_t step = 1000; step < 100000; step *= 10) {
        struct outcome o = feed(lc_slice(extension), step, &usual, true);
        assert_int_equal(o.result, LC_HTTP1_FAIL);
        assert_string_equal(o.fault.text,
                            "Invalid chunked body: a chunk's extensions are too large");
        o = feed(lc_slice(trailer), step, &usual, true);
        assert_int_equal(o.result, LC_HTTP1_FAIL);
        assert_int_equal(o.fault.status, 431);
        assert_string_equal(o.fault.text, "max buffer headers");
    }
}

/* --- the connection ---------------------------------------------------------------------------- */

static void the_connection_field_is_a_list(void **state)
{
    is_understood_as("GET / HTTP/1.1\r\nConnection: TE, Close\r\n\r\n",
                     "GET / path=/ query= 11 [Connection=TE, Close] close");
    is_understood_as("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                     "GET / path=/ query= 10 [Connection=keep-alive]");
    is_understood_as("GET / HTTP/1.1\r\nConnection: closed\r\n\r\n",
                     "GET / path=/ query= 11 [Connection=closed]");
}

static void an_upgrade_is_an_ordinary_request(void **state)
{
    struct outcome o = parse("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
                             "\r\nGET");

    assert_int_equal(o.result, LC_HTTP1_DONE);
    assert_int_equal(o.left, 3);
}

static void expectations_are_100_continue_or_417(void **state)
{
    is_understood_as(
        "POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 0\r\n\r\n",
        "POST / path=/ query= 11 [Expect=100-Continue] [Content-Length=0] "
        "100");
    is_understood_as("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n",
                     "POST / path=/ query= 10 [Expect=100-continue] close");
    is_refused("POST / HTTP/1.1\r\nExpect: tea\r\n\r\n", 417,
               "Unable to comply with expectation: 'tea'");
}

static void a_trusted_proxy_names_the_scheme(void **state)
{
    const char *https = "GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\n\r\n";

    assert_non_null(
        strstr(parse_with(https, strlen(https), &usual, true).text, " https"));
    assert_null(strstr(parse_with(https, strlen(https), &usual, false).text, "] https"));
    is_refused(
        "GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n\r\n", 400,
        "Contradictory scheme headers");
}

static void which_fields_tell_the_scheme_is_a_setting(void **state)
{
    struct lc_config settings = ordinary_settings();
    const char *mine =
        "GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\nx-mine: Yes\r\n\r\n";
    const char *other = "GET / HTTP/1.1\r\nX-Mine: yes\r\n\r\n";
    const char *hidden = "GET / HTTP/1.1\r\nX_Mine: Yes\r\n\r\n";

    settings.secure_scheme_headers = (char *)"X-MINE=Yes, X_MINE=Yes";
    struct lc_rules rules = rules_of(settings);
    assert_non_null(strstr(parse_with(mine, strlen(mine), &rules, true).text, "] https"));
    assert_null(strstr(parse_with(mine, strlen(mine), &rules, false).text, "] https"));
    assert_null(strstr(parse_with(other, strlen(other), &rules, true).text, "] https"));
    assert_string_equal(parse_with(hidden, strlen(hidden), &rules, true).text,
                        "GET / path=/ query= 11 https");
    lc_rules_deinit(&rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_line_has_three_parts),
        cmocka_unit_test(methods_are_conventional_tokens),
        cmocka_unit_test(only_version_1_is_spoken),
        cmocka_unit_test(a_long_request_line_is_refused_at_the_limit),
        cmocka_unit_test(whether_a_line_is_too_long_does_not_depend_on_cuts),
        cmocka_unit_test(fields_keep_their_order_and_lose_their_blanks),
        cmocka_unit_test(field_names_are_tokens),
        cmocka_unit_test(blanks_around_a_value_are_no_part_of_it),
        cmocka_unit_test(blanks_around_a_coding_are_no_part_of_it),
        cmocka_unit_test(field_values_hold_no_control_bytes),
        cmocka_unit_test(lines_end_in_cr_lf_only),
        cmocka_unit_test(too_many_or_too_large_fields_are_431),
        cmocka_unit_test(names_with_underscores_are_dropped),
        cmocka_unit_test(a_field_that_must_be_single_is_single),
        cmocka_unit_test(a_body_is_as_long_as_content_length_says),
        cmocka_unit_test(content_length_is_digits_only),
        cmocka_unit_test(chunks_are_joined),
        cmocka_unit_test(one_request_is_never_seen_as_two),
        cmocka_unit_test(codings_that_frame_nothing_leave_no_body),
        cmocka_unit_test(extensions_and_trailers_are_bounded),
        cmocka_unit_test(the_connection_field_is_a_list),
        cmocka_unit_test(an_upgrade_is_an_ordinary_request),
        cmocka_unit_test(expectations_are_100_continue_or_417),
        cmocka_unit_test(a_trusted_proxy_names_the_scheme),
        cmocka_unit_test(unconventional_methods_may_be_permitted),
        cmocka_unit_test(a_target_is_a_path_or_absolute),
        cmocka_unit_test(a_target_holds_no_control_bytes),
        cmocka_unit_test(other_versions_may_be_permitted),
        cmocka_unit_test(limits_hold_to_the_byte),
        cmocka_unit_test(dropped_fields_count_as_bytes_only),
        cmocka_unit_test(folded_fields_may_be_permitted),
        cmocka_unit_test(where_a_body_ends_is_never_read_from_folded_fields),
        cmocka_unit_test(the_lines_of_a_field_count_together),
        cmocka_unit_test(blanks_before_the_colon_may_be_overlooked),
        cmocka_unit_test(what_becomes_of_underscores_is_a_setting),
        cmocka_unit_test(trusted_proxies_may_send_the_names_that_are_listed),
        cmocka_unit_test(a_body_beyond_the_limit_is_refused_before_it_is_read),
        cmocka_unit_test(between_chunks_stands_nothing_but_sizes_and_extensions),
        cmocka_unit_test(which_fields_tell_the_scheme_is_a_setting),
    };

    usual = rules_of(ordinary_settings());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lc_rules_deinit(&usual);
    return failed;
}
