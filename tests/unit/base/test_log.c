#include "base/log.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/ipc.h"
#include "tests/support/cmocka.h"

#include <licorne/error.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The logger's end of the socket, and what came out of it. */
static struct {
    int ends[2]; /* [0] is read from, [1] is logged to */
    char *text[LC_STREAM_COUNT];
    size_t len[LC_STREAM_COUNT];
    size_t messages, records;
} logged;

static void keep(enum lc_stream_id stream, const char *text, size_t len)
{
    logged.text[stream] = realloc(logged.text[stream], logged.len[stream] + len + 1);
    memcpy(logged.text[stream] + logged.len[stream], text, len);
    logged.len[stream] += len;
    logged.text[stream][logged.len[stream]] = '\0';
}

/* Reads one message; false when none is there. */
static bool read_message(void)
{
    static char buffer[LC_MSG_MAX];
    struct lc_msg_head head;
    ssize_t len = lc_channel_receive(logged.ends[0], &head, buffer, sizeof(buffer));

    if (len < 0)
        return false;
    assert_int_equal(head.type, LC_MSG_RECORDS);
    logged.messages++;
    for (ssize_t at = 0; at < len;) {
        struct lc_record_head record;

        assert_true(len - at >= (ssize_t)sizeof(record));
        memcpy(&record, buffer + at, sizeof(record));
        at += (ssize_t)sizeof(record);
        assert_true(record.stream < LC_STREAM_COUNT && record.length <= len - at);
        keep((enum lc_stream_id)record.stream, buffer + at, record.length);
        logged.records++;
        at += record.length;
    }
    return true;
}

static void read_all(void)
{
    while (read_message())
        continue;
}

static void read_and_flush_all(void)
{
    do
        read_all();
    while (!lc_log_flush());
    read_all();
}

static const char *errors(void)
{
    return logged.text[LC_STREAM_ERROR];
}

static const char *accesses(void)
{
    return logged.text[LC_STREAM_ACCESS];
}

static int make(void **state)
{
    static char report[LC_MSG_MAX];
    struct lc_error err;

    memset(&logged, 0, sizeof(logged));
    for (int i = 0; i < LC_STREAM_COUNT; i++)
        keep((enum lc_stream_id)i, "", 0);
    if (lc_channel_pair(logged.ends, &err) < 0)
        return -1;
    lc_log_open(logged.ends[1], LC_INFO);
    lc_log_flush(); /* may report what an earlier test dropped */
    (void)!read(logged.ends[0], report, sizeof(report));
    return 0;
}

static int unmake(void **state)
{
    if (logged.ends[0] >= 0)
        read_and_flush_all();
    lc_log_open(-1, LC_INFO);
    lc_fd_close(&logged.ends[0]);
    lc_fd_close(&logged.ends[1]);
    for (int i = 0; i < LC_STREAM_COUNT; i++)
        free(logged.text[i]);
    return 0;
}

static void assert_matches(const char *text, const char *pattern)
{
    regex_t compiled;

    assert_int_equal(regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&compiled, text, 0, NULL, 0) != 0)
        fail_msg("'%.300s' is not like '%s'", text, pattern);
    regfree(&compiled);
}

static void send_number(int number)
{
    char line[101];

    snprintf(line, sizeof(line), "%0100d", number);
    lc_log_send(LC_STREAM_ACCESS, line, 100);
}

/* The numbers of the access lines follow each other; returns how many there are. */
static int count_numbers_from(const char *text, int first)
{
    int count = 0;

    for (; *text != '\0'; text += 101, count++) {
        assert_int_equal(strtol(text, NULL, 10), first + count);
        assert_int_equal(text[100], '\n');
    }
    return count;
}

/* --- what a line looks like --------------------------------------------------------------- */

static void an_error_line_reads_as_gunicorns(void **state)
{
    char pattern[200];

    lc_log(LC_INFO, "Booting worker with pid: %d", 4711);
    read_all();
    snprintf(pattern, sizeof(pattern),
             "^\\[20[0-9]{2}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-6][0-9] "
             "[+-][0-9]{4}\\] \\[%d\\] \\[INFO\\] Booting worker with pid: 4711\n$",
             (int)getpid());
    assert_matches(errors(), pattern);
}

