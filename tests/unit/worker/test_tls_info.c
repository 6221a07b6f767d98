#include "worker/tls_info.h"

#include "base/mem.h"
#include "tests/support/cmocka.h"

#include <string.h>

static const struct lc_tls_info full = {
    .version = "TLSv1.3",
    .cipher = "TLS_AES_256_GCM_SHA384",
    .cipher_version = "TLSv1.3",
    .cipher_bits = 256,
    .alpn = "http/1.1",
    .server_name = "localhost",
    .is_resumed = true,
    .peer_certificate = LC_SLICE("\x30\x03\x00\x01\x02"),
};

static void what_is_packed_comes_out_again(void **state)
{
    size_t size = lc_tls_info_size(&full);
    char packed[512] = {0};
    struct lc_slice bytes = {packed, size + 3};

    (void)state;
    lc_tls_info_pack(&full, packed);
    memcpy(packed + size, "GET", 3);

    struct lc_tls_info *info = lc_tls_info_unpack(&bytes);
    assert_non_null(info);
    memset(packed, 'x', size); /* it has copies of its own */
    assert_string_equal(info->version, "TLSv1.3");
    assert_string_equal(info->cipher, "TLS_AES_256_GCM_SHA384");
    assert_string_equal(info->cipher_version, "TLSv1.3");
    assert_int_equal(info->cipher_bits, 256);
    assert_string_equal(info->alpn, "http/1.1");
    assert_string_equal(info->server_name, "localhost");
    assert_true(info->is_resumed);
    assert_int_equal(info->peer_certificate.len, full.peer_certificate.len);
    assert_memory_equal(info->peer_certificate.at, full.peer_certificate.at,
                        full.peer_certificate.len);
    free(info);
    assert_int_equal(bytes.len, 3); /* what follows is the caller's */
    assert_memory_equal(bytes.at, "GET", 3);
}

static void what_was_not_said_stays_unsaid(void **state)
{
    struct lc_tls_info little = full;
    char packed[512];

    (void)state;
    little.alpn = little.server_name = NULL;
    little.peer_certificate = (struct lc_slice){NULL, 0};
    lc_tls_info_pack(&little, packed);

    struct lc_slice bytes = {packed, lc_tls_info_size(&little)};
    struct lc_tls_info *info = lc_tls_info_unpack(&bytes);
    assert_non_null(info);
    assert_null(info->alpn);
    assert_null(info->server_name);
    assert_int_equal(info->peer_certificate.len, 0);
    free(info);
    assert_int_equal(bytes.len, 0);
}

static void what_was_cut_off_is_none(void **state)
{
    size_t size = lc_tls_info_size(&full);
    char packed[512];

    (void)state;
    lc_tls_info_pack(&full, packed);
    for (size_t len = 0; len < size; len++) {
        struct lc_slice bytes = {packed, len};

        assert_null(lc_tls_info_unpack(&bytes));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_comes_out_again),
        cmocka_unit_test(what_was_not_said_stays_unsaid),
        cmocka_unit_test(what_was_cut_off_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
