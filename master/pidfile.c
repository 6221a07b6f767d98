#include "master/pidfile.h"

#include "base/fd.h"
#include "base/mem.h"
#include "base/permission.h"

#include <licorne/error.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The process that the file names; 0 if there is no file or no number in it, -1 with errno if it
 * cannot be read. */
static pid_t pid_in(const char *path)
{
    char text[32];
    LC_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC |
                                         O_NONBLOCK); /* a FIFO must not stop us */

    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    ssize_t len = read(fd, text, sizeof(text) - 1);
    if (len < 0)
        return -1;
    text[len] = '\0';

    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    end += strspn(end, " \t\r\n");
    bool is_pid = errno == 0 && *end == '\0' && number > 0 && number <= INT_MAX;
    return is_pid ? (pid_t)number : 0;
}

static bool is_alive(pid_t pid)
{
    return kill(pid, 0) == 0 || errno == EPERM;
}

/* Beside `path`, so that the rename stays within one file system. */
int lc_pidfile_write(const char *path, pid_t pid, struct lc_error *err)
{
    LC_AUTOFREE char *draft = lc_printf("%s.XXXXXX", path);
    LC_AUTOFREE char *text = lc_printf("%d\n", (int)pid);
    LC_AUTOCLOSE int fd = mkostemp(draft, O_CLOEXEC);

    if (fd < 0) {
        lc_error_sys(err, "cannot create '%s'", path);
        return lc_error_blame(err, path, LC_RIGHT_MAKE);
    }
    if (lc_fd_write_all(fd, text, strlen(text)) < 0 || fchmod(fd, 0644) < 0 ||
        rename(draft, path) < 0) {
        lc_error_sys(err, "cannot write '%s'", path);
        unlink(draft);
        return -1;
    }
    return 0;
}

static int check_folder(const char *path, struct lc_error *err)
{
    const char *slash = strrchr(path, '/');
    LC_AUTOFREE char *folder = slash == NULL   ? lc_strdup(".")
                               : slash == path ? lc_strdup("/")
                                               : lc_strndup(path, (size_t)(slash - path));
    struct stat about;

    if (stat(folder, &about) < 0 || !S_ISDIR(about.st_mode))
        return lc_error_set(err, LC_E_CONFIG, "%s doesn't exist. Can't create pidfile.",
                            folder);
    return 0;
}

int lc_pidfile_check(const char *path, pid_t pid, struct lc_error *err)
{
    if (check_folder(path, err) < 0)
        return -1;

    pid_t named = pid_in(path);
    if (named < 0) {
        lc_error_sys(err, "pidfile '%s'", path);
        return lc_error_blame(err, path, LC_RIGHT_READ);
    }
    if (named > 0 && named != pid && is_alive(named))
        return lc_error_set(err, LC_E_CONFIG,
                            "Already running on PID %d (or pid file '%s' is stale)",
                            (int)named, path);
    return 0;
}

int lc_pidfile_create(const char *path, pid_t pid, struct lc_error *err)
{
    if (lc_pidfile_check(path, pid, err) < 0)
        return -1;
    return pid_in(path) == pid ? 0 : lc_pidfile_write(path, pid, err);
}

void lc_pidfile_remove(const char *path, pid_t pid)
{
    if (pid_in(path) == pid)
        unlink(path);
}
