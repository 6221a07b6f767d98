/* python/script.h — configuration files and hooks: the calls of <licorne/script.h>, passed on to
 * the package `gunicorn`, which lies in python/gunicorn and is installed beside the plugin. */
#pragma once
#include "python/api.h"

struct lc_error;
struct lc_interpreter;
struct lc_script_ops;

extern const struct lc_script_ops lc_python_script;

int lc_script_start(const struct lc_interpreter *interpreter, struct lc_error *err);

/* gunicorn._host, borrowed; NULL where no script was ever asked for. */
PyObject *lc_script_host(void);
