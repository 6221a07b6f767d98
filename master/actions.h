/* master/actions.h — what the command line can ask for instead of serving. */
#pragma once

struct lc_config;
struct lc_error;
struct lc_roles;

/* --help, --version, --check-config, --print-config. Returns the exit code. */
int lc_action_run(const struct lc_config *config, const struct lc_roles *roles);

/* The command line or a setting is wrong: says so on stderr in Gunicorn's form. Returns the exit
 * code. */
int lc_refuse(const struct lc_error *err);

/* What a configuration must have to be served, beyond what config/ checks. */
int lc_config_require(const struct lc_config *config, struct lc_error *err);
