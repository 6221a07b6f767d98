/* master/ctl/fail.h — what licornectl says when it cannot do what it was asked. */
#pragma once

enum { LC_EXIT_USAGE = 2, LC_EXIT_INTERRUPTED = 130 };

#define LC_CTL_USAGE \
    "usage: licornectl [-s PATH | -p PIDFILE | --pid PID] [-j] [-t SECONDS] [COMMAND]\n"

/* One line on stderr; returns `code`. */
int lc_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
