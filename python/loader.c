#include "python/loader.h"

#include "python/bridge.h"
#include "python/gil.h"
#include "python/host.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

/* Beyond what exit handlers of error trackers take to send their last report. */
enum { FINISH_LIMIT_S = 10 };

/* The text of loader.py, as it was when this was built, and a NUL. */
__asm__(".pushsection .rodata\n"
        ".hidden lc_loader_source\n"
        ".globl lc_loader_source\n"
        "lc_loader_source:\n"
        ".incbin \"" LICORNE_LOADER "\"\n"
        ".byte 0\n"
        ".popsection\n");
extern const char lc_loader_source[] __attribute__((visibility("hidden")));

static PyObject *names; /* the globals of loader.py */

PyObject *lc_loader_get(const char *name)
{
    PyObject *found = PyDict_GetItemString(names, name);

    if (found == NULL)
        PyErr_Format(PyExc_NameError, "loader.py has no %s", name);
    return found;
}

static int run_source(void)
{
    PyObject *code = Py_CompileString(lc_loader_source, "<licorne>", Py_file_input);
    PyObject *none = NULL;

    if (code == NULL)
        return -1;
    names = PyDict_New();
    if (names != NULL &&
        PyDict_SetItemString(names, "__builtins__", PyEval_GetBuiltins()) == 0 &&
        lc_py_put(names, PyUnicode_InternFromString("__name__"),
                  PyUnicode_FromString("licorne")) == 0)
        none = PyEval_EvalCode(code, names, names);
    Py_DECREF(code);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

/* ---- the interpreter ---- */

/* What CPython returns from a step of its start. It goes through memory, so a longer one of a
 * later CPython would need more room only. */
struct status {
    int kind;
    const char *function, *text;
    int exit_code;
    void *room[12];
};

/* The python3 program prepares locale and UTF-8 mode first (PEP 538, PEP 540); an embedded
 * Python that is just started does not, and would read and write files as ASCII under LANG=C.
 * The structure is longer or shorter from version to version: it is only passed on. */
static void prepare_locale(void)
{
    void (*fill)(void *) = NULL;
    struct status (*prepare)(const void *) = NULL;
    _Alignas(16) char preconfig[512] = {0};

    *(void **)&fill = dlsym(RTLD_DEFAULT, "PyPreConfig_InitPythonConfig");
    *(void **)&prepare = dlsym(RTLD_DEFAULT, "Py_PreInitialize");
    if (fill == NULL || prepare == NULL)
        return;
    fill(preconfig);
    prepare(preconfig);
}

/* The package `gunicorn` lies in lib/licorne/python, beside the plugin's own folder. */
static int add_package(void)
{
    PyObject *function = lc_loader_get("add_package");
    PyObject *none = NULL;
    char folder[4096];
    Dl_info self;

    if (function == NULL || dladdr((const void *)&names, &self) == 0 ||
        self.dli_fname == NULL || strrchr(self.dli_fname, '/') == NULL)
        return function == NULL ? -1 : 0;

    int len = (int)(strrchr(self.dli_fname, '/') - self.dli_fname);
    snprintf(folder, sizeof(folder), "%.*s/../python", len, self.dli_fname);
    none = PyObject_CallFunction(function, "N", PyUnicode_DecodeFSDefault(folder));
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

int lc_loader_start(const struct lc_interpreter *interpreter, struct lc_error *err)
{
    void (*set_program_name)(const wchar_t *) = NULL;

    if (lc_py_open(err) < 0)
        return -1;
    *(void **)&set_program_name = dlsym(RTLD_DEFAULT, "Py_SetProgramName");
    if (set_program_name == NULL)
        return lc_error_set(err, LC_E_BOOT, "Python %s cannot be told its own path",
                            interpreter->version);

    prepare_locale();
    /* From this path CPython finds pyvenv.cfg, its prefix and site-packages. It keeps the
     * pointer. */
    wchar_t *program = Py_DecodeLocale(interpreter->executable, NULL);
    if (program == NULL)
        return lc_error_set(err, LC_E_BOOT, "cannot decode the path %s",
                            interpreter->executable);
    set_program_name(program);
    Py_InitializeEx(0); /* signals are the worker's */
    lc_gil_open();

    if (run_source() == 0 && lc_host_open() == 0 && add_package() == 0)
        return 0;
    PyErr_Print();
    return lc_error_set(err, LC_E_BOOT, "%s (Python %s): cannot start",
                        interpreter->executable, interpreter->version);
}

/* ---- the application ---- */

static void log_text(PyObject *text, const struct lc_app_options *options)
{
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");

    if (bytes == NULL) {
        PyErr_Clear();
        return;
    }
    lc_log_text(LC_ERROR, lc_py_bytes(bytes));
    if (options->explain != NULL)
        options->explain(options->owner, lc_py_bytes(bytes));
    Py_DECREF(bytes);
}

static void refuse(PyObject *why, long exit_code, const struct lc_app_options *options,
                   struct lc_error *err)
{
    PyObject *bytes = PyUnicode_AsEncodedString(why, "utf-8", "backslashreplace");

    if (bytes == NULL)
        PyErr_Clear();
    lc_error_set(err, exit_code == 4 ? LC_E_APP_LOAD : LC_E_BOOT,
                 "application %s cannot be loaded%s%s", options->spec,
                 bytes == NULL ? "" : ": ", bytes == NULL ? "" : PyBytes_AsString(bytes));
    Py_XDECREF(bytes);
}

int lc_loader_prepare(const struct lc_app_options *options)
{
    PyObject *function = lc_loader_get("prepare");
    PyObject *none = NULL;

    if (function != NULL)
        none = PyObject_CallFunction(
            function, "NNNiii",
            PyUnicode_DecodeFSDefault(options->start_dir == NULL ? options->chdir
                                                                 : options->start_dir),
            PyUnicode_DecodeFSDefault(options->chdir),
            PyUnicode_DecodeFSDefault(options->pythonpath == NULL ? ""
                                                                  : options->pythonpath),
            options->stack_fd, LC_SIGNAL_STACK, (int)options->traces_lines);
    Py_XDECREF(none);
    return none == NULL ? -1 : 0;
}

/* (application, exit code, text, the same in short) */
static PyObject *load(const struct lc_app_options *options,
                      const struct lc_interpreter *interpreter)
{
    PyObject *function = lc_loader_get("load");

    if (function == NULL)
        return NULL;
    return PyObject_CallFunction(function, "NNNs",
                                 PyUnicode_DecodeFSDefault(options->spec),
                                 PyUnicode_DecodeFSDefault(options->chdir),
                                 PyUnicode_DecodeFSDefault(interpreter->executable),
                                 options->defaults == NULL ? "" : options->defaults);
}

PyObject *lc_loader_load(const struct lc_app_options *options,
                         const struct lc_interpreter *interpreter, struct lc_error *err)
{
    PyObject *answer = lc_loader_prepare(options) < 0 ? NULL : load(options, interpreter);

    if (answer == NULL) {
        PyErr_Print();
        lc_error_set(err, LC_E_BOOT, "application %s: cannot be loaded", options->spec);
        return NULL;
    }

    long exit_code = PyLong_AsLong(PyTuple_GetItem(answer, 1));
    PyObject *app = PyTuple_GetItem(answer, 0);

    if (exit_code == 0) {
        Py_INCREF(app);
    } else {
        app = NULL;
        log_text(PyTuple_GetItem(answer, 2), options);
        refuse(PyTuple_GetItem(answer, 3), exit_code, options, err);
    }
    Py_DECREF(answer);
    return app;
}

void lc_loader_finish(void)
{
    PyObject *function = lc_loader_get("finish");
    PyObject *is_done = function == NULL
                            ? NULL
                            : PyObject_CallFunction(function, "i", FINISH_LIMIT_S);

    if (is_done == NULL)
        PyErr_Print();
    else if (is_done != Py_True)
        lc_log(LC_WARN,
               "threads or exit handlers of the application are still running after "
               "%d seconds: leaving without them",
               FINISH_LIMIT_S);
    Py_XDECREF(is_done);
}
