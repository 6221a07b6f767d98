#include "base/passing.h"

#include "base/fd.h"
#include "base/ipc.h"
#include "tests/support/cmocka.h"

#include <licorne/error.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char note[8] = "a note";

static int make(void **state)
{
    static int ends[2];
    struct lc_error err;

    *state = ends;
    return lc_passing_open(ends, &err);
}

static int unmake(void **state)
{
    int *ends = *state;

    lc_fd_close(&ends[0]);
    lc_fd_close(&ends[1]);
    return 0;
}

static int open_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* What somebody else might put into the queue. */
static void send_raw(int end, enum lc_msg_type type, size_t len, size_t count)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))] = {0};
    static const char bytes[LC_PASSING_MAX + 1];
    const int fds[16] = {0};
    struct lc_msg_head head = {.length = (uint32_t)len, .type = (uint16_t)type};
    struct iovec parts[] = {{&head, sizeof(head)}, {(void *)bytes, len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    if (count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
    }
    assert_int_equal(sendmsg(end, &message, MSG_NOSIGNAL), sizeof(head) + len);
}

static int send_note(const int *ends, const char *text, size_t len, int fd)
{
    return lc_passing_send(ends[LC_PASSING_GIVE], text, len,
                           &(struct lc_passed){.conn = fd, .file = -1});
}

static int receive(const int *ends, char got[sizeof(note)])
{
    struct lc_passed passed;

    if (lc_passing_receive(ends[LC_PASSING_TAKE], got, sizeof(note), &passed) < 0)
        return -1;
    assert_int_equal(passed.file, -1);
    return passed.conn;
}

static void a_descriptor_arrives_with_its_note(void **state)
{
    const int *ends = *state;
    char got[sizeof(note)];
    int pair[2];
    char byte;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_true(lc_passing_is_empty(ends[LC_PASSING_TAKE]));
    assert_int_equal(send_note(ends, note, sizeof(note), pair[0]), 0);
    assert_false(lc_passing_is_empty(ends[LC_PASSING_TAKE]));
    close(pair[0]); /* the queue has one of its own */

    LC_AUTOCLOSE int fd = receive(ends, got);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_memory_equal(got, note, sizeof(got));
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_int_equal(read(fd, &byte, 1), 1);
    assert_true(lc_passing_is_empty(ends[LC_PASSING_TAKE]));
    close(pair[1]);
}

static void they_are_taken_in_the_order_in_which_they_came(void **state)
{
    const int *ends = *state;
    char got[sizeof(note)];

    for (char number = '1'; number <= '3'; number++) {
        char numbered[sizeof(note)] = {number};

        assert_int_equal(send_note(ends, numbered, sizeof(numbered), 0), 0);
    }
    for (char number = '1'; number <= '3'; number++) {
        int fd = receive(ends, got);
        lc_fd_close(&fd);
        assert_int_equal(got[0], number);
    }
}

static void an_empty_queue_says_so_at_once(void **state)
{
    const int *ends = *state;
    char got[sizeof(note)];

    assert_int_equal(receive(ends, got), -1);
    assert_int_equal(errno, EAGAIN);
}

static void a_full_queue_says_so_at_once(void **state)
{
    const int *ends = *state;
    int count = 0;

    while (send_note(ends, note, sizeof(note), 0) == 0)
        assert_true(++count < 100000);
    assert_true(errno == EAGAIN || errno == ETOOMANYREFS);
}

static void expect_refusal(const int *ends)
{
    int before = open_descriptors();
    char got[sizeof(note)];

    assert_int_equal(receive(ends, got), -1);
    assert_int_equal(errno, EBADMSG);
    assert_int_equal(open_descriptors(), before);
    assert_true(lc_passing_is_empty(ends[LC_PASSING_TAKE]));
}

static void a_shorter_note_is_for_its_reader_to_judge(void **state)
{
    const int *ends = *state;
    char got[sizeof(note)];
    struct lc_passed passed;

    assert_int_equal(send_note(ends, note, 3, 0), 0);
    assert_int_equal(lc_passing_receive(ends[LC_PASSING_TAKE], got, sizeof(got), &passed),
                     3);
    lc_fd_close(&passed.conn);
}

static void a_longer_note_than_there_is_room_for_is_refused_with_its_descriptor(
    void **state)
{
    const int *ends = *state;

    send_raw(ends[LC_PASSING_GIVE], LC_MSG_CONNECTION, sizeof(note) + 1, 1);
    expect_refusal(ends);
}

static void what_is_no_connection_is_refused_with_its_descriptor(void **state)
{
    const int *ends = *state;

    send_raw(ends[LC_PASSING_GIVE], LC_MSG_CREDENTIALS, sizeof(note), 1);
    expect_refusal(ends);
}

static void a_note_without_a_descriptor_is_refused(void **state)
{
    const int *ends = *state;

    send_raw(ends[LC_PASSING_GIVE], LC_MSG_CONNECTION, sizeof(note), 0);
    expect_refusal(ends);
}

static void a_file_may_come_along(void **state)
{
    const int *ends = *state;
    char got[sizeof(note)];
    struct lc_passed passed;
    struct stat file;

    LC_AUTOCLOSE int made = lc_fd_tmpfile(NULL);
    assert_true(made >= 0);
    assert_int_equal(lc_fd_write_all(made, "12345", 5), 0);
    assert_int_equal(lc_passing_send(ends[LC_PASSING_GIVE], note, sizeof(note),
                                     &(struct lc_passed){.conn = 0, .file = made}),
                     0);
    assert_int_equal(lc_passing_receive(ends[LC_PASSING_TAKE], got, sizeof(got), &passed),
                     sizeof(got));
    assert_int_equal(fcntl(passed.conn, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(passed.file, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fstat(passed.file, &file), 0);
    assert_int_equal(file.st_size, 5);
    lc_fd_close(&passed.conn);
    lc_fd_close(&passed.file);
}

static void a_note_with_more_descriptors_is_refused_with_all_of_them(void **state)
{
    const int *ends = *state;

    send_raw(ends[LC_PASSING_GIVE], LC_MSG_CONNECTION, sizeof(note), 3);
    expect_refusal(ends);
    send_raw(ends[LC_PASSING_GIVE], LC_MSG_CONNECTION, sizeof(note), 16);
    expect_refusal(ends);
}

static void without_room_for_the_descriptor_it_waits_in_the_queue(void **state)
{
    const int *ends = *state;
    char got[sizeof(note)];
    struct rlimit before, none;

    assert_int_equal(send_note(ends, note, sizeof(note), 0), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3; /* the standard ones are open */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int refused = receive(ends, got);
    int why = errno;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);

    assert_int_equal(refused, -1);
    assert_int_equal(why, EMFILE);
    LC_AUTOCLOSE int fd = receive(ends, got);
    assert_true(fd >= 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_descriptor_arrives_with_its_note),
        TEST(they_are_taken_in_the_order_in_which_they_came),
        TEST(an_empty_queue_says_so_at_once),
        TEST(a_full_queue_says_so_at_once),
        TEST(a_shorter_note_is_for_its_reader_to_judge),
        TEST(a_longer_note_than_there_is_room_for_is_refused_with_its_descriptor),
        TEST(what_is_no_connection_is_refused_with_its_descriptor),
        TEST(a_note_without_a_descriptor_is_refused),
        TEST(a_file_may_come_along),
        TEST(a_note_with_more_descriptors_is_refused_with_all_of_them),
        TEST(without_room_for_the_descriptor_it_waits_in_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
