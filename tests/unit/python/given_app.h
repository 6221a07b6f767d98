/* An application behind the Python plugin, which is driven through its module table as the server
 * does it, by a host in memory (host.h). The interpreter is the one that LICORNE_TEST_PYTHON
 * names, else whatever the plugin finds. */
#pragma once
#include "host.h"

extern const struct lc_app_ops *wsgi; /* the plugin                          */
extern void *app;                     /* what it has opened; NULL: nothing   */
extern const struct lc_endpoints on_unix;

/* How an application of tests/wsgi is opened. */
struct lc_app_options options_for(const char *spec);

/* Opens it as `app`; -1, and stderr says why. */
int open_app(const char *spec);

/* For cmocka's groups: `apps` of tests/wsgi. */
int open_plugin(void **state);
int close_plugin(void **state);

/* The call, and the end of the loop's turn. */
void serve(struct lc_request *r);

void client_catches_up(struct lc_request *r);

/* The body so far. */
const char *answer(const struct lc_request *r);

/* Serves GET `target` and forgets all but the answer, which lives until the next call. */
const char *get(const char *target);

void assert_has(const char *text, const char *part);
void assert_has_not(const char *text, const char *part);
void assert_starts(const char *text, const char *start);

/* GET `target` must give a 500 page and a record with `reason`. */
void assert_fails(const char *target, const char *reason);

/* GET `target` must give `text`, and log nothing. */
void assert_answers(const char *target, const char *text);
