#include "master/control/place.h"

#include "base/fd.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The first of a list with colons between. */
static char *from_service_manager(void)
{
    const char *folders = getenv("RUNTIME_DIRECTORY");

    if (folders == NULL || *folders != '/')
        return NULL;
    return lc_strndup(folders, strcspn(folders, ":"));
}

static char *from_session(void)
{
    const char *folder = getenv("XDG_RUNTIME_DIR");

    if (folder == NULL || *folder != '/')
        return NULL;
    return lc_printf("%s/licorne", folder);
}

char *lc_place_folder(unsigned number)
{
    switch (number) {
    case 0: return from_service_manager();
    case 1: return from_session();
    case 2: return lc_strdup("/run/licorne");
    case 3: return lc_printf("/tmp/licorne-%u", (unsigned)geteuid());
    default: return NULL;
    }
}

/* Who else may write there could put a socket of his own in the place of ours. */
bool lc_place_is_ours(const char *folder)
{
    struct stat about;

    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return false;
    return lstat(folder, &about) == 0 && S_ISDIR(about.st_mode) &&
           about.st_uid == geteuid() && (about.st_mode & 022) == 0 &&
           access(folder, W_OK | X_OK) == 0;
}

char *lc_place_path(const char *folder, pid_t pid)
{
    return pid == 0 ? lc_printf("%s/licorne.ctl", folder)
                    : lc_printf("%s/licorne-%d.ctl", folder, (int)pid);
}

pid_t lc_place_owner(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct ucred owner = {0};
    socklen_t size = sizeof(owner);
    LC_AUTOCLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (strlen(path) >= sizeof(name.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(name.sun_path, path, strlen(path));
    if (connect(fd, (const struct sockaddr *)&name, sizeof(name)) < 0)
        return errno == EAGAIN ? 0 : -1; /* a full queue is a sign of life */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &owner, &size) < 0)
        return 0;
    return owner.pid;
}

/* "licorne-PID.ctl" of a process that is no more. */
static bool is_left_over(const char *name)
{
    static const char start[] = "licorne-";
    char *end;

    if (strncmp(name, start, strlen(start)) != 0)
        return false;
    long pid = strtol(name + strlen(start), &end, 10);
    return strcmp(end, ".ctl") == 0 && pid > 0 && pid <= INT_MAX &&
           kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

void lc_place_sweep(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (!is_left_over(entry->d_name))
            continue;
        LC_AUTOFREE char *path = lc_printf("%s/%s", folder, entry->d_name);
        if (lc_place_owner(path) < 0 && errno == ECONNREFUSED)
            unlink(path);
    }
    if (dir != NULL)
        closedir(dir);
}
