#include "master/ctl/top.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "master/ctl/fail.h"
#include "master/ctl/link.h"
#include "master/ctl/picture.h"
#include "master/ctl/sample.h"

#include <licorne/error.h>

#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Keys are not read meanwhile. */
enum { PATIENCE_ON_SCREEN_MS = 1000 };

struct top {
    struct lc_link *link;
    struct lc_top_options options;
    struct lc_sample *sample; /* the latest; NULL: none yet */
    uint64_t sampled_ms;
    enum lc_sample_order order;
    bool is_paused;
    struct lc_error err; /* why there is no newer one; LC_E_NONE: there is */
    int exit_code;       /* the same for scripts                            */
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    interrupted = sig;
}

static void watch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* ---- samples ---- */

/* A server in another container has process ids that mean other processes here. */
static bool sees_processes(const struct lc_link *link, const json_t *data)
{
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);

    return getsockopt(link->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           peer.pid == json_integer_value(json_object_get(data, "pid"));
}

static json_t *ask(struct top *top)
{
    struct lc_link *link = top->link;

    if (link->fd < 0) {
        top->exit_code = lc_link_open(link, link->path, &top->err);
        if (top->exit_code != 0)
            return NULL;
    }
    json_t *data = lc_link_ask(link, "show metrics", NULL, &top->err);
    if (data == NULL) {
        top->exit_code = lc_link_exit_code(&top->err);
        lc_link_close(link); /* the next time with a new one */
    }
    return data;
}

static bool take_sample(struct top *top)
{
    json_t *data = ask(top);

    if (data == NULL)
        return false;
    struct lc_sample *sample = lc_sample_create(data, sees_processes(top->link, data),
                                                top->sample);
    lc_sample_destroy(top->sample);
    top->sample = sample;
    top->sampled_ms = lc_clock_ms();
    top->err.code = LC_E_NONE;
    return true;
}

/* ---- as text ---- */

static void rest(long ms)
{
    struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&span, NULL);
}

static void print(const struct top *top)
{
    struct lc_picture picture;

    lc_sample_sort(top->sample, top->order);
    lc_picture_draw(&picture, top->sample, 0, 0);
    for (size_t i = 0; i < picture.count; i++)
        puts(picture.lines[i].text);
    lc_picture_clear(&picture);
    fflush(stdout);
}

/* Rates need two samples: the first picture comes after one delay. */
static int run_as_text(struct top *top)
{
    long count = top->options.count;

    if (!take_sample(top))
        return lc_fail(top->exit_code, "%s", top->err.text);
    for (long i = 0; count == 0 || i < count; i++) {
        rest(top->options.delay_ms);
        if (!take_sample(top))
            return lc_fail(top->exit_code, "%s", top->err.text);
        if (i > 0)
            putchar('\n');
        print(top);
    }
    return 0;
}

/* ---- on a screen ---- */

static const attr_t attributes[] = {
    [LC_LOOK_PLAIN] = A_NORMAL,
    [LC_LOOK_BOLD] = A_BOLD,
    [LC_LOOK_TITLE] = A_REVERSE,
};

static void show_line(int row, int width, const char *line, enum lc_look look)
{
    attrset(attributes[look]);
    mvaddnstr(row, 0, line, width);
    if (look == LC_LOOK_TITLE) /* a bar across the screen */
        mvchgat(row, 0, -1, A_REVERSE, 0, NULL);
    attrset(A_NORMAL);
}

