#include "config/config.h"

#include "base/log.h"
#include "base/mem.h"
#include "config/argv.h"
#include "config/check.h"
#include "config/env.h"
#include "config/load.h"
#include "config/origins.h"
#include "config/problems.h"
#include "config/script.h"
#include "config/strings.h"
#include "config/value.h"

#include <licorne/error.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The sources that options may come from, weakest first. */
static const char *const places[] = {"GUNICORN_CMD_ARGS", "LICORNE_CMD_ARGS",
                                     "command line"};
enum { COMMANDS = LC_COUNT(places), COMMAND_LINE = COMMANDS - 1 };

struct sources {
    struct lc_source env, file;
    struct lc_command commands[COMMANDS];
    char *file_name; /* NULL: no configuration file */
    bool is_script;  /* … in Python */
};

/* --- reading --- */

static int read_variable(struct lc_command *command, const char *name,
                         struct lc_error *err)
{
    const char *text = getenv(name);
    struct lc_strings words = {0};
    int rc = 0;

    if (text == NULL)
        return 0;
    lc_strings_add(&words, LC_PROGRAM);
    if (lc_env_split(text, &words, err) < 0 ||
        lc_command_read(command, (int)words.count, words.items, name, err) < 0)
        rc = lc_error_wrap(err, "%s", name);
    lc_strings_clear(&words);
    return rc;
}

/* The command line comes first, so that --help works whatever else is wrong. */
static int read_commands(struct sources *s, int argc, char **argv, struct lc_error *err)
{
    if (lc_command_read(&s->commands[COMMAND_LINE], argc, argv, places[COMMAND_LINE],
                        err) < 0)
        return -1;
    for (int i = COMMAND_LINE - 1;
         i >= 0 && s->commands[COMMAND_LINE].action == LC_ACTION_SERVE; i--)
        if (read_variable(&s->commands[i], places[i], err) < 0)
            return -1;
    return 0;
}

/* The strongest value that options have for a setting which must be known before the file is
 * read. NULL: there is none. */
static const char *asked(const struct sources *s, enum lc_setting_id id)
{
    for (int i = COMMAND_LINE; i >= 0; i--) {
        const struct lc_assignment *found = lc_source_find(&s->commands[i].source,
                                                           &lc_settings[id]);

        if (found != NULL)
            return found->values.items[0];
    }
    return NULL;
}

static int read_script(struct lc_config *config, struct sources *s, struct lc_error *err)
{
    config->script = lc_script_create(asked(s, LC_SET_python), err);
    if (config->script == NULL)
        return lc_error_wrap(err, "%s", s->file_name);
    return lc_script_read(config->script, s->file_name, config->start_dir, &s->file, err);
}

static int read_file(struct lc_config *config, struct sources *s, struct lc_error *err)
{
    const struct lc_setting *itself = &lc_settings[LC_SET_config];
    const struct lc_assignment *nested;
    int done;

    s->file_name = lc_source_find_file(config->start_dir, asked(s, LC_SET_config));
    if (s->file_name == NULL)
        return 0;
    s->is_script = lc_source_is_python(config->start_dir, s->file_name);
    done = s->is_script
               ? read_script(config, s, err)
               : lc_source_read_ini(&s->file, config->start_dir, s->file_name, err);
    if (done < 0)
        return -1;
    nested = lc_source_find(&s->file, itself);
    /* Gunicorn takes no notice of it in a Python file, where any name may be a helper's. */
    if (nested == NULL || s->is_script)
        return 0;
    return lc_setting_wrong(itself, &nested->origin, err,
                            "a configuration file cannot name another one; -c on the "
                            "command line can");
}

/* Gunicorn's first words about a value that a Python file has and should not. */
static void show_wrong_value(const struct lc_assignment *item)
{
    LC_AUTOFREE char *text = lc_printf("Invalid value for %s: %s\n\n",
                                       item->setting->name, item->values.items[0]);

    lc_log_raw(lc_slice(text));
}

/* A value that is wrong is left out; what is wrong with it is one of `problems`. */
static void apply_source(struct lc_config *config, const struct lc_source *source,
                         struct lc_error *problems)
{
    for (size_t i = 0; i < source->count; i++) {
        const struct lc_assignment *item = &source->items[i];
        struct lc_error err;

        if (lc_value_assign(config, item, &err) < 0) {
            if (config->script != NULL && item->origin.kind == LC_FROM_FILE)
                show_wrong_value(item);
            lc_problems_add(problems, &err);
            continue;
        }
        lc_origin_copy(&config->origins->of[item->setting - lc_settings], &item->origin);
    }
}

