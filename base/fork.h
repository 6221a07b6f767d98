/* base/fork.h — fork() in processes in which a plugin may run an interpreter.
 *
 * An interpreter must know of a fork before and after it; all of the server's own go through
 * here. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

struct lc_fork_watch {
    void (*before)(void);
    void (*after)(bool is_child); /* in both processes, also when there is only one */
};

/* From now on; kept, not copied. NULL: nobody watches. */
void lc_fork_set_watch(const struct lc_fork_watch *watch);

pid_t lc_fork(void);
