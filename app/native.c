#include "app/native.h"

#include "app/module.h"
#include "app/request.h"
#include "app/router.h"
#include "base/mem.h"

#include <licorne/error.h>
#include <licorne/log.h>
#include <licorne/module.h>

#include <stdio.h>

struct native {
    const struct lc_module *module;
    char *path;
    bool is_named; /* by native_sources */
    struct lc_router *router;
    void *state;
    bool is_open;
};

static void native_close(void *app)
{
    struct native *native = app;

    if (native->is_open && native->module->close != NULL)
        native->module->close(native->state);
    lc_router_destroy(native->router);
    free(native->path);
    free(native);
}

static int open_module(struct native *native, struct lc_error *err)
{
    const struct lc_module *module = native->module;

    if (module->open != NULL && module->open(&native->state, err) < 0) {
        if (err->code == LC_E_NONE)
            lc_error_set(err, LC_E_BOOT, "open failed and did not say why");
        return -1;
    }
    native->is_open = true;
    return 0;
}

static void *native_open(const struct lc_app_options *options, struct lc_error *err)
{
    bool is_relative = options->spec[0] != '/';
    LC_AUTOFREE char *path = lc_printf("%s%s%s", is_relative ? options->chdir : "",
                                       is_relative ? "/" : "", options->spec);
    const struct lc_module *module = lc_module_load(path, err);

    if (module == NULL)
        return NULL;
    if (module->routes == NULL) {
        lc_error_set(err, LC_E_APP_LOAD,
                     "%s is a plugin for applications of the kind '%s', no application",
                     options->spec, module->app->name);
        return NULL;
    }
    struct native *native = lc_new(struct native);
    native->module = module;
    native->path = lc_take(&path);
    native->router = lc_router_create(module->routes, err);
    if (native->router != NULL && open_module(native, err) == 0)
        return native;
    lc_error_wrap(err, "%s", module->name);
    native_close(native);
    return NULL;
}

/* The path is there, but not for this method (RFC 9110, 15.5.6). */
static enum lc_step refuse_method(struct lc_request *request, struct lc_slice allow)
{
    lc_response_header(request, LC_SLICE("Allow"), allow, NULL);
    return lc_response_text(
        request, 405,
        lc_arena_printf(&request->arena,
                        "405 Method Not Allowed\n\nThe method %.*s is not allowed for "
                        "this resource.\n",
                        LC_ARG(request->method)));
}

static void report(const struct native *native, const struct lc_request *request,
                   const char *what)
{
    const struct lc_route *route = request->route;

    lc_log(LC_ERROR, "%s: the handler of route %s %s %s (%.*s %.*s)",
           native->module->name, route->methods != NULL ? route->methods : "*",
           route->path, what, LC_ARG(request->method), LC_ARG(request->target));
}

static enum lc_step call_route(struct native *native, struct lc_request *request)
{
    enum lc_step step = request->route->handler(request, native->state);

    if (step == LC_DONE && !request->response.is_ended) {
        report(native, request, "said LC_DONE but has not ended the response");
        lc_response_abort(request);
    }
    return step;
}

static enum lc_step native_call(void *app, struct lc_request *request)
{
    struct native *native = app;
    struct lc_slice allow;

    request->route = lc_router_match(native->router, request, &allow);
    if (request->route != NULL)
        return call_route(native, request);
    return allow.len > 0 ? refuse_method(request, allow) : LC_NEXT;
}

/* The handler is called again and goes on: lc_request_data tells it how far it came. */
static void native_resume(void *app, struct lc_request *request)
{
    struct native *native = app;

    if (call_route(native, request) != LC_NEXT || request->response.is_ended)
        return;
    report(native, request, "said LC_NEXT after LC_LATER");
    lc_response_abort(request);
}

static void native_sources(void *app, void (*each)(void *owner, const char *path),
                           void *owner)
{
    struct native *native = app;

    if (native == NULL || native->is_named)
        return;
    native->is_named = true;
    each(owner, native->path);
}

const struct lc_app_ops lc_app_native = {
    .name = "native",
    .open = native_open,
    .call = native_call,
    .resume = native_resume,
    .close = native_close,
    .sources = native_sources,
};