static void apply_all(struct lc_config *config, const struct sources *s,
                      struct lc_error *problems)
{
    apply_source(config, &s->env, problems);
    apply_source(config, &s->file, problems);
    for (size_t i = 0; i < COMMANDS; i++)
        apply_source(config, &s->commands[i].source, problems);
    if (s->file_name != NULL) { /* also where a Python file has a name `config` */
        free(config->config);
        config->config = lc_strdup(s->file_name);
    }
}

/* --help and --version, from wherever they come. */
static enum lc_config_action asked_action(const struct sources *s)
{
    for (int i = COMMAND_LINE; i >= 0; i--)
        if (s->commands[i].action != LC_ACTION_SERVE)
            return s->commands[i].action;
    return LC_ACTION_SERVE;
}

static void clear_sources(struct sources *s)
{
    for (size_t i = 0; i < COMMANDS; i++)
        lc_command_clear(&s->commands[i]);
    lc_source_clear(&s->env);
    lc_source_clear(&s->file);
    free(s->file_name);
}

/* --- the whole --- */

static struct lc_config *create_defaults(const char *start_dir)
{
    struct lc_config *config = lc_new(struct lc_config);

    for (size_t i = 0; i < LC_SETTING_COUNT; i++)
        lc_value_default(config, &lc_settings[i]);
    free(config->chdir);
    config->chdir = lc_strdup(start_dir);
    config->start_dir = lc_strdup(start_dir);
    return config;
}

/* What follows from several settings. */
static void conclude(struct lc_config *config, const char *positional)
{
    bool has_default_name = config->origins->of[LC_SET_default_proc_name].kind ==
                            LC_FROM_DEFAULT;

    if (config->paste != NULL)
        config->app = lc_printf("paste:%s", config->paste);
    else
        config->app = lc_strdup(positional != NULL ? positional : config->wsgi_app);
    if (config->proc_name != NULL)
        config->name = lc_strdup(config->proc_name);
    else if (config->app != NULL && has_default_name)
        config->name = lc_strdup(config->app);
    else
        config->name = lc_strdup(config->default_proc_name);
    if (config->print_config)
        config->action = LC_ACTION_PRINT;
    else if (config->check_config)
        config->action = LC_ACTION_CHECK;
}

static int check_preload(const struct lc_config *config, struct lc_error *err)
{
    size_t len = config->app == NULL ? 0 : strlen(config->app);

    if (!config->preload_app || len < 3 || strcmp(config->app + len - 3, ".so") != 0)
        return 0;
    return lc_setting_wrong(&lc_settings[LC_SET_preload_app],
                            &config->origins->of[LC_SET_preload_app], err,
                            "a native module is opened by each worker itself");
}

static int conclude_script(struct lc_config *config, struct lc_error *err)
{
    if (config->script == NULL && lc_script_is_needed(config)) {
        config->script = lc_script_create(config->python, err);
        if (config->script == NULL)
            return -1;
    }
    return config->script == NULL ? 0 : lc_script_conclude(config, err);
}

static int load(struct lc_config *config, struct sources *s, int argc, char **argv,
                struct lc_error *err)
{
    struct lc_error problems = {.code = LC_E_NONE}, why;

    if (read_commands(s, argc, argv, err) < 0)
        return -1;
    config->action = asked_action(s);
    if (config->action != LC_ACTION_SERVE)
        return 0;
    lc_env_read(&s->env);
    if (read_file(config, s, err) < 0)
        return -1;
    apply_all(config, s, &problems);
    if (lc_config_check(config, &why) < 0)
        lc_problems_add(&problems, &why);
    if (lc_problems_tell(&problems, err) < 0)
        return -1;
    conclude(config, s->commands[COMMAND_LINE].app);
    return check_preload(config, err) < 0 ? -1 : conclude_script(config, err);
}

struct lc_config *lc_config_load_in(const char *start_dir, int argc, char **argv,
                                    struct lc_error *err)
{
    struct lc_config *config = create_defaults(start_dir);
    struct sources s = {0};

    config->origins = lc_new(struct lc_config_origins);
    config->origins->defaults = create_defaults(start_dir);
    if (load(config, &s, argc, argv, err) < 0) {
        lc_config_destroy(config);
        config = NULL;
    }
    clear_sources(&s);
    return config;
}

