/* master/control/commands.h — what can be asked of a running server, and told to it. */
#pragma once
#include <jansson.h>

struct lc_error;
struct lc_master;
struct lc_strings;
struct lc_wait;
struct ucred;

/* Carries out the words that were asked; who gave an order stands in the server's log. The data of
 * the answer; NULL and `err` if there is no such command, or NULL with `wait` begun: the answer
 * comes later. */
json_t *lc_command_run(struct lc_master *m, const struct lc_strings *asked,
                       const struct ucred *peer, struct lc_wait *wait,
                       struct lc_error *err);
