/* master/ctl/licornectl.c — asks a running server and tells it what to do, over its control
 * socket; where there is none, by signals. */
#include "base/mem.h"
#include "master/ctl/fail.h"
#include "master/ctl/find.h"
#include "master/ctl/link.h"
#include "master/ctl/process.h"
#include "master/ctl/tables.h"
#include "master/ctl/top.h"

#include <licorne/error.h>

#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>
#include <unistd.h>

enum { PATIENCE_S = 10, LONGEST_S = 24 * 3600 };

static const char help[] =
    "\n"
    "Asks a running Licorne how it is, and tells it what to do. Without a command it\n"
    "prompts for commands until quit, exit or q.\n"
    "\n"
    "  -s, --socket PATH      the server's control socket; by default the only one in\n"
    "                         $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/licorne, "
    "/run/licorne\n"
    "                         or /tmp/licorne-UID\n"
    "  -p, --pidfile PIDFILE  the server's pidfile\n"
    "      --pid PID          or the process id of its master; if its socket is not in\n"
    "                         one of these places it gets signals\n"
    "  -c, --command COMMAND  the command as one argument\n"
    "  -j, --json             the answer as JSON\n"
    "      --wait             answer when it is done: reload, shutdown, worker "
    "add|remove\n"
    "  -t, --timeout SECONDS  how long to wait for an answer; 10, with --wait for ever\n"
    "  -h, --help             this text\n"
    "  -v, --version          the version\n"
    "\n"
    "Commands:\n"
    "  show workers           the workers\n"
    "  show requests          the requests that workers have in hand\n"
    "  show stats             what the server has done so far\n"
    "  show metrics           every counter, of each worker and of all, as JSON\n"
    "  metrics                the same in the text format of Prometheus\n"
    "  show all|listeners|config|dirty\n"
    "  top                    all this on a live screen\n"
    "      -d SECONDS             time between two pictures; 1\n"
    "      -n N, --once           N pictures, or one, as text\n"
    "  reload                 read the configuration and start new workers (SIGHUP)\n"
    "  reopen                 open the log files anew, after a rotation (SIGUSR1)\n"
    "  upgrade                start a new master from the program on disk (SIGUSR2)\n"
    "  shutdown [graceful]    finish the requests in hand, then stop (SIGTERM)\n"
    "  shutdown quick         stop at once (SIGINT)\n"
    "  worker add [N]         N more workers, or one (SIGTTIN)\n"
    "  worker remove [N]      N workers less, or one; the last one stays (SIGTTOU)\n"
    "  worker kill PID        let one worker finish and put another in its place\n"
    "  ping                   is the server there?\n"
    "  help                   what the server itself understands\n"
    "\n"
    "Exit codes: 0 done, or taken where nobody waits; 1 not; 2 wrong usage;\n"
    "69 there is no such server; 75 it gave no answer: try again; 77 not allowed;\n"
    "130 interrupted.\n";

struct options {
    const char *socket, *pidfile, *command;
    long pid;
    long timeout_s; /* -1: as is usual */
    bool is_json, waits;
    struct lc_top_options top;
    char **words; /* the rest of the command line, ended by NULL */
};

/* ---- one command ---- */

static bool is_word(const char *word, const char *wanted)
{
    return word != NULL && strcasecmp(word, wanted) == 0;
}

/* As one text, to know what was asked. */
static char *join(const char *command, char **words)
{
    char *text = lc_strdup(command);

    for (; *words != NULL; words++) {
        char *longer = lc_printf("%s%s%s", text, *text == '\0' ? "" : " ", *words);

        free(text);
        text = longer;
    }
    return text;
}

/* {"success": false, "error": …} is an answer, too. */
static const char *refusal(const json_t *data)
{
    const char *error = json_string_value(json_object_get(data, "error"));

    return json_is_false(json_object_get(data, "success")) && error != NULL ? error
                                                                            : NULL;
}

static void print(const struct options *options, const char *asked, const json_t *data)
{
    if (options->is_json)
        lc_json_print(stdout, data);
    else if (is_word(asked, "ping"))
        printf("licorne %lld is there\n",
               (long long)json_integer_value(json_object_get(data, "pid")));
    else
        lc_table_print(stdout, asked, data);
}

