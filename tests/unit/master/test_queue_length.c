/* How many clients wait on a listening socket: what the kernel is asked. */
#include "master/queue_length.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { LIMIT = 7, CALLERS = 3 };

static void given_listener(int fd, const void *any, socklen_t size)
{
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)any, size), 0);
    assert_int_equal(listen(fd, LIMIT), 0);
}

static void when_somebody_connects(int fd, int *caller)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    *caller = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*caller, (struct sockaddr *)&name, size), 0);
}

static void they_are_counted_until_they_are_accepted(int fd, bool is_unix)
{
    struct lc_queue_length length = {99, 99};
    int callers[CALLERS];

    assert_true(lc_queue_length(fd, is_unix, &length));
    assert_int_equal(length.waiting, 0);
    assert_int_equal(length.limit, LIMIT);
    for (int i = 0; i < CALLERS; i++)
        when_somebody_connects(fd, &callers[i]);
    assert_true(lc_queue_length(fd, is_unix, &length));
    assert_int_equal(length.waiting, CALLERS);

    int taken = accept(fd, NULL, NULL);
    assert_true(lc_queue_length(fd, is_unix, &length));
    assert_int_equal(length.waiting, CALLERS - 1);
    for (int i = 0; i < CALLERS; i++)
        close(callers[i]);
    close(taken);
    close(fd);
}

static void waiting_tcp_clients_are_counted(void **state)
{
    struct sockaddr_in any = {.sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    given_listener(fd, &any, sizeof(any));
    they_are_counted_until_they_are_accepted(fd, false);
}

static void waiting_clients_of_a_unix_socket_are_counted(void **state)
{
    struct sockaddr_un any = {.sun_family = AF_UNIX}; /* the kernel chooses a name */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct lc_queue_length length;

    given_listener(fd, &any, sizeof(sa_family_t));
    if (!lc_queue_length(fd, true, &length))
        skip(); /* a kernel without unix_diag */
    they_are_counted_until_they_are_accepted(fd, true);
}

static void what_is_no_socket_has_no_queue(void **state)
{
    struct lc_queue_length length;
    int pipes[2];

    assert_int_equal(pipe(pipes), 0);
    assert_false(lc_queue_length(pipes[0], false, &length));
    assert_false(lc_queue_length(pipes[0], true, &length));
    close(pipes[0]);
    close(pipes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_tcp_clients_are_counted),
        cmocka_unit_test(waiting_clients_of_a_unix_socket_are_counted),
        cmocka_unit_test(what_is_no_socket_has_no_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
