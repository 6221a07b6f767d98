/* The whole master in a process of its own, with a worker and a logger that only pretend: the
 * worker does what a file tells it to, the logger writes all records into one file. */
#include "master/master.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/inherit.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"

#include <licorne/log.h>

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 10000, TURN_MS = 50 };

static char folder[64];
static pid_t master; /* 0: not running */

/* ---- in the children ---- */

static int pretend_to_fail(const struct lc_inherit *inherit, int code)
{
    struct lc_msg_boot_failed failed = {.exit_code = code, .text = "told to fail"};

    lc_channel_send(inherit->channel, LC_MSG_BOOT_FAILED, inherit->generation, &failed,
                    sizeof(failed));
    return code;
}

/* The file `mode`: what the next workers do. */
static void read_mode(char mode[16])
{
    LC_AUTOCLOSE int fd = open("mode", O_RDONLY);
    ssize_t len = read(fd, mode, 15);

    mode[len < 0 ? 0 : len] = '\0';
}

static void on_term(int sig)
{
    lc_log(LC_INFO, "worker leaves");
    lc_log_drain(1000);
    _exit(0);
}

static int serve(const struct lc_inherit *inherit, bool is_silent)
{
    struct lc_slot *slot = inherit->slot;
    struct pollfd channel = {.fd = inherit->channel};

    if (is_silent)
        lc_slot_take_in_hand(slot, 0, lc_clock_ms(), LC_SLICE("GET"), LC_SLICE("/slow"),
                             "192.0.2.7");
    atomic_store(&slot->heartbeat_ms, lc_clock_ms());
    atomic_store(&slot->state, LC_SLOT_SERVING);
    lc_log(LC_INFO, "worker %u of generation %u is ready", inherit->age,
           inherit->generation);
    lc_log_drain(1000);
    lc_channel_send(inherit->channel, LC_MSG_READY, inherit->generation, NULL, 0);
    /* Behind it: a test that has read this may count on the master having heard. */
    lc_log(LC_INFO, "worker %u of generation %u serves", inherit->age,
           inherit->generation);
    while (poll(&channel, 1, TURN_MS) == 0)
        if (!is_silent)
            atomic_store(&slot->heartbeat_ms, lc_clock_ms());
    return 0; /* the master has gone */
}

static int pretend_to_work(const struct lc_inherit *inherit)
{
    char mode[16];

    lc_log_open(inherit->records, LC_INFO);
    signal(SIGTERM, on_term);
    read_mode(mode);
    if (strcmp(mode, "fail") == 0)
        return pretend_to_fail(inherit, LC_EXIT_BOOT);
    if (strcmp(mode, "absent") == 0)
        return pretend_to_fail(inherit, LC_EXIT_APP_LOAD);
    if (strcmp(mode, "hesitate") == 0)
        usleep(500 * 1000);
    return serve(inherit, strcmp(mode, "silent") == 0);
}

/* True when there was one. */
static bool write_message(const struct lc_inherit *inherit, int log)
{
    static char records[LC_MSG_MAX];
    struct lc_msg_head head;
    struct lc_record_head record;
    ssize_t len = lc_channel_receive(inherit->records, &head, records, sizeof(records));

    for (ssize_t at = 0; at < len; at += (ssize_t)(sizeof(record) + record.length)) {
        memcpy(&record, records + at, sizeof(record));
        lc_fd_write_all(log, records + at + sizeof(record), record.length);
    }
    return len >= 0;
}

static int pretend_to_log(const struct lc_inherit *inherit)
{
    int log = open("log", O_WRONLY | O_APPEND | O_CREAT, 0600);
    struct pollfd from[2] = {{.fd = inherit->records, .events = POLLIN},
                             {.fd = inherit->channel, .events = POLLIN}};
    struct lc_msg_head head;
    static char payload[LC_MSG_MAX];

    lc_channel_send(inherit->channel, LC_MSG_READY, 0, NULL, 0);
    for (;;) {
        poll(from, 2, -1);
        while (write_message(inherit, log))
            continue;
        if ((from[1].revents & (POLLIN | POLLHUP)) == 0)
            continue;
        if (lc_channel_receive(inherit->channel, &head, payload, sizeof(payload)) < 0 ||
            head.type == LC_MSG_STOP)
            break;
    }
    while (write_message(inherit, log))
        continue;
    return 0;
}