static int ask(struct lc_link *link, const struct options *options, const char *command,
               char **words)
{
    LC_AUTOFREE char *asked = join(command, words);
    struct lc_error err = {0};
    json_t *data = lc_link_ask(link, command, words, &err);
    int code = 0;

    if (data == NULL)
        return lc_fail(lc_link_exit_code(&err), "%s", err.text);
    if (refusal(data) != NULL && !options->is_json)
        code = lc_fail(EXIT_FAILURE, "%s", refusal(data));
    else
        print(options, asked, data);
    if (refusal(data) != NULL)
        code = EXIT_FAILURE;
    json_decref(data);
    return code;
}

/* ---- the prompt ---- */

static bool is_farewell(const char *line)
{
    return is_word(line, "quit") || is_word(line, "exit") || is_word(line, "q");
}

static char *next_line(void)
{
    static char *line;
    static size_t room;

    if (isatty(STDIN_FILENO)) {
        fputs("licornectl> ", stdout);
        fflush(stdout);
    }
    if (getline(&line, &room, stdin) < 0) {
        free(line);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return line + strspn(line, " \t");
}

/* A mistake does not end it; a server that has gone does. */
static int converse(struct lc_link *link, const struct options *options)
{
    char *none[] = {NULL};
    char *line;

    while ((line = next_line()) != NULL && !is_farewell(line)) {
        int code = *line == '\0' ? 0 : ask(link, options, line, none);

        if (code != 0 && code != EXIT_FAILURE)
            return code;
        fflush(stdout);
    }
    if (line == NULL && isatty(STDIN_FILENO))
        putchar('\n');
    return 0;
}

/* ---- the server that is meant ---- */

static long patience_ms(const struct options *options)
{
    if (options->timeout_s >= 0)
        return options->timeout_s * 1000;
    return options->waits ? 0 : PATIENCE_S * 1000;
}

static int speak(const struct options *options, const char *path)
{
    struct lc_error err = {0};
    struct lc_link link = {.timeout_ms = patience_ms(options)};
    int code = lc_link_open(&link, path, &err);

    if (code != 0)
        return lc_fail(code, "%s", err.text);
    if (is_word(options->words[0], "top"))
        code = lc_top_run(&link, &options->top);
    else if (options->command == NULL && options->words[0] == NULL)
        code = converse(&link, options);
    else
        code = ask(&link, options, options->command == NULL ? "" : options->command,
                   options->words);
    lc_link_close(&link);
    return code;
}

static int speak_to_process(const struct options *options, long pid)
{
    int code = lc_process_check(pid);
    LC_AUTOFREE char *path = code != 0 ? NULL : lc_find_socket(pid, &code);

    if (code != 0)
        return code;
    if (path != NULL)
        return speak(options, path);
    if (options->waits || options->command != NULL || options->words[0] == NULL)
        return lc_fail(EX_UNAVAILABLE,
                       "process %ld has no control socket where they are by default: "
                       "name it with -s PATH",
                       pid);
    return lc_process_tell(pid, options->words);
}

static int speak_to_somebody(const struct options *options)
{
    long pid = options->pid;
    int code = 0;

    if (options->socket != NULL)
        return speak(options, options->socket);
    if (options->pidfile != NULL &&
        (code = lc_process_from_file(options->pidfile, &pid)) != 0)
        return code;
    if (pid != 0)
        return speak_to_process(options, pid);
    LC_AUTOFREE char *path = lc_find_socket(0, &code);
    return path == NULL ? code : speak(options, path);
}

/* ---- the command line ---- */

enum { OPTION_PID = 256, OPTION_WAIT, OPTION_ONCE };

static const char letters[] = ":s:p:c:jt:d:n:bhv";

static const struct option known_options[] = {
    {"socket", required_argument, NULL, 's'},
    {"pidfile", required_argument, NULL, 'p'},
    {"pid", required_argument, NULL, OPTION_PID},
    {"command", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, 'j'},
    {"wait", no_argument, NULL, OPTION_WAIT},
    {"timeout", required_argument, NULL, 't'},
    {"once", no_argument, NULL, OPTION_ONCE},
    {"delay", required_argument, NULL, 'd'},
    {"batch", no_argument, NULL, 'b'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'v'},
    {0},
};

static int show_help(void)
{
    printf("%s%s", LC_CTL_USAGE, help);
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
        return lc_fail(LC_EXIT_USAGE, "option '%s' needs a value", word);
    for (const struct option *known = known_options; known->name != NULL; known++)
        if (optopt == known->val)
            return lc_fail(LC_EXIT_USAGE, "option '%s' takes no value", word);
    if (optopt != 0) /* a letter, perhaps amid others */
        return lc_fail(LC_EXIT_USAGE, "unrecognized option '-%c'", optopt);
    return lc_fail(LC_EXIT_USAGE, "unrecognized option '%s'", word);
}

static int take_number(const char *text, const char *what, long max, long *number)
{
    if (lc_number_parse(text, max, number))
        return 0;
    return lc_fail(LC_EXIT_USAGE, "'%s' is no %s", text, what);
}

static int take_delay(const char *text, struct lc_top_options *top)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !(seconds >= 0.1 && seconds <= LONGEST_S))
        return lc_fail(LC_EXIT_USAGE, "'%s' is no number of seconds from 0.1", text);
    top->delay_ms = (long)(seconds * 1000);
    return 0;
}

