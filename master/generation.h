/* master/generation.h — one configuration, its sockets and its pidfile, from birth to burial. */
#pragma once
#include "master/state.h"

/* Takes the configuration over. */
struct lc_generation *lc_generation_create(struct lc_master *m, struct lc_config *config);

/* Releases what no other generation uses as well (NULL: there is none). NULL is fine. */
void lc_generation_destroy(struct lc_generation *generation,
                           const struct lc_generation *survivor);

/* A second master, beside the one that it is to replace, has PIDFILE.2 until it is promoted. */
int lc_generation_promote_pidfile(struct lc_generation *generation, struct lc_error *err);

/* Whether the pidfile's place is free. Writes nothing. */
int lc_generation_check_pidfile(const struct lc_generation *generation,
                                struct lc_error *err);

/* These share with `running` (NULL at the start) what stays the same. Relative paths begin at
 * the current folder. */
int lc_generation_open_pidfile(struct lc_generation *generation,
                               const struct lc_generation *running, bool is_second,
                               struct lc_error *err);
int lc_generation_listen(struct lc_generation *generation,
                         const struct lc_generation *running, struct lc_handed *handed,
                         struct lc_error *err);

/* Closes the sockets and removes the pidfile, but not those of `survivor`. */
void lc_generation_close(struct lc_generation *generation,
                         const struct lc_generation *survivor);

/* The process changes from the environment and folder of `from` (NULL: those it was started
 * with) to those of `to`. */
int lc_generation_take_on(const struct lc_generation *to,
                          const struct lc_generation *from, struct lc_error *err);