/* The terminal has gone: its window was closed, or its connection is lost. */
static bool has_hung_up(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    return poll(&input, 1, 0) > 0 &&
           (input.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

/* What is on the screen is not how it is; the caller frees it. */
static char *trouble_of(const struct top *top)
{
    if (top->sample == NULL)
        return lc_printf("Error: %s", top->err.text);
    return lc_printf("No answer for %llu s: %s",
                     (unsigned long long)(lc_clock_ms() - top->sampled_ms) / 1000,
                     top->err.text);
}

static void show_keys(const struct top *top, int row, int width)
{
    static const char keys[] = "q quit  space pause  sort: a age  p pid  r req/s  c cpu  "
                               "m memory  t request";

    if (top->is_paused) {
        show_line(row, width, "paused: space goes on", LC_LOOK_PLAIN);
    } else if (top->err.code == LC_E_NONE) {
        show_line(row, width, keys, LC_LOOK_PLAIN);
    } else {
        LC_AUTOFREE char *trouble = trouble_of(top);
        show_line(row, width, trouble, LC_LOOK_BOLD);
    }
}

/* The last column of the last line stays free: terminals differ in what they do there. */
static void show(const struct top *top)
{
    int height, width;
    struct lc_picture picture = {0};

    getmaxyx(stdscr, height, width);
    erase();
    if (top->sample != NULL && height > 1) {
        lc_sample_sort(top->sample, top->order);
        lc_picture_draw(&picture, top->sample, (size_t)width, (size_t)height - 1);
    }
    for (size_t i = 0; i < picture.count; i++)
        show_line((int)i, width, picture.lines[i].text, picture.lines[i].look);
    lc_picture_clear(&picture);
    show_keys(top, height - 1, width - 1);
    refresh();
}

/* False: to quit. */
static bool obey(struct top *top, int key)
{
    switch (key) {
    case 'q':
    case 'Q': return false;
    case ' ': top->is_paused = !top->is_paused; break;
    case 'a': top->order = LC_BY_AGE; break;
    case 'p': top->order = LC_BY_PID; break;
    case 'r': top->order = LC_BY_RATE; break;
    case 'c': top->order = LC_BY_CPU; break;
    case 'm': top->order = LC_BY_MEMORY; break;
    case 't': top->order = LC_BY_REQUEST; break;
    default: break; /* KEY_RESIZE: drawn anew like any other */
    }
    return true;
}

static void watch_screen(struct top *top)
{
    uint64_t next_ms = 0;

    while (!interrupted) {
        uint64_t now = lc_clock_ms();

        if (now >= next_ms) {
            next_ms = now + (uint64_t)top->options.delay_ms;
            if (!top->is_paused)
                take_sample(top);
        }
        show(top);
        now = lc_clock_ms();
        timeout(next_ms > now ? (int)(next_ms - now) : 0);

        int key = getch();
        if (key == ERR ? has_hung_up() : !obey(top, key))
            break;
    }
}

static int cannot_draw(void)
{
    const char *term = getenv("TERM");

    return lc_fail(EXIT_FAILURE,
                   "cannot draw on a terminal of type '%s'; licornectl top --once "
                   "prints text",
                   term == NULL ? "" : term);
}

static int run_on_screen(struct top *top)
{
    setlocale(LC_CTYPE, "");
    SCREEN *screen = newterm(NULL, stdout, stdin);
    if (screen == NULL)
        return cannot_draw();
    if (tigetstr("cup") == NULL) { /* it cannot move the cursor: TERM=dumb */
        delscreen(screen);
        return cannot_draw();
    }
    if (top->link->timeout_ms > PATIENCE_ON_SCREEN_MS)
        top->link->timeout_ms = PATIENCE_ON_SCREEN_MS;
    watch_interrupts();
    cbreak();
    noecho();
    curs_set(0);
    keypad(stdscr, TRUE);
    watch_screen(top);
    endwin();
    delscreen(screen);
    return interrupted ? LC_EXIT_INTERRUPTED : 0;
}

int lc_top_run(struct lc_link *link, const struct lc_top_options *options)
{
    struct top top = {.link = link, .options = *options};
    int code;

    if (!options->is_text && !(isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))) {
        top.options.is_text = true;
        top.options.count = 1;
    }
    code = top.options.is_text ? run_as_text(&top) : run_on_screen(&top);
    lc_sample_destroy(top.sample);
    return code;
}
