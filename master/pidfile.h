/* master/pidfile.h — the file that tells others which process is the master. */
#pragma once
#include <sys/types.h>

struct lc_error;

/* Whether lc_pidfile_create would find the place free. Writes nothing. */
int lc_pidfile_check(const char *path, pid_t pid, struct lc_error *err);

/* Writes "PID\n" with mode 0644, all at once: readers never see half of it. A file that names a
 * living process other than `pid` is left alone: -1 and `err`. One that names nothing or a dead
 * process is replaced. */
int lc_pidfile_create(const char *path, pid_t pid, struct lc_error *err);

/* The same, whoever stands in the file. */
int lc_pidfile_write(const char *path, pid_t pid, struct lc_error *err);

/* Only if it still names `pid`. */
void lc_pidfile_remove(const char *path, pid_t pid);
