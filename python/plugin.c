/* python/plugin.c — the door of the Python plugin.
 *
 * This part knows no Python: it finds the interpreter, loads its libpython and only then the
 * bridge that needs it. So one build serves every CPython, and a server that runs no Python
 * application never loads one. */
#include "python/bridge.h"
#include "python/interpreter.h"

#include <licorne/error.h>
#include <licorne/module.h>

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const struct lc_python_bridge *bridge;

/* The bridge lies beside this file, wherever that was installed. */
static int bridge_path(char *path, size_t size, struct lc_error *err)
{
    Dl_info self;

    if (dladdr((const void *)&bridge, &self) == 0 || self.dli_fname == NULL)
        return lc_error_set(err, LC_E_BOOT, "cannot tell where the Python plugin lies");

    const char *slash = strrchr(self.dli_fname, '/');
    int folder = slash == NULL ? 0 : (int)(slash - self.dli_fname + 1);
    int len = snprintf(path, size, "%.*spython3-wsgi.so", folder, self.dli_fname);
    if (len < 0 || (size_t)len >= size)
        return lc_error_set(err, LC_E_BOOT, "the Python plugin's path is too long: %s",
                            self.dli_fname);
    return 0;
}

static int load_bridge(struct lc_error *err)
{
    char path[4096];

    if (bridge_path(path, sizeof(path), err) < 0)
        return -1;

    /* Stays loaded: CPython cannot be started twice in a process. */
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return lc_error_set(err, LC_E_BOOT, "cannot load the Python plugin: %s",
                            dlerror());

    const struct lc_python_bridge *found = dlsym(library, LC_PYTHON_BRIDGE_SYMBOL);
    if (found == NULL || found->version != LC_PYTHON_BRIDGE)
        return lc_error_set(err, LC_E_BOOT,
                            "%s belongs to another build of Licorne: install both parts "
                            "of the Python plugin from the same package",
                            path);
    bridge = found;
    return 0;
}

static void *python_open(const struct lc_app_options *options, struct lc_error *err)
{
    void *app = NULL;
    struct lc_interpreter *interpreter = lc_interpreter_open(options, err);

    if (interpreter == NULL)
        return NULL;
    if (bridge == NULL &&
        (lc_interpreter_load(interpreter, err) < 0 || load_bridge(err) < 0))
        goto out;
    app = bridge->open(options, interpreter, err);
out:
    lc_interpreter_close(interpreter);
    return app;
}

static enum lc_step python_call(void *app, struct lc_request *request)
{
    return bridge->call(app, request);
}

static void python_resume(void *app, struct lc_request *request)
{
    bridge->resume(app, request);
}

static void python_turn_end(void *app)
{
    bridge->turn_end(app);
}

static void python_close(void *app)
{
    bridge->close(app);
}

static int python_thread_start(void *app, struct lc_error *err)
{
    return bridge->thread_start(app, err);
}

static void python_thread_end(void *app)
{
    bridge->thread_end(app);
}

static void python_turn_start(void *app)
{
    bridge->turn_start(app);
}

/* Where no interpreter could be started there is nothing to name. */
static void python_sources(void *app, void (*each)(void *owner, const char *path),
                           void *owner)
{
    if (bridge != NULL)
        bridge->sources(app, each, owner);
}

static const struct lc_app_ops wsgi = {
    .name = "wsgi",
    .open = python_open,
    .call = python_call,
    .resume = python_resume,
    .turn_end = python_turn_end,
    .close = python_close,
    .thread_start = python_thread_start,
    .thread_end = python_thread_end,
    .turn_start = python_turn_start,
    .sources = python_sources,
};

LC_MODULE(.name = "python3", .app = &wsgi);
