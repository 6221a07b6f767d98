#include "base/stacks.h"

#include "base/mem.h"

#include <licorne/app.h>

#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { FRAMES_MAX = 64 };

static int output = -1;

int lc_stacks_fd(void)
{
    return output;
}

/* Only calls that a signal handler may make: no allocation, no stdio. */
static void write_stack(void)
{
    static const char title[] = "C stack, most recent call first:\n";
    void *frames[FRAMES_MAX];
    int count = backtrace(frames, FRAMES_MAX);

    (void)!write(output, title, sizeof(title) - 1);
    backtrace_symbols_fd(frames, count, output);
}

static void on_stack_asked(int signum)
{
    (void)signum;
    write_stack();
}

/* The handler has been taken away by then (SA_RESETHAND): the second time is the end. */
static void on_crash(int signum)
{
    write_stack();
    raise(signum);
}

static void handle(int signum, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;

    if (sigaction(signum, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        sigaction(signum, &action, NULL);
}

void lc_stacks_open(int fd)
{
    static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    void *frame;

    output = fd;
    if (fd < 0)
        return;
    backtrace(&frame, 1); /* loads what it needs, which a handler must not */
    handle(LC_SIGNAL_STACK, on_stack_asked, SA_RESTART);
    for (size_t i = 0; i < LC_COUNT(fatal); i++)
        handle(fatal[i], on_crash, (int)(SA_RESETHAND | SA_NODEFER));
}