/* ---- in the test ---- */

static void given_workers_that(const char *mode)
{
    FILE *file = fopen("mode", "w");

    assert_non_null(file);
    fputs(mode, file);
    fclose(file);
}

static void given_configuration(const char *text)
{
    FILE *file = fopen("licorne.ini", "w");

    assert_non_null(file);
    fprintf(file, "[server]\nbind = unix:socket\npidfile = pid\n%s", text);
    fclose(file);
}

static char *log_text(void)
{
    static char text[65536];
    LC_AUTOCLOSE int fd = open("log", O_RDONLY);
    ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    text[len < 0 ? 0 : len] = '\0';
    return text;
}

static unsigned times_in_log(const char *words)
{
    unsigned times = 0;

    for (const char *at = log_text(); (at = strstr(at, words)) != NULL; at++)
        times++;
    return times;
}

static void await_times(const char *words, unsigned times)
{
    uint64_t end = lc_clock_ms() + PATIENCE_MS;

    while (times_in_log(words) < times) {
        if (lc_clock_ms() > end)
            fail_msg("not %u times in the log: '%s'\n%s", times, words, log_text());
        usleep(5000);
    }
}

static void await(const char *words)
{
    await_times(words, 1);
}

static void start_master(void)
{
    static const struct lc_role worker = {.name = "worker", .run = pretend_to_work};
    static const struct lc_role logger = {.name = "logger", .run = pretend_to_log};
    static const struct lc_roles roles = {.worker = &worker, .logger = &logger};

    fflush(NULL);
    master = fork();
    if (master == 0) {
        /* The title needs its arguments in front of the environment, in one piece. */
        static char words[512] = "licorne\0-c\0licorne.ini\0app:app\0--no-control-socket";
        char *argv[] = {words, words + 8, words + 11, words + 23, words + 31, NULL};

        exit(lc_master_main(5, argv, &roles));
    }
}

