/* config/env.h — settings from environment variables. */
#pragma once
#include "config/source.h"

struct lc_error;

/* The variables that settings.def names, where they are set. */
void lc_env_read(struct lc_source *source);

/* Splits GUNICORN_CMD_ARGS and its like as a shell would (Python's shlex). 0, or -1 with `err`
 * (LC_E_CONFIG). */
int lc_env_split(const char *text, struct lc_strings *words, struct lc_error *err);
