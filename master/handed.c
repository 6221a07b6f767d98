#include "master/handed.h"

#include "base/fd.h"
#include "master/socket.h"

#include <licorne/error.h>

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST_MANAGED = 3 };

static int add(struct lc_handed *handed, long fd, const char *variable,
               struct lc_error *err)
{
    if (handed->count == LC_HANDED_MAX)
        return lc_error_set(err, LC_E_CONFIG, "%s: more than %d sockets", variable,
                            LC_HANDED_MAX);
    handed->fds[handed->count++] = (int)fd;
    return 0;
}

/* 0 unless the text is a whole number above 0. */
static long number_in(const char *text)
{
    char *end;
    long number = text == NULL ? 0 : strtol(text, &end, 10);

    return number > 0 && *end == '\0' && number <= INT32_MAX ? number : 0;
}

static int open_managed(struct lc_handed *handed, struct lc_error *err)
{
    long count = number_in(getenv("LISTEN_FDS"));

    if (number_in(getenv("LISTEN_PID")) != (long)getpid())
        return 0; /* meant for another process */
    handed->is_managed = count > 0;
    for (long i = 0; i < count; i++)
        if (add(handed, FIRST_MANAGED + i, "LISTEN_FDS", err) < 0)
            return -1;
    return 0;
}

/* "3,4,5" */
static int open_predecessors(struct lc_handed *handed, struct lc_error *err)
{
    const char *at = getenv("GUNICORN_FD");

    while (at != NULL && *at != '\0') {
        char *end;
        long fd = strtol(at, &end, 10);

        if (end == at || (*end != ',' && *end != '\0') || fd < 0 || fd > INT32_MAX)
            return lc_error_set(err, LC_E_CONFIG,
                                "GUNICORN_FD = %s: not a list of descriptors",
                                getenv("GUNICORN_FD"));
        if (add(handed, fd, "GUNICORN_FD", err) < 0 ||
            lc_socket_inherited((int)fd, err) < 0)
            return lc_error_wrap(err, "GUNICORN_FD");
        at = *end == ',' ? end + 1 : end;
    }
    return 0;
}

int lc_handed_open(struct lc_handed *handed, struct lc_error *err)
{
    static const char *const variables[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
                                            "GUNICORN_PID", "GUNICORN_FD"};
    long predecessor = number_in(getenv("GUNICORN_PID"));
    int rc;

    *handed = (struct lc_handed){0};
    /* The variable may be left over from a master that has gone long ago. */
    if (predecessor == (long)getppid())
        handed->predecessor = (pid_t)predecessor;
    rc = open_managed(handed, err);
    if (rc == 0 && !handed->is_managed)
        rc = open_predecessors(handed, err);
    for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
        unsetenv(variables[i]);
    return rc;
}

int lc_handed_take(struct lc_handed *handed, const struct lc_address *address)
{
    if (handed->is_managed)
        return -1;
    for (unsigned i = 0; i < handed->count; i++)
        if (handed->fds[i] >= 0 && lc_socket_is_at(handed->fds[i], address))
            return lc_fd_take(&handed->fds[i]);
    return -1;
}

void lc_handed_close(struct lc_handed *handed)
{
    if (handed->is_managed)
        return; /* they are listeners by their numbers */
    for (unsigned i = 0; i < handed->count; i++)
        lc_fd_close(&handed->fds[i]);
    handed->count = 0;
}
