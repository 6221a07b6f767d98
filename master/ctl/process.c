#include "master/ctl/process.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "master/ctl/fail.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { ADD_MAX = 100, TAKEN_LIMIT_MS = 5000 };

/* ---- finding the master ---- */

bool lc_number_parse(const char *text, long max, long *number)
{
    char *end;

    errno = 0;
    *number = strtol(text, &end, 10);
    end += strspn(end, " \t\r\n");
    return errno == 0 && end != text && *end == '\0' && *number > 0 && *number <= max;
}

/* The beginning of a file, ended by NUL; -1 with errno. */
static ssize_t read_start(const char *path, char *text, size_t size)
{
    LC_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    ssize_t len = read(fd, text, size - 1);
    if (len >= 0)
        text[len] = '\0';
    return len;
}

int lc_process_from_file(const char *path, long *pid)
{
    char text[64];

    if (read_start(path, text, sizeof(text)) < 0) {
        int code = errno == EACCES || errno == EPERM ? EX_NOPERM : EX_UNAVAILABLE;
        return lc_fail(code, "pidfile '%s': %s", path, strerror(errno));
    }
    if (!lc_number_parse(text, INT_MAX, pid))
        return lc_fail(EX_UNAVAILABLE, "pidfile '%s' holds no process id", path);
    return 0;
}

static bool is_title(const char *text)
{
    static const char *const titles[] = {"licorne: master", "gunicorn: master"};

    for (size_t i = 0; i < LC_COUNT(titles); i++)
        /* It is cut where the arguments and the environment left little room for it. */
        if (strlen(text) >= strcspn(titles[i], "m") + 1 &&
            strncmp(text, titles[i], strlen(text)) == 0)
            return true;
    return false;
}

int lc_process_check(long pid)
{
    LC_AUTOFREE char *path = lc_printf("/proc/%ld/cmdline", pid);
    char text[sizeof("licorne: master")];

    if (kill((pid_t)pid, 0) < 0 && errno == ESRCH)
        return lc_fail(EX_UNAVAILABLE, "there is no process %ld", pid);
    if (read_start(path, text, sizeof(text)) < 0)
        return lc_fail(errno == ENOENT ? EX_UNAVAILABLE : EX_NOPERM, "process %ld: %s",
                       pid, strerror(errno));
    if (!is_title(text))
        return lc_fail(EX_UNAVAILABLE, "process %ld is not a Licorne master", pid);
    return 0;
}

/* ---- signals ---- */

/* Whether the signal was sent and not yet read by the master, which has it blocked. */
static bool is_pending(long pid, int sig)
{
    LC_AUTOFREE char *path = lc_printf("/proc/%ld/status", pid);
    static const char label[] = "\nShdPnd:";
    char text[8192];

    if (read_start(path, text, sizeof(text)) < 0)
        return false;
    const char *line = strstr(text, label);
    if (line == NULL)
        return false;
    return strtoull(line + strlen(label), NULL, 16) >> (sig - 1) & 1;
}

/* Two signals of a kind that wait together are only one. */
static int wait_until_taken(long pid, int sig)
{
    uint64_t end = lc_clock_ms() + TAKEN_LIMIT_MS;

    while (is_pending(pid, sig)) {
        if (lc_clock_ms() > end)
            return lc_fail(EXIT_FAILURE, "process %ld does not react", pid);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return 0;
}

static int send_times(long pid, int sig, long times)
{
    for (long i = 0; i < times; i++) {
        if (kill((pid_t)pid, sig) < 0)
            return lc_fail(errno == EPERM   ? EX_NOPERM
                           : errno == ESRCH ? EX_UNAVAILABLE
                                            : EXIT_FAILURE,
                           "process %ld: %s", pid, strerror(errno));
        int code = wait_until_taken(pid, sig);
        if (code != 0)
            return code;
    }
    return 0;
}

/* ---- commands ---- */

/* What the words after the options ask for. */
struct order {
    int sig;    /* 0: only look whether it is there */
    long times; /* to send it */
};

static bool is_word(char **words, const char *wanted)
{
    return *words != NULL && strcasecmp(*words, wanted) == 0;
}

static int parse_worker(char **words, struct order *order)
{
    if (is_word(words, "add"))
        order->sig = SIGTTIN;
    else if (is_word(words, "remove"))
        order->sig = SIGTTOU;
    else
        return lc_fail(LC_EXIT_USAGE, "worker needs: add or remove");
    if (words[1] == NULL)
        return 0;
    if (words[2] != NULL)
        return lc_fail(LC_EXIT_USAGE, "too many words: '%s'", words[2]);
    if (!lc_number_parse(words[1], ADD_MAX, &order->times))
        return lc_fail(LC_EXIT_USAGE, "'%s' is no number from 1 to %d", words[1],
                       ADD_MAX);
    return 0;
}

static int parse_shutdown(char **words, struct order *order)
{
    order->sig = is_word(words, "quick") ? SIGINT : SIGTERM;
    if (*words != NULL && !is_word(words, "quick") && !is_word(words, "graceful"))
        return lc_fail(LC_EXIT_USAGE, "shutdown is graceful or quick, not '%s'", *words);
    if (*words != NULL && words[1] != NULL)
        return lc_fail(LC_EXIT_USAGE, "too many words: '%s'", words[1]);
    return 0;
}

static int parse_order(char **words, struct order *order)
{
    *order = (struct order){.times = 1};
    if (is_word(words, "worker"))
        return parse_worker(words + 1, order);
    if (is_word(words, "shutdown"))
        return parse_shutdown(words + 1, order);
    if (is_word(words, "reload"))
        order->sig = SIGHUP;
    else if (is_word(words, "reopen"))
        order->sig = SIGUSR1;
    else if (is_word(words, "upgrade"))
        order->sig = SIGUSR2;
    else if (!is_word(words, "ping"))
        return lc_fail(EX_UNAVAILABLE,
                       "no control socket of the server was found where they are by "
                       "default, and '%s' is no signal: name the socket with -s PATH",
                       *words);
    if (words[1] != NULL)
        return lc_fail(LC_EXIT_USAGE, "too many words: '%s'", words[1]);
    return 0;
}

int lc_process_tell(long pid, char **words)
{
    struct order order;
    int code = parse_order(words, &order);

    if (code != 0)
        return code;
    if (order.sig != 0)
        return send_times(pid, order.sig, order.times);
    printf("licorne %ld is there\n", pid);
    return 0;
}
