/* Whose word counts: lists of addresses and networks. */
#include "config/networks.h"

#include "base/mem.h"

#include <licorne/error.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct sockaddr_storage peer_at(const char *text)
{
    struct sockaddr_storage peer = {.ss_family = AF_INET};
    struct sockaddr_in *in = (void *)&peer;
    struct sockaddr_in6 *in6 = (void *)&peer;

    if (strchr(text, ':') == NULL) {
        assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
    } else {
        peer.ss_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
    }
    return peer;
}

static bool is_in(const char *list, const char *peer_text)
{
    struct sockaddr_storage peer = peer_at(peer_text);
    struct lc_networks networks;
    struct lc_error err = {0};

    if (lc_networks_parse(list, &networks, &err) < 0)
        fail_msg("%s", err.text);
    bool found = lc_networks_contain(&networks, (const struct sockaddr *)&peer);
    lc_networks_clear(&networks);
    return found;
}

static void an_address_names_itself(void **state)
{
    assert_true(is_in("127.0.0.1,::1", "127.0.0.1"));
    assert_true(is_in("127.0.0.1,::1", "::1"));
    assert_true(is_in(" 10.1.2.3 , 2001:db8::7 ", "2001:DB8:0:0::7"));
    assert_false(is_in("127.0.0.1,::1", "127.0.0.2"));
    assert_false(is_in("127.0.0.1,::1", "::2"));
    assert_false(is_in("127.0.0.1", "::1"));
}

static void a_network_names_all_that_begin_alike(void **state)
{
    assert_true(is_in("10.0.0.0/8", "10.255.0.1"));
    assert_false(is_in("10.0.0.0/8", "11.0.0.0"));
    assert_true(is_in("192.168.128.0/17", "192.168.255.255"));
    assert_false(is_in("192.168.128.0/17", "192.168.127.255"));
    assert_true(is_in("172.16.0.0/255.240.0.0", "172.31.255.255"));
    assert_false(is_in("172.16.0.0/255.240.0.0", "172.32.0.0"));
    assert_true(is_in("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(is_in("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(is_in("0.0.0.0/0", "203.0.113.9"));
    assert_true(is_in("10.0.0.1/32,::/0", "2001:db8::1"));
    assert_true(is_in("10.0.0.1/32", "10.0.0.1"));
}

static void networks_of_one_kind_do_not_name_the_other(void **state)
{
    assert_false(is_in("::/0", "10.0.0.1"));
    assert_false(is_in("0.0.0.0/0", "::1"));
}

static void an_ipv4_peer_of_an_ipv6_socket_is_in_ipv4_networks(void **state)
{
    assert_true(is_in("10.0.0.0/8", "::ffff:10.0.0.1"));
    assert_false(is_in("10.0.0.0/8", "::ffff:11.0.0.1"));
    assert_false(is_in("10.0.0.0/8", "::10.0.0.1"));
    assert_true(is_in("::ffff:10.0.0.0/104", "::ffff:10.0.0.1"));
}

static void a_star_names_everybody_and_an_empty_list_nobody(void **state)
{
    assert_true(is_in("*", "203.0.113.9"));
    assert_true(is_in("127.0.0.1, *", "2001:db8::1"));
    assert_false(is_in("", "127.0.0.1"));
    assert_false(is_in(" , ", "127.0.0.1"));
}

static void the_peer_of_a_unix_socket_is_always_in(void **state)
{
    struct sockaddr_storage peer = {.ss_family = AF_UNIX};
    struct lc_networks nobody = {0};

    assert_true(lc_networks_contain(&nobody, (const struct sockaddr *)&peer));
    peer.ss_family = AF_UNSPEC;
    assert_false(lc_networks_contain(&nobody, (const struct sockaddr *)&peer));
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const wrong[] = {
        "localhost",
        "10.0.0",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/8/8",
        "::/129",
        "::1%lo",
        "[::1]",
        "010.0.0.1",
        "10.0.0.0/0.0.0.255",
        "10.0.0.0/255.0.255.0",
        "::/ffff::",
        "**",
    };

    for (size_t i = 0; i < LC_COUNT(wrong); i++) {
        LC_AUTOFREE char *list = lc_printf("127.0.0.1, %s", wrong[i]);
        LC_AUTOFREE char *text = lc_printf("'%s' is no IP address or network: write "
                                           "10.0.0.1, 10.0.0.0/8, ::1 or *",
                                           wrong[i]);
        struct lc_networks networks;
        struct lc_error err = {0};

        assert_int_equal(lc_networks_parse(list, &networks, &err), -1);
        assert_int_equal(err.code, LC_E_CONFIG);
        assert_string_equal(err.text, text);
        assert_null(networks.items);
    }
}

static void bits_beyond_a_networks_length_are_refused(void **state)
{
    static const char *const wrong[] = {"10.0.0.1/8", "10.0.0.128/24", "10.128.0.0/8",
                                        "2001:db8::1/64", "::1/0"};

    for (size_t i = 0; i < LC_COUNT(wrong); i++) {
        LC_AUTOFREE char *text = lc_printf("'%s' has host bits set", wrong[i]);
        struct lc_networks networks;
        struct lc_error err = {0};

        assert_int_equal(lc_networks_parse(wrong[i], &networks, &err), -1);
        assert_string_equal(err.text, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_names_itself),
        cmocka_unit_test(a_network_names_all_that_begin_alike),
        cmocka_unit_test(networks_of_one_kind_do_not_name_the_other),
        cmocka_unit_test(an_ipv4_peer_of_an_ipv6_socket_is_in_ipv4_networks),
        cmocka_unit_test(a_star_names_everybody_and_an_empty_list_nobody),
        cmocka_unit_test(the_peer_of_a_unix_socket_is_always_in),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(bits_beyond_a_networks_length_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
