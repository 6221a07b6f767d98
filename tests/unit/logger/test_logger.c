/* The logger as a process of its own, with real sockets and files. The test is its master. */
#include "logger/logger.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/inherit.h"
#include "base/ipc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "tests/support/cmocka.h"

#include "targets_payload.h"

#include <licorne/error.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

static struct {
    char dir[64];
    int records
        [2]; /* [0] the logger reads, [1] we write: both stay open here, as in the master */
    int channel;
    pid_t pid;
    int stdio[2];  /* what the logger gets as its stdout and stderr, -1: ours */
    int reader[2]; /* their other ends */
    rlim_t file_size;
    struct lc_scoreboard *board;
} at;

/* --- helpers ------------------------------------------------------------------------------ */

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", at.dir, name);
    return path;
}

/* A file's whole text; "" when there is none. The caller frees it. */
static char *read_file(const char *name)
{
    LC_AUTOCLOSE int fd = open(path_of(name), O_RDONLY | O_CLOEXEC);
    size_t len = 0, room = 1 << 16;
    char *text = lc_malloc(room);

    for (ssize_t n; fd >= 0 && (n = read(fd, text + len, room - len - 1)) > 0;) {
        len += (size_t)n;
        if (room - len < 1 << 15)
            text = lc_realloc(text, room *= 2);
    }
    text[len] = '\0';
    return text;
}

static bool file_has(const char *name, const char *what)
{
    LC_AUTOFREE char *text = read_file(name);

    return strstr(text, what) != NULL;
}

static void assert_file_is(const char *name, const char *expected)
{
    LC_AUTOFREE char *text = read_file(name);

    assert_string_equal(text, expected);
}

static void await(bool (*is_true)(void))
{
    for (uint64_t end = lc_clock_ms() + PATIENCE_MS; !is_true(); usleep(5000))
        assert_true(lc_clock_ms() < end);
}

static void await_text(const char *name, const char *what)
{
    for (uint64_t end = lc_clock_ms() + PATIENCE_MS; !file_has(name, what);
         usleep(5000)) {
        if (lc_clock_ms() >= end) {
            LC_AUTOFREE char *text = read_file(name);
            fail_msg("'%s' never came into %s: %.500s", what, name, text);
        }
    }
}

static int count_of(const char *text, const char *what)
{
    int count = 0;

    for (; (text = strstr(text, what)) != NULL; text += strlen(what))
        count++;
    return count;
}

/* cmocka catches a crash and goes on with the next test: in a child that would start the tests all
 * over again, and their children, and theirs. */
static void leave_the_runner(void)
{
    static const int caught[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

    for (size_t i = 0; i < LC_COUNT(caught); i++)
        signal(caught[i], SIG_DFL);
}

static _Noreturn void be_logger(int channel)
{
    leave_the_runner();

    static const struct lc_config config; /* no logger of Python's */
    struct lc_inherit inherit = {.config = &config,
                                 .channel = channel,
                                 .records = at.records[0],
                                 .output = -1,
                                 .scoreboard = at.board};

    /* cmocka would go on with the next test in here after a crash. */
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    for (size_t i = 0; i < LC_COUNT(crashes); i++)
        signal(crashes[i], SIG_DFL);

    for (int i = 0; i < 2; i++)
        if (at.stdio[i] >= 0) {
            dup2(at.stdio[i], i + 1);
            close(at.stdio[i]);
            close(at.reader[i]);
        }
    if (at.file_size != 0)
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){at.file_size, RLIM_INFINITY});
    umask(022);
    lc_fd_close(&at.records[1]);
    lc_fd_close(&at.channel);
    exit(lc_logger_run(&inherit));
}

static void start_logger(void)
{
    int ends[2];

    assert_int_equal(lc_channel_pair(ends, NULL), 0);
    at.channel = ends[0];
    fflush(NULL);
    at.pid = fork();
    if (at.pid == 0)
        be_logger(ends[1]);
    assert_true(at.pid > 0);
    close(ends[1]);
}

static int given_pipe(int fd)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    at.stdio[fd - 1] = ends[1];
    return at.reader[fd - 1] = ends[0];
}

static void tell(enum lc_msg_type type, const void *payload, size_t len)
{
    assert_int_equal(lc_channel_send(at.channel, type, 0, payload, len), 0);
}

