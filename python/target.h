/* python/target.h — what a request's target becomes in environ: RAW_URI and PATH_INFO.
 *
 * The str of short targets without a query are kept: they come again, and hold no secrets. */
#pragma once
#include "python/api.h"

struct lc_request;

struct lc_target {
    PyObject *raw_uri, *path_info;
};

int lc_target_open(void); /* -1 with an exception */

/* The str of this target if they are kept, as long as no other is kept in its place; else NULL.
 * Its path_info is that of the SCRIPT_NAME with which it was kept. */
const struct lc_target *lc_target_find(struct lc_slice target);
void lc_target_keep(struct lc_slice target, PyObject *raw_uri, PyObject *path_info);

/* A new str: the request's path without SCRIPT_NAME, decoded. NULL with an exception, which is a
 * lc_target_refusal() when the path does not begin with SCRIPT_NAME: its message is for the
 * client too. */
PyObject *lc_path_info(struct lc_request *request, PyObject *script_name);
PyObject *lc_target_refusal(void);
