#include "python/script.h"

#include "python/fork.h"
#include "python/gil.h"
#include "python/hooks.h"
#include "python/host.h"
#include "python/interrupt.h"
#include "python/loader.h"
#include "python/start.h"

#include <licorne/error.h>
#include <licorne/log.h>
#include <licorne/script.h>

#include <stdlib.h>
#include <string.h>

static PyObject *host; /* gunicorn._host */

PyObject *lc_script_host(void)
{
    return host;
}

/* The master's own loop holds the lock in these calls only, so that threads of hooks can run. */
static bool enter(void)
{
    bool was_parked = lc_gil_is_parked();

    lc_gil_take();
    return was_parked;
}

static void leave(bool was_parked)
{
    if (was_parked)
        lc_gil_park();
}

/* ---- errors ---- */

static int say(struct lc_error *err, PyObject *text)
{
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");

    if (bytes == NULL)
        return -1;
    lc_error_set(err, LC_E_CONFIG, "%s", PyBytes_AsString(bytes));
    Py_DECREF(bytes);
    return -1;
}

/* An exception that nobody expected. */
static int fail(struct lc_error *err, const char *what)
{
    PyErr_Print();
    return lc_error_set(err, LC_E_CONFIG, "%s failed: see above", what);
}

/* The method's answer is None, or a text that says what is wrong. Takes it over. */
static int judge(PyObject *answer, struct lc_error *err, const char *what)
{
    int done = 0;

    if (answer == NULL)
        return fail(err, what);
    if (answer != Py_None)
        done = say(err, answer);
    Py_DECREF(answer);
    return done;
}

/* ---- life ---- */

int lc_script_start(const struct lc_interpreter *interpreter, struct lc_error *err)
{
    if (lc_python_start(interpreter, err) < 0) {
        if (lc_python_is_running())
            lc_gil_park();
        return -1;
    }
    if (host == NULL)
        host = PyImport_ImportModule("gunicorn._host");

    int done = host == NULL ? fail(err, "import gunicorn._host") : 0;

    lc_gil_park();
    return done;
}

static void *script_create(struct lc_error *err)
{
    bool was_parked = enter();
    PyObject *script = PyObject_CallMethod(host, "Script", NULL);

    if (script == NULL)
        fail(err, "gunicorn._host.Script");
    leave(was_parked);
    return script;
}

static void script_destroy(void *script)
{
    bool was_parked = enter();

    Py_DECREF((PyObject *)script);
    leave(was_parked);
}

/* ---- settings ---- */

/* A list of str as texts of C; the bytes objects in `owners` hold them. */
static const char **as_texts(PyObject *list, PyObject *owners, size_t *count)
{
    Py_ssize_t size = PyList_Size(list);
    const char **texts = calloc((size_t)size + 1, sizeof(*texts));

    for (Py_ssize_t i = 0; texts != NULL && i < size; i++) {
        PyObject *bytes = PyUnicode_EncodeFSDefault(PyList_GetItem(list, i));

        if (bytes == NULL || PyList_Append(owners, bytes) < 0) {
            Py_XDECREF(bytes);
            free(texts);
            return NULL;
        }
        texts[i] = PyBytes_AsString(bytes);
        Py_DECREF(bytes);
    }
    *count = (size_t)size;
    return texts;
}

/* (name, texts, place) */
static int hand_on(PyObject *item, const struct lc_script_sink *sink)
{
    PyObject *owners = PyList_New(0);
    PyObject *name = PyUnicode_EncodeFSDefault(PyTuple_GetItem(item, 0));
    PyObject *place = PyUnicode_EncodeFSDefault(PyTuple_GetItem(item, 2));
    size_t count = 0;
    const char **texts = owners == NULL
                             ? NULL
                             : as_texts(PyTuple_GetItem(item, 1), owners, &count);
    int done = -1;

    if (name != NULL && place != NULL && texts != NULL) {
        sink->set(sink->to, PyBytes_AsString(name), texts, count,
                  PyBytes_AsString(place));
        done = 0;
    }
    free((void *)texts);
    Py_XDECREF(owners);
    Py_XDECREF(name);
    Py_XDECREF(place);
    return done;
}

