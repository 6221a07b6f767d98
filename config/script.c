#include "config/script.h"

#include "base/fork.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/origins.h"
#include "config/strings.h"
#include "config/value.h"

#include <licorne/error.h>

#include <pthread.h>
#include <signal.h>
#include <string.h>

struct lc_script {
    const struct lc_script_ops *ops;
    void *handle;
    bool has_read; /* a file: values from files are from this one */
    bool has_hooks;
    bool writes_logs;
    bool makes_access;
    bool has_tls;
    struct lc_script_tls tls;
    enum lc_level least_level; /* of the records it has a use for, if it writes logs */
};

static lc_script_find_fn find;

void lc_script_set_finder(lc_script_find_fn finder)
{
    find = finder;
}

/* --- its life ----------------------------------------------------------------------------- */

/* Threads that a configuration starts must leave the master's signals to the master. Ctrl-C still
 * ends one that hangs. */
static void hold_signals(sigset_t *before)
{
    sigset_t held;

    sigfillset(&held);
    sigdelset(&held, SIGINT);
    pthread_sigmask(SIG_BLOCK, &held, before);
}

static void release_signals(const sigset_t *before)
{
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

static void watch_forks(const struct lc_script_ops *ops)
{
    static struct lc_fork_watch watch;

    watch = (struct lc_fork_watch){.before = ops->before_fork, .after = ops->after_fork};
    lc_fork_set_watch(&watch);
}

static void *start(const struct lc_script_ops *ops, const char *python,
                   struct lc_error *err)
{
    sigset_t before;
    void *handle = NULL;

    hold_signals(&before);
    if (ops->start(python, err) == 0) {
        watch_forks(ops);
        handle = ops->create(err);
    }
    release_signals(&before);
    return handle;
}

struct lc_script *lc_script_create(const char *python, struct lc_error *err)
{
    const struct lc_script_ops *ops = NULL;

    if (find == NULL)
        lc_error_set(err, LC_E_CONFIG, "no plugin for Python can be asked");
    else
        ops = find(err);

    void *handle = ops == NULL ? NULL : start(ops, python, err);
    if (handle == NULL) {
        if (err != NULL)
            err->code = LC_E_CONFIG;
        return NULL;
    }
    struct lc_script *script = lc_new(struct lc_script);
    script->ops = ops;
    script->handle = handle;
    return script;
}

void lc_script_destroy(struct lc_script *script)
{
    if (script == NULL)
        return;
    script->ops->destroy(script->handle);
    free(script->tls.ciphers);
    free(script);
}

/* --- settings ----------------------------------------------------------------------------- */

static void on_value(void *to, const char *name, const char *const *values, size_t count,
                     const char *place)
{
    const struct lc_setting *setting = lc_setting_find(name);
    struct lc_assignment *made;

    if (setting == NULL)
        return;
    made = lc_source_add(to, setting, LC_FROM_FILE, place, NULL);
    for (size_t i = 0; i < count; i++)
        lc_strings_add(&made->values, values[i]);
}

int lc_script_read(struct lc_script *script, const char *asked, const char *start_dir,
                   struct lc_source *source, struct lc_error *err)
{
    const struct lc_script_sink sink = {.to = source, .set = on_value};
    sigset_t before;

    hold_signals(&before);
    int done = script->ops->read(script->handle, asked, start_dir, &sink, err);
    release_signals(&before);
    script->has_read = true;
    if (done < 0 && err != NULL)
        err->code = LC_E_CONFIG;
    return done;
}

static bool has_own_logger(const struct lc_config *config)
{
    static const enum lc_setting_id ids[] = {LC_SET_logger_class, LC_SET_logconfig,
                                             LC_SET_logconfig_dict,
                                             LC_SET_logconfig_json};

    for (size_t i = 0; i < LC_COUNT(ids); i++)
        if (!lc_value_equal(&lc_settings[ids[i]], config, config->origins->defaults))
            return true;
    return false;
}

bool lc_script_is_needed(const struct lc_config *config)
{
    for (size_t i = 0; i < LC_SETTING_COUNT; i++)
        if (strcmp(lc_settings[i].section, "Server Hooks") == 0 &&
            *(char **)lc_setting_field(&lc_settings[i], config) != NULL)
            return true;
    return config->preload_app || has_own_logger(config);
}

/* The texts of one setting; `one` is room for a list of one. */
static struct lc_script_value describe(const struct lc_config *config, size_t i,
                                       const char **one)
{
    const struct lc_setting *setting = &lc_settings[i];
    const void *field = lc_setting_field(setting, config);
    struct lc_script_value value = {
        .name = setting->name,
        .is_from_script = config->script->has_read &&
                          config->origins->of[i].kind == LC_FROM_FILE,
    };

    if (setting->type == LC_LIST) {
        const struct lc_strings *list = field;

        value.values = (const char *const *)list->items;
        value.count = list->count;
    } else if (setting->type != LC_STRING || *(char *const *)field != NULL) {
        *one = lc_value_text(setting, config);
        value.values = one;
        value.count = 1;
    }
    return value;
}

int lc_script_conclude(const struct lc_config *config, struct lc_error *err)
{
    struct lc_script *script = config->script;
    struct lc_script_value values[LC_SETTING_COUNT];
    const char *texts[LC_SETTING_COUNT] = {0};

    for (size_t i = 0; i < LC_SETTING_COUNT; i++)
        values[i] = describe(config, i, &texts[i]);

    int done = script->ops->conclude(script->handle, values, LC_SETTING_COUNT, err);

    for (size_t i = 0; i < LC_SETTING_COUNT; i++)
        free((char *)texts[i]);
    if (done < 0 && err != NULL)
        err->code = LC_E_CONFIG;
    if (done < 0)
        return -1;
    script->has_hooks = script->ops->has_hooks(script->handle);
    script->ops->logging(script->handle, &script->writes_logs, &script->makes_access,
                         &script->least_level);
    script->has_tls = script->ops->tls(script->handle, &script->tls);
    return 0;
}

int lc_script_preload(const struct lc_config *config, struct lc_error *err)
{
    LC_AUTOFREE char *defaults = lc_strings_lines(&config->raw_paste_global_conf);
    const struct lc_app_options options = {
        .spec = config->app,
        .start_dir = config->start_dir,
        .defaults = defaults,
        .stack_fd = -1, /* this process is not watched */
        .chdir = config->chdir,
        .pythonpath = config->pythonpath,
        .python = config->python,
        .is_multiprocess = config->workers > 1,
        .is_multithread = lc_config_is_threaded(config),
    };

    return config->script->ops->preload(&options, err);
}

/* --- logs --------------------------------------------------------------------------------- */

bool lc_script_writes_logs(const struct lc_config *config)
{
    return config->script != NULL && config->script->writes_logs;
}

bool lc_script_makes_access_lines(const struct lc_config *config)
{
    return config->script != NULL && config->script->makes_access;
}

enum lc_level lc_script_log_level(const struct lc_config *config)
{
    return lc_script_writes_logs(config) ? config->script->least_level
                                         : lc_level_of(config->loglevel);
}

void lc_script_write_log(const struct lc_config *config, bool is_access,
                         struct lc_slice text)
{
    config->script->ops->write_log(config->script->handle, is_access, text);
}

void lc_script_reopen_logs(const struct lc_config *config)
{
    config->script->ops->reopen_logs(config->script->handle);
}

/* --- hooks ------------------------------------------------------------------------------- */

const struct lc_script_tls *lc_script_tls(const struct lc_script *script)
{
    return script == NULL || !script->has_tls ? NULL : &script->tls;
}

bool lc_script_has_hooks(const struct lc_script *script)
{
    return script->has_hooks;
}

int lc_script_call(struct lc_script *script, const char *hook,
                   const struct lc_hook_details *details, struct lc_error *err)
{
    int done = script->ops->call(script->handle, hook, details, err);

    if (done < 0 && err != NULL)
        err->code = LC_E_BOOT;
    return done;
}

void lc_script_attend(const struct lc_script *script)
{
    script->ops->attend();
}