static int exit_code_of_master(void)
{
    int status;

    assert_int_equal(waitpid(master, &status, 0), master);
    master = 0;
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int stop_master(int sig)
{
    kill(master, sig);
    return exit_code_of_master();
}

/* The pid at the beginning of the line that ends in `words`: "[time] [pid] [INFO] words". */
static pid_t writer_of(const char *words)
{
    const char *text = log_text(), *line = strstr(text, words);
    int pid = 0;

    assert_non_null(line);
    while (line > text && line[-1] != '\n')
        line--;
    assert_int_equal(sscanf(line, "[%*[^]]] [%d]", &pid), 1);
    return pid;
}

static int enter_folder(void **state)
{
    strcpy(folder, "/tmp/licorne-master-XXXXXX");
    if (mkdtemp(folder) == NULL || chdir(folder) < 0)
        return -1;
    given_configuration("");
    given_workers_that("serve");
    return 0;
}

/* Fails when the server left its socket or its pidfile behind. */
static int leave_folder(void **state)
{
    if (master > 0) {
        kill(master, SIGKILL);
        waitpid(master, NULL, 0);
        unlink("socket");
        unlink("pid");
        master = 0;
    }
    unlink("log");
    unlink("mode");
    unlink("licorne.ini");
    return chdir("/") < 0 || rmdir(folder) < 0 ? -1 : 0;
}

/* ---- the promises ---- */

static void it_starts_serves_and_stops(void **state)
{
    given_configuration("workers = 2\n");
    start_master();
    await("worker 1 of generation 1 serves");
    await("worker 2 of generation 1 serves");
    assert_int_equal(access("pid", F_OK), 0);
    assert_int_equal(stop_master(SIGTERM), 0);
    assert_int_equal(times_in_log("worker leaves"), 2);
    assert_int_equal(times_in_log("Starting licorne"), 1);
    assert_int_equal(times_in_log("[INFO] Listening at: unix:socket ("), 1);
    assert_int_equal(times_in_log("[INFO] Handling signal: term"), 1);
    assert_int_equal(times_in_log("[INFO] Shutting down: Master"), 1);
}

static void a_worker_that_cannot_boot_ends_the_first_start(void **state)
{
    given_workers_that("fail");
    start_master();
    assert_int_equal(exit_code_of_master(), 3);
    assert_int_equal(times_in_log(") exited with code 3."), 1);
    assert_int_equal(times_in_log("[ERROR] Reason: Worker failed to boot."), 1);
}

static void an_application_that_is_not_there_ends_the_first_start(void **state)
{
    given_workers_that("absent");
    start_master();
    assert_int_equal(exit_code_of_master(), 4);
    assert_int_equal(times_in_log("[ERROR] Reason: App failed to load."), 1);
}

static void a_dead_worker_is_replaced(void **state)
{
    start_master();
    await("worker 1 of generation 1 serves");
    kill(writer_of("worker 1 of generation 1 serves"), SIGKILL);
    await("was sent SIGKILL! Perhaps out of memory?");
    await("worker 2 of generation 1 serves");
    assert_int_equal(stop_master(SIGTERM), 0);
}

static void after_the_first_start_a_failed_boot_is_tried_again(void **state)
{
    start_master();
    await("worker 1 of generation 1 serves");
    given_workers_that("fail");
    kill(writer_of("worker 1 of generation 1 serves"), SIGKILL);
    await_times(") exited with code 3.", 2);
    await("The next worker starts in 0.2 s");
    given_workers_that("serve");
    await_times("of generation 1 serves", 2);
    assert_int_equal(stop_master(SIGTERM), 0);
}

static void a_silent_worker_is_aborted_and_its_request_is_named(void **state)
{
    given_configuration("timeout = 1\n");
    given_workers_that("silent");
    start_master();
    await("worker 1 of generation 1 serves");
    given_workers_that("serve");
    await("[CRITICAL] WORKER TIMEOUT (pid:");
    assert_int_equal(times_in_log(" while handling GET /slow for 192.0.2.7, 1."), 1);
    await("worker 2 of generation 1 serves");
    assert_int_equal(stop_master(SIGTERM), 0);
}

static void the_old_workers_leave_only_when_the_new_ones_serve(void **state)
{
    given_configuration("workers = 2\n");
    start_master();
    await_times("of generation 1 serves", 2);
    given_workers_that("hesitate");
    kill(master, SIGHUP);
    await_times("worker leaves", 2);

    const char *text = log_text();
    assert_int_equal(times_in_log("of generation 2 is ready"), 2);
    const char *last_new = strstr(strstr(text, "generation 2 is ready") + 1,
                                  "generation 2 is ready");
    assert_true(last_new < strstr(text, "worker leaves"));
    assert_int_equal(stop_master(SIGTERM), 0);
}

static void a_generation_that_cannot_boot_leaves_the_old_one_serving(void **state)
{
    start_master();
    await("worker 1 of generation 1 serves");
    given_workers_that("fail");
    kill(master, SIGHUP);
    await("[ERROR] Not reloaded: the new workers cannot boot: told to fail");
    assert_int_equal(kill(writer_of("worker 1 of generation 1 serves"), 0), 0);
    assert_int_equal(times_in_log("worker leaves"), 0);

    given_workers_that("serve");
    kill(master, SIGHUP);
    await("of generation 3 serves");
    await("worker leaves");
    assert_int_equal(stop_master(SIGTERM), 0);
}

static void a_broken_configuration_changes_nothing(void **state)
{
    start_master();
    await("worker 1 of generation 1 serves");
    given_configuration("workers = many\n");
    kill(master, SIGHUP);
    await("[ERROR] The running configuration stays in force.");
    assert_int_equal(times_in_log("Not reloaded: licorne.ini:4: workers"), 1);
    assert_int_equal(times_in_log("worker leaves"), 0);
    assert_int_equal(stop_master(SIGTERM), 0);
}

static void reloads_asked_for_during_a_reload_become_one(void **state)
{
    start_master();
    await("of generation 1 serves");
    given_workers_that("hesitate");
    kill(master, SIGHUP);
    await_times("Handling signal: hup", 1);
    for (unsigned i = 2; i <= 4; i++) {
        kill(master, SIGHUP);
        await_times("Handling signal: hup", i);
    }
    await("of generation 3 serves");
    await_times("worker leaves", 2);
    assert_int_equal(stop_master(SIGTERM), 0);
    assert_int_equal(times_in_log("Hang up: Master"), 2);
    assert_int_equal(times_in_log("generation 4"), 0);
}

static void it_can_be_stopped_during_a_reload(void **state)
{
    start_master();
    await("of generation 1 serves");
    given_workers_that("hesitate");
    kill(master, SIGHUP);
    await("Hang up: Master");
    assert_int_equal(stop_master(SIGTERM), 0);
}

static void ttin_and_ttou_change_the_number_until_the_next_reload(void **state)
{
    start_master();
    await("worker 1 of generation 1 serves");
    kill(master, SIGTTIN);
    await("worker 2 of generation 1 serves");
    kill(master, SIGTTOU);
    await("worker leaves");
    kill(master, SIGTTOU); /* the last one stays */
    await_times("Handling signal: ttou", 2);
    kill(master, SIGTTIN);
    await("worker 3 of generation 1 serves");
    kill(master, SIGHUP);
    await_times("worker leaves", 3);
    assert_int_equal(times_in_log("of generation 2 is ready"), 1);
    assert_int_equal(stop_master(SIGTERM), 0);
    assert_int_equal(times_in_log("worker leaves"), 4);
}

static pid_t logger_of(pid_t parent)
{
    /* The logger is forked first, so it is the child with the lowest number. */
    LC_AUTOFREE char *path = lc_printf("/proc/%d/task/%d/children", (int)parent,
                                       (int)parent);
    FILE *file = fopen(path, "r");
    int pid = 0;

    if (file == NULL)
        skip(); /* a kernel without CONFIG_PROC_CHILDREN */
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    return pid;
}

static void a_dead_loggers_successor_goes_on(void **state)
{
    start_master();
    await("worker 1 of generation 1 serves");
    kill(logger_of(master), SIGKILL);
    await("was sent SIGKILL! Its successor goes on.");
    assert_int_equal(stop_master(SIGTERM), 0);
    assert_int_equal(times_in_log("worker leaves"), 1);
    assert_int_equal(times_in_log("Shutting down: Master"), 1);
}

#define IN_A_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(it_starts_serves_and_stops),
        IN_A_FOLDER(a_worker_that_cannot_boot_ends_the_first_start),
        IN_A_FOLDER(an_application_that_is_not_there_ends_the_first_start),
        IN_A_FOLDER(a_dead_worker_is_replaced),
        IN_A_FOLDER(after_the_first_start_a_failed_boot_is_tried_again),
        IN_A_FOLDER(a_silent_worker_is_aborted_and_its_request_is_named),
        IN_A_FOLDER(the_old_workers_leave_only_when_the_new_ones_serve),
        IN_A_FOLDER(a_generation_that_cannot_boot_leaves_the_old_one_serving),
        IN_A_FOLDER(a_broken_configuration_changes_nothing),
        IN_A_FOLDER(reloads_asked_for_during_a_reload_become_one),
        IN_A_FOLDER(it_can_be_stopped_during_a_reload),
        IN_A_FOLDER(ttin_and_ttou_change_the_number_until_the_next_reload),
        IN_A_FOLDER(a_dead_loggers_successor_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
