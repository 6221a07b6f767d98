/* app/script.h — the plugin in whose language configurations and hooks may be written. */
#pragma once

struct lc_error;
struct lc_script_ops;

/* Python's. NULL and `err` when it is not installed. */
const struct lc_script_ops *lc_script_ops_load(struct lc_error *err);
