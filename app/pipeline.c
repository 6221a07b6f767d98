#include "app/pipeline.h"

#include "app/controller.h"
#include "app/request.h"
#include "base/mem.h"

#include <licorne/error.h>
#include <licorne/log.h>

struct lc_pipeline {
    struct lc_controller controller;
    bool was_called; /* the application, since the last turn_end */
};

struct lc_pipeline *lc_pipeline_create(const struct lc_config *config,
                                       struct lc_error *err)
{
    struct lc_error why = {
        .code = LC_E_NONE}; /* an `open` is promised a place for its reasons */
    struct lc_pipeline *pipeline = lc_new(struct lc_pipeline);

    if (lc_controller_open(&pipeline->controller, config, &why) == 0)
        return pipeline;
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

/* --- the steps, in the order in which a request takes them ------------------------------- */

static enum lc_step call_application(struct lc_pipeline *pipeline,
                                     struct lc_request *request)
{
    pipeline->was_called = true;
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
    pipeline->was_called = true;
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