static int take_option(struct options *options, int option, const char *word)
{
    struct lc_top_options *top = &options->top;

    switch (option) {
    case 's': options->socket = optarg; return 0;
    case 'p': options->pidfile = optarg; return 0;
    case 'c': options->command = optarg; return 0;
    case 'j': options->is_json = true; return 0;
    case 'b': top->is_text = true; return 0;
    case 'd': return take_delay(optarg, top);
    case 'n':
        top->is_text = true;
        return take_number(optarg, "number of pictures", INT_MAX, &top->count);
    case 't':
        return take_number(optarg, "number of seconds", LONGEST_S, &options->timeout_s);
    case OPTION_PID: return take_number(optarg, "process id", INT_MAX, &options->pid);
    case OPTION_WAIT: options->waits = true; return 0;
    case OPTION_ONCE:
        top->is_text = true;
        top->count = 1;
        return 0;
    default: return refuse_option(word, option);
    }
}

static int check(const struct options *options)
{
    int ways = (options->socket != NULL) + (options->pidfile != NULL) +
               (options->pid != 0);

    if (ways > 1)
        return lc_fail(LC_EXIT_USAGE, "name the server once: by -s, -p or --pid");
    if (options->command != NULL && options->words[0] != NULL)
        return lc_fail(LC_EXIT_USAGE, "there are two commands: '%s' and '%s'",
                       options->command, options->words[0]);
    if (options->waits && options->command == NULL && options->words[0] == NULL)
        return lc_fail(LC_EXIT_USAGE, "--wait for which command?");
    if (!is_word(options->words[0], "top"))
        return 0;
    if (options->words[1] != NULL)
        return lc_fail(LC_EXIT_USAGE, "too many words: '%s'", options->words[1]);
    if (options->is_json)
        return lc_fail(LC_EXIT_USAGE, "top draws pictures; show metrics is JSON");
    return 0;
}

/* --wait is the server's to understand, so it goes behind the words. */
static char **words_of(const struct options *options, char **rest, size_t count)
{
    char **words = lc_calloc(count + 2, sizeof(*words));

    memcpy(words, rest, count * sizeof(*words));
    if (options->waits)
        words[count] = (char *)"--wait";
    return words;
}

/* licornectl "show workers" */
static void take_sentence(struct options *options)
{
    const char *first = options->words[0];

    if (options->command != NULL || first == NULL || strpbrk(first, " \t") == NULL)
        return;
    options->command = first;
    options->words++;
}

static void on_interrupt(int sig)
{
    _exit(LC_EXIT_INTERRUPTED);
}

int main(int argc, char **argv)
{
    struct options options = {.timeout_s = -1, .top = {.delay_ms = 1000}};
    int option, code;

    signal(SIGINT, on_interrupt);
    opterr = 0; /* getopt would say it in its own words */
    while ((option = getopt_long(argc, argv, letters, known_options, NULL)) >= 0) {
        if (option == 'h')
            return show_help();
        if (option == 'v')
            return show_version();
        code = take_option(&options, option, argv[optind - 1]);
        if (code != 0)
            return code;
    }
    if (is_word(argv[optind], "help") && argc - optind == 1 && options.socket == NULL &&
        options.pidfile == NULL && options.pid == 0)
        return show_help();

    LC_AUTOFREE char **words = words_of(&options, argv + optind, (size_t)(argc - optind));
    options.words = argv + optind;
    code = check(&options);
    if (code != 0)
        return code;
    options.words = words;
    take_sentence(&options);
    return speak_to_somebody(&options);
}
