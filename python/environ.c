#include "python/environ.h"

#include "python/exchange.h"
#include "python/fields.h"

#include <licorne/app.h>
#include <licorne/arena.h>
#include <licorne/request.h>

#include <stdlib.h>
#include <string.h>

enum { TARGETS = 64, TARGET_MAX_KEPT = 120 };

/* The str of one connection. The host gives it back from the loop, where the lock may be held by
 * another thread: then its strings wait for the next call. */
struct peer {
    PyObject *remote_addr, *remote_port; /* port: NULL on unix sockets */
    PyObject *server_name, *server_port; /* NULL on unix sockets: the Host field tells */
    struct peer *next;                   /* among those that have gone */
};

/* The three str that come from a target. Only targets without a query are kept: they come
 * again, and hold no secrets. */
struct target {
    uint8_t len;
    char bytes[TARGET_MAX_KEPT];
    PyObject *raw_uri, *path_info;
};

struct lc_environ {
    PyObject *template;
    PyObject *script_name; /* from the environment; "" as a rule */
    uint64_t serial;       /* of the request in hand */
    struct target targets[TARGETS];
};

static struct {
    PyObject *request_method, *server_protocol, *raw_uri, *query_string, *path_info,
        *script_name, *remote_addr, *remote_port, *server_name, *server_port,
        *server_software, *url_scheme, *input;
} keys;

static struct {
    PyObject *empty, *http, *https, *get, *http_1_1;
} texts;

static const char *const method_names[] = {"GET",    "POST",    "HEAD", "PUT",
                                           "DELETE", "OPTIONS", "PATCH"};
enum { METHODS = sizeof(method_names) / sizeof(method_names[0]) };
static PyObject *methods[METHODS];

static PyObject *refusal;
static struct peer *gone; /* only the loop's thread looks at it */

PyObject *lc_environ_refusal(void)
{
    return refusal;
}

/* ---- connections ---- */

static void free_peer(struct peer *peer)
{
    Py_XDECREF(peer->remote_addr);
    Py_XDECREF(peer->remote_port);
    Py_XDECREF(peer->server_name);
    Py_XDECREF(peer->server_port);
    free(peer);
}

void lc_environ_sweep(void)
{
    while (gone != NULL) {
        struct peer *peer = gone;

        gone = peer->next;
        free_peer(peer);
    }
}

static void on_peer_gone(void *data)
{
    struct peer *peer = data;

    peer->next = gone;
    gone = peer;
}

static PyObject *text_of(const char *text)
{
    return lc_py_text(lc_slice(text));
}

static struct peer *create_peer(const struct lc_endpoints *ends)
{
    struct peer *peer = calloc(1, sizeof(*peer));

    if (peer == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    peer->remote_addr = text_of(ends->remote_addr);
    if (ends->remote_port != NULL)
        peer->remote_port = text_of(ends->remote_port);
    if (!ends->is_unix) {
        peer->server_name = text_of(ends->server_addr);
        peer->server_port = text_of(ends->server_port);
    }
    if (PyErr_Occurred() != NULL) {
        free_peer(peer);
        return NULL;
    }
    return peer;
}

static const struct peer *peer_of(struct lc_request *request)
{
    struct lc_keep *keep = lc_request_keep(request);

    if (keep->data == NULL) {
        keep->data = create_peer(lc_request_endpoints(request));
        if (keep->data != NULL)
            keep->release = on_peer_gone;
    }
    return keep->data;
}

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
    return lc_py_put(dict, keys.server_name, lc_py_text(host)) < 0
               ? -1
               : lc_py_put(dict, keys.server_port, lc_py_text(port));
}

static int put_endpoints(PyObject *dict, struct lc_request *request)
{
    const struct peer *peer = peer_of(request);

    if (peer == NULL || PyDict_SetItem(dict, keys.remote_addr, peer->remote_addr) < 0)
        return -1;
    if (peer->remote_port != NULL &&
        PyDict_SetItem(dict, keys.remote_port, peer->remote_port) < 0)
        return -1;
    if (peer->server_name == NULL)
        return put_unix_server(dict, request);
    if (PyDict_SetItem(dict, keys.server_name, peer->server_name) < 0)
        return -1;
    return PyDict_SetItem(dict, keys.server_port, peer->server_port);
}

/* ---- the target ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool has_high_bytes(struct lc_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] >= 0x80)
            return true;
    return false;
}

/* Percent-decodes as Gunicorn does: a raw byte above 127 was a latin-1 character to it and
 * comes out as that character's UTF-8. */