static int hand_on_all(PyObject *found, const struct lc_script_sink *sink)
{
    for (Py_ssize_t i = 0; i < PyList_Size(found); i++)
        if (hand_on(PyList_GetItem(found, i), sink) < 0)
            return -1;
    return 0;
}

static int script_read(void *script, const char *asked, const char *folder,
                       const struct lc_script_sink *sink, struct lc_error *err)
{
    bool was_parked = enter();

    lc_python_sync_environment();

    PyObject *answer = PyObject_CallMethod(script, "read", "NN",
                                           PyUnicode_DecodeFSDefault(asked),
                                           PyUnicode_DecodeFSDefault(folder));
    int done = -1;

    if (answer == NULL)
        fail(err, asked);
    else if (PyTuple_GetItem(answer, 0) == Py_None)
        say(err, PyTuple_GetItem(answer, 1));
    else if (hand_on_all(PyTuple_GetItem(answer, 0), sink) < 0)
        fail(err, asked);
    else
        done = 0;
    Py_XDECREF(answer);
    leave(was_parked);
    return done;
}

static PyObject *list_of(const char *const *texts, size_t count)
{
    PyObject *list = PyList_New(0);

    for (size_t i = 0; list != NULL && i < count; i++) {
        PyObject *text = PyUnicode_DecodeFSDefault(texts[i]);

        if (text == NULL || PyList_Append(list, text) < 0)
            Py_CLEAR(list);
        Py_XDECREF(text);
    }
    return list;
}

