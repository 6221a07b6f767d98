#include "python/environ.h"

#include "python/exchange.h"
#include "python/fields.h"
#include "python/peer.h"
#include "python/target.h"

#include <licorne/app.h>
#include <licorne/request.h>

#include <stdlib.h>
#include <string.h>

/* What is mostly the same as in the request before: it is changed in the template, and comes
 * along with the copy. */
enum usual {
    RAW_URI,
    PATH_INFO,
    REMOTE_ADDR,
    REMOTE_PORT,
    SERVER_NAME,
    SERVER_PORT,
    SOCKET,
    USUALS
};

struct lc_environ {
    PyObject *template;
    PyObject *usual[USUALS]; /* as they are in the template, which owns them */
    PyObject *script_name;   /* from the environment; "" as a rule */
};

static uint64_t serial; /* of the request in hand, whoever has it */

static PyObject *usual_keys[USUALS];

static struct {
    PyObject *request_method, *server_protocol, *query_string, *script_name,
        *server_software, *url_scheme, *input, *early_hints, *proxy_protocol, *proxy_addr,
        *proxy_port, *peer_addr, *peer_port;
} keys;

static struct {
    PyObject *empty, *http, *https, *get, *http_1_1;
} texts;

static const struct lc_slice method_names[] = {
    LC_SLICE("GET"),    LC_SLICE("POST"),    LC_SLICE("HEAD"),  LC_SLICE("PUT"),
    LC_SLICE("DELETE"), LC_SLICE("OPTIONS"), LC_SLICE("PATCH"),
};
enum { METHODS = sizeof(method_names) / sizeof(method_names[0]) };
static PyObject *methods[METHODS];

/* ---- connections ---- */

/* On a unix socket the server's name is what the client calls it. */
static int put_unix_server(PyObject *dict, struct lc_request *request)
{
    struct lc_slice host = lc_request_header(request, "Host");
    bool is_https = lc_slice_equals(lc_request_scheme(request), LC_SLICE("https"));
    struct lc_slice port = is_https ? LC_SLICE("443") : LC_SLICE("80");

    if (host.at == NULL || host.len == 0) {
        host = lc_slice(lc_request_endpoints(request)->server_addr);
        port = LC_SLICE("");
    } else {
        /* The colons of "[::1]:8000" inside the brackets belong to the address. */
        const char *bracket = memrchr(host.at, ']', host.len);
        size_t from = bracket == NULL ? 0 : (size_t)(bracket - host.at);
        const char *colon = memchr(host.at + from, ':', host.len - from);

        if (colon != NULL) {
            port = (struct lc_slice){colon + 1, host.len - (size_t)(colon + 1 - host.at)};
            host.len = (size_t)(colon - host.at);
        }
    }
    return lc_py_put(dict, usual_keys[SERVER_NAME], lc_py_text(host)) < 0
               ? -1
               : lc_py_put(dict, usual_keys[SERVER_PORT], lc_py_text(port));
}

/* Unix sockets have no port, and the template may have that of another client. */
static int put_unix_ends(struct lc_environ *env, PyObject *dict,
                         struct lc_request *request, const struct lc_peer *peer)
{
    if (peer->remote_port == NULL && env->usual[REMOTE_PORT] != NULL &&
        PyDict_DelItem(dict, usual_keys[REMOTE_PORT]) < 0)
        return -1;
    return put_unix_server(dict, request);
}

/* What a proxy said by the PROXY protocol; REMOTE_ADDR and REMOTE_PORT are in place already. */
static int put_proxy(PyObject *dict, const struct lc_peer *peer)
{
    if (PyDict_SetItem(dict, keys.proxy_protocol, peer->proxy_protocol) < 0)
        return -1;
    if (peer->proxy_addr == NULL)
        return 0;
    if (PyDict_SetItem(dict, keys.proxy_addr, peer->proxy_addr) < 0)
        return -1;
    return PyDict_SetItem(dict, keys.proxy_port, peer->proxy_port);
}

/* A header field of a trusted proxy names the client of this request: who connected stands under
 * names of our own. A port that nobody tells is left out, as on a unix socket. */
static int put_named(PyObject *dict, const struct lc_endpoints *ends,
                     const struct lc_peer *peer)
{
    PyObject *port_key = usual_keys[REMOTE_PORT];

    if (PyDict_SetItem(dict, keys.peer_addr, peer->remote_addr) < 0 ||
        (peer->remote_port != NULL &&
         PyDict_SetItem(dict, keys.peer_port, peer->remote_port) < 0))
        return -1;
    if (lc_py_put(dict, usual_keys[REMOTE_ADDR],
                  lc_py_text(lc_slice(ends->remote_addr))) < 0)
        return -1;
    if (ends->remote_port != NULL)
        return lc_py_put(dict, port_key, lc_py_text(lc_slice(ends->remote_port)));
    int has_port = PyDict_Contains(dict, port_key);
    return has_port == 1 ? PyDict_DelItem(dict, port_key) : has_port;
}

