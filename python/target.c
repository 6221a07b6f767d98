#include "python/target.h"

#include <licorne/arena.h>
#include <licorne/request.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 64, LONGEST_KEPT = 120 };

struct kept {
    uint8_t len;
    char bytes[LONGEST_KEPT];
    struct lc_target texts;
};

static struct kept table[KEPT];
static PyObject *refusal;

int lc_target_open(void)
{
    refusal = PyErr_NewException("licorne.ConfigurationProblem", PyExc_ValueError, NULL);
    return refusal == NULL ? -1 : 0;
}

PyObject *lc_target_refusal(void)
{
    return refusal;
}

/* ---- the path ---- */

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

PyObject *lc_path_info(struct lc_request *request, PyObject *script_name)
{
    struct lc_slice raw = lc_request_raw_path(request);
    struct lc_slice prefix;
    PyObject *owner, *text = NULL;

    if (PyUnicode_GetLength(script_name) == 0 && !has_high_bytes(raw))
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

/* ---- those that come again ---- */

static struct kept *place_for(struct lc_slice target)
{
    uint64_t word = 0;
    size_t n = target.len < sizeof(word) ? target.len : sizeof(word);

    memcpy(&word, target.at + target.len - n, n);
    word = (word ^ target.len) * 0x9E3779B97F4A7C15u;
    return &table[word >> 58];
}
_Static_assert(KEPT == 1 << 6, "place_for() makes six bits");

static bool may_be_kept(struct lc_slice target)
{
    return target.len - 1 < LONGEST_KEPT; /* not the empty one either */
}

const struct lc_target *lc_target_find(struct lc_slice target)
{
    if (!may_be_kept(target))
        return NULL;

    const struct kept *kept = place_for(target);
    bool is_it = kept->texts.raw_uri != NULL && kept->len == target.len &&
                 memcmp(kept->bytes, target.at, target.len) == 0;
    return is_it ? &kept->texts : NULL;
}

void lc_target_keep(struct lc_slice target, PyObject *raw_uri, PyObject *path_info)
{
    if (!may_be_kept(target) || memchr(target.at, '?', target.len) != NULL)
        return;

    struct kept *kept = place_for(target);
    struct lc_target old = kept->texts;

    Py_INCREF(raw_uri);
    Py_INCREF(path_info);
    kept->texts = (struct lc_target){raw_uri, path_info};
    kept->len = (uint8_t)target.len;
    memcpy(kept->bytes, target.at, target.len);
    Py_XDECREF(old.raw_uri);
    Py_XDECREF(old.path_info);
}