static void levels_have_gunicorns_names(void **state)
{
    lc_log_open(logged.ends[1], LC_DEBUG);
    lc_log(LC_DEBUG, "a");
    lc_log(LC_WARN, "b");
    lc_log(LC_ERROR, "c");
    lc_log(LC_CRITICAL, "d");
    read_all();
    assert_matches(errors(), "\\[DEBUG\\] a\n.*\\[WARNING\\] b\n.*\\[ERROR\\] c\n.*"
                             "\\[CRITICAL\\] d\n$");
}

static void what_is_below_the_threshold_is_not_sent(void **state)
{
    lc_log_open(logged.ends[1], LC_ERROR);
    assert_false(lc_log_enabled(LC_WARN));
    assert_true(lc_log_enabled(LC_ERROR));
    lc_log(LC_WARN, "no");
    lc_log_text(LC_INFO, LC_SLICE("no"));
    read_all();
    assert_int_equal(logged.messages, 0);
}

static void a_traceback_stays_together(void **state)
{
    lc_log_text(LC_ERROR, LC_SLICE("Traceback:\n\tFile \"x\"\nKeyError\n"));
    read_all();
    assert_int_equal(logged.records, 1);
    assert_matches(errors(), "\\] Traceback:\n\tFile \"x\"\nKeyError\n$");
}

static void control_bytes_are_escaped_and_letters_are_not(void **state)
{
    lc_log_text(LC_INFO, LC_SLICE("a\x1b[2Jb\rc\0d\x7f|\xc3\xa9\xff|"));
    read_all();
    assert_matches(errors(), "a\\\\x1b\\[2Jb\\\\x0dc\\\\x00d\\\\x7f\\|");
    assert_non_null(strstr(errors(), "|\xc3\xa9\xff|\n"));
}

static void a_long_message_is_formatted_whole(void **state)
{
    lc_log(LC_INFO, "%0*d!", 30000, 7);
    read_all();
    assert_int_equal(strlen(strstr(errors(), "[INFO] ")), 7 + 30000 + 2);
    assert_matches(errors(), "07!\n$");
}

static void raw_text_is_left_as_it_is(void **state)
{
    lc_log_raw(LC_SLICE("no newline, \x1b[1m"));
    lc_log_raw(LC_SLICE(" and on\n"));
    lc_log_raw(LC_SLICE(""));
    read_all();
    assert_string_equal(errors(), "no newline, \x1b[1m and on\n");
    assert_int_equal(logged.records, 2);
}

static void a_megabyte_of_raw_text_arrives_whole_and_in_order(void **state)
{
    enum { SIZE = 1 << 20 };
    char *text = malloc(SIZE + 1);

    for (size_t i = 0; i < SIZE; i++)
        text[i] = i % 61 == 60 ? '\n' : (char)('!' + i / 61 % 90);
    text[SIZE] = '\0';
    lc_log_raw((struct lc_slice){text, SIZE}); /* nobody reads meanwhile */
    read_and_flush_all();
    assert_int_equal(logged.len[LC_STREAM_ERROR], SIZE);
    assert_memory_equal(errors(), text, SIZE);
    free(text);
}

static void a_long_text_is_parted_where_lines_end(void **state)
{
    static char buffer[LC_MSG_MAX];
    struct lc_msg_head head;
    char *text = malloc(200000);

    for (size_t i = 0; i < 200000; i++)
        text[i] = i % 100 == 99 ? '\n' : 'x';
    lc_log_raw((struct lc_slice){text, 200000});
    for (int i = 0; i < 4; i++) {
        ssize_t len = lc_channel_receive(logged.ends[0], &head, buffer, sizeof(buffer));
        assert_true(len > 0);
        assert_int_equal(buffer[len - 1], '\n');
    }
    free(text);
}

static void level_names_are_read_as_gunicorn_reads_them(void **state)
{
    assert_int_equal(lc_level_of("debug"), LC_DEBUG);
    assert_int_equal(lc_level_of("INFO"), LC_INFO);
    assert_int_equal(lc_level_of("Warning"), LC_WARN);
    assert_int_equal(lc_level_of("warn"), LC_WARN);
    assert_int_equal(lc_level_of("error"), LC_ERROR);
    assert_int_equal(lc_level_of("critical"), LC_CRITICAL);
    assert_int_equal(lc_level_of("fatal"), LC_CRITICAL);
    assert_int_equal(lc_level_of("loud"), LC_INFO);
    assert_int_equal(lc_level_of(""), LC_INFO);
    assert_int_equal(lc_level_of(NULL), LC_INFO);
}