/* ---- header fields ---- */

/* A repeated field: "old,new". */
static int join(PyObject *dict, PyObject *key, PyObject *value)
{
    PyObject *old = PyDict_GetItemWithError(dict, key); /* borrowed */

    if (old == NULL)
        return PyErr_Occurred() != NULL ? -1 : PyDict_SetItem(dict, key, value);
    return lc_py_put(dict, key, PyUnicode_FromFormat("%U,%U", old, value));
}

static bool is_script_name(struct lc_slice name)
{
    return lc_slice_equals_nocase(name, LC_SLICE("SCRIPT_NAME"));
}

/* The dict has it as SCRIPT_NAME from now on: under its own key, a field that only looks the
 * same ("Script-Name") may still replace it. */
static int take_script_name(PyObject *dict, PyObject *key, PyObject **script_name)
{
    *script_name = PyDict_GetItemWithError(dict, key);
    return *script_name == NULL ? -1
                                : PyDict_SetItem(dict, keys.script_name, *script_name);
}

static int put_unknown(PyObject *dict, const struct lc_header *header,
                       PyObject **script_name)
{
    PyObject *key = lc_field_key(header->name);
    PyObject *value = key == NULL ? NULL : lc_py_text(header->value);
    int done = value == NULL ? -1 : join(dict, key, value);

    if (done == 0 && is_script_name(header->name))
        done = take_script_name(dict, key, script_name);
    Py_XDECREF(key);
    Py_XDECREF(value);
    return done;
}

/* `*script_name` (borrowed) becomes the value of a SCRIPT_NAME field, which the host lets through
 * from those it trusts only. */
static int put_fields(struct lc_environ *env, PyObject *dict, struct lc_request *request,
                      PyObject **script_name)
{
    size_t count;
    const struct lc_header *headers = lc_request_headers(request, &count);
    bool has_unknown = false;

    for (size_t i = 0; i < count; i++) {
        struct lc_field *field = lc_field_find(headers[i].name);

        if (field == NULL) {
            has_unknown = true;
            if (put_unknown(dict, &headers[i], script_name) < 0)
                return -1;
            continue;
        }

        PyObject *value = lc_field_text(field, headers[i].value);
        bool may_repeat = has_unknown || field->seen_in == serial;
        int done = value == NULL ? -1
                   : may_repeat  ? join(dict, field->key, value)
                                 : PyDict_SetItem(dict, field->key, value);

        Py_XDECREF(value);
        if (done < 0)
            return -1;
        field->seen_in = serial;
        if (field->may_be_script_name && is_script_name(headers[i].name) &&
            take_script_name(dict, field->key, script_name) < 0)
            return -1;
    }
    return 0;
}

/* ---- the whole ---- */

static int put_method(PyObject *dict, struct lc_exchange *x)
{
    struct lc_slice method = lc_request_method(x->request);

    for (size_t i = 0; i < METHODS; i++)
        if (lc_slice_equals(method, method_names[i])) {
            x->method = methods[i];
            Py_INCREF(x->method);
            break;
        }
    if (x->method == NULL && (x->method = lc_py_text(method)) == NULL)
        return -1;
    return x->method == texts.get ? 0
                                  : PyDict_SetItem(dict, keys.request_method, x->method);
}

static int put_protocol(PyObject *dict, struct lc_request *request)
{
    int version = lc_request_version(request);

    if (version != 11 &&
        lc_py_put(dict, keys.server_protocol,
                  PyUnicode_FromFormat("HTTP/%d.%d", version / 10, version % 10)) < 0)
        return -1;
    if (lc_slice_equals(lc_request_scheme(request), LC_SLICE("http")))
        return 0;
    return PyDict_SetItem(dict, keys.url_scheme, texts.https);
}

/* The target's own str, where they are not in the template already. */
static int put_target(struct lc_environ *env, PyObject *dict, struct lc_exchange *x,
                      PyObject *script_name)
{
    struct lc_slice target = lc_request_target(x->request);

    if (x->target == NULL && (x->target = lc_py_text(target)) == NULL)
        return -1;

    PyObject *path = lc_path_info(x->request, script_name);
    if (path == NULL)
        return -1;
    if (script_name == env->script_name)
        lc_target_keep(target, x->target, path);
    if (PyDict_SetItem(dict, usual_keys[RAW_URI], x->target) < 0) {
        Py_DECREF(path);
        return -1;
    }
    return lc_py_put(dict, usual_keys[PATH_INFO], path);
}

static int put_query(PyObject *dict, struct lc_request *request)
{
    struct lc_slice query = lc_request_query(request);

    return query.len == 0 ? 0 : lc_py_put(dict, keys.query_string, lc_py_text(query));
}

