/* Where a request's body lies until the application reads it. */
#include "worker/body.h"

#include "app/request.h"
#include "base/fd.h"
#include "base/mem.h"

#include <licorne/error.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <sys/resource.h>

static struct lc_request read_back(struct lc_gather *gather)
{
    struct lc_request request = {0};

    assert_int_equal(lc_gather_finish(gather, &request.body, NULL), 0);
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

/* However small and large pieces follow each other. */
static void a_file_holds_its_pieces_in_order(void **state)
{
    enum { PIECES = 400, LARGEST = 20000 };
    static char piece[LARGEST], back[LARGEST];
    struct lc_gather g;
    unsigned dice = 1;
    size_t lengths[PIECES];

    lc_gather_init(&g, NULL);
    for (size_t i = 0; i < PIECES; i++) {
        dice = dice * 1103515245 + 12345;
        lengths[i] = 1 + (dice >> 8) % (i % 7 == 0 ? LARGEST : 40);
        memset(piece, 'a' + (int)(i % 26), lengths[i]);
        assert_int_equal(
            lc_gather_add(&g, (struct lc_slice){piece, lengths[i]}, 1 << 20, NULL), 0);
        assert_int_equal(lc_gather_settle(&g, NULL), 0);
    }
    struct lc_request request = read_back(&g);
    assert_true(request.body.fd >= 0);
    for (size_t i = 0; i < PIECES; i++) {
        memset(piece, 'a' + (int)(i % 26), lengths[i]);
        assert_int_equal(lc_request_body_read(&request, back, lengths[i]), lengths[i]);
        assert_memory_equal(back, piece, lengths[i]);
    }
    assert_int_equal(lc_request_body_read(&request, back, 1), 0);
    lc_gather_deinit(&g);
}

static void a_disk_that_is_full_is_found_out_at_the_end(void **state)
{
    static char piece[LC_BODY_IN_MEMORY];
    struct lc_error err = {0};
    struct lc_request request;
    struct lc_gather g;

    lc_gather_init(&g, "/the/dir");
    gather(&g, "first");
    assert_int_equal(lc_gather_settle(&g, NULL), 0);
    g.fd = open("/dev/full", O_RDWR | O_CLOEXEC);
    assert_true(g.fd >= 0);
    assert_int_equal(lc_gather_add(&g, LC_SLICE("small"), 0, &err), 0);
    assert_int_equal(lc_gather_finish(&g, &request.body, &err), -1);
    assert_int_equal(err.sys, ENOSPC);
    assert_non_null(strstr(err.text, "tmp_upload_dir = /the/dir: write"));
    assert_int_equal(lc_gather_add(&g, (struct lc_slice){piece, sizeof(piece)}, 0, &err),
                     -1);
    lc_gather_deinit(&g);
}

static void expect_in_file(struct lc_gather *g, const char *text)
{
    char back[32];

    assert_int_equal(lc_gather_to_file(g, NULL), 0);
    struct lc_request request = read_back(g);
    assert_true(request.body.fd >= 0);
    assert_int_equal(lc_request_body_size(&request), strlen(text));
    assert_int_equal(lc_request_body_read(&request, back, sizeof(back)), strlen(text));
    assert_memory_equal(back, text, strlen(text));
}

static void any_body_can_be_moved_to_a_file(void **state)
{
    struct lc_gather in_place, in_memory, empty;

    lc_gather_init(&in_place, NULL);
    gather(&in_place, "hello");
    expect_in_file(&in_place, "hello");
    expect_in_file(&in_place, "hello"); /* once more is no harm */
    lc_gather_deinit(&in_place);

    lc_gather_init(&in_memory, NULL);
    gather(&in_memory, "hello");
    gather(&in_memory, ", world");
    expect_in_file(&in_memory, "hello, world");
    lc_gather_deinit(&in_memory);

    lc_gather_init(&empty, NULL);
    expect_in_file(&empty, "");
    lc_gather_deinit(&empty);
}

static void what_waits_for_its_file_goes_there_too(void **state)
{
    struct lc_gather g;

    lc_gather_init(&g, NULL);
    gather(&g, "hello");
    assert_int_equal(lc_gather_add(&g, LC_SLICE(", world"), 1 << 20, NULL), 0);
    assert_true(g.fd >= 0);
    expect_in_file(&g, "hello, world");
    lc_gather_deinit(&g);
}

static void a_body_that_cannot_be_moved_stays_where_it_is(void **state)
{
    struct lc_error err = {0};
    struct lc_gather g;

    lc_gather_init(&g, "/nowhere/at/all");
    gather(&g, "hello");
    gather(&g, ", world");
    assert_int_equal(lc_gather_to_file(&g, &err), -1);
    assert_int_equal(err.sys, ENOENT);
    struct lc_request request = read_back(&g);
    assert_true(request.body.fd < 0);
    assert_memory_equal(lc_request_body_peek(&request).at, "hello, world", 12);
    lc_gather_deinit(&g);
}

/* No file becomes longer, as if the disk were full. */
static void limit_files(rlim_t length)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = length;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void what_the_disk_did_not_take_goes_there_later(void **state)
{
    struct lc_error err = {0};
    struct lc_gather g;

    lc_gather_init(&g, NULL);
    gather(&g, "hello");
    assert_int_equal(lc_gather_add(&g, LC_SLICE(", world"), 1 << 20, NULL), 0);
    assert_true(g.fd >= 0);
    limit_files(7);
    assert_int_equal(lc_gather_to_file(&g, &err), -1);
    assert_int_equal(lc_gather_to_file(&g, &err), -1);
    limit_files(RLIM_INFINITY);
    expect_in_file(&g, "hello, world");
    lc_gather_deinit(&g);
}

static void a_body_that_was_received_elsewhere_is_taken_over(void **state)
{
    struct lc_gather sent, taken;
    char back[8];

    lc_gather_init(&sent, NULL);
    gather(&sent, "hello");
    assert_int_equal(lc_gather_to_file(&sent, NULL), 0);
    assert_int_equal(lc_fd_write_all(sent.fd, "behind", 6), 0);
    lc_gather_init(&taken, NULL);
    lc_gather_adopt(&taken, lc_fd_take(&sent.fd), sent.size);
    lc_gather_deinit(&sent);
    struct lc_request request = read_back(&taken);
    assert_int_equal(lc_request_body_size(&request), 5);
    assert_int_equal(lc_request_body_read(&request, back, sizeof(back)), 5);
    assert_memory_equal(back, "hello", 5);
    assert_int_equal(lc_request_body_read(&request, back, sizeof(back)), 0);
    lc_gather_deinit(&taken);

    char bytes[] = "hello";
    lc_gather_init(&taken, NULL);
    lc_gather_copy(&taken, lc_slice(bytes));
    memset(bytes, 'x', sizeof(bytes) - 1);
    request = read_back(&taken);
    assert_int_equal(lc_request_body_size(&request), 5);
    assert_memory_equal(lc_request_body_peek(&request).at, "hello", 5);
    lc_gather_deinit(&taken);
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
        cmocka_unit_test(a_file_holds_its_pieces_in_order),
        cmocka_unit_test(a_disk_that_is_full_is_found_out_at_the_end),
        cmocka_unit_test(any_body_can_be_moved_to_a_file),
        cmocka_unit_test(what_waits_for_its_file_goes_there_too),
        cmocka_unit_test(a_body_that_cannot_be_moved_stays_where_it_is),
        cmocka_unit_test(what_the_disk_did_not_take_goes_there_later),
        cmocka_unit_test(a_body_that_was_received_elsewhere_is_taken_over),
        cmocka_unit_test(a_folder_that_is_not_there_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
