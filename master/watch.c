#include "master/watch.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "config/config.h"

#include <licorne/log.h>

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    QUIET_MS = 150,    /* an editor, or git, changes several files at once */
    LONGEST_MS = 1000, /* but whatever changes all the time is not waited for */
    LOOK_EVERY_MS = 1000,
    TICK_MS = 20, /* the clock of the files may be so late */
};

static const uint32_t events_of_interest = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM |
                                           IN_DELETE | IN_CREATE;

struct file {
    char *name;
    struct timespec modified; /* {0, 0}: it is not there */
};

struct lc_watched_folder {
    char *path;
    int number;   /* inotify's; -1: not watched */
    dev_t device; /* what it watches: a path may come to mean another folder */
    ino_t inode;
    struct file *files;
    size_t count, room;
};

/* --- what has changed --------------------------------------------------------------------- */

static void note_change(struct lc_watch *watch, const struct lc_watched_folder *folder,
                        const char *name)
{
    uint64_t now = lc_clock_ms();

    if (watch->changed == NULL)
        watch->first_changed_ms = now;
    watch->changed_ms = now;
    free(watch->changed);
    watch->changed = lc_printf("%s/%s", folder->path, name);
}

static struct timespec modification_of(const struct lc_watched_folder *folder,
                                       const char *name)
{
    LC_AUTOFREE char *path = lc_printf("%s/%s", folder->path, name);
    static const struct timespec never;
    struct stat about;

    return stat(path, &about) < 0 ? never : about.st_mtim;
}

static struct file *find_file(const struct lc_watched_folder *folder, const char *name)
{
    for (size_t i = 0; i < folder->count; i++)
        if (strcmp(folder->files[i].name, name) == 0)
            return &folder->files[i];
    return NULL;
}

/* As the configuration means it: from the folder that the server works in. */
static char *absolute_pattern(const struct lc_watch *watch, size_t i)
{
    return lc_path_absolute(watch->patterns->items[i]);
}

static bool matches_pattern(const struct lc_watch *watch,
                            const struct lc_watched_folder *folder, const char *name)
{
    LC_AUTOFREE char *path = lc_printf("%s/%s", folder->path, name);

    for (size_t i = 0; i < watch->patterns->count; i++) {
        LC_AUTOFREE char *pattern = absolute_pattern(watch, i);

        if (fnmatch(pattern, path, FNM_PATHNAME) == 0)
            return true;
    }
    return false;
}

static bool is_source(const char *name)
{
    size_t len = strlen(name);

    return name[0] != '.' && len > 3 && strcmp(name + len - 3, ".py") == 0;
}

static void on_file_event(struct lc_watch *watch, struct lc_watched_folder *folder,
                          const char *name)
{
    struct file *file = find_file(folder, name);

    if (file != NULL)
        file->modified = modification_of(folder, name);
    if (file != NULL || (watch->minds_newcomers && is_source(name)) ||
        matches_pattern(watch, folder, name))
        note_change(watch, folder, name);
}

/* --- inotify ------------------------------------------------------------------------------- */

static void poll_instead(struct lc_watch *watch, const char *why)
{
    if (!watch->polls)
        lc_log(LC_WARN, "reload: inotify: %s; files are looked at once a second", why);
    watch->polls = true;
}

static void watch_folder(struct lc_watch *watch, struct lc_watched_folder *folder)
{
    struct stat about = {0};

    if (watch->polls || folder->number >= 0)
        return;
    stat(folder->path,
         &about); /* first: what is exchanged meanwhile is seen by the next look */
    folder->device = about.st_dev;
    folder->inode = about.st_ino;
    folder->number = inotify_add_watch(watch->fd, folder->path, events_of_interest);
    if (folder->number < 0 && errno != ENOENT && errno != ENOTDIR)
        poll_instead(watch, strerror(errno));
}

static struct lc_watched_folder *folder_of(struct lc_watch *watch, const char *path,
                                           size_t len)
{
    for (size_t i = 0; i < watch->count; i++)
        if (strlen(watch->folders[i].path) == len &&
            memcmp(watch->folders[i].path, path, len) == 0)
            return &watch->folders[i];
    if (watch->count == watch->room) {
        watch->room = watch->room == 0 ? 64 : watch->room * 2;
        watch->folders = lc_realloc(watch->folders,
                                    watch->room * sizeof(*watch->folders));
    }
    struct lc_watched_folder *folder = &watch->folders[watch->count++];
    *folder = (struct lc_watched_folder){.path = lc_strndup(path, len), .number = -1};
    watch_folder(watch, folder);
    return folder;
}

/* A package that is missing may be about to come: its files will be minded as well. An empty
 * folder is none yet, though Python would take it for one. */
