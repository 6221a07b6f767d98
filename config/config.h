/* config/config.h — every setting that is in force.
 *
 * settings.def declares each once; this structure has a field for each, under Gunicorn's name.
 * Only config/ writes it. A running worker's configuration never changes: a reload makes a new
 * one and new workers. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct lc_error;
struct lc_script;

struct lc_strings {
    char **items; /* NULL-terminated as well */
    size_t count;
};

/* A setting's type in C; `LC_TYPE_x` for X(x, …) in settings.def. */
typedef char *LC_TYPE_STRING; /* NULL where Gunicorn says None */
typedef struct lc_strings LC_TYPE_LIST;
typedef int64_t LC_TYPE_INT;
typedef int64_t LC_TYPE_SECONDS;
typedef int64_t LC_TYPE_BYTES;
typedef int64_t LC_TYPE_MODE; /* umask: a leading 0 is octal on the command line */
typedef bool LC_TYPE_BOOL;
typedef int64_t LC_TYPE_USER;  /* uid */
typedef int64_t LC_TYPE_GROUP; /* gid */

enum lc_config_action {
    LC_ACTION_SERVE,
    LC_ACTION_HELP,    /* -h: lc_config_help and exit 0 */
    LC_ACTION_VERSION, /* -v */
    LC_ACTION_CHECK,   /* --check-config */
    LC_ACTION_PRINT,   /* --print-config */
};

/* Where a value came from: "default", "environment WEB_CONCURRENCY", "shop.ini:12",
 * "GUNICORN_CMD_ARGS", "command line". */
struct lc_config {
#define X(type, name, ...) LC_TYPE_##type name;
#include "config/settings.def"
#undef X
    char *app;       /* the positional APP_MODULE, else wsgi_app; NULL: none given */
    char *name;      /* for process titles: proc_name, else app, else default_proc_name */
    char *start_dir; /* absolute; where the program was started */
    enum lc_config_action action;
    struct lc_config_origins *origins;
    struct lc_script *script; /* file or hooks in Python; NULL: the master has none */
};

/* Reads all sources, weakest first: defaults, environment, configuration file, GUNICORN_CMD_ARGS
 * (and LICORNE_CMD_ARGS), command line. NULL and `err` (LC_E_USAGE or LC_E_CONFIG) if a value
 * is wrong. Called again on SIGHUP with the same arguments. */
struct lc_config *lc_config_load(int argc, char **argv, struct lc_error *err);
void lc_config_destroy(struct lc_config *config);

/* Does what the configuration says for the process: raw_env, chdir. 0, or -1 with `err`. */
int lc_config_apply(const struct lc_config *config, struct lc_error *err);

/* Takes back what an earlier configuration's raw_env had set, before a reload. */
void lc_config_unapply(const struct lc_config *config);

/* Settings that a reload cannot change keep their old value in `fresh`; each is logged. */
void lc_config_keep_fixed(struct lc_config *fresh, const struct lc_config *running);

/* Whether anybody has set `bind`. */
bool lc_config_has_bind(const struct lc_config *config);

/* Whether workers run the application in threads: worker_class gthread, or sync with more than
 * one thread, which is the same. */
bool lc_config_is_threaded(const struct lc_config *config);

void lc_config_help(FILE *out);
void lc_config_usage(FILE *out);
void lc_config_print(const struct lc_config *config, FILE *out);