/* --- when it leaves ----------------------------------------------------------------------- */

static void access_lines_of_a_turn_leave_together(void **state)
{
    for (int i = 0; i < 5; i++)
        send_number(i);
    read_all();
    assert_int_equal(logged.messages, 0);
    assert_true(lc_log_flush());
    read_all();
    assert_int_equal(logged.messages, 1);
    assert_int_equal(count_numbers_from(accesses(), 0), 5);
    assert_true(lc_log_flush()); /* nothing is sent twice */
    read_all();
    assert_int_equal(logged.messages, 1);
}

static void an_error_leaves_at_once_behind_what_was_gathered(void **state)
{
    lc_log_send(LC_STREAM_ACCESS, "first", 5);
    lc_log(LC_ERROR, "then");
    read_all();
    assert_int_equal(logged.messages, 1);
    assert_int_equal(logged.records, 2);
    assert_string_equal(accesses(), "first\n");
}

static void a_full_batch_leaves_by_itself(void **state)
{
    for (int i = 0; i < 1000; i++)
        send_number(i);
    read_all();
    assert_int_equal(logged.messages, 1);
    read_and_flush_all();
    assert_int_equal(count_numbers_from(accesses(), 0), 1000);
}

static void a_line_can_be_written_in_place(void **state)
{
    char *line = lc_log_reserve(LC_STREAM_ACCESS, 1000);

    memcpy(line, "GET /", 5);
    lc_log_commit(5);
    lc_log_reserve(LC_STREAM_ACCESS, 1000);
    lc_log_commit(0);
    lc_log_flush();
    read_all();
    assert_string_equal(accesses(), "GET /\n");
    assert_int_equal(logged.records, 1);
}

static void an_endless_access_line_is_cut(void **state)
{
    char *line = malloc(200000);

    memset(line, 'x', 200000);
    lc_log_send(LC_STREAM_ACCESS, line, 200000);
    lc_log_send(LC_STREAM_ACCESS, "next", 4);
    lc_log_flush();
    read_all();
    assert_int_equal(strspn(accesses(), "x"), strlen(accesses()) - 6);
    assert_true(strlen(accesses()) > 60000 && strlen(accesses()) <= LC_MSG_MAX);
    assert_matches(accesses(), "x\nnext\n$");
    free(line);
}

static void room_for_the_worst_case_is_always_given(void **state)
{
    char *line = lc_log_reserve(LC_STREAM_ACCESS, 300000);

    memset(line, 'y', 300000);
    lc_log_commit(20); /* it was short after all */
    line = lc_log_reserve(LC_STREAM_ACCESS, 300000);
    memset(line, 'z', 300000);
    lc_log_commit(300000);
    lc_log_flush();
    read_all();
    assert_matches(accesses(), "^y{20}\nz+\n$");
    assert_int_equal(logged.records, 2);
}

/* --- when the log cannot keep up ---------------------------------------------------------- */

static void lines_survive_a_full_socket_in_their_order(void **state)
{
    uint64_t dropped = lc_log_dropped();

    for (int i = 0; i < 10000; i++) /* 1 MB: the socket takes less than half of it */
        send_number(i);
    assert_false(lc_log_flush());
    assert_true(lc_log_is_waiting());
    read_and_flush_all();
    assert_false(lc_log_is_waiting());
    assert_int_equal(count_numbers_from(accesses(), 0), 10000);
    assert_int_equal(lc_log_dropped(), dropped);
}

static void what_is_dropped_is_counted_and_reported(void **state)
{
    uint64_t before = lc_log_dropped();
    char pattern[100];

    for (int i = 0; i < 50000; i++)
        send_number(i);
    uint64_t dropped = lc_log_dropped() - before;
    assert_true(dropped > 0 && dropped < 50000);

    read_and_flush_all();
    assert_int_equal(count_numbers_from(accesses(), 0), 50000 - dropped);
    snprintf(pattern, sizeof(pattern),
             "\\[WARNING\\] %d log records were dropped: the log could not keep up\n$",
             (int)dropped);
    assert_matches(errors(), pattern);

    lc_log(LC_INFO, "later");
    read_all();
    assert_matches(errors(), "keep up\n[^\n]* later\n$"); /* reported once */
}

