#include "base/arena.h"

#include "tests/support/cmocka.h"

#include <stdint.h>
#include <string.h>

static _Alignas(16) char first[256];

static int make(void **state)
{
    static struct lc_arena arena;

    lc_arena_init(&arena, first, sizeof(first));
    *state = &arena;
    return 0;
}

static int unmake(void **state)
{
    lc_arena_deinit(*state);
    return 0;
}

static void the_first_pieces_come_from_the_owners_block(void **state)
{
    char *a = lc_arena_alloc(*state, 100);
    char *b = lc_arena_alloc(*state, 100);

    assert_true(a >= first && a + 100 <= first + sizeof(first));
    assert_true(b >= a + 100 && b + 100 <= first + sizeof(first));
}

static void every_piece_is_aligned_for_any_type(void **state)
{
    static const size_t sizes[] = {1, 3, 17, 255, 5000, 0, 2};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_int_equal((uintptr_t)lc_arena_alloc(*state, sizes[i]) % 16, 0);
}

static void pieces_do_not_overlap(void **state)
{
    enum { COUNT = 300 };
    unsigned char *pieces[COUNT];

    for (int i = 0; i < COUNT; i++) {
        pieces[i] = lc_arena_alloc(*state, 1 + (size_t)i * 7 % 200);
        memset(pieces[i], i & 255, 1 + (size_t)i * 7 % 200);
    }
    for (int i = 0; i < COUNT; i++)
        for (size_t k = 0; k < 1 + (size_t)i * 7 % 200; k++)
            assert_int_equal(pieces[i][k], i & 255);
}

static void a_large_piece_leaves_the_rest_of_the_block_in_use(void **state)
{
    char *before = lc_arena_alloc(*state, 16);

    memset(lc_arena_alloc(*state, 100000), 'x', 100000);
    assert_ptr_equal(lc_arena_alloc(*state, 16), before + 16);
}

static void calloc_zeroes_what_was_used_before(void **state)
{
    memset(lc_arena_alloc(*state, 64), 0xff, 64);
    lc_arena_reset(*state);

    const char *again = lc_arena_calloc(*state, 64);
    for (int i = 0; i < 64; i++)
        assert_int_equal(again[i], 0);
}

static void a_reset_gives_the_first_block_again(void **state)
{
    void *piece = lc_arena_alloc(*state, 32);

    lc_arena_alloc(*state, 9000);
    lc_arena_reset(*state);
    assert_ptr_equal(lc_arena_alloc(*state, 32), piece);
}

static void copies_end_in_nul(void **state)
{
    assert_string_equal(lc_arena_strndup(*state, "abcdef", 3), "abc");
    assert_string_equal(lc_arena_strndup(*state, NULL, 0), "");
}

static void formatted_text_may_be_longer_than_a_block(void **state)
{
    const char *text = lc_arena_printf(*state, "%020000d|%s", 7, "end");

    assert_int_equal(strlen(text), 20004);
    assert_string_equal(text + 19999, "7|end");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_pieces_come_from_the_owners_block),
        TEST(every_piece_is_aligned_for_any_type),
        TEST(pieces_do_not_overlap),
        TEST(a_large_piece_leaves_the_rest_of_the_block_in_use),
        TEST(calloc_zeroes_what_was_used_before),
        TEST(a_reset_gives_the_first_block_again),
        TEST(copies_end_in_nul),
        TEST(formatted_text_may_be_longer_than_a_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
