#include "app/pipeline.h"

#include "app/controller.h"
#include "app/request.h"
#include "base/identity.h"
#include "base/mem.h"
#include "config/config.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <stdatomic.h>
#include <string.h>

/* Why the application's latest state cannot be served. */
struct notice {
    struct notice *older;
    char *text;
};

struct lc_pipeline {
    _Atomic(struct notice *) notice; /* the newest, or NULL */
    struct lc_controller controller;
    bool has_threads;
    bool was_called; /* the application, by the loop, since the last turn_end */
};

struct lc_pipeline *lc_pipeline_create(const struct lc_config *config,
                                       struct lc_error *err)
{
    struct lc_error why = {
        .code = LC_E_NONE}; /* an `open` is promised a place for its reasons */
    struct lc_pipeline *pipeline = lc_new(struct lc_pipeline);

    /* The program's own name stands without it. */
    if (config->server_header != NULL && strcmp(config->server_header, "licorne") != 0)
        lc_identity_set_server(config->server_header);

    if (lc_controller_open(&pipeline->controller, config, &why) == 0) {
        pipeline->has_threads = lc_config_is_threaded(config) &&
                                pipeline->controller.ops->thread_start != NULL;
        return pipeline;
    }
    if (err != NULL)
        *err = why;
    lc_pipeline_destroy(pipeline);
    return NULL;
}

struct lc_pipeline *lc_pipeline_create_broken(const struct lc_config *config,
                                              const char *text, struct lc_error *err)
{
    struct lc_pipeline *pipeline = lc_new(struct lc_pipeline);

    lc_pipeline_show(pipeline, text);
    if (lc_controller_open_broken(&pipeline->controller, config, err) == 0)
        return pipeline;
    lc_pipeline_destroy(pipeline);
    return NULL;
}

bool lc_pipeline_is_broken(const struct lc_pipeline *pipeline)
{
    return pipeline->controller.app == NULL;
}

/* Threads may be reading the one before. */
void lc_pipeline_show(struct lc_pipeline *pipeline, const char *text)
{
    struct notice *notice = lc_new(struct notice);

    notice->text = lc_strdup(text);
    notice->older = atomic_load(&pipeline->notice);
    atomic_store(&pipeline->notice, notice);
}

static void forget_notices(struct lc_pipeline *pipeline)
{
    for (struct notice *notice = atomic_load(&pipeline->notice); notice != NULL;) {
        struct notice *older = notice->older;

        free(notice->text);
        free(notice);
        notice = older;
    }
}

void lc_pipeline_sources(struct lc_pipeline *pipeline,
                         void (*each)(void *owner, const char *path), void *owner)
{
    lc_controller_sources(&pipeline->controller, each, owner);
}

void lc_pipeline_reopen_files(struct lc_pipeline *pipeline)
{
    lc_controller_reopen_files(&pipeline->controller);
}

void lc_pipeline_destroy(struct lc_pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
    forget_notices(pipeline);
    lc_controller_close(&pipeline->controller);
    free(pipeline);
}

/* --- threads ----------------------------------------------------------------------------- */

bool lc_pipeline_has_threads(const struct lc_pipeline *pipeline)
{
    return pipeline->has_threads;
}

int lc_pipeline_thread_start(struct lc_pipeline *pipeline, struct lc_error *err)
{
    return pipeline->controller.ops->thread_start(pipeline->controller.app, err);
}

void lc_pipeline_thread_turn_start(struct lc_pipeline *pipeline)
{
    pipeline->controller.ops->turn_start(pipeline->controller.app);
}

void lc_pipeline_thread_turn_end(struct lc_pipeline *pipeline)
{
    pipeline->controller.ops->turn_end(pipeline->controller.app);
}

void lc_pipeline_thread_end(struct lc_pipeline *pipeline)
{
    pipeline->controller.ops->thread_end(pipeline->controller.app);
}

bool lc_pipeline_attend(struct lc_pipeline *pipeline)
{
    const struct lc_controller *controller = &pipeline->controller;

    return controller->app != NULL && controller->ops->attend != NULL &&
           controller->ops->attend(controller->app);
}

/* Threads end their turns themselves. */
static void note_call(struct lc_pipeline *pipeline)
{
    if (!pipeline->has_threads)
        pipeline->was_called = true;
}

/* --- the steps, in the order in which a request takes them ------------------------------- */

static bool is_from_a_browser(const struct lc_request *request)
{
    struct lc_slice accepted = lc_request_header(request, "Accept");

    return accepted.at != NULL &&
           memmem(accepted.at, accepted.len, "text/html", strlen("text/html")) != NULL;
}

/* While an application is being written, its author looks at a browser. */
static enum lc_step show_notice(struct lc_pipeline *pipeline, struct lc_request *request)
{
    const struct notice *notice = atomic_load_explicit(&pipeline->notice,
                                                       memory_order_acquire);

    if (notice == NULL ||
        (pipeline->controller.app != NULL && !is_from_a_browser(request)))
        return LC_NEXT;
    return lc_response_text(request, 500, notice->text);
}

static enum lc_step call_application(struct lc_pipeline *pipeline,
                                     struct lc_request *request)
{
    note_call(pipeline);
    return pipeline->controller.ops->call(pipeline->controller.app, request);
}

static enum lc_step not_found(struct lc_pipeline *pipeline, struct lc_request *request)
{
    (void)pipeline;
    lc_response_reset(request);
    return lc_response_text(request, 404,
                            "404 Not Found\n\nThe resource could not be found.\n");
}

typedef enum lc_step (*step_fn)(struct lc_pipeline *pipeline, struct lc_request *request);

static const step_fn steps[] = {
    show_notice, call_application, not_found, /* what nobody has answered */
};

/* --- the walk --------------------------------------------------------------------------- */

static void give_up(struct lc_request *request, const char *what)
{
    lc_log(LC_ERROR, "%.*s %.*s: %s", LC_ARG(request->method), LC_ARG(request->target),
           what);
    lc_response_abort(request);
}

static void forget_earlier(struct lc_pipeline *pipeline, struct lc_request *request)
{
    request->pipeline = pipeline;
    request->param_count = 0;
    request->route = NULL;
    request->data = NULL;
    request->is_later = false;
}

void lc_pipeline_start(struct lc_pipeline *pipeline, struct lc_request *request)
{
    enum lc_step said = LC_NEXT;

    forget_earlier(pipeline, request);
    for (size_t i = 0; said == LC_NEXT && i < LC_COUNT(steps); i++) {
        said = steps[i](pipeline, request);
        if (request->response.is_ended)
            return;
        if (said == LC_NEXT && request->response.is_started)
            break;
    }
    if (said == LC_LATER)
        request->is_later = true;
    else
        give_up(request, "the response was begun or promised, but not ended");
}

void lc_pipeline_resume(struct lc_pipeline *pipeline, struct lc_request *request)
{
    note_call(pipeline);
    pipeline->controller.ops->resume(pipeline->controller.app, request);
}

void lc_pipeline_turn_end(struct lc_pipeline *pipeline)
{
    const struct lc_controller *controller = &pipeline->controller;

    if (!pipeline->was_called)
        return;
    pipeline->was_called = false;
    if (controller->ops->turn_end != NULL)
        controller->ops->turn_end(controller->app);
}
