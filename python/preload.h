/* python/preload.h — an application that the master loads, for all workers to share. */
#pragma once
#include "python/api.h"

struct lc_app_options;
struct lc_error;
struct lc_interpreter;

/* -1 and `err`; what is wrong was logged. */
int lc_preload(const struct lc_app_options *options,
               const struct lc_interpreter *interpreter, struct lc_error *err);

/* A new reference to the one that was loaded for this `spec`, or NULL. Python's lock is held. */
PyObject *lc_preload_find(const struct lc_app_options *options);