static PyObject *decode_path(struct lc_request *request, struct lc_slice raw)
{
    char *path = lc_arena_alloc(lc_request_arena(request), 2 * raw.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.at[i];

        if (c == '%' && i + 2 < raw.len && hex(raw.at[i + 1]) >= 0 &&
            hex(raw.at[i + 2]) >= 0) {
            path[len++] = (char)(hex(raw.at[i + 1]) * 16 + hex(raw.at[i + 2]));
            i += 2;
        } else if (c >= 0x80) {
            path[len++] = (char)(0xC0 | c >> 6);
            path[len++] = (char)(0x80 | (c & 0x3F));
        } else {
            path[len++] = (char)c;
        }
    }
    return lc_py_text((struct lc_slice){path, len});
}

static PyObject *refuse_path(struct lc_slice path, PyObject *script_name)
{
    PyObject *text = lc_py_text(path);

    if (text != NULL)
        PyErr_Format(refusal,
                     "Configuration problem: Request path %R does not start with "
                     "SCRIPT_NAME %R",
                     text, script_name);
    Py_XDECREF(text);
    return NULL;
}

/* The path without SCRIPT_NAME, decoded. */
static PyObject *path_info(struct lc_request *request, PyObject *script_name)
{
    struct lc_slice raw = lc_request_raw_path(request);
    struct lc_slice prefix;
    PyObject *owner, *text = NULL;

    if (script_name == texts.empty && !has_high_bytes(raw))
        return lc_py_text(lc_request_path(request));
    if (lc_py_latin1(script_name, &prefix, &owner) < 0)
        return NULL;
    if (raw.len < prefix.len || memcmp(raw.at, prefix.at, prefix.len) != 0)
        refuse_path(raw, script_name);
    else
        text = decode_path(request,
                           (struct lc_slice){raw.at + prefix.len, raw.len - prefix.len});
    Py_XDECREF(owner);
    return text;
}

static struct target *place_for(struct lc_environ *env, struct lc_slice target)
{
    uint64_t word = 0;
    size_t n = target.len < sizeof(word) ? target.len : sizeof(word);

    memcpy(&word, target.at + target.len - n, n);
    word = (word ^ target.len) * 0x9E3779B97F4A7C15u;
    return &env->targets[word >> 58];
}
_Static_assert(TARGETS == 1 << 6, "place_for() makes six bits");

static void remember(struct target *kept, struct lc_slice target, PyObject *raw_uri,
                     PyObject *path)
{
    PyObject *old_uri = kept->raw_uri, *old_path = kept->path_info;

    Py_INCREF(raw_uri);
    Py_INCREF(path);
    kept->raw_uri = raw_uri;
    kept->path_info = path;
    kept->len = (uint8_t)target.len;
    memcpy(kept->bytes, target.at, target.len);
    Py_XDECREF(old_uri);
    Py_XDECREF(old_path);
}

/* New references to both. */
static int find_target(struct lc_environ *env, struct lc_request *request,
                       PyObject *script_name, PyObject **raw_uri, PyObject **path)
{
    struct lc_slice target = lc_request_target(request);
    struct target *kept = NULL;

    if (target.len - 1 < TARGET_MAX_KEPT && script_name == env->script_name) {
        kept = place_for(env, target);
        if (kept->raw_uri != NULL && kept->len == target.len &&
            memcmp(kept->bytes, target.at, target.len) == 0) {
            *raw_uri = kept->raw_uri;
            *path = kept->path_info;
            Py_INCREF(*raw_uri);
            Py_INCREF(*path);
            return 0;
        }
    }
    *raw_uri = lc_py_text(target);
    if (*raw_uri == NULL)
        return -1;
    *path = path_info(request, script_name);
    if (*path == NULL) {
        Py_CLEAR(*raw_uri);
        return -1;
    }
    if (kept != NULL && memchr(target.at, '?', target.len) == NULL)
        remember(kept, target, *raw_uri, *path);
    return 0;
}

