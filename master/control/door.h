/* master/control/door.h — the control socket as a file: made, moved, removed, and never taken
 * from a server that is alive. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

struct lc_config;
struct lc_error;

struct lc_door {
    int fd;      /* listening, non-blocking; -1: there is none               */
    char *path;  /* NULL: there is none                                      */
    char *later; /* what the path becomes when the predecessor has gone, or NULL */
    dev_t device;
    ino_t inode;
};

/* Where `control_socket` says, else in the first default place that is ours. While the
 * predecessor (0: none), whom we are to replace, has the path, it is PATH.2. -1 and `err`. */
int lc_door_open(struct lc_door *door, const struct lc_config *config, pid_t predecessor,
                 struct lc_error *err);

/* The predecessor has gone: its path is ours. -1 and `err`: the door stays where it is. */
int lc_door_promote(struct lc_door *door, struct lc_error *err);

/* Removes the file if it is still ours. */
void lc_door_remove(const struct lc_door *door);

/* Closes and touches no file. */
void lc_door_close(struct lc_door *door);
