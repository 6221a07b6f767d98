/* Whom a chain of proxies names: what stands at its right end counts, and what is no address ends
 * it. */
#include "app/forwarded.h"

#include "base/mem.h"
#include "config/networks.h"

#include <licorne/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { FIELDS_MAX = 8 };

/* "X-Forwarded-For: a" or "Forwarded: a", one a line. */
static size_t fields_of(const char *text, struct lc_header *headers)
{
    size_t count = 0;

    while (*text != '\0' && count < FIELDS_MAX) {
        size_t len = strcspn(text, "\n"), name = strcspn(text, ":");

        headers[count++] = (struct lc_header){{text, name},
                                              {text + name + 2, len - name - 2}};
        text += len + (text[len] == '\n');
    }
    return count;
}

/* "ADDRESS PORT", "-" where the peer stays, and "!" behind either when nonsense was met. */
static const char *client_of(const char *fields)
{
    static char answer[INET6_ADDRSTRLEN + 16];
    char text[INET6_ADDRSTRLEN] = "-";
    struct lc_header headers[FIELDS_MAX];
    struct lc_node nodes[LC_FORWARDED_MAX];
    struct lc_networks proxies;
    struct lc_error err;
    const struct lc_node *bad;
    size_t count = fields_of(fields, headers), found;

    assert_int_equal(lc_networks_parse("10.0.0.0/8,2001:db8:aa::/48", &proxies, &err), 0);
    found = strncmp(fields, "Forwarded", 9) == 0
                ? lc_forwarded_rfc7239(headers, count, LC_SLICE("forwarded"), nodes)
                : lc_forwarded_list(headers, count, LC_SLICE("x-forwarded-for"), nodes);
    const struct lc_node *client = lc_forwarded_client(nodes, found, &proxies, &bad);
    if (client != NULL)
        lc_ip_text(&client->ip, text);
    snprintf(answer, sizeof(answer), "%s%s%s%s", text,
             client != NULL && *client->port != '\0' ? " " : "",
             client != NULL ? client->port : "", bad != NULL ? "!" : "");
    lc_networks_clear(&proxies);
    return answer;
}

#define names(fields, client) assert_string_equal(client_of(fields), client)

/* ---- lists ---- */

static void the_last_entry_counts_unless_it_is_a_proxy(void **state)
{
    names("X-Forwarded-For: 203.0.113.9", "203.0.113.9");
    names("X-Forwarded-For: 198.51.100.1, 203.0.113.9", "203.0.113.9");
    names("X-Forwarded-For: 198.51.100.1, 203.0.113.9, 10.1.2.3", "203.0.113.9");
    names("X-Forwarded-For: 203.0.113.9,10.1.2.3 ,\t10.4.5.6", "203.0.113.9");
    names("X-Forwarded-For: 2001:db8::1, 2001:db8:aa::7", "2001:db8::1");
}

static void a_chain_of_nothing_but_proxies_ends_with_its_first(void **state)
{
    names("X-Forwarded-For: 10.9.9.9, 10.1.2.3", "10.9.9.9");
}

static void several_fields_are_one_list(void **state)
{
    names("X-Forwarded-For: 198.51.100.1\nHost: x\nX-Forwarded-For: 203.0.113.9",
          "203.0.113.9");
    names("X-Forwarded-For: 198.51.100.1\nx-forwarded-for: 10.0.0.1", "198.51.100.1");
}

static void empty_entries_do_not_count(void **state)
{
    names("X-Forwarded-For: 203.0.113.9, , ,", "203.0.113.9");
    names("X-Forwarded-For: ,", "-");
    names("X-Forwarded-For: ", "-");
    names("Host: x", "-");
}

static void a_port_is_kept_where_it_is_given(void **state)
{
    names("X-Forwarded-For: 203.0.113.9:5123", "203.0.113.9 5123");
    names("X-Forwarded-For: [2001:DB8::0:9]:80", "2001:db8::9 80");
    names("X-Forwarded-For: [2001:db8::9]", "2001:db8::9");
    names("X-Forwarded-For: 203.0.113.9:65536", "-!");
    names("X-Forwarded-For: 203.0.113.9:", "-!");
    names("X-Forwarded-For: 203.0.113.9:x", "-!");
    names("X-Forwarded-For: [2001:db8::9]80", "-!");
    names("X-Forwarded-For: [203.0.113.9]", "-!");
    names("X-Forwarded-For: [2001:db8::9", "-!");
}

static void an_ipv4_address_in_ipv6_is_itself(void **state)
{
    names("X-Forwarded-For: ::ffff:203.0.113.9", "203.0.113.9");
    names("X-Forwarded-For: 203.0.113.9, ::FFFF:10.0.0.1", "203.0.113.9");
    names("X-Forwarded-For: ::1", "::1");
}

