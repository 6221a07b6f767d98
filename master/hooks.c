#include "master/hooks.h"

#include "base/mem.h"
#include "config/config.h"
#include "master/upgrade.h"

#include <licorne/log.h>

enum { EXIT_UNEXPECTED = 255 };

static const struct lc_script_listener *view_listeners(
    const struct lc_generation *generation)
{
    const struct lc_listeners *set = &generation->listeners;
    struct lc_script_listener *view = lc_calloc(set->count + 1, sizeof(*view));

    for (unsigned i = 0; i < set->count; i++) {
        const struct lc_listener *l = &set->items[i];

        view[i].fd = l->fd;
        view[i].text = l->is_unix ? lc_printf("unix:%s", l->address)
                                  : lc_printf("http://%s:%s", l->address, l->port);
    }
    return view;
}

static void free_listeners(const struct lc_script_listener *view, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((char *)view[i].text);
    free((void *)view);
}

static int call(struct lc_master *m, const struct lc_generation *generation,
                enum lc_hook hook, struct lc_hook_details *details, struct lc_error *err)
{
    if (!lc_hooks_are_set(generation->config))
        return 0;
    details->proc_name = generation->config->name;
    details->master_name = lc_upgrade_name(m);
    details->num_workers = generation->wanted;
    details->listeners = view_listeners(generation);
    details->listener_count = generation->listeners.count;

    int done = lc_hook_call(generation->config, hook, details, err);

    free_listeners(details->listeners, details->listener_count);
    return done;
}

int lc_master_hook(struct lc_master *m, const struct lc_generation *generation,
                   enum lc_hook hook, struct lc_error *err)
{
    struct lc_hook_details details = {0};

    return call(m, generation, hook, &details, err);
}

void lc_master_hook_or_stop(struct lc_master *m, const struct lc_generation *generation,
                            enum lc_hook hook)
{
    struct lc_error err = {0};

    if (lc_master_hook(m, generation, hook, &err) < 0)
        lc_master_panic(m, &err);
}

int lc_master_hook_workers(struct lc_master *m, const struct lc_generation *generation,
                           long old_count, struct lc_error *err)
{
    struct lc_hook_details details = {.new_count = generation->wanted,
                                      .old_count = old_count};

    return call(m, generation, LC_HOOK_NWORKERS_CHANGED, &details, err);
}

int lc_worker_hook(struct lc_master *m, const struct lc_generation *generation,
                   enum lc_hook hook, unsigned age, pid_t pid, struct lc_error *err)
{
    struct lc_hook_details details = {.age = age, .pid = pid};

    return call(m, generation, hook, &details, err);
}

void lc_master_hook_child(struct lc_master *m, const struct lc_worker *worker,
                          bool has_failed_to_boot)
{
    struct lc_hook_details details = {.age = worker->age,
                                      .pid = worker->child->pid,
                                      .has_failed_to_boot = has_failed_to_boot};
    struct lc_error err = {0};

    if (call(m, worker->generation, LC_HOOK_CHILD_EXIT, &details, &err) < 0)
        lc_master_panic(m, &err);
}

void lc_master_panic(struct lc_master *m, const struct lc_error *err)
{
    lc_log(LC_ERROR, "Unhandled exception in main loop: %s", err->text);
    if (m->phase == LC_MASTER_RUNNING)
        lc_master_halt(m, EXIT_UNEXPECTED, "a hook has failed.");
    else
        m->exit_code = EXIT_UNEXPECTED;
}
