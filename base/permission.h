/* base/permission.h — who lacks which right, after a file could not be opened or made.
 *
 * "Permission denied" leaves the administrator to guess: the server may run as another user than
 * they think, and the right may be missing in any folder on the way. */
#pragma once

struct lc_error;

enum lc_right { LC_RIGHT_READ, LC_RIGHT_WRITE, LC_RIGHT_MAKE };

/* If what `err` tells of came from EACCES or EPERM, adds what this process may not do:
 * "uid 33 may not make files in '/run' (of uid 0, gid 0; mode 0755)". Always -1. Keeps errno. */
int lc_error_blame(struct lc_error *err, const char *path, enum lc_right right);