static PyObject *list_of_values(const struct lc_script_value *values, size_t count)
{
    PyObject *list = PyList_New(0);

    for (size_t i = 0; list != NULL && i < count; i++) {
        const struct lc_script_value *v = &values[i];
        PyObject *item = Py_BuildValue("(sNO)", v->name, list_of(v->values, v->count),
                                       v->is_from_script ? Py_True : Py_False);

        if (item == NULL || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

static int script_conclude(void *script, const struct lc_script_value *values,
                           size_t count, struct lc_error *err)
{
    bool was_parked = enter();
    PyObject *list = list_of_values(values, count);
    PyObject *answer = list == NULL ? NULL
                                    : PyObject_CallMethod(script, "conclude", "O", list);
    int done = judge(answer, err, "reading the settings");

    Py_XDECREF(list);
    leave(was_parked);
    return done;
}

static bool script_has_hooks(void *script)
{
    bool was_parked = enter();
    PyObject *answer = PyObject_CallMethod(script, "wants_calls", NULL);
    bool has = answer == Py_True;

    if (answer == NULL)
        PyErr_Print();
    Py_XDECREF(answer);
    leave(was_parked);
    return has;
}

/* ---- logs ---- */

static void script_logging(void *script, bool *writes, bool *makes_access,
                           enum lc_level *least)
{
    bool was_parked = enter();
    PyObject *answer = PyObject_CallMethod(script, "logging", NULL);

    *writes = answer != NULL && PyTuple_GetItem(answer, 0) == Py_True;
    *makes_access = answer != NULL && PyTuple_GetItem(answer, 1) == Py_True;
    *least = answer == NULL ? LC_INFO
                            : (enum lc_level)PyLong_AsLong(PyTuple_GetItem(answer, 2));
    if (answer == NULL)
        PyErr_Print();
    Py_XDECREF(answer);
    leave(was_parked);
}

/* ---- TLS ---- */

static bool script_tls(void *script, struct lc_script_tls *tls)
{
    bool was_parked = enter();
    PyObject *rules = PyObject_GetAttrString(script, "tls");
    unsigned long long options = 0, no_options = 0;
    const char *ciphers = NULL;
    bool is_set = rules != NULL && rules != Py_None &&
                  PyArg_ParseTuple(rules, "iiiKKz", &tls->min_version, &tls->max_version,
                                   &tls->verify_mode, &options, &no_options, &ciphers);

    if (is_set) {
        tls->options = options;
        tls->no_options = no_options;
        tls->ciphers = ciphers == NULL ? NULL : strdup(ciphers);
    }
    if (PyErr_Occurred())
        PyErr_Print();
    Py_XDECREF(rules);
    leave(was_parked);
    return is_set;
}

/* What is wrong with the log has no better place than stderr. */
static void script_write_log(void *script, bool is_access, struct lc_slice text)
{
    bool was_parked = enter();
    PyObject *none = PyObject_CallMethod(
        script, "write_log", "ON", is_access ? Py_True : Py_False,
        PyUnicode_DecodeUTF8(text.at, (Py_ssize_t)text.len, "backslashreplace"));

    if (none == NULL)
        PyErr_Print();
    Py_XDECREF(none);
    leave(was_parked);
}

static void script_reopen_logs(void *script)
{
    bool was_parked = enter();
    PyObject *none = PyObject_CallMethod(script, "reopen_logs", NULL);

    if (none == NULL)
        PyErr_Print();
    Py_XDECREF(none);
    leave(was_parked);
}

/* ---- hooks ---- */

static PyObject *listeners_of(const struct lc_hook_details *details)
{
    PyObject *list = PyList_New(0);

    for (size_t i = 0; list != NULL && i < details->listener_count; i++) {
        const struct lc_script_listener *l = &details->listeners[i];
        PyObject *pair = Py_BuildValue("(iN)", l->fd, PyUnicode_DecodeFSDefault(l->text));

        if (pair == NULL || PyList_Append(list, pair) < 0)
            Py_CLEAR(list);
        Py_XDECREF(pair);
    }
    return list;
}

static PyObject *old_count_of(const struct lc_hook_details *details)
{
    return details->old_count < 0 ? lc_py_none() : PyLong_FromLong(details->old_count);
}

static PyObject *server_of(const struct lc_hook_details *d)
{
    if (d->proc_name == NULL)
        return lc_py_none();
    return Py_BuildValue("{s:N,s:s,s:I,s:N}", "proc_name",
                         PyUnicode_DecodeFSDefault(d->proc_name), "master_name",
                         d->master_name, "num_workers", d->num_workers, "listeners",
                         listeners_of(d));
}

static PyObject *dict_of(const struct lc_hook_details *d)
{
    return Py_BuildValue("{s:N,s:I,s:i,s:O,s:I,s:N}", "server", server_of(d), "age",
                         d->age, "pid", (int)d->pid, "failed",
                         d->has_failed_to_boot ? Py_True : Py_False, "new", d->new_count,
                         "old", old_count_of(d));
}

static int script_call(void *script, const char *hook,
                       const struct lc_hook_details *details, struct lc_error *err)
{
    bool was_parked = enter();

    lc_python_sync_environment();

    PyObject *dict = dict_of(details);
    PyObject *answer = dict == NULL
                           ? NULL
                           : PyObject_CallMethod(script, "call", "sO", hook, dict);
    int done = judge(answer, err, hook);

    Py_XDECREF(dict);
    if (done == 0 && strcmp(hook, "post_fork") == 0 && lc_hooks_open(script) < 0)
        done = fail(err, hook);
    leave(was_parked);
    return done;
}

static void script_attend(void)
{
    lc_interrupt_attend();
}

/* ---- forks ---- */

static bool was_parked_before_fork;

/* What was printed and waits in a buffer would be printed by each child again. */
static void flush_output(void)
{
    PyObject *function = lc_loader_get("flush_output");
    PyObject *none = function == NULL ? NULL : PyObject_CallFunction(function, NULL);

    if (none == NULL)
        PyErr_Print();
    Py_XDECREF(none);
}

static void before_fork(void)
{
    was_parked_before_fork = enter();
    flush_output();
    PyOS_BeforeFork();
}

static void after_fork(bool is_child)
{
    if (is_child) {
        PyOS_AfterFork_Child();
        lc_fork_forget();
    } else {
        PyOS_AfterFork_Parent();
    }
    leave(was_parked_before_fork);
}

/* `start` and `preload` are plugin.c's, which knows the interpreter. */
const struct lc_script_ops lc_python_script = {
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
    .before_fork = before_fork,
    .after_fork = after_fork,
};