static void what_is_hidden_or_no_address_ends_the_walk(void **state)
{
    names("X-Forwarded-For: 203.0.113.9, unknown", "-");
    names("X-Forwarded-For: 203.0.113.9, unknown, 10.0.0.1", "10.0.0.1");
    names("X-Forwarded-For: 203.0.113.9, _gate, 10.0.0.1", "10.0.0.1");
    names("X-Forwarded-For: 203.0.113.9, junk, 10.0.0.1", "10.0.0.1!");
    names("X-Forwarded-For: 203.0.113.9, evil.example", "-!");
    names("X-Forwarded-For: 010.1.1.1", "-!");
    names("X-Forwarded-For: 1.2.3", "-!");
    names("X-Forwarded-For: 0x7f.0.0.1", "-!");
    names("X-Forwarded-For: 1.2.3.4 5.6.7.8", "-!");
    names("X-Forwarded-For: fe80::1%eth0", "-!");
    names("X-Forwarded-For: \"203.0.113.9\"", "-!");
}

static void nonsense_left_of_the_client_does_not_matter(void **state)
{
    names("X-Forwarded-For: <script>, 203.0.113.9", "203.0.113.9");
}

static void a_chain_is_read_to_a_bounded_length(void **state)
{
    static char text[4096] = "X-Forwarded-For: 203.0.113.9";

    for (int i = 0; i < 2 * LC_FORWARDED_MAX; i++)
        strcat(text, ", 10.0.0.1");
    names(text, "10.0.0.1");
}

/* ---- Forwarded ---- */

static void forwarded_names_its_client(void **state)
{
    names("Forwarded: for=203.0.113.9", "203.0.113.9");
    names("Forwarded: For=\"203.0.113.9:47011\";proto=https;by=10.0.0.1",
          "203.0.113.9 47011");
    names("Forwarded: for=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17 4711");
    names("Forwarded: for=\"[2001:db8:cafe::17]\"", "2001:db8:cafe::17");
    names("Forwarded: proto=http;host=\"a,b;c\";for=203.0.113.9", "203.0.113.9");
    names("Forwarded: for=198.51.100.1, for=203.0.113.9;by=x, for=10.0.0.1",
          "203.0.113.9");
    names("Forwarded: for=203.0.113.9\nForwarded: for=10.0.0.1", "203.0.113.9");
    names("Forwarded: for=203.0.113.9;", "203.0.113.9");
    names("Forwarded: for=203.0.113.9, ,", "203.0.113.9");
    names("Forwarded: for=\"203.0.113.9:_port\"", "203.0.113.9");
}

static void whom_forwarded_hides_is_not_looked_for(void **state)
{
    names("Forwarded: for=203.0.113.9, for=unknown", "-");
    names("Forwarded: for=203.0.113.9, for=_hidden, for=10.0.0.1", "10.0.0.1");
    names("Forwarded: for=203.0.113.9, proto=http", "-");
    names("Forwarded: for=203.0.113.9, for=\"_gazonk:_p\"", "-");
}

static void a_value_that_is_not_well_formed_tells_nothing(void **state)
{
    names("Forwarded: for=\"203.0.113.9", "-!");
    names("Forwarded: for=203.0.113.9 for=1.2.3.4", "-!");
    names("Forwarded: for=203.0.113.9;for=1.2.3.4", "-!");
    names("Forwarded: for", "-!");
    names("Forwarded: =x", "-!");
    names("Forwarded: for=", "-!");
    names("Forwarded: for=\"203.0.113.9\\", "-!");
    names("Forwarded: for=\"203\\.0.113.9\"", "-!");
    names("Forwarded: for=2001:db8::1", "-!"); /* needs quotes and brackets */
    names("Forwarded: for=203.0.113.9:80", "-!");
}

/* A client may leave a quote open for the proxy, which writes behind it. */
static void an_open_quote_forges_nothing(void **state)
{
    names("Forwarded: for=9.9.9.9;x=\", for=203.0.113.9", "-!");
    names("Forwarded: for=9.9.9.9;x=\", for=\"[2001:db8::9]\";proto=http", "-!");
    names("Forwarded: for=9.9.9.9;x=\"\nForwarded: for=203.0.113.9", "203.0.113.9");
    names("Forwarded: for=9.9.9.9;x=\"\nForwarded: for=10.0.0.1", "10.0.0.1!");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_entry_counts_unless_it_is_a_proxy),
        cmocka_unit_test(a_chain_of_nothing_but_proxies_ends_with_its_first),
        cmocka_unit_test(several_fields_are_one_list),
        cmocka_unit_test(empty_entries_do_not_count),
        cmocka_unit_test(a_port_is_kept_where_it_is_given),
        cmocka_unit_test(an_ipv4_address_in_ipv6_is_itself),
        cmocka_unit_test(what_is_hidden_or_no_address_ends_the_walk),
        cmocka_unit_test(nonsense_left_of_the_client_does_not_matter),
        cmocka_unit_test(a_chain_is_read_to_a_bounded_length),
        cmocka_unit_test(forwarded_names_its_client),
        cmocka_unit_test(whom_forwarded_hides_is_not_looked_for),
        cmocka_unit_test(a_value_that_is_not_well_formed_tells_nothing),
        cmocka_unit_test(an_open_quote_forges_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
