/* The PROXY protocol, as proxies speak it and as they must not. Each header comes whole and byte by
 * byte: the result must not depend on where the bytes were cut. */
#include "worker/proxy.h"

#include "base/mem.h"
#include "worker/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define SIGNATURE      "\r\n\r\n\0\r\nQUIT\n"
#define BYTES(literal) ((struct lc_slice){literal, sizeof(literal) - 1})

enum { BOTH = LC_PROXY_V1 | LC_PROXY_V2 };

struct outcome {
    enum lc_proxy_result result;
    size_t used;
    struct lc_proxy proxy;
    struct lc_fault fault;
};

static struct outcome read_all(struct lc_slice bytes, unsigned versions, bool is_allowed)
{
    struct outcome o = {0};

    o.result = lc_proxy_read(bytes, versions, is_allowed, "192.0.2.1", &o.used, &o.proxy,
                             &o.fault);
    return o;
}

/* Copies, so that a byte beyond the end is found out. */
static struct outcome read_bytes(struct lc_slice bytes, unsigned versions,
                                 bool is_allowed)
{
    struct outcome whole = read_all(bytes, versions, is_allowed);
    struct outcome cut = {0};
    size_t n = 0;

    do {
        char *copy = lc_malloc(++n);

        memcpy(copy, bytes.at, n);
        cut = read_all((struct lc_slice){copy, n}, versions, is_allowed);
        free(copy);
    } while (cut.result == LC_PROXY_MORE && n < bytes.len);
    assert_int_equal(cut.result, whole.result);
    assert_int_equal(cut.used, whole.used);
    assert_string_equal(cut.fault.text, whole.fault.text);
    if (cut.result == LC_PROXY_DONE)
        assert_memory_equal(&cut.proxy, &whole.proxy, sizeof(cut.proxy));
    return whole;
}

static void says(struct lc_slice header, const char *expected)
{
    struct outcome o = read_bytes(header, BOTH, true);
    const struct lc_proxy *p = &o.proxy;
    LC_AUTOFREE char *text = lc_printf("%s %s:%s %s:%s", p->protocol, p->remote_addr,
                                       p->remote_port, p->proxy_addr, p->proxy_port);

    if (o.result != LC_PROXY_DONE)
        print_message("%s\n", o.fault.text);
    assert_int_equal(o.result, LC_PROXY_DONE);
    assert_string_equal(text, expected);
    assert_int_equal(o.used, header.len - strlen("GET"));
}

static void is_refused(struct lc_slice header, const char *text)
{
    struct outcome o = read_bytes(header, BOTH, true);

    if (o.result != LC_PROXY_FAIL)
        print_message("taken: %.*s\n", LC_ARG(header));
    assert_int_equal(o.result, LC_PROXY_FAIL);
    assert_int_equal(o.fault.status, 400);
    assert_string_equal(o.fault.text, text);
}

