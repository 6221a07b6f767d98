#include "config/hooks.h"

#include "config/config.h"
#include "config/script.h"

static const char *const names[] = {
    [LC_HOOK_NWORKERS_CHANGED] = "nworkers_changed",
    [LC_HOOK_ON_STARTING] = "on_starting",
    [LC_HOOK_WHEN_READY] = "when_ready",
    [LC_HOOK_ON_RELOAD] = "on_reload",
    [LC_HOOK_PRE_FORK] = "pre_fork",
    [LC_HOOK_FORKED] = "forked",
    [LC_HOOK_CHILD_EXIT] = "child_exit",
    [LC_HOOK_PRE_EXEC] = "pre_exec",
    [LC_HOOK_ON_EXIT] = "on_exit",
    [LC_HOOK_POST_FORK] = "post_fork",
    [LC_HOOK_POST_WORKER_INIT] = "post_worker_init",
    [LC_HOOK_WORKER_INT] = "worker_int",
    [LC_HOOK_WORKER_EXIT] = "worker_exit",
};

bool lc_hooks_are_set(const struct lc_config *config)
{
    return config->script != NULL && lc_script_has_hooks(config->script);
}

int lc_hook_call(const struct lc_config *config, enum lc_hook hook,
                 const struct lc_hook_details *details, struct lc_error *err)
{
    if (!lc_hooks_are_set(config))
        return 0;
    return lc_script_call(config->script, names[hook], details, err);
}

void lc_hooks_attend(const struct lc_config *config)
{
    if (lc_hooks_are_set(config))
        lc_script_attend(config->script);
}
