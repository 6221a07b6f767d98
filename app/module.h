/* app/module.h — loadable modules: shared objects that export one `struct lc_module`.
 *
 * A module stays in memory until the process ends: threads and exit handlers that it, or a
 * library of its, has started may still run its code. */
#pragma once

struct lc_error;
struct lc_module;

/* Loads and checks the module at `path`, which holds a slash. NULL and `err` (LC_E_APP_LOAD)
 * when there is no such file, it cannot be loaded, is no module, or was built for another
 * interface. */
const struct lc_module *lc_module_load(const char *path, struct lc_error *err);

/* The same for a plugin by its file's name ("python3.so"): beside the running program
 * (../lib/licorne/plugins, as in the build tree and under a prefix), else in the folder that was
 * chosen when the program was built. `package` is named when it is in neither. */
const struct lc_module *lc_module_load_plugin(const char *name, const char *package,
                                              struct lc_error *err);