static void on_folder_event(struct lc_watch *watch, const struct lc_watched_folder *in,
                            const char *name)
{
    if (!watch->minds_newcomers || name[0] == '.' || strcmp(name, "__pycache__") == 0)
        return;
    LC_AUTOFREE char *path = lc_printf("%s/%s", in->path, name);
    LC_AUTOFREE char *first = lc_printf("%s/__init__.py", path);
    const struct lc_watched_folder *folder = folder_of(watch, path, strlen(path));

    if (access(first, F_OK) == 0)
        note_change(watch, folder, "__init__.py");
}

/* Events were lost: any file may have changed. */
static void note_flood(struct lc_watch *watch)
{
    if (watch->count > 0)
        note_change(watch, &watch->folders[0], "(many files)");
}

static void on_event(struct lc_watch *watch, size_t which,
                     const struct inotify_event *event)
{
    struct lc_watched_folder *folder = &watch->folders[which];

    if (event->mask & IN_IGNORED)
        folder->number = -1;
    else if (event->len > 0 && (event->mask & IN_ISDIR))
        on_folder_event(watch, folder, event->name);
    else if (event->len > 0)
        on_file_event(watch, folder, event->name);
}

static void take_event(struct lc_watch *watch, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW)
        note_flood(watch);
    /* Paths that lead to the same folder through links share a number. */
    for (size_t i = 0; i < watch->count; i++)
        if (watch->folders[i].number == event->wd)
            on_event(watch, i, event);
}

static void on_mail(uv_poll_t *mail, int status, int events)
{
    struct lc_watch *watch = LC_CONTAINER(mail, struct lc_watch, mail);
    _Alignas(struct inotify_event) char buffer[16 * 1024];
    ssize_t n;

    while ((n = read(watch->fd, buffer, sizeof(buffer))) > 0)
        for (char *at = buffer; at < buffer + n;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)at;

            take_event(watch, event);
            at += sizeof(*event) + event->len;
        }
}

static void open_inotify(struct lc_watch *watch, uv_loop_t *loop)
{
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd < 0) {
        poll_instead(watch, strerror(errno));
        return;
    }
    uv_poll_init(loop, &watch->mail, watch->fd);
    watch->mail.data = NULL; /* it is no child's channel */
    uv_poll_start(&watch->mail, UV_READABLE, on_mail);
}

/* --- files --------------------------------------------------------------------------------- */

static struct file *add_to(struct lc_watched_folder *folder, const char *name)
{
    struct file *file = find_file(folder, name);

    if (file != NULL)
        return file;
    if (folder->count == folder->room) {
        folder->room = folder->room == 0 ? 16 : folder->room * 2;
        folder->files = lc_realloc(folder->files, folder->room * sizeof(*folder->files));
    }
    file = &folder->files[folder->count++];
    *file = (struct file){.name = lc_strdup(name),
                          .modified = modification_of(folder, name)};
    return file;
}

static bool is_same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

void lc_watch_add(struct lc_watch *watch, const char *path, const struct timespec *loaded)
{
    const char *slash = strrchr(path, '/');

    if (!watch->is_open || slash == NULL)
        return;
    struct lc_watched_folder *folder = folder_of(watch, path, (size_t)(slash - path));
    if (slash[1] == '\0')
        return;
    const struct file *file = add_to(folder, slash + 1);
    if (loaded != NULL && !is_same_time(*loaded, file->modified))
        note_change(watch, folder, slash + 1);
}

/* Files that match now, and the folders in which others may come to. */
static void add_pattern(struct lc_watch *watch, size_t which)
{
    LC_AUTOFREE char *pattern = absolute_pattern(watch, which);
    const char *special = pattern + strcspn(pattern, "*?[");
    const char *slash = memrchr(pattern, '/', (size_t)(special - pattern));
    glob_t found;

    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++)
            lc_watch_add(watch, found.gl_pathv[i], NULL);
        globfree(&found);
    }
    if (slash != NULL)
        folder_of(watch, pattern, (size_t)(slash - pattern));
}

static void look_at_files(struct lc_watch *watch, struct lc_watched_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) {
        struct file *file = &folder->files[i];
        struct timespec now = modification_of(folder, file->name);

        if (is_same_time(now, file->modified))
            continue;
        file->modified = now;
        note_change(watch, folder, file->name);
    }
}

/* Inotify watches the folder that the path meant once. It may have gone and come back, or a link
 * or a renamed folder may have taken its place. */
static void look_at_folder(struct lc_watch *watch, struct lc_watched_folder *folder)
{
    bool is_watched = folder->number >= 0;
    struct stat about;
    bool is_there = stat(folder->path, &about) == 0;

    if (is_there ? is_watched && about.st_ino == folder->inode &&
                       about.st_dev == folder->device
                 : !is_watched)
        return;
    if (is_watched)
        inotify_rm_watch(watch->fd, folder->number);
    folder->number = -1;
    watch_folder(watch, folder);
    look_at_files(watch, folder);
}

