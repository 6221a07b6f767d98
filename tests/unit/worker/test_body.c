/* Where a request's body lies until the application reads it. */
#include "worker/body.h"

#include "app/request.h"
#include "base/mem.h"

#include <licorne/error.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static struct lc_request read_back(const struct lc_gather *gather)
{
    struct lc_request request = {0};

    lc_gather_finish(gather, &request.body);
    return request;
}

static void gather(struct lc_gather *g, const char *text)
{
    assert_int_equal(lc_gather_add(g, lc_slice(text), 0, NULL), 0);
}

static void a_body_of_one_piece_is_not_copied(void **state)
{
    static const char text[] = "hello";
    struct lc_gather g;

    lc_gather_init(&g, NULL);
    gather(&g, text);
    struct lc_request request = read_back(&g);
    assert_ptr_equal(lc_request_body_peek(&request).at, text);
    assert_int_equal(lc_request_body_size(&request), 5);
    lc_gather_deinit(&g);
}

static void pieces_are_joined_in_memory(void **state)
{
    struct lc_gather g;
    char text[32];

    lc_gather_init(&g, NULL);
    gather(&g, "hello");
    gather(&g, ", ");
    gather(&g, "world");
    struct lc_request request = read_back(&g);
    assert_true(request.body.fd < 0);
    assert_int_equal(lc_request_body_read(&request, text, 3), 3);
    assert_int_equal(lc_request_body_read(&request, text + 3, sizeof(text)), 9);
    assert_memory_equal(text, "hello, world", 12);
    assert_int_equal(lc_request_body_read(&request, text, sizeof(text)), 0);
    assert_null(lc_request_body_peek(&request).at);
    lc_gather_deinit(&g);
}

static void a_piece_survives_its_buffer_once_settled(void **state)
{
    char buffer[] = "hello";
    struct lc_gather g;
    char text[8];

    lc_gather_init(&g, NULL);
    gather(&g, buffer);
    assert_int_equal(lc_gather_settle(&g, NULL), 0);
    memset(buffer, 'x', sizeof(buffer) - 1);
    struct lc_request request = read_back(&g);
    assert_int_equal(lc_request_body_read(&request, text, sizeof(text)), 5);
    assert_memory_equal(text, "hello", 5);
    lc_gather_deinit(&g);
}

static void a_large_body_lies_in_a_file(void **state)
{
    static char piece[LC_BODY_IN_MEMORY / 4], back[sizeof(piece)];
    struct lc_gather g;

    lc_gather_init(&g, NULL);
    for (int i = 0; i < 10; i++) {
        memset(piece, 'a' + i, sizeof(piece));
        assert_int_equal(
            lc_gather_add(&g, (struct lc_slice){piece, sizeof(piece)}, 0, NULL), 0);
        /* The piece lies in place until the next one; a reader would settle it. */
        assert_int_equal(lc_gather_settle(&g, NULL), 0);
    }
    struct lc_request request = read_back(&g);
    assert_true(request.body.fd >= 0);
    assert_null(g.memory);
    assert_int_equal(lc_request_body_size(&request), 10 * sizeof(piece));
    for (int i = 0; i < 10; i++) {
        memset(piece, 'a' + i, sizeof(piece));
        for (size_t got = 0; got < sizeof(back);)
            got += (size_t)lc_request_body_read(&request, back + got, sizeof(back) - got);
        assert_memory_equal(back, piece, sizeof(piece));
    }
    assert_int_equal(lc_request_body_read(&request, back, sizeof(back)), 0);
    lc_gather_deinit(&g);
}

static void a_folder_that_is_not_there_is_named(void **state)
{
    static char piece[LC_BODY_IN_MEMORY + 1];
    struct lc_error err = {0};
    struct lc_gather g;

    lc_gather_init(&g, "/nowhere/at/all");
    assert_int_equal(lc_gather_add(&g, (struct lc_slice){piece, sizeof(piece)}, 0, &err),
                     0);
    assert_int_equal(lc_gather_settle(&g, &err), -1);
    assert_int_equal(err.sys, ENOENT);
    assert_non_null(strstr(err.text, "tmp_upload_dir = /nowhere/at/all"));
    lc_gather_deinit(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_of_one_piece_is_not_copied),
        cmocka_unit_test(pieces_are_joined_in_memory),
        cmocka_unit_test(a_piece_survives_its_buffer_once_settled),
        cmocka_unit_test(a_large_body_lies_in_a_file),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
