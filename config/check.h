/* config/check.h — whether all settings together are something to run with. */
#pragma once
#include "config/config.h"

struct lc_error;

/* Refuses what this version cannot do and what is wrong; brings limits into their bounds and
 * `chdir` into absolute form. 0, or -1 with `err` (LC_E_CONFIG). */
int lc_config_check(struct lc_config *config, struct lc_error *err);