/* --- newcomers ----------------------------------------------------------------------------- */

static bool is_before(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

static struct timespec long_ago(uint64_t ago_ms)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME_COARSE, &time); /* which file systems use */
    time.tv_sec -= (time_t)(ago_ms / 1000);
    time.tv_nsec -= (long)(ago_ms % 1000) * 1000000;
    if (time.tv_nsec < 0) {
        time.tv_sec--;
        time.tv_nsec += 1000000000;
    }
    return time;
}

/* A folder that is new, or has got something new, is looked through in its turn. */
static void meet(struct lc_watch *watch, size_t which, const char *name)
{
    struct lc_watched_folder *folder = &watch->folders[which];
    LC_AUTOFREE char *path = lc_printf("%s/%s", folder->path, name);
    struct stat about;

    if (name[0] == '.' || find_file(folder, name) != NULL || stat(path, &about) < 0 ||
        is_before(about.st_ctim, watch->newcomers_since))
        return;
    if (S_ISDIR(about.st_mode) && strcmp(name, "__pycache__") != 0)
        folder_of(watch, path, strlen(path));
    else if (S_ISREG(about.st_mode) && is_source(name))
        note_change(watch, folder, name);
}

static void look_through(struct lc_watch *watch, size_t which)
{
    const char *path = watch->folders[which].path;
    struct stat about;

    if (stat(path, &about) < 0 || is_before(about.st_mtim, watch->newcomers_since))
        return; /* nothing came */
    DIR *dir = opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;)
        meet(watch, which, entry->d_name);
    if (dir != NULL)
        closedir(dir);
}

static void look_for_newcomers(struct lc_watch *watch)
{
    struct timespec now = long_ago(0);

    for (size_t i = 0; i < watch->count; i++) /* meet() may add some */
        look_through(watch, i);
    if (watch->changed != NULL) /* each is told once */
        watch->newcomers_since = now;
}

void lc_watch_mind_newcomers(struct lc_watch *watch, uint64_t ago_ms)
{
    struct timespec since = long_ago(ago_ms + TICK_MS);

    if (!watch->is_open)
        return;
    if (!watch->minds_newcomers || is_before(watch->newcomers_since, since))
        watch->newcomers_since = since;
    watch->minds_newcomers = true;
    look_for_newcomers(watch);
}

/* What inotify cannot tell: new matches of patterns, folders that are others now, and everything
 * where there is no inotify. */
static void look(struct lc_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->polls)
            look_at_files(watch, &watch->folders[i]);
        else
            look_at_folder(watch, &watch->folders[i]);
    }
    for (size_t i = 0; i < watch->patterns->count; i++)
        add_pattern(watch, i);
    if (watch->polls && watch->minds_newcomers)
        look_for_newcomers(watch);
}

/* --- life ---------------------------------------------------------------------------------- */

void lc_watch_open(struct lc_watch *watch, uv_loop_t *loop, const char *engine,
                   const struct lc_strings *patterns)
{
    *watch = (struct lc_watch){.is_open = true, .fd = -1, .patterns = patterns};
    if (strcmp(engine, "poll") == 0)
        watch->polls = true;
    else
        open_inotify(watch, loop);
    for (size_t i = 0; i < patterns->count; i++)
        add_pattern(watch, i);
    watch->look_ms = lc_clock_ms() + LOOK_EVERY_MS;
}

static void free_folder(struct lc_watched_folder *folder)
{
    for (size_t i = 0; i < folder->count; i++)
        free(folder->files[i].name);
    free(folder->files);
    free(folder->path);
}

void lc_watch_close(struct lc_watch *watch)
{
    if (!watch->is_open)
        return;
    if (watch->fd >= 0 && !uv_is_closing((uv_handle_t *)&watch->mail))
        uv_close((uv_handle_t *)&watch->mail, NULL);
    lc_fd_close(&watch->fd);
    for (size_t i = 0; i < watch->count; i++)
        free_folder(&watch->folders[i]);
    free(watch->folders);
    free(watch->changed);
    watch->folders = NULL;
    watch->changed = NULL;
    watch->count = watch->room = 0;
    watch->is_open = false;
}

char *lc_watch_next(struct lc_watch *watch, uint64_t *when_ms)
{
    uint64_t now = lc_clock_ms();

    if (now >= watch->look_ms) {
        look(watch);
        watch->look_ms = now + LOOK_EVERY_MS;
    }
    *when_ms = watch->look_ms;
    if (watch->changed == NULL)
        return NULL;
    uint64_t quiet = watch->changed_ms + QUIET_MS;
    uint64_t end = watch->first_changed_ms + LONGEST_MS;
    if (now < quiet && now < end) {
        *when_ms = quiet < end ? quiet : end;
        return NULL;
    }
    return lc_take(&watch->changed);
}
