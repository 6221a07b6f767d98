/* master/ctl/licornectl.c — tells a running master what to do, by signals.
 *
 * Signals carry no answer: 0 says that the master has taken the command, not that it worked out.
 * What came of it stands in the server's error log. */
#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, ADD_MAX = 100, TAKEN_LIMIT_MS = 5000 };

static const char usage[] = "usage: licornectl [-p PIDFILE | --pid PID] COMMAND\n";

static const char help[] =
    "\n"
    "Tells a running Licorne what to do.\n"
    "\n"
    "  -p, --pidfile PIDFILE  the server's pidfile\n"
    "      --pid PID          or the process id of its master\n"
    "  -h, --help             this text\n"
    "  -v, --version          the version\n"
    "\n"
    "Commands:\n"
    "  reload                 read the configuration and start new workers (SIGHUP)\n"
    "  reopen                 open the log files anew, after a rotation (SIGUSR1)\n"
    "  shutdown [graceful]    finish the requests in hand, then stop (SIGTERM)\n"
    "  shutdown quick         stop at once (SIGINT)\n"
    "  worker add [N]         N more workers, or one (SIGTTIN)\n"
    "  worker remove [N]      N workers less, or one; the last one stays (SIGTTOU)\n"
    "  ping                   is the server there?\n"
    "  help                   this text\n"
    "\n"
    "Exit codes: 0 the server has taken the command, 1 it has not, 2 wrong usage,\n"
    "69 there is no such server, 77 not allowed.\n";

/* ---- saying what is wrong ---- */

static int fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fail(int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    if (code == EXIT_USAGE)
        fprintf(stderr, "%slicornectl: error: ", usage);
    else
        fprintf(stderr, "Error: ");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return code;
}

/* ---- finding the master ---- */

static bool parse_number(const char *text, long max, long *number)
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

static int pid_from_file(const char *path, long *pid)
{
    char text[64];

    if (read_start(path, text, sizeof(text)) < 0) {
        int code = errno == EACCES || errno == EPERM ? EX_NOPERM : EX_UNAVAILABLE;
        return fail(code, "pidfile '%s': %s", path, strerror(errno));
    }
    if (!parse_number(text, INT_MAX, pid))
        return fail(EX_UNAVAILABLE, "pidfile '%s' holds no process id", path);
    return 0;
}

/* A pidfile may be stale and its number belong to a stranger by now, who would not like our
 * signals. */
static int check_is_master(long pid)
{
    static const char title[] = "licorne: master";
    LC_AUTOFREE char *path = lc_printf("/proc/%ld/cmdline", pid);
    char text[sizeof(title)];

    if (kill((pid_t)pid, 0) < 0 && errno == ESRCH)
        return fail(EX_UNAVAILABLE, "there is no process %ld", pid);
    if (read_start(path, text, sizeof(text)) < 0)
        return fail(errno == ENOENT ? EX_UNAVAILABLE : EX_NOPERM, "process %ld: %s", pid,
                    strerror(errno));
    /* The title is cut where the arguments and the environment left little room for it. */
    if (strlen(text) < strlen("licorne: m") || strncmp(text, title, strlen(text)) != 0)
        return fail(EX_UNAVAILABLE, "process %ld is not a Licorne master", pid);
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
            return fail(EXIT_FAILURE, "process %ld does not react", pid);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return 0;
}

static int send_times(long pid, int sig, long times)
{
    for (long i = 0; i < times; i++) {
        if (kill((pid_t)pid, sig) < 0)
            return fail(errno == EPERM   ? EX_NOPERM
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
    return *words != NULL && strcmp(*words, wanted) == 0;
}

static int parse_worker(char **words, struct order *order)
{
    if (is_word(words, "add"))
        order->sig = SIGTTIN;
    else if (is_word(words, "remove"))
        order->sig = SIGTTOU;
    else
        return fail(EXIT_USAGE, "worker needs: add or remove");
    if (words[1] == NULL)
        return 0;
    if (words[2] != NULL)
        return fail(EXIT_USAGE, "too many words: '%s'", words[2]);
    if (!parse_number(words[1], ADD_MAX, &order->times))
        return fail(EXIT_USAGE, "'%s' is no number from 1 to %d", words[1], ADD_MAX);
    return 0;
}

static int parse_shutdown(char **words, struct order *order)
{
    order->sig = is_word(words, "quick") ? SIGINT : SIGTERM;
    if (*words != NULL && !is_word(words, "quick") && !is_word(words, "graceful"))
        return fail(EXIT_USAGE, "shutdown is graceful or quick, not '%s'", *words);
    if (*words != NULL && words[1] != NULL)
        return fail(EXIT_USAGE, "too many words: '%s'", words[1]);
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
    else if (!is_word(words, "ping"))
        return fail(EXIT_USAGE, "unknown command '%s'", *words);
    if (words[1] != NULL)
        return fail(EXIT_USAGE, "too many words: '%s'", words[1]);
    return 0;
}

static int carry_out(long pid, const struct order *order)
{
    int code = check_is_master(pid);

    if (code != 0)
        return code;
    if (order->sig != 0)
        return send_times(pid, order->sig, order->times);
    printf("licorne %ld is there\n", pid);
    return 0;
}

/* ---- the command line ---- */

static const struct option options[] = {
    {"pidfile", required_argument, NULL, 'p'},
    {"pid", required_argument, NULL, 'i'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {0},
};

static int show_help(void)
{
    printf("%s%s", usage, help);
    return 0;
}

static int show_version(void)
{
    puts("licornectl (licorne " LICORNE_VERSION ")");
    return 0;
}

/* What getopt_long did not like: `word` is the argument where it stopped, `complaint` ':' when a
 * value is missing. */
static int refuse_option(const char *word, int complaint)
{
    if (complaint == ':')
        return fail(EXIT_USAGE, "option '%s' needs a value", word);
    for (const struct option *known = options; known->name != NULL; known++)
        if (optopt == known->val)
            return fail(EXIT_USAGE, "option '%s' takes no value", word);
    if (optopt != 0) /* a letter, perhaps amid others */
        return fail(EXIT_USAGE, "unrecognized option '-%c'", optopt);
    return fail(EXIT_USAGE, "unrecognized option '%s'", word);
}

int main(int argc, char **argv)
{
    const char *pidfile = NULL;
    struct order order;
    long pid = 0;
    int option;

    opterr = 0; /* getopt would say it in its own words */
    while ((option = getopt_long(argc, argv, ":p:hv", options, NULL)) >= 0) {
        switch (option) {
        case 'p': pidfile = optarg; break;
        case 'i':
            if (!parse_number(optarg, INT_MAX, &pid))
                return fail(EXIT_USAGE, "'%s' is no process id", optarg);
            break;
        case 'h': return show_help();
        case 'v': return show_version();
        default: return refuse_option(argv[optind - 1], option);
        }
    }

    char **words = argv + optind;
    if (is_word(words, "help"))
        return show_help();
    if (*words == NULL)
        return fail(EXIT_USAGE, "which command? licornectl help lists them");
    int code = parse_order(words, &order);
    if (code != 0)
        return code;
    if ((pidfile == NULL) == (pid == 0))
        return fail(EXIT_USAGE, "name the server with either -p PIDFILE or --pid PID");
    if (pidfile != NULL && (code = pid_from_file(pidfile, &pid)) != 0)
        return code;
    return carry_out(pid, &order);
}
