/* python/loader.h — starts the interpreter and finds the application. The words are in
 * loader.py, which is part of this library. */
#pragma once
#include "python/api.h"

struct lc_app_options;
struct lc_error;
struct lc_interpreter;

/* Starts CPython as `interpreter` would have been: same prefix, same site-packages. Once in a
 * process; the caller then holds the lock. */
int lc_loader_start(const struct lc_interpreter *interpreter, struct lc_error *err);

/* What a process needs before it imports anything: folders to look in, and where its stacks go. -1
 * with an exception. */
int lc_loader_prepare(const struct lc_app_options *options);

/* Prepares, and finds the application that `options->spec` names, a new reference. NULL: what is
 * wrong was logged, and `err` says it in short. */
PyObject *lc_loader_load(const struct lc_app_options *options,
                         const struct lc_interpreter *interpreter, struct lc_error *err);

/* A name of loader.py, borrowed; NULL with an exception. */
PyObject *lc_loader_get(const char *name);

/* Exit handlers and buffered output, for at most some seconds. */
void lc_loader_finish(void);
