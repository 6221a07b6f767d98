#include "master/control/door.h"

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/permission.h"
#include "config/config.h"
#include "master/control/place.h"
#include "master/socket.h"

#include <licorne/error.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 64 };

static int bind_with_mode(int fd, const char *path, mode_t mode)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    memcpy(name.sun_path, path, strlen(path)); /* lc_socket_make_way has measured it */
    mode_t kept = umask(0777 & ~mode);
    int rc = bind(fd, (const struct sockaddr *)&name, sizeof(name));
    umask(kept);
    return rc;
}

static int cannot_bind(const char *path, struct lc_error *err)
{
    lc_error_sys(err, "'%s': bind", path);
    return lc_error_blame(err, path, LC_RIGHT_MAKE);
}

static int listen_at(struct lc_door *door, const char *path, mode_t mode,
                     struct lc_error *err)
{
    struct stat about;

    if (lc_socket_make_way(path, err) < 0)
        return -1;
    LC_AUTOCLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return lc_error_sys(err, "socket");
    if (bind_with_mode(fd, path, mode) < 0)
        return cannot_bind(path, err);
    if (listen(fd, BACKLOG) < 0 || lstat(path, &about) < 0) {
        lc_error_sys(err, "'%s': listen", path);
        unlink(path);
        return -1;
    }
    door->fd = lc_fd_take(&fd);
    door->path = lc_strdup(path);
    door->device = about.st_dev;
    door->inode = about.st_ino;
    return 0;
}

static int open_at(struct lc_door *door, const char *path, mode_t mode, pid_t predecessor,
                   struct lc_error *err)
{
    if (predecessor == 0 || lc_place_owner(path) != predecessor)
        return listen_at(door, path, mode, err);

    LC_AUTOFREE char *second = lc_printf("%s.2", path);
    if (listen_at(door, second, mode, err) < 0)
        return -1;
    door->later = lc_strdup(path);
    return 0;
}

/* ---- where the configuration says ---- */

static void make_parent(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL || slash == path)
        return;
    LC_AUTOFREE char *folder = lc_strndup(path, (size_t)(slash - path));
    mkdir(folder, 0700); /* if that fails, so will bind, which says why */
}

static int open_configured(struct lc_door *door, const struct lc_config *config,
                           pid_t predecessor, struct lc_error *err)
{
    LC_AUTOFREE char *path = lc_path_absolute(config->control_socket);

    make_parent(path);
    return open_at(door, path, (mode_t)config->control_socket_mode, predecessor, err);
}

/* ---- where nobody says ---- */

static int open_in(struct lc_door *door, const char *folder, mode_t mode,
                   pid_t predecessor, struct lc_error *err)
{
    LC_AUTOFREE char *common = lc_place_path(folder, 0);
    LC_AUTOFREE char *own = lc_place_path(folder, getpid());

    if (!lc_place_is_ours(folder))
        return lc_error_set(err, LC_E_SYSTEM, "'%s': not ours to write", folder);
    lc_place_sweep(folder);
    if (open_at(door, common, mode, predecessor, err) == 0)
        return 0;
    return err->sys == EADDRINUSE ? listen_at(door, own, mode, err) : -1;
}

static int open_somewhere(struct lc_door *door, mode_t mode, pid_t predecessor,
                          struct lc_error *err)
{
    for (unsigned i = 0; i < LC_PLACES; i++) {
        LC_AUTOFREE char *folder = lc_place_folder(i);

        if (folder != NULL && open_in(door, folder, mode, predecessor, err) == 0)
            return 0;
    }
    return -1;
}

int lc_door_open(struct lc_door *door, const struct lc_config *config, pid_t predecessor,
                 struct lc_error *err)
{
    *door = (struct lc_door){.fd = -1};
    if (config->control_socket != NULL && *config->control_socket != '\0')
        return open_configured(door, config, predecessor, err);
    return open_somewhere(door, (mode_t)config->control_socket_mode, predecessor, err);
}

/* ---- the end, or the next beginning ---- */

int lc_door_promote(struct lc_door *door, struct lc_error *err)
{
    if (door->later == NULL)
        return 0;
    if (lc_socket_make_way(door->later, err) < 0)
        return -1;
    if (rename(door->path, door->later) < 0)
        return lc_error_sys(err, "'%s'", door->later);
    free(door->path);
    door->path = lc_take(&door->later);
    return 0;
}

static bool is_still_ours(const struct lc_door *door)
{
    struct stat about;

    return door->path != NULL && lstat(door->path, &about) == 0 &&
           about.st_dev == door->device && about.st_ino == door->inode;
}

void lc_door_remove(const struct lc_door *door)
{
    if (is_still_ours(door))
        unlink(door->path);
}

void lc_door_close(struct lc_door *door)
{
    lc_fd_close(&door->fd);
    free(door->path);
    free(door->later);
    door->path = door->later = NULL;
}
