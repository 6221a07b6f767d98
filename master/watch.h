/* master/watch.h — notices when a file that the application consists of changes (the setting
 * `reload`).
 *
 * The folders are watched, not the files: an editor puts a new file in the place of the old one. Only
 * names that were asked for count, so backup files and logs beside them do not. Where inotify
 * is not to be had, the files are looked at once a second. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <uv.h>

struct lc_strings;
struct lc_watched_folder;

struct lc_watch {
    bool is_open;
    bool polls;
    int fd; /* inotify's */
    uv_poll_t mail;
    struct lc_watched_folder *folders;
    size_t count, room;
    const struct lc_strings *patterns; /* reload_extra_files */
    char *changed;                     /* the latest change, or NULL */
    uint64_t changed_ms, first_changed_ms;
    uint64_t look_ms;                /* when to look at what inotify does not tell */
    bool minds_newcomers;            /* any new source in a watched folder counts too */
    struct timespec newcomers_since; /* by the clock of the files */
};

/* `engine` is "auto", "inotify" or "poll"; `patterns` (paths and glob patterns) stay the
 * caller's. */
void lc_watch_open(struct lc_watch *watch, uv_loop_t *loop, const char *engine,
                   const struct lc_strings *patterns);
void lc_watch_close(struct lc_watch *watch);

/* A file of the application, as it was when it was loaded (NULL: as it is now). One that is known
 * already costs little; one that has changed since is a change. "/srv/app/" stands for the
 * folder alone. */
void lc_watch_add(struct lc_watch *watch, const char *path,
                  const struct timespec *loaded);

/* From now on sources that are new in a watched folder count as well, and also those that came since
 * an attempt was begun `ago_ms` ago to do without them. */
void lc_watch_mind_newcomers(struct lc_watch *watch, uint64_t ago_ms);

/* The file that has changed, once nothing has changed for a moment; the caller frees it. NULL:
 * none yet, ask again at `*when_ms` (lc_clock_ms). */
char *lc_watch_next(struct lc_watch *watch, uint64_t *when_ms);