static void version_1_is_a_line_of_text(void **state)
{
    says(BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\nGET"),
         "TCP4 192.0.2.7:51234 198.51.100.1:443");
    says(BYTES("PROXY TCP6 2001:DB8::7 ::1 0 65535\r\nGET"),
         "TCP6 2001:DB8::7:0 ::1:65535");
    says(BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 065 00080\r\nGET"),
         "TCP4 255.255.255.255:65 255.255.255.255:80");
    says(BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\nGET"),
         "TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:65535 "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:65535");
}

static void a_line_that_says_something_else_is_refused(void **state)
{
    static const char *const wrong[] = {
        "PROXY UNKNOWN",
        "PROXY UNKNOWN ::1 ::1 1 2",
        "PROXY ",
        "PROXY TCP4",
        "PROXY TCP4 192.0.2.7 198.51.100.1 51234",
        "PROXY TCP4 192.0.2.7 198.51.100.1 51234 443 ",
        "PROXY TCP4 192.0.2.7 198.51.100.1 51234 443 1",
        "PROXY  TCP4 192.0.2.7 198.51.100.1 51234 443",
        "PROXY TCP4 ::1 198.51.100.1 51234 443",
        "PROXY TCP4 192.0.2.7 256.0.0.1 51234 443",
        "PROXY TCP4 192.0.2.7 198.51.100.1 65536 443",
        "PROXY TCP4 192.0.2.7 198.51.100.1 51234 -1",
        "PROXY TCP4 192.0.2.7 198.51.100.1 51234 +443",
        "PROXY TCP4 192.0.2.7 198.51.100.1  443",
        "PROXY TCP4 192.0.2.7 198.51.100.1 000001 443",
        "PROXY TCP6 192.0.2.7 198.51.100.1 51234 443",
        "PROXY TCP6 ::1%lo ::1 51234 443",
        "PROXY tcp4 192.0.2.7 198.51.100.1 51234 443",
        "PROXY TCP5 192.0.2.7 198.51.100.1 51234 443",
    };

    for (size_t i = 0; i < LC_COUNT(wrong); i++) {
        LC_AUTOFREE char *line = lc_printf("%s\r\nGET", wrong[i]);
        LC_AUTOFREE char *text = lc_printf("Invalid PROXY line: '%s'", wrong[i]);

        is_refused(lc_slice(line), text);
    }
    is_refused(BYTES("PROXY TCP4 192.0.2.7\0 198.51.100.1 51234 443\r\n"),
               "Invalid PROXY line: 'PROXY TCP4 192.0.2.7\\x00 198.51.100.1 51234 443'");
    is_refused(BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\n\r\n"),
               "Invalid PROXY line: 'PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\\n'");
}

static void a_line_has_at_most_107_bytes(void **state)
{
    char longest[200] = "PROXY ";

    memset(longest + 6, 'x', sizeof(longest) - 6);
    struct outcome o = read_bytes((struct lc_slice){longest, sizeof(longest)}, BOTH,
                                  true);
    assert_int_equal(o.result, LC_PROXY_FAIL);
    o = read_bytes((struct lc_slice){longest, 106}, BOTH, true);
    assert_int_equal(o.result, LC_PROXY_MORE);
    memcpy(longest + 106, "\r\n", 2); /* one byte too late */
    o = read_bytes((struct lc_slice){longest, sizeof(longest)}, BOTH, true);
    assert_int_equal(o.result, LC_PROXY_FAIL);
}

static void version_2_is_binary(void **state)
{
    says(BYTES(SIGNATURE "\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xc8\x22\x01\xbb"
                         "GET"),
         "TCP4 192.0.2.7:51234 198.51.100.1:443");
    says(BYTES(SIGNATURE "\x21\x21\0\x24"
                         "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
                         "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
                         "\0\x07\xff\xff"
                         "GET"),
         "TCP6 2001:db8::7:7 ::1:65535");
    says(BYTES(SIGNATURE "\x21\x11\0\x11\xc0\0\x02\x07\xc6\x33\x64\x01\xc8\x22\x01\xbb"
                         "\x04\0\x02zz"
                         "GET"),
         "TCP4 192.0.2.7:51234 198.51.100.1:443");
}

static void a_proxy_may_speak_for_itself(void **state)
{
    says(BYTES(SIGNATURE "\x20\0\0\0"
                         "GET"),
         "LOCAL : :");
    says(BYTES(SIGNATURE "\x20\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xc8\x22\x01\xbb"
                         "GET"),
         "LOCAL : :");
    says(BYTES(SIGNATURE "\x21\x01\0\x03xyz"
                         "GET"),
         "UNSPEC : :");
    assert_false(read_all(BYTES(SIGNATURE "\x20\0\0\0"), BOTH, true).proxy.has_addresses);
}

static void a_header_that_says_something_else_is_refused(void **state)
{
    is_refused(BYTES(SIGNATURE "\x11\x11\0\x0c"),
               "Invalid PROXY header: unsupported version 1");
    is_refused(BYTES(SIGNATURE "\x22\x11\0\x0c"),
               "Invalid PROXY header: unsupported command 2");
    is_refused(BYTES(SIGNATURE "\x21\x12\0\x0c"),
               "Invalid PROXY header: unsupported transport 2");
    is_refused(BYTES(SIGNATURE "\x21\0\0\0"),
               "Invalid PROXY header: unsupported transport 0");
    is_refused(BYTES(SIGNATURE "\x21\x32\0\x0c"),
               "Invalid PROXY header: unsupported transport 2");
    is_refused(BYTES(SIGNATURE "\x21\x31\0\xd8"),
               "Invalid PROXY header: unsupported address family 3");
    is_refused(BYTES(SIGNATURE "\x21\x11\0\x0b"),
               "Invalid PROXY header: too short for its addresses: 11");
    is_refused(BYTES(SIGNATURE "\x21\x21\0\x23"),
               "Invalid PROXY header: too short for its addresses: 35");
}

static void anything_else_is_plain_http(void **state)
{
    static const struct lc_slice plain[] = {
        LC_SLICE("GET / HTTP/1.1\r\n\r\n"), LC_SLICE("PROX / HTTP/1.1\r\n\r\n"),
        LC_SLICE("PROXY/ HTTP/1.1\r\n"),    LC_SLICE("\r\nGET / HTTP/1.1\r\n"),
        LC_SLICE("\r\n\r\n\0\r\nQUIX\n"),   LC_SLICE("PUT"),
    };

    for (size_t i = 0; i < LC_COUNT(plain); i++)
        assert_int_equal(read_bytes(plain[i], BOTH, true).result, LC_PROXY_NONE);
    assert_int_equal(read_bytes(LC_SLICE("PRO"), BOTH, true).result, LC_PROXY_MORE);
    assert_int_equal(read_bytes(LC_SLICE("\r\n\r"), BOTH, true).result, LC_PROXY_MORE);
}

static void only_the_versions_that_were_asked_for_count(void **state)
{
    struct lc_slice v1 = BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n");
    struct lc_slice v2 = BYTES(SIGNATURE "\x20\0\0\0");

    assert_int_equal(read_bytes(v1, LC_PROXY_V1, true).result, LC_PROXY_DONE);
    assert_int_equal(read_bytes(v1, LC_PROXY_V2, true).result, LC_PROXY_NONE);
    assert_int_equal(read_bytes(v2, LC_PROXY_V1, true).result, LC_PROXY_NONE);
    assert_int_equal(read_bytes(v2, LC_PROXY_V2, true).result, LC_PROXY_DONE);
}

static void who_is_not_allowed_to_announce_is_refused_and_may_speak_http(void **state)
{
    static const struct lc_slice starts[] = {LC_SLICE("PROXY "), LC_SLICE(SIGNATURE)};
    char page[600];

    for (size_t i = 0; i < LC_COUNT(starts); i++) {
        struct outcome o = read_bytes(starts[i], BOTH, false);

        assert_int_equal(o.result, LC_PROXY_FAIL);
        assert_int_equal(o.fault.status, 403);
        assert_string_equal(o.fault.reason, "Forbidden");
        assert_string_equal(o.fault.text, "Proxy request from '192.0.2.1' not allowed");
        lc_fault_page_text(page, sizeof(page), &o.fault);
        assert_string_equal(page, "Request forbidden");
    }
    assert_int_equal(read_bytes(LC_SLICE("GET /"), BOTH, false).result, LC_PROXY_NONE);
}

static void the_page_quotes_a_bad_line(void **state)
{
    struct outcome o = read_all(LC_SLICE("PROXY x\r\n"), BOTH, true);
    char page[600];

    lc_fault_page_text(page, sizeof(page), &o.fault);
    assert_string_equal(page, "'Invalid PROXY line: 'PROXY x''");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1_is_a_line_of_text),
        cmocka_unit_test(a_line_that_says_something_else_is_refused),
        cmocka_unit_test(a_line_has_at_most_107_bytes),
        cmocka_unit_test(version_2_is_binary),
        cmocka_unit_test(a_proxy_may_speak_for_itself),
        cmocka_unit_test(a_header_that_says_something_else_is_refused),
        cmocka_unit_test(anything_else_is_plain_http),
        cmocka_unit_test(only_the_versions_that_were_asked_for_count),
        cmocka_unit_test(who_is_not_allowed_to_announce_is_refused_and_may_speak_http),
        cmocka_unit_test(the_page_quotes_a_bad_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
