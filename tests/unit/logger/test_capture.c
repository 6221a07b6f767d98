#include "logger/capture.h"

#include "base/fd.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct lc_capture capture;
static int writer;

static int make(void **state)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    memset(&capture, 0, sizeof(capture));
    capture.fd = ends[0];
    writer = ends[1];
    return 0;
}

static int unmake(void **state)
{
    lc_fd_close(&capture.fd);
    lc_fd_close(&writer);
    return 0;
}

static void print(const char *text)
{
    assert_int_equal(write(writer, text, strlen(text)), (ssize_t)strlen(text));
}

static void assert_next(const char *text)
{
    struct lc_slice lines;

    assert_true(lc_capture_next(&capture, &lines));
    assert_int_equal(lines.len, strlen(text));
    assert_memory_equal(lines.at, text, lines.len);
}

static void assert_nothing(void)
{
    struct lc_slice lines;

    assert_false(lc_capture_next(&capture, &lines));
}

static void only_whole_lines_come_out(void **state)
{
    assert_nothing();
    print("one\ntwo\nthr");
    assert_next("one\ntwo\n");
    assert_nothing();
    print("ee\n");
    assert_next("three\n");
    assert_nothing();
}

static void a_line_that_is_too_long_is_parted(void **state)
{
    static char longer[LC_CAPTURE_LINE + 3];

    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 2] = '\n';
    longer[sizeof(longer) - 1] = '\0';
    print(longer);
    longer[LC_CAPTURE_LINE] = '\0';
    assert_next(longer);
    assert_next("x\n");
}

static void the_rest_is_there_at_the_end(void **state)
{
    print("one\nhalf");
    assert_next("one\n");
    assert_nothing();
    assert_true(lc_slice_equals(lc_capture_rest(&capture), LC_SLICE("half")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_whole_lines_come_out),
        TEST(a_line_that_is_too_long_is_parted),
        TEST(the_rest_is_there_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