static void the_report_stands_where_the_records_are_missing(void **state)
{
    for (int i = 0; i < 50000; i++)
        send_number(i);
    for (int i = 0; i < 4; i++) /* room again, but nobody has flushed yet */
        read_message();
    lc_log(LC_INFO, "the first after the gap");
    read_and_flush_all();
    assert_matches(errors(),
                   "records were dropped[^\n]*\n[^\n]*the first after the gap\n");
}

static void no_room_is_reserved_when_everything_is_full(void **state)
{
    uint64_t before = lc_log_dropped();

    while (lc_log_dropped() == before)
        send_number(0);
    assert_null(lc_log_reserve(LC_STREAM_ACCESS, 60000));
    assert_int_equal(lc_log_dropped(), before + 2);
}

static void an_error_too_large_for_the_rest_of_the_room_is_counted_once(void **state)
{
    uint64_t before = lc_log_dropped();
    char *text = calloc(1, 8 << 20);

    lc_log_raw((struct lc_slice){text, 8 << 20});
    assert_int_equal(lc_log_dropped(), before + 1);
    free(text);
}

static void *read_late(void *unused)
{
    usleep(100000);
    for (int i = 0; i < 200; i++) {
        read_all();
        usleep(2000);
    }
    return NULL;
}

static void draining_waits_for_a_slow_reader(void **state)
{
    pthread_t reader;

    for (int i = 0; i < 10000; i++)
        send_number(i);
    pthread_create(&reader, NULL, read_late, NULL);
    lc_log_drain(10000);
    assert_false(lc_log_is_waiting());
    pthread_join(reader, NULL);
    assert_int_equal(count_numbers_from(accesses(), 0), 10000);
}

static void draining_does_not_wait_for_ever(void **state)
{
    uint64_t start = lc_clock_ms();

    for (int i = 0; i < 10000; i++)
        send_number(i);
    lc_log_drain(60);
    assert_in_range(lc_clock_ms() - start, 60, 5000);
    assert_true(lc_log_is_waiting());
}

/* --- processes and threads ---------------------------------------------------------------- */

static void a_child_does_not_send_what_its_parent_gathered(void **state)
{
    int status;

    lc_log_send(LC_STREAM_ACCESS, "the parent's", 12);
    pid_t child = fork();
    if (child == 0) {
        lc_log_send(LC_STREAM_ACCESS, "the child's", 11);
        lc_log_drain(1000);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    lc_log_flush();
    read_all();
    assert_string_equal(accesses(), "the child's\nthe parent's\n");
}

static void a_child_logs_under_its_own_pid(void **state)
{
    char pattern[64];

    pid_t child = fork();
    if (child == 0) {
        lc_log(LC_INFO, "hello");
        _exit(0);
    }
    waitpid(child, NULL, 0);
    read_all();
    snprintf(pattern, sizeof(pattern), "\\] \\[%d\\] \\[INFO\\] hello", (int)child);
    assert_matches(errors(), pattern);
}

static void opening_again_keeps_what_was_gathered(void **state)
{
    lc_log_send(LC_STREAM_ACCESS, "before", 6);
    lc_log_open(logged.ends[1], LC_DEBUG); /* the settings changed */
    lc_log_send(LC_STREAM_ACCESS, "after", 5);
    lc_log_flush();
    read_all();
    assert_string_equal(accesses(), "before\nafter\n");
}

static void *log_a_lot(void *letter)
{
    char text[300];

    memset(text, *(const char *)letter, sizeof(text));
    text[sizeof(text) - 1] = '\n';
    for (int i = 0; i < 300; i++)
        lc_log_raw((struct lc_slice){text, sizeof(text)});
    return NULL;
}

static void threads_do_not_tear_each_others_lines(void **state)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, log_a_lot, (void *)&"abcd"[i]);
    for (int i = 0; i < 1000; i++)
        send_number(i);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    read_and_flush_all();
    assert_int_equal(count_numbers_from(accesses(), 0), 1000);
    assert_int_equal(logged.len[LC_STREAM_ERROR], 4 * 300 * 300);
    for (const char *at = errors(); *at != '\0'; at += 300) {
        char letter[2] = {*at, '\0'};
        assert_int_equal(strspn(at, letter), 299);
    }
}

/* --- without a logger --------------------------------------------------------------------- */

