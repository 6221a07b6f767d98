/* config/hooks.h — calling the hooks that a configuration has set. */
#pragma once
#include <licorne/script.h>
#include <stdbool.h>

struct lc_config;
struct lc_error;

enum lc_hook {
    LC_HOOK_NWORKERS_CHANGED,
    LC_HOOK_ON_STARTING,
    LC_HOOK_WHEN_READY,
    LC_HOOK_ON_RELOAD,
    LC_HOOK_PRE_FORK,
    LC_HOOK_FORKED, /* no hook, but what they see: the master knows the worker's pid */
    LC_HOOK_CHILD_EXIT,
    LC_HOOK_PRE_EXEC,
    LC_HOOK_ON_EXIT,
    LC_HOOK_POST_FORK,
    LC_HOOK_POST_WORKER_INIT,
    LC_HOOK_WORKER_INT,
    LC_HOOK_WORKER_EXIT,
};

/* Whether any is set. If not, none of the calls below does anything. */
bool lc_hooks_are_set(const struct lc_config *config);

/* 0, or -1 with `err` (LC_E_BOOT) when it failed, which was logged with its stack. */
int lc_hook_call(const struct lc_config *config, enum lc_hook hook,
                 const struct lc_hook_details *details, struct lc_error *err);

/* At each turn of a worker's timer: signal handlers of the language may run. */
void lc_hooks_attend(const struct lc_config *config);