/* What the copy did not bring. */
static int put_rest(struct lc_environ *env, PyObject *dict, struct lc_exchange *x,
                    bool has_target, const struct lc_peer *peer)
{
    struct lc_request *request = x->request;
    PyObject *script_name = env->script_name;

    serial++;
    if (put_method(dict, x) < 0 || put_protocol(dict, request) < 0 ||
        put_query(dict, request) < 0 || put_fields(env, dict, request, &script_name) < 0)
        return -1;
    if ((!has_target || script_name != env->script_name) &&
        put_target(env, dict, x, script_name) < 0)
        return -1;
    if (peer->server_name == NULL && put_unix_ends(env, dict, request, peer) < 0)
        return -1;
    if (peer->proxy_protocol != NULL && put_proxy(dict, peer) < 0)
        return -1;
    if (lc_request_endpoints(request)->peer_addr != NULL &&
        put_named(dict, lc_request_endpoints(request), peer) < 0)
        return -1;
    if (PyDict_SetItem(dict, keys.early_hints, x->early_hints) < 0)
        return -1;
    return PyDict_SetItem(dict, keys.input, x->input);
}

static int set_usual(struct lc_environ *env, enum usual which, PyObject *value)
{
    if (env->usual[which] == value)
        return 0;
    env->usual[which] = NULL; /* until the template really has it */
    if (PyDict_SetItem(env->template, usual_keys[which], value) < 0)
        return -1;
    env->usual[which] = value;
    return 0;
}

static int set_ends(struct lc_environ *env, const struct lc_peer *peer)
{
    if (set_usual(env, SOCKET, peer->socket) < 0 ||
        set_usual(env, REMOTE_ADDR, peer->remote_addr) < 0)
        return -1;
    if (peer->remote_port != NULL && set_usual(env, REMOTE_PORT, peer->remote_port) < 0)
        return -1;
    if (peer->server_name == NULL)
        return 0;
    if (set_usual(env, SERVER_NAME, peer->server_name) < 0)
        return -1;
    return set_usual(env, SERVER_PORT, peer->server_port);
}

static int set_target(struct lc_environ *env, const struct lc_target *target)
{
    if (set_usual(env, RAW_URI, target->raw_uri) < 0)
        return -1;
    return set_usual(env, PATH_INFO, target->path_info);
}

PyObject *lc_environ_make(struct lc_environ *env, struct lc_exchange *x)
{
    const struct lc_peer *peer = lc_peer_of(x->request);
    const struct lc_target *target = lc_target_find(lc_request_target(x->request));

    if (peer == NULL || set_ends(env, peer) < 0)
        return NULL;
    lc_exchange_lend_socket(x, peer->socket);
    if (target != NULL) {
        if (set_target(env, target) < 0)
            return NULL;
        x->target = target->raw_uri;
        Py_INCREF(x->target);
    }

    PyObject *dict = PyDict_Copy(env->template);
    if (dict != NULL && put_rest(env, dict, x, target != NULL, peer) < 0)
        Py_CLEAR(dict);
    return dict;
}

/* ---- once ---- */

static int intern(PyObject **into, const char *text)
{
    *into = PyUnicode_InternFromString(text);
    return *into == NULL ? -1 : 0;
}

