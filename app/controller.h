/* app/controller.h — the application at the end of the pipeline, of whatever kind it is. */
#pragma once
#include <licorne/app.h>

struct lc_config;
struct lc_error;

struct lc_controller {
    const struct lc_app_ops *ops;
    void *app; /* what its `open` made */
};

/* Opens what `config->app` names: a path that ends in ".so" is a native module, all else is for
 * the Python plugin. 0, or -1 with `err` (LC_E_BOOT, LC_E_APP_LOAD or LC_E_CONFIG). */
int lc_controller_open(struct lc_controller *controller, const struct lc_config *config,
                       struct lc_error *err);
/* What was said about the failure, with its traceback; "" if nothing was. Valid until the next
 * open. */
const char *lc_controller_explanation(void);

/* For `reload`: a controller whose application could not be opened, good for its sources only. */
int lc_controller_open_broken(struct lc_controller *controller,
                              const struct lc_config *config, struct lc_error *err);

/* Names the files that the application consists of, as far as they were not named before. */
void lc_controller_sources(const struct lc_controller *controller,
                           void (*each)(void *owner, const char *path), void *owner);

/* Log files were moved away: the application opens its own anew. */
void lc_controller_reopen_files(const struct lc_controller *controller);
void lc_controller_close(struct lc_controller *controller);