/* $PWD if it names the working directory: the user's way through symbolic links. */
static char *find_start_dir(void)
{
    const char *pwd = getenv("PWD");
    struct stat named, here;

    if (pwd != NULL && *pwd == '/' && stat(pwd, &named) == 0 && stat(".", &here) == 0 &&
        named.st_dev == here.st_dev && named.st_ino == here.st_ino)
        return lc_strdup(pwd);
    return getcwd(NULL, 0);
}

struct lc_config *lc_config_load(int argc, char **argv, struct lc_error *err)
{
    /* A reload happens in another directory (chdir) and must find the same files. */
    static char *start_dir;

    if (start_dir == NULL)
        start_dir = find_start_dir();
    if (start_dir == NULL) {
        lc_error_sys(err, "the working directory");
        err->code = LC_E_CONFIG;
        return NULL;
    }
    return lc_config_load_in(start_dir, argc, argv, err);
}

static void destroy_origins(struct lc_config_origins *origins)
{
    if (origins == NULL)
        return;
    for (size_t i = 0; i < LC_SETTING_COUNT; i++)
        lc_origin_clear(&origins->of[i]);
    lc_config_destroy(origins->defaults);
    lc_strings_clear(&origins->saved_names);
    lc_strings_clear(&origins->saved_values);
    free(origins);
}

void lc_config_destroy(struct lc_config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < LC_SETTING_COUNT; i++)
        lc_value_clear(config, &lc_settings[i]);
    destroy_origins(config->origins);
    lc_script_destroy(config->script);
    free(config->app);
    free(config->name);
    free(config->start_dir);
    free(config);
}

/* --- effects on the process --- */

static void set_variable(struct lc_config_origins *origins, const char *entry)
{
    const char *equals = strchr(entry, '=');
    LC_AUTOFREE char *name = lc_strndup(entry, (size_t)(equals - entry));
    const char *old = getenv(name);

    lc_strings_add(&origins->saved_names, name);
    lc_strings_take(&origins->saved_values,
                    old == NULL ? lc_strdup("") : lc_printf("=%s", old));
    if (setenv(name, equals + 1, 1) < 0)
        lc_log(LC_ERROR, "raw_env: %s: %s", name, strerror(errno));
}

int lc_config_apply(const struct lc_config *config, struct lc_error *err)
{
    lc_config_unapply(config); /* what was saved must be from before the first time */
    if (chdir(config->chdir) < 0) {
        lc_error_sys(err, "chdir: %s", config->chdir);
        if (err != NULL)
            err->code = LC_E_CONFIG;
        return -1;
    }
    for (size_t i = 0; i < config->raw_env.count; i++)
        set_variable(config->origins, config->raw_env.items[i]);
    return 0;
}

void lc_config_unapply(const struct lc_config *config)
{
    struct lc_config_origins *origins = config->origins;

    /* Backwards: a name that was set twice was saved twice. */
    for (size_t i = origins->saved_names.count; i > 0; i--) {
        const char *old = origins->saved_values.items[i - 1];

        if (*old == '\0')
            unsetenv(origins->saved_names.items[i - 1]);
        else
            setenv(origins->saved_names.items[i - 1], old + 1, 1);
    }
    lc_strings_clear(&origins->saved_names);
    lc_strings_clear(&origins->saved_values);
}

void lc_config_keep_fixed(struct lc_config *fresh, const struct lc_config *running)
{
    for (size_t i = 0; i < LC_SETTING_COUNT; i++) {
        const struct lc_setting *setting = &lc_settings[i];

        if (setting->applies == LC_ON_RELOAD || lc_value_equal(setting, fresh, running))
            continue;

        LC_AUTOFREE char *wanted = lc_value_text(setting, fresh);
        LC_AUTOFREE char *kept = lc_value_text(setting, running);
        lc_log(LC_WARN, "%s = %s needs a restart; a reload keeps %s", setting->name,
               wanted, kept);
        lc_value_copy(setting, fresh, running);
        lc_origin_copy(&fresh->origins->of[i], &running->origins->of[i]);
    }
}

bool lc_config_has_bind(const struct lc_config *config)
{
    return config->origins->of[LC_SET_bind].kind != LC_FROM_DEFAULT;
}

bool lc_config_is_threaded(const struct lc_config *config)
{
    return config->threads > 1 ||
           (config->worker_class != NULL && strcmp(config->worker_class, "gthread") == 0);
}
