/* python/interpreter.h — which Python is to be served, and what it says about itself.
 *
 * The interpreter is run once, with a time limit, and never again: after that its libpython is
 * loaded into the worker. */
#pragma once

struct lc_app_options;
struct lc_error;
struct lc_interpreter;

/* Finds the interpreter that `options->python`, VIRTUAL_ENV or PATH name, in this order, and asks
 * it. NULL and `err` (LC_E_BOOT): it is missing, cannot be run, or is none that can be served. */
struct lc_interpreter *lc_interpreter_open(const struct lc_app_options *options,
                                           struct lc_error *err);
void lc_interpreter_close(struct lc_interpreter *interpreter); /* NULL is fine */

/* Loads its shared library for all to see (C extensions look for its symbols). */
int lc_interpreter_load(const struct lc_interpreter *interpreter, struct lc_error *err);
