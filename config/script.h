/* config/script.h — configurations in a plugin's language, and the hooks in them.
 *
 * The master runs the language only where somebody asks for it: with a configuration file in it,
 * a hook, or an application that is to be loaded before the workers are forked. */
#pragma once
#include "config/source.h"

#include <licorne/script.h>

struct lc_error;
struct lc_script;

/* How to get at the plugin; main.c says it before anything is loaded. */
typedef const struct lc_script_ops *(*lc_script_find_fn)(struct lc_error *err);
void lc_script_set_finder(lc_script_find_fn find);

/* Starts the language: its interpreter is `python`, or NULL to look for one. */
struct lc_script *lc_script_create(const char *python, struct lc_error *err);
void lc_script_destroy(struct lc_script *script); /* NULL is fine */

/* Reads the file that `asked` names into `source`. */
int lc_script_read(struct lc_script *script, const char *asked, const char *start_dir,
                   struct lc_source *source, struct lc_error *err);

/* Whether a configuration without a script of its own needs one. */
bool lc_script_is_needed(const struct lc_config *config);

/* All settings are known: the script learns them. */
int lc_script_conclude(const struct lc_config *config, struct lc_error *err);

/* preload_app. */
int lc_script_preload(const struct lc_config *config, struct lc_error *err);

/* Whether any hook is set, and so anybody to be told of anything. */
/* What the hook ssl_context has made of the rules for TLS, valid as long as the script; NULL when
 * there is no such hook. `script` may be NULL. */
const struct lc_script_tls *lc_script_tls(const struct lc_script *script);

bool lc_script_has_hooks(const struct lc_script *script);

/* 0, or -1 with `err` (LC_E_BOOT) when the hook failed, which was logged with its stack. */
int lc_script_call(struct lc_script *script, const char *hook,
                   const struct lc_hook_details *details, struct lc_error *err);
void lc_script_attend(const struct lc_script *script);

/* Whether the configuration brings a logger of its own, for the process that writes the logs, and
 * whether that makes the lines of requests too. */
bool lc_script_writes_logs(const struct lc_config *config);
bool lc_script_makes_access_lines(const struct lc_config *config);

/* The least important records to log: `loglevel`, unless a logger of the configuration's own says
 * otherwise. */
enum lc_level lc_script_log_level(const struct lc_config *config);

void lc_script_write_log(const struct lc_config *config, bool is_access,
                         struct lc_slice text);
void lc_script_reopen_logs(const struct lc_config *config);
