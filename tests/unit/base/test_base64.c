#include "base/base64.h"

#include "tests/support/cmocka.h"

#include <string.h>

static void assert_decodes(const char *text, const char *bytes, size_t len)
{
    unsigned char out[64];

    memset(out, 0xaa, sizeof(out));
    assert_int_equal(lc_base64_decode(text, strlen(text), out), (ssize_t)len);
    assert_memory_equal(out, bytes, len);
    assert_int_equal(out[strlen(text) / 4 * 3], 0xaa); /* not beyond the promised room */
}

static void assert_refused(const char *text)
{
    unsigned char out[64];

    assert_int_equal(lc_base64_decode(text, strlen(text), out), -1);
}

static void the_vectors_of_rfc_4648_decode(void **state)
{
    assert_decodes("", "", 0);
    assert_decodes("Zg==", "f", 1);
    assert_decodes("Zm8=", "fo", 2);
    assert_decodes("Zm9v", "foo", 3);
    assert_decodes("Zm9vYg==", "foob", 4);
    assert_decodes("Zm9vYmE=", "fooba", 5);
    assert_decodes("Zm9vYmFy", "foobar", 6);
}

static void every_byte_can_come_out(void **state)
{
    assert_decodes("AP/+/w==", "\0\xff\xfe\xff", 4);
    assert_decodes("++//", "\xfb\xef\xff", 3);
}

static void a_length_that_is_no_multiple_of_four_is_refused(void **state)
{
    assert_refused("Z");
    assert_refused("Zg");
    assert_refused("Zm9");
    assert_refused("Zm9vY");
}

static void foreign_characters_are_refused(void **state)
{
    assert_refused("Zm9-");
    assert_refused("Zm_v");
    assert_refused("Zm9\n");
    assert_refused("Zm 9");
    assert_refused("Zm9\xff");
}

static void padding_belongs_at_the_end_only(void **state)
{
    assert_refused("Zg==Zm9v");
    assert_refused("Z===");
    assert_refused("====");
    assert_refused("=Zm9");
    assert_refused("Zg=v");
}

static void bits_behind_the_end_are_refused(void **state)
{
    assert_refused("Zh=="); /* would decode to "f" as well: two spellings of one secret */
    assert_refused("Zm9=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_4648_decode),
        cmocka_unit_test(every_byte_can_come_out),
        cmocka_unit_test(a_length_that_is_no_multiple_of_four_is_refused),
        cmocka_unit_test(foreign_characters_are_refused),
        cmocka_unit_test(padding_belongs_at_the_end_only),
        cmocka_unit_test(bits_behind_the_end_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
