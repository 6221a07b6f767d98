/* config/ini.h — settings from an INI file.
 *
 * "[server]" holds settings by their names; names are read in any case. A line that begins with
 * a blank goes on with the value before it, and so makes a list. "# …", "; …" and "rem …" are
 * comments, as is what follows " ;" on an option's own line. "quoted" text stands for itself;
 * elsewhere ${NAME} is replaced from the environment. The last of several options of one name
 * counts. */
#pragma once
#include <stdio.h>

struct lc_error;
struct lc_source;

/* `name` is what messages call the file. 0, or -1 with `err` (LC_E_CONFIG). */
int lc_ini_read(FILE *in, const char *name, struct lc_source *source,
                struct lc_error *err);
