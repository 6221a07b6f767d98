/* master/control/place.h — where the control socket is when nobody says where: the server makes
 * it there, licornectl looks for it there. Never in a home or in the working folder.
 *
 * Its name is licorne.ctl; a server that finds this taken by another one has licorne-PID.ctl. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

enum { LC_PLACES = 4 };

/* The folder of that number, the best first, on the heap; NULL: this environment has none.
 *   $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/licorne, /run/licorne, /tmp/licorne-UID */
char *lc_place_folder(unsigned number);

/* Makes the folder if it is missing (0700). Whether it is ours alone to write. */
bool lc_place_is_ours(const char *folder);

/* "FOLDER/licorne.ctl"; with a `pid`, "FOLDER/licorne-PID.ctl". */
char *lc_place_path(const char *folder, pid_t pid);

/* Who listens at the path: a process's number, 0 when that cannot be told, -1 with errno when
 * nobody does. */
pid_t lc_place_owner(const char *path);

/* Removes the sockets of servers that are dead. */
void lc_place_sweep(const char *folder);
