/* master/spawn.h — forking children, and the master's end of the channel to each. */
#pragma once
#include <stdbool.h>

struct lc_child;
struct lc_error;
struct lc_generation;
struct lc_master;
struct lc_msg_head;
struct lc_role;
struct lc_slot;

/* Forks a child that runs `role` with the generation's configuration; a worker has a slot and an
 * age. It keeps of the master only what it needs. NULL and `err` if it cannot be forked. */
struct lc_child *lc_child_start(struct lc_master *m, const struct lc_role *role,
                                const struct lc_generation *generation,
                                struct lc_slot *slot, unsigned age, struct lc_error *err);

/* The next message in `buffer` of LC_MSG_MAX bytes; false when there is none now. A message that
 * is not well formed is logged and skipped. */
bool lc_child_receive(struct lc_child *child, struct lc_msg_head *head, void *buffer);

/* The process is gone: closes the channel and frees. NULL is fine. */
void lc_child_forget(struct lc_child *child);
