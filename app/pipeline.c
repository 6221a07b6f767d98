#include "app/pipeline.h"

#include "app/controller.h"
#include "app/request.h"
#include "base/mem.h"
#include "config/config.h"

#include <licorne/error.h>
#include <licorne/log.h>

struct lc_pipeline {
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

void lc_pipeline_destroy(struct lc_pipeline *pipeline)
{
    if (pipeline == NULL)
        return;
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

/* Threads end their turns themselves. */
static void note_call(struct lc_pipeline *pipeline)
{
    if (!pipeline->has_threads)
        pipeline->was_called = true;
}

/* --- the steps, in the order in which a request takes them ------------------------------- */

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
    call_application, not_found, /* what nobody has answered */
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
