#include "master/listen.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/config.h"

#include <licorne/error.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char path[80];      /* of a Unix socket */
static char unix_spec[96]; /* "unix:" and the path */

static int make_folder(void **state)
{
    strcpy(folder, "/tmp/licorne-listen-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/socket", folder);
    snprintf(unix_spec, sizeof(unix_spec), "unix:%s", path);
    return 0;
}

static int remove_folder(void **state)
{
    unlink(path);
    return rmdir(folder);
}

/* ---- helpers ---- */

static struct lc_config config_with(const char **bind, size_t count)
{
    return (struct lc_config){
        .bind = {.items = (char **)bind, .count = count}, /* only read */
        .backlog = 16,
        .user = geteuid(),
        .group = getegid(),
        .socket_user = geteuid(),
        .socket_group = getegid(),
    };
}

#define CONFIG(...)                            \
    config_with((const char *[]){__VA_ARGS__}, \
                sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

static struct lc_listeners opened(const struct lc_config *config,
                                  const struct lc_listeners *running)
{
    struct lc_error err = {0};
    struct lc_listeners set;

    if (lc_listeners_open(&set, config, running, NULL, &err) < 0)
        fail_msg("%s", err.text);
    return set;
}

static void assert_refused(const struct lc_config *config,
                           const struct lc_listeners *running, const char *expected)
{
    struct lc_error err = {0};
    struct lc_listeners set;

    assert_int_equal(lc_listeners_open(&set, config, running, NULL, &err), -1);
    assert_string_equal(err.text, expected);
    assert_int_equal(set.count, 0);
}

static int connected_to_port(const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtol(port, NULL, 10)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
        lc_fd_close(&fd);
    return fd;
}

static int unix_server(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    strcpy(name.sun_path, path);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* ---- TCP ---- */

static void a_tcp_socket_listens_and_knows_its_port(void **state)
{
    struct lc_config config = CONFIG("127.0.0.1:0");
    struct lc_listeners set = opened(&config, NULL);

    assert_int_equal(set.count, 1);
    assert_string_equal(set.items[0].address, "127.0.0.1");
    assert_string_not_equal(set.items[0].port, "0");
    assert_true(fcntl(set.items[0].fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(set.items[0].fd, F_GETFD) & FD_CLOEXEC);

    int client = connected_to_port(set.items[0].port);
    assert_true(client >= 0);
    lc_fd_close(&client);
    lc_listeners_close(&set, NULL);
}

static bool machine_has_ipv6(void)
{
    struct sockaddr_in6 name = {.sin6_family = AF_INET6,
                                .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0;

    lc_fd_close(&fd);
    return has;
}

static void the_text_names_all_addresses_as_a_browser_would(void **state)
{
    if (!machine_has_ipv6())
        skip();

    struct lc_config config = CONFIG("127.0.0.1:0", "[::1]:0", unix_spec);
    struct lc_listeners set = opened(&config, NULL);
    LC_AUTOFREE char *text = lc_listeners_text(&set);
    LC_AUTOFREE char *expected = lc_printf("http://127.0.0.1:%s,http://[::1]:%s,unix:%s",
                                           set.items[0].port, set.items[1].port, path);

    assert_string_equal(text, expected);
    lc_listeners_close(&set, NULL);
}

static void what_waiting_cannot_heal_fails_at_once_and_names_the_setting(void **state)
{
    struct lc_config config = CONFIG("127.0.0.1:0", "192.0.2.1:80");

    assert_refused(&config, NULL,
                   "bind = 192.0.2.1:80: bind: Cannot assign requested address");
}

static void a_signal_to_stop_ends_the_wait_for_an_address(void **state)
{
    struct lc_config config = CONFIG("127.0.0.1:0");
    struct lc_listeners other = opened(&config, NULL);
    LC_AUTOFREE char *taken = lc_printf("127.0.0.1:%s", other.items[0].port);
    struct lc_config same = CONFIG(taken);
    struct lc_error err = {.code = LC_E_SYSTEM};
    struct lc_listeners set;
    sigset_t term, kept;
    int sig;

    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &kept);
    raise(SIGTERM);
    lc_log_open(-1, LC_CRITICAL); /* the attempt is logged as an error */
    assert_int_equal(lc_listeners_open(&set, &same, NULL, NULL, &err), -1);
    assert_int_equal(err.code, LC_E_NONE);

    assert_int_equal(sigwait(&term, &sig), 0);
    sigprocmask(SIG_SETMASK, &kept, NULL);
    lc_listeners_close(&other, NULL);
}

static bool is_low_port_reserved(void)
{
    FILE *in = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
    int first = 0;

    if (in != NULL && fscanf(in, "%d", &first) != 1)
        first = 0;
    if (in != NULL)
        fclose(in);
    return first > 1;
}

static void who_may_not_listen_is_named(void **state)
{
    enum { NOBODY = 65534 };
    struct lc_config port = CONFIG("127.0.0.1:1"), file = CONFIG("unix:/licorne.socket");
    char expected[256];
    struct stat root;

    if (geteuid() != 0 || !is_low_port_reserved())
        skip();
    assert_int_equal(seteuid(NOBODY), 0);
    assert_refused(&port, NULL,
                   "bind = 127.0.0.1:1: bind: Permission denied: user id 65534 may not "
                   "listen on port 1; that takes root, CAP_NET_BIND_SERVICE or a higher "
                   "port");
    assert_int_equal(stat("/", &root), 0);
    snprintf(
        expected, sizeof(expected),
        "bind = unix:/licorne.socket: bind: Permission denied: uid 65534 may not make "
        "files in the folder '/' (of uid %d, gid %d; mode 0%03o)",
        (int)root.st_uid, (int)root.st_gid, (unsigned)root.st_mode & 07777);
    assert_refused(&file, NULL, expected);
    assert_int_equal(seteuid(0), 0);
}

/* ---- Unix sockets ---- */

static void umask_decides_who_may_connect(void **state)
{
    struct lc_config config = CONFIG(unix_spec);
    struct stat about;
    mode_t kept = umask(0);

    config.umask = 027;
    struct lc_listeners set = opened(&config, NULL);
    assert_int_equal(umask(kept), 0); /* only around the bind */
    assert_int_equal(lstat(path, &about), 0);
    assert_true(S_ISSOCK(about.st_mode));
    assert_int_equal(about.st_mode & 0777, 0750);
    lc_listeners_close(&set, NULL);
}

static void a_socket_that_nobody_serves_is_replaced(void **state)
{
    struct lc_config config = CONFIG(unix_spec);
    int dead = unix_server();

    lc_fd_close(&dead);
    struct lc_listeners set = opened(&config, NULL);
    assert_string_equal(set.items[0].address, path);
    assert_true(set.items[0].is_unix);
    lc_listeners_close(&set, NULL);
}

static void the_socket_of_a_living_server_is_not_stolen(void **state)
{
    struct lc_config tcp = CONFIG("127.0.0.1:0");
    struct lc_config config = CONFIG(unix_spec);
    struct lc_listeners running = opened(&tcp, NULL);
    int other = unix_server();
    LC_AUTOFREE char *expected = lc_printf("bind = %s: bind: Address already in use",
                                           unix_spec);

    assert_refused(&config, &running, expected);
    assert_int_equal(access(path, F_OK), 0);
    lc_fd_close(&other);
    lc_listeners_close(&running, NULL);
}

static void what_is_no_socket_is_not_removed(void **state)
{
    struct lc_config config = CONFIG(unix_spec);
    LC_AUTOFREE char *expected = lc_printf("bind = %s: '%s' is not a socket", unix_spec,
                                           path);
    int file = open(path, O_CREAT | O_WRONLY, 0600);

    lc_fd_close(&file);
    assert_refused(&config, NULL, expected);
    assert_int_equal(access(path, F_OK), 0);
}

static void closing_removes_our_socket_but_not_a_successors(void **state)
{
    struct lc_config config = CONFIG(unix_spec);
    struct lc_listeners set = opened(&config, NULL);

    lc_listeners_close(&set, NULL);
    assert_int_equal(access(path, F_OK), -1);

    set = opened(&config, NULL);
    assert_int_equal(unlink(path), 0);
    int successor = unix_server();
    lc_listeners_close(&set, NULL);
    assert_int_equal(access(path, F_OK), 0);
    lc_fd_close(&successor);
}

/* ---- descriptors ---- */

static void only_a_listening_socket_can_be_handed_over(void **state)
{
    int plain = socket(AF_INET, SOCK_STREAM, 0);
    LC_AUTOFREE char *spec = lc_printf("fd://%d", plain);
    struct lc_config config = CONFIG(spec);
    LC_AUTOFREE char *expected = lc_printf(
        "bind = %s: descriptor %d is not a listening stream socket", spec, plain);

    assert_refused(&config, NULL, expected);
    assert_int_equal(listen(plain, 4), 0);
    struct lc_listeners set = opened(&config, NULL);
    assert_int_equal(set.items[0].fd, plain);
    assert_string_equal(set.items[0].address, "0.0.0.0");
    lc_listeners_close(&set, NULL);
}

static void a_descriptor_of_our_own_was_not_handed_over(void **state)
{
    int own = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    LC_AUTOFREE char *spec = lc_printf("fd://%d", own);
    struct lc_config config = CONFIG(spec);
    LC_AUTOFREE char *expected = lc_printf("bind = %s: descriptor %d was not handed over",
                                           spec, own);

    assert_int_equal(listen(own, 4), 0);
    assert_refused(&config, NULL, expected);
    lc_fd_close(&own);
}

static void a_handed_over_socket_is_the_only_one_used(void **state)
{
    int given = socket(AF_INET, SOCK_STREAM, 0);
    LC_AUTOFREE char *spec = lc_printf("fd://%d", given);
    struct lc_config config = CONFIG("127.0.0.1:0", spec);

    assert_int_equal(listen(given, 4), 0);
    lc_log_open(-1, LC_CRITICAL); /* a warning names what is not used */
    struct lc_listeners set = opened(&config, NULL);
    assert_int_equal(set.count, 1);
    assert_int_equal(set.items[0].fd, given);
    lc_listeners_close(&set, NULL);
}

/* ---- reload ---- */

static void an_unchanged_address_keeps_its_socket(void **state)
{
    struct lc_config before = CONFIG("127.0.0.1:0", unix_spec);
    struct lc_config after = CONFIG(unix_spec, "127.0.0.1:0", "127.0.0.2:0");
    struct lc_listeners old = opened(&before, NULL);
    struct lc_listeners new = opened(&after, &old);

    assert_int_equal(new.items[0].fd, old.items[1].fd);
    assert_int_equal(new.items[1].fd, old.items[0].fd);
    assert_false(lc_listeners_equal(&old, &new));

    lc_listeners_close(&old, &new); /* all its sockets are still needed */
    assert_true(is_open(new.items[0].fd));
    assert_true(is_open(new.items[1].fd));
    assert_int_equal(access(path, F_OK), 0);
    lc_listeners_close(&new, NULL);
    assert_int_equal(access(path, F_OK), -1);
}

static void a_removed_address_is_closed_with_the_old_set(void **state)
{
    struct lc_config before = CONFIG("127.0.0.1:0", unix_spec);
    struct lc_config after = CONFIG("127.0.0.1:0");
    struct lc_listeners old = opened(&before, NULL);
    struct lc_listeners new = opened(&after, &old);
    int removed = old.items[1].fd;

    assert_true(is_open(removed));
    lc_listeners_close(&old, &new);
    assert_false(is_open(removed));
    assert_int_equal(access(path, F_OK), -1);
    assert_true(is_open(new.items[0].fd));
    lc_listeners_close(&new, NULL);
}

static void a_refused_set_leaves_the_running_one_as_it_is(void **state)
{
    struct lc_config before = CONFIG("127.0.0.1:0", unix_spec);
    struct lc_config after = CONFIG(unix_spec, "127.0.0.2:0", "192.0.2.1:80");
    struct lc_listeners running = opened(&before, NULL);

    assert_refused(&after, &running,
                   "bind = 192.0.2.1:80: bind: Cannot assign requested address");
    assert_true(is_open(running.items[0].fd));
    assert_true(is_open(running.items[1].fd));
    assert_int_equal(access(path, F_OK), 0);
    lc_listeners_close(&running, NULL);
}

static void an_address_may_widen_without_a_gap(void **state)
{
    struct lc_config before = CONFIG("127.0.0.1:0");
    struct lc_listeners old = opened(&before, NULL);
    LC_AUTOFREE char *everywhere = lc_printf("0.0.0.0:%s", old.items[0].port);
    struct lc_config after = CONFIG(everywhere);
    struct lc_listeners new = opened(&after, &old);

    assert_int_not_equal(new.items[0].fd, old.items[0].fd);
    lc_listeners_close(&old, &new);
    int client = connected_to_port(new.items[0].port);
    int accepted = accept(new.items[0].fd, NULL, NULL);
    assert_true(client >= 0 && accepted >= 0);
    lc_fd_close(&client);
    lc_fd_close(&accepted);
    lc_listeners_close(&new, NULL);
}

static void a_strangers_port_is_not_shared(void **state)
{
    struct lc_config free_port = CONFIG("127.0.0.1:0");
    struct lc_listeners stranger = opened(&free_port, NULL);
    struct lc_listeners running = opened(&free_port, NULL);
    LC_AUTOFREE char *taken = lc_printf("127.0.0.1:%s", stranger.items[0].port);
    LC_AUTOFREE char *expected = lc_printf("bind = %s: bind: Address already in use",
                                           taken);
    struct lc_config after = CONFIG(taken);

    assert_refused(&after, &running, expected);
    lc_listeners_close(&running, NULL);
    lc_listeners_close(&stranger, NULL);
}

static void a_child_drops_all_sockets_but_its_own(void **state)
{
    struct lc_config before = CONFIG("127.0.0.1:0", unix_spec);
    struct lc_config after = CONFIG("127.0.0.1:0");
    struct lc_listeners old = opened(&before, NULL);
    struct lc_listeners own = opened(&after, &old);

    lc_listeners_drop(&old, &own);
    assert_true(is_open(own.items[0].fd));
    assert_int_equal(old.items[1].fd, -1);
    assert_int_equal(access(path, F_OK), 0); /* the file is the master's business */
    lc_listeners_close(&old, &own);
    lc_listeners_close(&own, NULL);
}

#define IN_A_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tcp_socket_listens_and_knows_its_port),
        IN_A_FOLDER(the_text_names_all_addresses_as_a_browser_would),
        cmocka_unit_test(what_waiting_cannot_heal_fails_at_once_and_names_the_setting),
        cmocka_unit_test(a_signal_to_stop_ends_the_wait_for_an_address),
        cmocka_unit_test(who_may_not_listen_is_named),
        IN_A_FOLDER(umask_decides_who_may_connect),
        IN_A_FOLDER(a_socket_that_nobody_serves_is_replaced),
        IN_A_FOLDER(the_socket_of_a_living_server_is_not_stolen),
        IN_A_FOLDER(what_is_no_socket_is_not_removed),
        IN_A_FOLDER(closing_removes_our_socket_but_not_a_successors),
        cmocka_unit_test(only_a_listening_socket_can_be_handed_over),
        cmocka_unit_test(a_descriptor_of_our_own_was_not_handed_over),
        cmocka_unit_test(a_handed_over_socket_is_the_only_one_used),
        IN_A_FOLDER(an_unchanged_address_keeps_its_socket),
        IN_A_FOLDER(a_removed_address_is_closed_with_the_old_set),
        IN_A_FOLDER(a_refused_set_leaves_the_running_one_as_it_is),
        cmocka_unit_test(an_address_may_widen_without_a_gap),
        cmocka_unit_test(a_strangers_port_is_not_shared),
        IN_A_FOLDER(a_child_drops_all_sockets_but_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