/* What `what` writes to a descriptor. */
static void capture(int fd, void (*what)(void), char *into, size_t room)
{
    int ends[2], kept = dup(fd);

    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], fd);
    what();
    dup2(kept, fd);
    close(kept);
    close(ends[1]);
    ssize_t n = read(ends[0], into, room - 1);
    close(ends[0]);
    into[n < 0 ? 0 : n] = '\0';
}

static void log_without_a_logger(void)
{
    lc_log_open(-1, LC_INFO);
    lc_log(LC_ERROR, "no logger");
    lc_log_send(LC_STREAM_ACCESS, "a line", 6);
}

static void before_the_logger_runs_errors_go_to_stderr(void **state)
{
    char text[500];

    capture(STDERR_FILENO, log_without_a_logger, text, sizeof(text));
    assert_matches(text, "^\\[20.*\\] \\[ERROR\\] no logger\n$");
    assert_int_equal(lc_log_fd(), -1);
}

static void before_the_logger_runs_access_lines_go_to_stdout(void **state)
{
    char text[500];

    capture(STDOUT_FILENO, log_without_a_logger, text, sizeof(text));
    assert_string_equal(text, "a line\n");
}

static void log_to_nobody(void)
{
    lc_fd_close(&logged.ends[0]);
    lc_log_send(LC_STREAM_ACCESS, "lost", 4);
    lc_log(LC_CRITICAL, "nobody listens");
    lc_log(LC_CRITICAL, "still nobody");
}

static void when_nobody_reads_any_more_errors_go_to_stderr(void **state)
{
    uint64_t dropped = lc_log_dropped();
    char text[500];

    assert_int_equal(lc_log_fd(), logged.ends[1]);
    capture(STDERR_FILENO, log_to_nobody, text, sizeof(text));
    assert_matches(text, "^[^\n]*nobody listens\n[^\n]*still nobody\n$");
    assert_int_equal(lc_log_dropped(), dropped + 1); /* the access line */
    assert_int_equal(lc_log_fd(), -1);
    assert_false(lc_log_is_waiting());
}

static void divert(enum lc_stream_id stream, struct lc_slice text)
{
    keep(stream, text.at, text.len);
}

static void the_loggers_own_records_can_be_diverted(void **state)
{
    lc_log_divert(divert, LC_WARN);
    lc_log(LC_INFO, "no");
    lc_log(LC_WARN, "at once");
    assert_matches(errors(), "^[^\n]* at once\n$");
    read_all();
    assert_int_equal(logged.messages, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_error_line_reads_as_gunicorns),
        TEST(levels_have_gunicorns_names),
        TEST(what_is_below_the_threshold_is_not_sent),
        TEST(a_traceback_stays_together),
        TEST(control_bytes_are_escaped_and_letters_are_not),
        TEST(a_long_message_is_formatted_whole),
        TEST(raw_text_is_left_as_it_is),
        TEST(a_megabyte_of_raw_text_arrives_whole_and_in_order),
        TEST(a_long_text_is_parted_where_lines_end),
        TEST(level_names_are_read_as_gunicorn_reads_them),
        TEST(access_lines_of_a_turn_leave_together),
        TEST(an_error_leaves_at_once_behind_what_was_gathered),
        TEST(a_full_batch_leaves_by_itself),
        TEST(a_line_can_be_written_in_place),
        TEST(an_endless_access_line_is_cut),
        TEST(room_for_the_worst_case_is_always_given),
        TEST(lines_survive_a_full_socket_in_their_order),
        TEST(what_is_dropped_is_counted_and_reported),
        TEST(the_report_stands_where_the_records_are_missing),
        TEST(no_room_is_reserved_when_everything_is_full),
        TEST(an_error_too_large_for_the_rest_of_the_room_is_counted_once),
        TEST(draining_waits_for_a_slow_reader),
        TEST(draining_does_not_wait_for_ever),
        TEST(a_child_does_not_send_what_its_parent_gathered),
        TEST(a_child_logs_under_its_own_pid),
        TEST(opening_again_keeps_what_was_gathered),
        TEST(threads_do_not_tear_each_others_lines),
        TEST(before_the_logger_runs_errors_go_to_stderr),
        TEST(before_the_logger_runs_access_lines_go_to_stdout),
        TEST(when_nobody_reads_any_more_errors_go_to_stderr),
        TEST(the_loggers_own_records_can_be_diverted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
