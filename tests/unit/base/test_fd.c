#include "base/fd.h"

#include "tests/support/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static int open_in_a_block(void)
{
    LC_AUTOCLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(is_open(fd));
    errno = EXDEV;
    return fd;
}

static void a_descriptor_is_closed_at_the_end_of_its_block(void **state)
{
    assert_false(is_open(open_in_a_block()));
}

static void closing_keeps_errno(void **state)
{
    open_in_a_block();
    assert_int_equal(errno, EXDEV);
}

static void a_taken_descriptor_stays_open(void **state)
{
    int kept;
    {
        LC_AUTOCLOSE int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        kept = lc_fd_take(&fd);
        assert_int_equal(fd, -1);
    }
    assert_true(is_open(kept));
    lc_fd_close(&kept);
    assert_int_equal(kept, -1);
    lc_fd_close(&kept); /* a negative one is fine */
}

static void flags_are_set(void **state)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(lc_fd_set_nonblocking(ends[0]), 0);
    assert_true(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    assert_int_equal(lc_fd_set_cloexec(ends[0], 1), 0);
    assert_int_equal(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(lc_fd_set_cloexec(ends[0], 0), 0);
    assert_int_equal(fcntl(ends[0], F_GETFD), 0);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(lc_fd_set_nonblocking(ends[0]), -1);
    assert_int_equal(errno, EBADF);
}

static void a_write_is_whole_although_the_pipe_is_small(void **state)
{
    enum { SIZE = 1 << 20 };
    int ends[2], status;
    char *data = calloc(1, SIZE);

    assert_int_equal(pipe(ends), 0);
    pid_t writer = fork();
    if (writer == 0)
        _exit(lc_fd_write_all(ends[1], data, SIZE) == 0 ? 0 : 1);
    close(ends[1]);

    size_t total = 0;
    for (ssize_t n; (n = read(ends[0], data, 5000)) > 0;)
        total += (size_t)n;
    assert_int_equal(total, SIZE);
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_int_equal(status, 0);
    close(ends[0]);
    free(data);
}

static void a_write_that_fails_says_why(void **state)
{
    LC_AUTOCLOSE int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    assert_int_equal(lc_fd_write_all(fd, "x", 1), -1);
    assert_int_equal(errno, ENOSPC);
}

static void a_temporary_file_has_no_name(void **state)
{
    LC_AUTOCLOSE int fd = lc_fd_tmpfile(NULL);
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(lc_fd_write_all(fd, "abc", 3), 0);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 3);
}

static void a_temporary_file_needs_its_directory(void **state)
{
    assert_int_equal(lc_fd_tmpfile("/there/is/no/such/place"), -1);
    assert_int_equal(errno, ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_descriptor_is_closed_at_the_end_of_its_block),
        cmocka_unit_test(closing_keeps_errno),
        cmocka_unit_test(a_taken_descriptor_stays_open),
        cmocka_unit_test(flags_are_set),
        cmocka_unit_test(a_write_is_whole_although_the_pipe_is_small),
        cmocka_unit_test(a_write_that_fails_says_why),
        cmocka_unit_test(a_temporary_file_has_no_name),
        cmocka_unit_test(a_temporary_file_needs_its_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
