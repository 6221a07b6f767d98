#include "app/controller.h"

#include "app/module.h"
#include "app/native.h"
#include "base/mem.h"
#include "base/stacks.h"
#include "config/config.h"
#include "config/strings.h"

#include <licorne/error.h>
#include <licorne/module.h>

#include <string.h>

static bool is_native(const char *spec)
{
    size_t len = strlen(spec);

    return len > 3 && strcmp(spec + len - 3, ".so") == 0;
}

static const struct lc_app_ops *ops_for(const char *spec, struct lc_error *err)
{
    if (is_native(spec))
        return &lc_app_native;

    const struct lc_module *plugin = lc_module_load_plugin("python3.so",
                                                           "licorne-python3", err);
    if (plugin == NULL)
        return NULL;
    if (plugin->app == NULL) {
        lc_error_set(err, LC_E_APP_LOAD, "the plugin %s brings no kind of application",
                     plugin->name);
        return NULL;
    }
    return plugin->app;
}

static char *application_folder(const struct lc_config *config)
{
    if (config->chdir == NULL || config->chdir[0] == '\0')
        return lc_strdup(config->start_dir);
    if (config->chdir[0] == '/')
        return lc_strdup(config->chdir);
    return lc_printf("%s/%s", config->start_dir, config->chdir);
}

/* A module may use any code for what went wrong in its `open`; only these decide something. */
static enum lc_error_code code_for_exit(enum lc_error_code code)
{
    return code == LC_E_APP_LOAD || code == LC_E_CONFIG ? code : LC_E_BOOT;
}

/* --- for the setting `reload` --- */

static char *explanation;

static void keep_explanation(void *owner, struct lc_slice text)
{
    (void)owner;
    free(explanation);
    explanation = lc_strndup(text.at, text.len);
}

const char *lc_controller_explanation(void)
{
    return explanation == NULL ? "" : explanation;
}

static int open_app(struct lc_controller *controller, const struct lc_config *config,
                    struct lc_error *err)
{
    LC_AUTOFREE char *chdir = application_folder(config);
    LC_AUTOFREE char *defaults = lc_strings_lines(&config->raw_paste_global_conf);
    struct lc_app_options options = {
        .spec = config->app,
        .start_dir = config->start_dir,
        .chdir = chdir,
        .pythonpath = config->pythonpath,
        .python = config->python,
        .defaults = defaults,
        .traces_lines = config->spew,
        .is_multiprocess = config->workers > 1,
        .is_multithread = lc_config_is_threaded(config),
        .stack_fd = lc_stacks_fd(),
        .explain = keep_explanation,
    };

    controller->app = controller->ops->open(&options, err);
    if (controller->app != NULL)
        return 0;
    err->code = code_for_exit(err->code);
    return -1;
}

int lc_controller_open(struct lc_controller *controller, const struct lc_config *config,
                       struct lc_error *err)
{
    *controller = (struct lc_controller){0};
    if (config->app == NULL)
        return lc_error_set(
            err, LC_E_CONFIG,
            "no application: name one, as in licorne shop.wsgi:application "
            "or licorne ./shop.so");
    controller->ops = ops_for(config->app, err);
    return controller->ops == NULL ? -1 : open_app(controller, config, err);
}

int lc_controller_open_broken(struct lc_controller *controller,
                              const struct lc_config *config, struct lc_error *err)
{
    *controller = (struct lc_controller){.ops = ops_for(config->app, err)};
    return controller->ops == NULL ? -1 : 0;
}

void lc_controller_sources(const struct lc_controller *controller,
                           void (*each)(void *owner, const char *path), void *owner)
{
    if (controller->ops->sources != NULL)
        controller->ops->sources(controller->app, each, owner);
}

void lc_controller_reopen_files(const struct lc_controller *controller)
{
    if (controller->ops->reopen_files != NULL && controller->app != NULL)
        controller->ops->reopen_files(controller->app);
}

void lc_controller_close(struct lc_controller *controller)
{
    if (controller->app != NULL)
        controller->ops->close(controller->app);
    controller->app = NULL;
}