static int open_texts(void)
{
    const struct {
        PyObject **into;
        const char *text;
    } all[] = {
        {&keys.request_method, "REQUEST_METHOD"},
        {&keys.server_protocol, "SERVER_PROTOCOL"},
        {&usual_keys[RAW_URI], "RAW_URI"},
        {&keys.query_string, "QUERY_STRING"},
        {&usual_keys[PATH_INFO], "PATH_INFO"},
        {&keys.script_name, "SCRIPT_NAME"},
        {&usual_keys[REMOTE_ADDR], "REMOTE_ADDR"},
        {&usual_keys[REMOTE_PORT], "REMOTE_PORT"},
        {&usual_keys[SERVER_NAME], "SERVER_NAME"},
        {&usual_keys[SERVER_PORT], "SERVER_PORT"},
        {&usual_keys[SOCKET], "gunicorn.socket"},
        {&keys.server_software, "SERVER_SOFTWARE"},
        {&keys.url_scheme, "wsgi.url_scheme"},
        {&keys.input, "wsgi.input"},
        {&keys.proxy_protocol, "PROXY_PROTOCOL"},
        {&keys.proxy_addr, "PROXY_ADDR"},
        {&keys.proxy_port, "PROXY_PORT"},
        {&keys.peer_addr, "licorne.peer_addr"},
        {&keys.peer_port, "licorne.peer_port"},
        {&keys.early_hints, "wsgi.early_hints"},
        {&texts.empty, ""},
        {&texts.http, "http"},
        {&texts.https, "https"},
        {&texts.http_1_1, "HTTP/1.1"},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (intern(all[i].into, all[i].text) < 0)
            return -1;
    for (size_t i = 0; i < METHODS; i++)
        if (intern(&methods[i], method_names[i].at) < 0)
            return -1;
    texts.get = methods[0];
    return 0;
}

static int put_name(PyObject *dict, const char *key, PyObject *value)
{
    PyObject *name = PyUnicode_InternFromString(key);
    int done = name == NULL ? -1 : PyDict_SetItem(dict, name, value);

    Py_XDECREF(name);
    return done;
}

static int put_constants(struct lc_environ *env, const struct lc_app_options *options,
                         PyObject *errors, PyObject *file_wrapper)
{
    PyObject *t = env->template;
    const char *software = getenv("SERVER_SOFTWARE");
    PyObject *version = Py_BuildValue("(ii)", 1, 0);

    if (version == NULL)
        return -1;
    if (put_name(t, "wsgi.version", version) < 0) {
        Py_DECREF(version);
        return -1;
    }
    Py_DECREF(version);

    /* In the order in which people like to read a printed environ. */
    if (put_name(t, "wsgi.errors", errors) < 0 ||
        put_name(t, "wsgi.multithread", options->is_multithread ? Py_True : Py_False) <
            0 ||
        put_name(t, "wsgi.multiprocess", options->is_multiprocess ? Py_True : Py_False) <
            0 ||
        put_name(t, "wsgi.run_once", Py_False) < 0 ||
        put_name(t, "wsgi.file_wrapper", file_wrapper) < 0 ||
        put_name(t, "wsgi.input_terminated", Py_True) < 0 ||
        lc_py_put(t, keys.server_software,
                  lc_py_text(lc_slice(software == NULL ? "licorne" : software))) < 0 ||
        PyDict_SetItem(t, keys.input, Py_None) < 0 ||
        PyDict_SetItem(t, keys.early_hints, Py_None) < 0 ||
        PyDict_SetItem(t, keys.url_scheme, texts.http) < 0 ||
        PyDict_SetItem(t, keys.request_method, texts.get) < 0 ||
        PyDict_SetItem(t, keys.server_protocol, texts.http_1_1) < 0 ||
        PyDict_SetItem(t, keys.script_name, env->script_name) < 0)
        return -1;

    for (size_t i = 0; i < USUALS; i++)
        if (i != REMOTE_PORT && PyDict_SetItem(t, usual_keys[i], texts.empty) < 0)
            return -1;
    return PyDict_SetItem(t, keys.query_string, texts.empty);
}

/* A dict grows when it is full, which costs more than all the rest of a request. The copy has
 * the room of its original, so that is grown once: 22 keys make a table of 64 places, good for
 * 42 keys, and stay so when a few are taken out again. */
static int make_room(PyObject *dict)
{
    enum { GROWS_AT = 22 };
    char name[] = "room A";

    for (Py_ssize_t i = PyDict_Size(dict); i < GROWS_AT; i++, name[5]++)
        if (put_name(dict, name, Py_None) < 0)
            return -1;
    while (--name[5] >= 'A')
        if (PyDict_DelItemString(dict, name) < 0)
            return -1;
    return 0;
}

struct lc_environ *lc_environ_create(const struct lc_app_options *options,
                                     PyObject *errors, PyObject *file_wrapper)
{
    const char *script_name = getenv("SCRIPT_NAME");

    if (texts.empty == NULL && open_texts() < 0)
        return NULL;

    struct lc_environ *env = calloc(1, sizeof(*env));
    if (env == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    env->script_name = script_name == NULL ? NULL
                                           : PyUnicode_DecodeFSDefault(script_name);
    if (script_name == NULL || script_name[0] == '\0') {
        Py_XDECREF(env->script_name);
        Py_INCREF(texts.empty);
        env->script_name = texts.empty;
    }
    env->template = PyDict_New();
    if (env->script_name == NULL || env->template == NULL ||
        put_constants(env, options, errors, file_wrapper) < 0 ||
        make_room(env->template) < 0) {
        lc_environ_destroy(env);
        return NULL;
    }
    return env;
}

struct lc_environ *lc_environ_clone(const struct lc_environ *env)
{
    struct lc_environ *clone = malloc(sizeof(*clone));

    if (clone == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    *clone = *env;
    clone->template = PyDict_Copy(env->template);
    if (clone->template == NULL) {
        free(clone);
        return NULL;
    }
    Py_INCREF(clone->script_name);
    return clone;
}

void lc_environ_destroy(struct lc_environ *env)
{
    if (env == NULL)
        return;
    Py_XDECREF(env->template);
    Py_XDECREF(env->script_name);
    free(env);
}