static int put_target(struct lc_environ *env, PyObject *dict, struct lc_exchange *x,
                      PyObject *script_name)
{
    struct lc_slice query = lc_request_query(x->request);
    PyObject *path;

    if (find_target(env, x->request, script_name, &x->target, &path) < 0)
        return -1;
    if (PyDict_SetItem(dict, keys.raw_uri, x->target) < 0) {
        Py_DECREF(path);
        return -1;
    }
    if (lc_py_put(dict, keys.path_info, path) < 0)
        return -1;
    return query.len == 0 ? 0 : lc_py_put(dict, keys.query_string, lc_py_text(query));
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

static int put_unknown(PyObject *dict, const struct lc_header *header,
                       PyObject **script_name)
{
    PyObject *key = lc_field_key(header->name);
    PyObject *value = key == NULL ? NULL : lc_py_text(header->value);
    int done = value == NULL ? -1 : join(dict, key, value);

    if (done == 0 && is_script_name(header->name))
        *script_name = PyDict_GetItemWithError(dict, key);
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
        bool may_repeat = has_unknown || field->seen_in == env->serial;
        int done = value == NULL ? -1
                   : may_repeat  ? join(dict, field->key, value)
                                 : PyDict_SetItem(dict, field->key, value);

        Py_XDECREF(value);
        if (done < 0)
            return -1;
        field->seen_in = env->serial;
        if (field->may_be_script_name && is_script_name(headers[i].name))
            *script_name = PyDict_GetItemWithError(dict, field->key);
    }
    return 0;
}

/* ---- the whole ---- */

static int put_method(PyObject *dict, struct lc_exchange *x)
{
    struct lc_slice method = lc_request_method(x->request);

    for (size_t i = 0; i < METHODS; i++)
        if (lc_slice_equals(method, lc_slice(method_names[i]))) {
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

static int put_all(struct lc_environ *env, PyObject *dict, struct lc_exchange *x)
{
    struct lc_request *request = x->request;
    PyObject *script_name = env->script_name;

    env->serial++;
    if (put_method(dict, x) < 0 || put_protocol(dict, request) < 0 ||
        put_fields(env, dict, request, &script_name) < 0)
        return -1;
    if (script_name != env->script_name &&
        PyDict_SetItem(dict, keys.script_name, script_name) < 0)
        return -1;
    if (put_target(env, dict, x, script_name) < 0 || put_endpoints(dict, request) < 0)
        return -1;
    return PyDict_SetItem(dict, keys.input, x->input);
}

PyObject *lc_environ_make(struct lc_environ *env, struct lc_exchange *x)
{
    PyObject *dict = PyDict_Copy(env->template);

    if (dict != NULL && put_all(env, dict, x) < 0)
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
        {&keys.raw_uri, "RAW_URI"},
        {&keys.query_string, "QUERY_STRING"},
        {&keys.path_info, "PATH_INFO"},
        {&keys.script_name, "SCRIPT_NAME"},
        {&keys.remote_addr, "REMOTE_ADDR"},
        {&keys.remote_port, "REMOTE_PORT"},
        {&keys.server_name, "SERVER_NAME"},
        {&keys.server_port, "SERVER_PORT"},
        {&keys.server_software, "SERVER_SOFTWARE"},
        {&keys.url_scheme, "wsgi.url_scheme"},
        {&keys.input, "wsgi.input"},
        {&texts.empty, ""},
        {&texts.http, "http"},
        {&texts.https, "https"},
        {&texts.http_1_1, "HTTP/1.1"},
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (intern(all[i].into, all[i].text) < 0)
            return -1;
    for (size_t i = 0; i < METHODS; i++)
        if (intern(&methods[i], method_names[i]) < 0)
            return -1;
    texts.get = methods[0];
    refusal = PyErr_NewException("licorne.ConfigurationProblem", PyExc_ValueError, NULL);
    return refusal == NULL ? -1 : 0;
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
                  text_of(software == NULL ? "licorne" : software)) < 0 ||
        PyDict_SetItem(t, keys.input, Py_None) < 0 ||
        PyDict_SetItem(t, keys.url_scheme, texts.http) < 0 ||
        PyDict_SetItem(t, keys.request_method, texts.get) < 0 ||
        PyDict_SetItem(t, keys.server_protocol, texts.http_1_1) < 0 ||
        PyDict_SetItem(t, keys.script_name, env->script_name) < 0)
        return -1;

    /* Those that every request sets have their places already. */
    PyObject *const variable[] = {keys.raw_uri,     keys.path_info,   keys.query_string,
                                  keys.remote_addr, keys.server_name, keys.server_port};
    for (size_t i = 0; i < sizeof(variable) / sizeof(variable[0]); i++)
        if (PyDict_SetItem(t, variable[i], texts.empty) < 0)
            return -1;
    return 0;
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

void lc_environ_destroy(struct lc_environ *env)
{
    if (env == NULL)
        return;
    for (size_t i = 0; i < TARGETS; i++) {
        Py_XDECREF(env->targets[i].raw_uri);
        Py_XDECREF(env->targets[i].path_info);
    }
    Py_XDECREF(env->template);
    Py_XDECREF(env->script_name);
    free(env);
}
