#include "base/permission.h"

#include "base/mem.h"

#include <licorne/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool may(const char *path, int rights)
{
    return faccessat(AT_FDCWD, path, rights, AT_EACCESS) == 0;
}

static void add(struct lc_error *err, const char *text)
{
    size_t used = strlen(err->text);

    snprintf(err->text + used, sizeof(err->text) - used, ": %s", text);
}

static void tell(struct lc_error *err, const char *what, const char *path)
{
    struct stat about;
    LC_AUTOFREE char *whose = stat(path, &about) < 0
                                  ? lc_strdup("")
                                  : lc_printf(" (of uid %ld, gid %ld; mode 0%03o)",
                                              (long)about.st_uid, (long)about.st_gid,
                                              (unsigned)about.st_mode & 07777);
    LC_AUTOFREE char *text = lc_printf("uid %ld may not %s '%s'%s", (long)geteuid(), what,
                                       path, whose);

    add(err, text);
}

/* The first folder on the way to `path` that cannot be passed; NULL: all can. */
static char *closed_folder(const char *path)
{
    for (const char *slash = strchr(path, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        LC_AUTOFREE char *folder = slash == path
                                       ? lc_strdup("/")
                                       : lc_strndup(path, (size_t)(slash - path));

        if (!may(folder, X_OK) && errno == EACCES)
            return lc_take(&folder);
    }
    return NULL;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL   ? lc_strdup(".")
           : slash == path ? lc_strdup("/")
                           : lc_strndup(path, (size_t)(slash - path));
}

static void find_missing(struct lc_error *err, const char *path, enum lc_right right)
{
    LC_AUTOFREE char *closed = closed_folder(path);
    LC_AUTOFREE char *folder = folder_of(path);
    bool is_there = access(path, F_OK) == 0;

    if (closed != NULL)
        tell(err, "pass through the folder", closed);
    else if (right == LC_RIGHT_READ && !may(path, R_OK))
        tell(err, "read", path);
    else if (right == LC_RIGHT_WRITE && is_there && !may(path, W_OK))
        tell(err, "write", path);
    else if ((right == LC_RIGHT_MAKE || !is_there) && !may(folder, W_OK | X_OK))
        tell(err, "make files in the folder", folder);
    else
        add(err,
            "the file's mode would allow it; something else does not (AppArmor, SELinux, "
            "a flag of the file)");
}

int lc_error_blame(struct lc_error *err, const char *path, enum lc_right right)
{
    int kept = errno;

    if (err != NULL && (err->sys == EACCES || err->sys == EPERM))
        find_missing(err, path, right);
    errno = kept;
    return -1;
}
