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

/* Once for all where the server has Python in its master: the answer cannot change, because the
 * process can run no second one. */
static struct lc_interpreter *started;
static char *asked_for;

static struct lc_interpreter *find_interpreter(const struct lc_app_options *options,
                                               struct lc_error *err)
{
    const char *python = options->python == NULL ? "" : options->python;

    if (started != NULL && strcmp(asked_for, python) == 0)
        return started;
    return lc_interpreter_open(options, err);
}

static void let_go(struct lc_interpreter *interpreter)
{
    if (interpreter != started)
        lc_interpreter_close(interpreter);
}

static int load_all(const struct lc_interpreter *interpreter, struct lc_error *err)
{
    if (bridge != NULL)
        return 0;
    return lc_interpreter_load(interpreter, err) < 0 ? -1 : load_bridge(err);
}

static void *python_open(const struct lc_app_options *options, struct lc_error *err)
{
    void *app = NULL;
    struct lc_interpreter *interpreter = find_interpreter(options, err);

    if (interpreter == NULL)
        return NULL;
    if (load_all(interpreter, err) == 0)
        app = bridge->open(options, interpreter, err);
    let_go(interpreter);
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

static bool python_attend(void *app)
{
    return bridge->attend(app);
}

static void python_reopen_files(void *app)
{
    bridge->reopen_files(app);
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
    .attend = python_attend,
    .reopen_files = python_reopen_files,
};

/* ---- scripts ---- */

static int script_start(const char *python, struct lc_error *err)
{
    const struct lc_app_options options = {.python = python};
    struct lc_interpreter *interpreter = find_interpreter(&options, err);
    int done = -1;

    if (interpreter == NULL)
        return -1;
    if (load_all(interpreter, err) == 0)
        done = bridge->start(interpreter, err);
    if (done == 0 && started == NULL) {
        started = interpreter;
        asked_for = strdup(python == NULL ? "" : python);
    }
    let_go(interpreter);
    return done;
}

static int script_preload(const struct lc_app_options *options, struct lc_error *err)
{
    struct lc_interpreter *interpreter = find_interpreter(options, err);
    int done = -1;

    if (interpreter == NULL)
        return -1;
    if (load_all(interpreter, err) == 0)
        done = bridge->preload(options, interpreter, err);
    let_go(interpreter);
    return done;
}

static void *script_create(struct lc_error *err)
{
    return bridge->script->create(err);
}

static void script_destroy(void *script)
{
    bridge->script->destroy(script);
}

static int script_read(void *script, const char *asked, const char *folder,
                       const struct lc_script_sink *sink, struct lc_error *err)
{
    return bridge->script->read(script, asked, folder, sink, err);
}

static int script_conclude(void *script, const struct lc_script_value *values,
                           size_t count, struct lc_error *err)
{
    return bridge->script->conclude(script, values, count, err);
}

static bool script_has_hooks(void *script)
{
    return bridge->script->has_hooks(script);
}

static void script_logging(void *script, bool *writes, bool *makes_access,
                           enum lc_level *least)
{
    bridge->script->logging(script, writes, makes_access, least);
}

static bool script_tls(void *script, struct lc_script_tls *tls)
{
    return bridge->script->tls(script, tls);
}

static void script_write_log(void *script, bool is_access, struct lc_slice text)
{
    bridge->script->write_log(script, is_access, text);
}

static void script_reopen_logs(void *script)
{
    bridge->script->reopen_logs(script);
}

static int script_call(void *script, const char *hook,
                       const struct lc_hook_details *details, struct lc_error *err)
{
    return bridge->script->call(script, hook, details, err);
}

static void script_attend(void)
{
    bridge->script->attend();
}

static void script_before_fork(void)
{
    bridge->script->before_fork();
}

static void script_after_fork(bool is_child)
{
    bridge->script->after_fork(is_child);
}

static const struct lc_script_ops scripts = {
    .start = script_start,
    .create = script_create,
    .destroy = script_destroy,
    .read = script_read,
    .conclude = script_conclude,
    .has_hooks = script_has_hooks,
    .logging = script_logging,
    .tls = script_tls,
    .write_log = script_write_log,
    .reopen_logs = script_reopen_logs,
    .call = script_call,
    .attend = script_attend,
    .before_fork = script_before_fork,
    .after_fork = script_after_fork,
    .preload = script_preload,
};

LC_MODULE(.name = "python3", .app = &wsgi, .script = &scripts);