static void tell_streams(const char *errorlog, const char *accesslog)
{
    char payload[1024];

    tell(LC_MSG_STREAMS, payload, put_targets(payload, errorlog, accesslog));
}

static enum lc_msg_type answer(char *payload)
{
    static char buffer[LC_MSG_MAX];
    struct pollfd readable = {.fd = at.channel, .events = POLLIN};
    struct lc_msg_head head;

    assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
    assert_true(lc_channel_receive(at.channel, &head, buffer, sizeof(buffer)) >= 0);
    if (payload != NULL)
        memcpy(payload, buffer, head.length);
    return (enum lc_msg_type)head.type;
}

static void given_logger(const char *errorlog, const char *accesslog)
{
    start_logger();
    tell_streams(errorlog, accesslog);
    assert_int_equal(answer(NULL), LC_MSG_READY);
}

static void given_files(void)
{
    given_logger(path_of("error"), path_of("access"));
}

static int exit_code(void)
{
    int status = 0;

    for (uint64_t end = lc_clock_ms() + PATIENCE_MS;
         waitpid(at.pid, &status, WNOHANG) != at.pid; usleep(2000))
        if (lc_clock_ms() >= end)
            fail_msg("the logger does not end");
    at.pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void stop_logger(void)
{
    lc_log_drain(PATIENCE_MS);
    tell(LC_MSG_STOP, NULL, 0);
    assert_int_equal(exit_code(), 0);
    lc_fd_close(&at.channel);
}

static void log_line(enum lc_stream_id stream, const char *line)
{
    lc_log_send(stream, line, strlen(line));
    lc_log_flush();
}

static void log_number(int number)
{
    char line[101];

    snprintf(line, sizeof(line), "%0100d", number);
    lc_log_send(LC_STREAM_ACCESS, line, 100);
}

/* Lines of log_number, one after the other from `first` on; returns the number after the last. */
static int assert_numbers(const char *text, int first)
{
    for (; *text != '\0'; text += 101) {
        assert_int_equal(strspn(text, "0123456789"), 100);
        assert_int_equal(text[100], '\n');
        assert_int_equal(strtol(text, NULL, 10), first);
        first++;
    }
    return first;
}

static int make(void **state)
{
    memset(&at, 0, sizeof(at));
    at.channel = at.stdio[0] = at.stdio[1] = -1;
    snprintf(at.dir, sizeof(at.dir), "/tmp/licorne-logger-XXXXXX");
    at.board = lc_scoreboard_create(1, NULL);
    if (at.board == NULL || mkdtemp(at.dir) == NULL ||
        lc_channel_pair(at.records, NULL) < 0)
        return -1;
    lc_log_open(at.records[1], LC_INFO);
    return 0;
}

static int unmake(void **state)
{
    DIR *dir;

    if (at.pid > 0) {
        kill(at.pid, SIGKILL);
        waitpid(at.pid, NULL, 0);
    }
    lc_log_open(-1, LC_INFO);
    lc_scoreboard_destroy(at.board);
    lc_fd_close(&at.channel);
    lc_fd_close(&at.records[0]);
    lc_fd_close(&at.records[1]);
    lc_fd_close(&at.stdio[0]);
    lc_fd_close(&at.stdio[1]);
    if ((dir = opendir(at.dir)) != NULL) {
        for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
            unlinkat(dirfd(dir), entry->d_name, 0);
        closedir(dir);
    }
    rmdir(at.dir);
    return 0;
}

/* --- start and end ------------------------------------------------------------------------ */

static void lines_go_to_the_files_that_the_master_names(void **state)
{
    given_files();
    log_line(LC_STREAM_ACCESS, "GET / 200");
    lc_log_raw(LC_SLICE("something happened\n"));
    stop_logger();
    assert_file_is("access", "GET / 200\n");
    assert_file_is("error", "something happened\n");
}

static void what_was_sent_before_the_stop_is_written(void **state)
{
    given_files();
    for (int i = 0; i < 20000; i++) {
        log_number(i);
        if (i % 500 == 0)
            lc_log_drain(PATIENCE_MS);
    }
    stop_logger();
    LC_AUTOFREE char *text = read_file("access");
    assert_int_equal(assert_numbers(text, 0), 20000);
}

static void a_file_that_cannot_be_opened_fails_the_start(void **state)
{
    char payload[LC_MSG_MAX], uid[32];

    start_logger();
    tell_streams(path_of("error"), "/there/is/no/such/place");
    assert_int_equal(answer(payload), LC_MSG_BOOT_FAILED);

    const struct lc_msg_boot_failed *failed = (const void *)payload;
    snprintf(uid, sizeof(uid), "uid %ld", (long)geteuid());
    assert_non_null(strstr(failed->text, "accesslog: "));
    assert_non_null(strstr(failed->text, "'/there/is/no/such/place'"));
    assert_non_null(strstr(failed->text, uid));
    assert_non_null(strstr(failed->text, "No such file or directory"));
    assert_int_equal(failed->exit_code, 1);
    assert_int_equal(exit_code(), 1);
}

static void a_list_of_streams_that_is_cut_fails_the_start(void **state)
{
    start_logger();
    tell(LC_MSG_STREAMS, "/tmp/x", 6);
    assert_int_equal(answer(NULL), LC_MSG_BOOT_FAILED);
    assert_int_equal(exit_code(), 1);
}

static void an_empty_name_is_nowhere(void **state)
{
    given_logger(path_of("error"), "");
    log_line(LC_STREAM_ACCESS, "to nowhere");
    lc_log_raw(LC_SLICE("here\n"));
    stop_logger();
    assert_file_is("error", "here\n");
}

static void files_are_appended_to_and_readable_by_all(void **state)
{
    struct stat st;
    int fd = open(path_of("error"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_int_equal(lc_fd_write_all(fd, "old\n", 4), 0);
    close(fd);
    given_files();
    lc_log_raw(LC_SLICE("new\n"));
    stop_logger();
    assert_file_is("error", "old\nnew\n");
    assert_int_equal(stat(path_of("access"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(stat(path_of("error"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600); /* an existing file keeps its rights */
}

static void signals_for_the_group_do_not_end_it(void **state)
{
    static const int signals[] = {SIGINT,  SIGTERM, SIGQUIT, SIGHUP,
                                  SIGUSR1, SIGUSR2, SIGPIPE, SIGWINCH};

    given_files();
    for (size_t i = 0; i < LC_COUNT(signals); i++)
        kill(at.pid, signals[i]);
    lc_log_raw(LC_SLICE("still here\n"));
    await_text("error", "still here\n");
    stop_logger();
}

static void the_successor_of_a_killed_logger_reads_what_was_queued(void **state)
{
    given_files();
    log_number(0);
    lc_log_flush();
    await_text("access", "0\n");
    kill(at.pid, SIGKILL);
    assert_int_equal(exit_code(), -SIGKILL);
    lc_fd_close(&at.channel);

    for (int i = 1; i < 8000; i++) /* fills the socket, and more waits in this process */
        log_number(i);
    assert_false(lc_log_flush());
    given_files();
    stop_logger();
    LC_AUTOFREE char *text = read_file("access");
    assert_int_equal(assert_numbers(text, 0), 8000);
    assert_file_is("error", "");
}

static pid_t start_sender(int count)
{
    pid_t sender = fork();

    if (sender == 0) {
        leave_the_runner();
        for (int i = 0; i < count; i++) {
            log_number(i);
            if (i % 10 == 9) {
                lc_log_flush();
                usleep(300);
            }
        }
        lc_log_drain(PATIENCE_MS);
        _exit(lc_log_dropped() == 0 ? 0 : 1);
    }
    return sender;
}

static void a_logger_that_is_killed_again_and_again_writes_each_line_once(void **state)
{
    enum { KILLS = 40, COUNT = 40000 };
    int status;

    given_files();
    pid_t sender = start_sender(COUNT);
    for (int i = 0; i < KILLS; i++) {
        usleep(10000 + 700 * (useconds_t)i);
        kill(at.pid, SIGKILL);
        assert_int_equal(exit_code(), -SIGKILL);
        lc_fd_close(&at.channel);
        given_files();
    }
    assert_int_equal(waitpid(sender, &status, 0), sender);
    assert_int_equal(status, 0);
    stop_logger();
    LC_AUTOFREE char *text = read_file("access");
    assert_int_equal(assert_numbers(text, 0), COUNT);
}

static void it_outlives_a_killed_master_until_the_last_worker_has_gone(void **state)
{
    given_files();
    pid_t worker = fork();
    if (worker == 0) {
        leave_the_runner();
        lc_fd_close(&at.channel);
        usleep(300000);
        log_line(LC_STREAM_ACCESS, "the last request");
        _exit(0);
    }
    /* The master's ends close. */
    lc_log_open(-1, LC_INFO);
    lc_fd_close(&at.channel);
    lc_fd_close(&at.records[0]);
    lc_fd_close(&at.records[1]);
    assert_int_equal(exit_code(), 0);
    assert_int_equal(waitpid(worker, NULL, 0), worker);
    assert_file_is("access", "the last request\n");
}

/* --- rotation and reload ------------------------------------------------------------------ */

static void rotation_loses_nothing(void **state)
{
    enum { ROTATIONS = 10, COUNT = 10000 };
    int status, next = 0;
    char name[32];

    given_files();
    pid_t sender = start_sender(COUNT);
    for (int i = 0; i < ROTATIONS; i++) {
        usleep(20000);
        snprintf(name, sizeof(name), "access.%d", i);
        assert_int_equal(rename(path_of("access"), path_of(name)), 0);
        tell(LC_MSG_REOPEN, NULL, 0);
        for (uint64_t end = lc_clock_ms() + PATIENCE_MS;
             access(path_of("access"), F_OK) < 0; usleep(1000))
            assert_true(lc_clock_ms() < end);
    }
    assert_int_equal(waitpid(sender, &status, 0), sender);
    assert_int_equal(status, 0);
    stop_logger();

    for (int i = 0; i < ROTATIONS; i++) {
        snprintf(name, sizeof(name), "access.%d", i);
        LC_AUTOFREE char *text = read_file(name);
        next = assert_numbers(text, next);
    }
    assert_true(next > 0);
    LC_AUTOFREE char *text = read_file("access");
    assert_int_equal(assert_numbers(text, next), COUNT);
}

static void a_reopen_that_fails_keeps_the_old_file_and_says_so(void **state)
{
    given_files();
    assert_int_equal(rename(path_of("access"), path_of("access.1")), 0);
    assert_int_equal(mkdir(path_of("access"), 0700), 0);
    tell(LC_MSG_REOPEN, NULL, 0);
    await_text("error", "[ERROR] accesslog stays open as it was: cannot open '");
    assert_true(file_has("error", "Is a directory"));
    log_line(LC_STREAM_ACCESS, "into the old one");
    stop_logger();
    assert_file_is("access.1", "into the old one\n");
    rmdir(path_of("access"));
}

static void new_streams_take_the_place_of_the_old(void **state)
{
    given_files();
    log_line(LC_STREAM_ACCESS, "old");
    await_text("access", "old\n");
    tell_streams(path_of("error2"), path_of("access2"));
    await_text("access2", "");
    for (uint64_t end = lc_clock_ms() + PATIENCE_MS; access(path_of("access2"), F_OK) < 0;
         usleep(1000))
        assert_true(lc_clock_ms() < end);
    log_line(LC_STREAM_ACCESS, "new");
    stop_logger();
    assert_file_is("access", "old\n");
    assert_file_is("access2", "new\n");
    assert_file_is("error2", "");
}

static void new_streams_that_fail_leave_all_the_old_in_force(void **state)
{
    given_files();
    tell_streams(path_of("error2"), "/there/is/no/such/place");
    await_text("error", "[ERROR] the logs stay as they were: accesslog: cannot open "
                        "'/there/is/no/such/place'");
    log_line(LC_STREAM_ACCESS, "into the old one");
    stop_logger();
    assert_file_is("access", "into the old one\n");
    assert_file_is("error2", "");
}

static void two_names_of_one_file_share_it_in_order(void **state)
{
    assert_int_equal(symlink("both", path_of("access")), 0);
    given_logger(path_of("both"), path_of("access"));
    for (int i = 0; i < 3; i++) {
        lc_log_send(LC_STREAM_ACCESS, "access", 6);
        lc_log_raw(LC_SLICE("error\n"));
    }
    stop_logger();
    assert_file_is("both", "access\nerror\naccess\nerror\naccess\nerror\n");
}

/* --- hostile senders ---------------------------------------------------------------------- */

static void send_bytes(const void *bytes, size_t len)
{
    assert_int_equal(send(at.records[1], bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void send_record(uint32_t message_length, uint16_t type, uint16_t stream,
                        uint32_t record_length)
{
    struct {
        struct lc_msg_head head;
        struct lc_record_head record;
        char text[4];
    } message = {{message_length, type, 0}, {stream, 0, record_length, 0}, "bad\n"};

    send_bytes(&message, sizeof(message));
}

static void what_is_no_record_is_ignored(void **state)
{
    given_files();
    send_bytes("", 0); /* reads like the end of the socket, and is none */
    send_bytes("x", 1);
    send_record(16, LC_MSG_STOP, LC_STREAM_ERROR, 4);
    send_record(16, LC_MSG_STREAMS, LC_STREAM_ERROR, 4);
    send_record(16, LC_MSG_REOPEN, LC_STREAM_ERROR, 4);
    send_record(4, LC_MSG_RECORDS, LC_STREAM_ERROR, 4);
    send_record(UINT32_MAX, LC_MSG_RECORDS, LC_STREAM_ERROR, 4);
    send_record(16, LC_MSG_RECORDS, LC_STREAM_ERROR, 5);
    send_record(16, LC_MSG_RECORDS, LC_STREAM_ERROR, UINT32_MAX);
    send_record(16, LC_MSG_RECORDS, 999, 4);
    send_record(16, 999, LC_STREAM_ERROR, 4);
    log_line(LC_STREAM_ACCESS, "a good one");
    stop_logger();
    assert_file_is("access", "a good one\n");

    LC_AUTOFREE char *text = read_file("error");
    assert_int_equal(count_of(text, "bad"), 0);
    assert_int_equal(count_of(text, "no log record"),
                     1); /* said once, not eleven times */
}

static void the_master_alone_gives_orders(void **state)
{
    given_files();
    tell(LC_MSG_RECORDS, "what", 4);
    assert_int_equal(send(at.channel, "x", 1, MSG_NOSIGNAL), 1);
    await_text("error", "malformed message from the master");
    assert_true(file_has("error", "message type 4"));
    stop_logger();
}

/* --- disks that are full ------------------------------------------------------------------ */

static int limit_file_size(rlim_t size)
{
    return prlimit(at.pid, RLIMIT_FSIZE, &(struct rlimit){size, RLIM_INFINITY}, NULL);
}

static bool access_has_stopped(void)
{
    struct stat st;

    return stat(path_of("access"), &st) == 0 && st.st_size == 10000;
}

static void a_disk_that_was_full_gets_every_line_whole(void **state)
{
    at.file_size = 10000; /* in the middle of a line */
    given_files();
    for (int i = 0; i < 500; i++)
        log_number(i);
    lc_log_flush();
    await(access_has_stopped);
    await_text("error", "[ERROR] cannot write to ");
    assert_int_equal(limit_file_size(RLIM_INFINITY), 0);
    await_text("error", "can be written again; no record was lost");
    stop_logger();

    LC_AUTOFREE char *text = read_file("access");
    assert_int_equal(assert_numbers(text, 0), 500);
    LC_AUTOFREE char *errors = read_file("error");
    assert_int_equal(count_of(errors, "cannot write"), 1);
}

static void a_full_disk_does_not_hold_up_the_other_log(void **state)
{
    given_logger(path_of("error"), "/dev/full");
    for (int i = 0; i < 1000; i++)
        log_number(i);
    lc_log_raw(LC_SLICE("the error log goes on\n"));
    await_text("error", "the error log goes on\n");
    await_text("error", "cannot write to /dev/full: No space left on device");
    stop_logger();
    assert_true(file_has("error", "1000 log records for /dev/full could not be written"));
}

/* 60 KB each: what the socket, this process and the logger hold together is soon exceeded. */
static void log_large_lines(int count)
{
    LC_AUTOFREE char *line = lc_malloc(60000);

    memset(line, 'x', 60000);
    for (int i = 0; i < count; i++) {
        lc_log_send(LC_STREAM_ACCESS, line, 60000);
        lc_log_drain(PATIENCE_MS);
    }
}

static void what_a_full_disk_cannot_take_is_counted_and_reported(void **state)
{
    struct stat st;
    char report[100];

    at.file_size = 10000;
    given_files();
    log_large_lines(100); /* 6 MB; 4 MiB may wait */
    await_text("error", "[ERROR] cannot write to ");
    assert_int_equal(limit_file_size(RLIM_INFINITY), 0);
    await_text("error", "can be written again; ");
    stop_logger();

    assert_int_equal(stat(path_of("access"), &st), 0);
    assert_int_equal(st.st_size % 60001, 0); /* whole lines */
    snprintf(report, sizeof(report), "again; %d log records were dropped: File too large",
             100 - (int)(st.st_size / 60001));
    assert_true(file_has("error", report));
}

static void trouble_with_the_error_log_itself_is_told_on_stderr(void **state)
{
    int err = given_pipe(STDERR_FILENO);
    char text[1000];

    given_logger("/dev/full", "");
    lc_log_raw(LC_SLICE("lost\n"));

    ssize_t n = read(err, text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(strstr(text, "[ERROR] cannot write to /dev/full: No space left"));
    stop_logger();
    close(err);
}

static void a_disk_that_is_full_at_the_rotation_keeps_lines_whole(void **state)
{
    at.file_size = 10000;
    given_files();
    for (int i = 0; i < 150; i++)
        log_number(i);
    lc_log_flush();
    await(access_has_stopped);
    await_text("error", "cannot write");
    assert_int_equal(rename(path_of("access"), path_of("access.1")), 0);
    tell(LC_MSG_REOPEN, NULL, 0); /* the new file has room for the rest */
    await_text("error", "can be written again");
    stop_logger();

    LC_AUTOFREE char *text = read_file("access");
    assert_int_equal(assert_numbers(text, 10000 / 101), 150);
}

/* --- readers that sleep ------------------------------------------------------------------- */

static char *read_to_the_end(int fd)
{
    size_t len = 0, room = 1 << 20;
    char *text = lc_malloc(room);

    for (ssize_t n; (n = read(fd, text + len, room - len - 1)) > 0;) {
        len += (size_t)n;
        if (room - len < 1 << 19)
            text = lc_realloc(text, room *= 2);
    }
    text[len] = '\0';
    close(fd);
    return text;
}

static void a_dash_is_stdout_for_access_and_stderr_for_errors(void **state)
{
    int out = given_pipe(STDOUT_FILENO), err = given_pipe(STDERR_FILENO);

    given_logger("-", "-");
    log_line(LC_STREAM_ACCESS, "access");
    lc_log_raw(LC_SLICE("error\n"));
    stop_logger();
    lc_fd_close(&at.stdio[0]);
    lc_fd_close(&at.stdio[1]);
    LC_AUTOFREE char *access = read_to_the_end(out);
    LC_AUTOFREE char *error = read_to_the_end(err);
    assert_string_equal(access, "access\n");
    assert_string_equal(error, "error\n");
}

static void a_sleeping_reader_holds_up_nobody_and_loses_nothing(void **state)
{
    int out = given_pipe(STDOUT_FILENO);

    given_logger(path_of("error"), "-");
    for (int i = 0; i < 5000; i++) { /* 0.5 MB; the pipe takes 64 KB */
        log_number(i);
        if (i % 500 == 0)
            lc_log_drain(PATIENCE_MS);
    }
    lc_log_raw(LC_SLICE("the error log goes on\n"));
    await_text("error", "the error log goes on\n");
    assert_false(fcntl(at.stdio[0], F_GETFL) & O_NONBLOCK); /* it is not ours to change */

    lc_fd_close(&at.stdio[0]);
    lc_log_drain(PATIENCE_MS);
    tell(LC_MSG_STOP, NULL, 0);
    LC_AUTOFREE char *text = read_to_the_end(out);
    assert_int_equal(assert_numbers(text, 0), 5000);
    assert_int_equal(exit_code(), 0);
}

static void a_socket_for_stdout_is_not_waited_for_either(void **state)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    at.stdio[0] = ends[1];
    at.reader[0] = ends[0];
    given_logger(path_of("error"), "/dev/stdout");
    for (int i = 0; i < 5000; i++) {
        log_number(i);
        if (i % 500 == 0)
            lc_log_drain(PATIENCE_MS);
    }
    lc_log_raw(LC_SLICE("the error log goes on\n"));
    await_text("error", "the error log goes on\n");

    lc_fd_close(&at.stdio[0]);
    lc_log_drain(PATIENCE_MS);
    tell(LC_MSG_STOP, NULL, 0);
    LC_AUTOFREE char *text = read_to_the_end(ends[0]);
    assert_int_equal(assert_numbers(text, 0), 5000);
    assert_int_equal(exit_code(), 0);
}

static void what_a_sleeping_reader_misses_is_counted_and_reported(void **state)
{
    int out = given_pipe(STDOUT_FILENO);
    size_t lines = 0;
    char report[100];

    given_logger(path_of("error"), "-");
    log_large_lines(100);
    lc_fd_close(&at.stdio[0]);
    lc_log_drain(PATIENCE_MS);
    tell(LC_MSG_STOP, NULL, 0);
    LC_AUTOFREE char *text = read_to_the_end(out);
    for (const char *line = text; *line != '\0'; line += 60001, lines++)
        assert_int_equal(strspn(line, "x"), 60000);
    assert_in_range(lines, 65, 80);
    assert_int_equal(exit_code(), 0);
    snprintf(report, sizeof(report),
             "[WARNING] %zu log records for stdout were dropped: it could not keep up",
             100 - lines);
    assert_true(file_has("error", report));
}

static void a_reader_that_has_gone_does_not_end_the_logger(void **state)
{
    int out = given_pipe(STDOUT_FILENO);

    given_logger(path_of("error"), "-");
    lc_fd_close(&at.stdio[0]);
    close(out);
    log_line(LC_STREAM_ACCESS, "to nobody");
    await_text("error", "cannot write to stdout: Broken pipe");
    lc_log_raw(LC_SLICE("the error log goes on\n"));
    await_text("error", "the error log goes on\n");
    stop_logger();
}

static void a_sleeping_reader_does_not_delay_the_end_for_long(void **state)
{
    int out = given_pipe(STDOUT_FILENO);

    given_logger(path_of("error"), "-");
    log_large_lines(20);
    uint64_t start = lc_clock_ms();
    stop_logger();
    assert_in_range(lc_clock_ms() - start, 0, 5000);
    assert_true(file_has("error", "log records for stdout could not be written"));
    close(out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_go_to_the_files_that_the_master_names),
        TEST(what_was_sent_before_the_stop_is_written),
        TEST(a_file_that_cannot_be_opened_fails_the_start),
        TEST(a_list_of_streams_that_is_cut_fails_the_start),
        TEST(an_empty_name_is_nowhere),
        TEST(files_are_appended_to_and_readable_by_all),
        TEST(signals_for_the_group_do_not_end_it),
        TEST(the_successor_of_a_killed_logger_reads_what_was_queued),
        TEST(a_logger_that_is_killed_again_and_again_writes_each_line_once),
        TEST(it_outlives_a_killed_master_until_the_last_worker_has_gone),
        TEST(rotation_loses_nothing),
        TEST(a_reopen_that_fails_keeps_the_old_file_and_says_so),
        TEST(new_streams_take_the_place_of_the_old),
        TEST(new_streams_that_fail_leave_all_the_old_in_force),
        TEST(two_names_of_one_file_share_it_in_order),
        TEST(what_is_no_record_is_ignored),
        TEST(the_master_alone_gives_orders),
        TEST(a_disk_that_was_full_gets_every_line_whole),
        TEST(a_full_disk_does_not_hold_up_the_other_log),
        TEST(what_a_full_disk_cannot_take_is_counted_and_reported),
        TEST(trouble_with_the_error_log_itself_is_told_on_stderr),
        TEST(a_disk_that_is_full_at_the_rotation_keeps_lines_whole),
        TEST(a_dash_is_stdout_for_access_and_stderr_for_errors),
        TEST(a_sleeping_reader_holds_up_nobody_and_loses_nothing),
        TEST(a_socket_for_stdout_is_not_waited_for_either),
        TEST(what_a_sleeping_reader_misses_is_counted_and_reported),
        TEST(a_reader_that_has_gone_does_not_end_the_logger),
        TEST(a_sleeping_reader_does_not_delay_the_end_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
