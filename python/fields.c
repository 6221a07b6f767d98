#include "python/fields.h"

#include <stdlib.h>
#include <string.h>

/* Spellings are kept in a table with open addressing, at most half full; a name is looked for in
 * few places only, so that names made to collide cost no more than others. */
enum {
    TABLE_SIZE = 1024,
    SPELLINGS_MAX = TABLE_SIZE / 2,
    PROBES = 8,
    NAME_MAX_KEPT = 48,
    VALUE_MAX_KEPT = 512,
};

struct spelling {
    struct lc_field *field; /* NULL: a free place */
    uint8_t len;
    char name[NAME_MAX_KEPT];
};

static struct spelling table[TABLE_SIZE];
static unsigned spellings;

/* Their values are the same from request to request of a client, and of many clients. Never
 * kept: what may be a secret (Cookie, Authorization). */
static const char *const stable[] = {
    "Host",
    "User-Agent",
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Accept-Charset",
    "Connection",
    "Cache-Control",
    "Content-Type",
    "DNT",
    "Origin",
    "Pragma",
    "Priority",
    "Sec-CH-UA",
    "Sec-CH-UA-Mobile",
    "Sec-CH-UA-Platform",
    "Sec-Fetch-Dest",
    "Sec-Fetch-Mode",
    "Sec-Fetch-Site",
    "Sec-Fetch-User",
    "Sec-GPC",
    "TE",
    "Transfer-Encoding",
    "Upgrade-Insecure-Requests",
    "Via",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Requested-With",
    "X-Scheme",
};

static const char *const others[] = {
    "Authorization",
    "Content-Length",
    "Cookie",
    "Date",
    "Expect",
    "Forwarded",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Range",
    "Referer",
    "X-CSRFToken",
    "X-Forwarded-For",
    "X-Real-IP",
    "X-Request-ID",
    "Traceparent",
    "Tracestate",
    "SCRIPT_NAME",
};

static uint64_t load(const char *at, size_t len)
{
    uint64_t word = 0;

    memcpy(&word, at, len);
    return word;
}

/* The first and the last eight bytes tell real names apart. */
static size_t hash(struct lc_slice name)
{
    uint64_t first, last;

    if (name.len >= sizeof(first)) {
        memcpy(&first, name.at, sizeof(first));
        memcpy(&last, name.at + name.len - sizeof(last), sizeof(last));
    } else {
        first = load(name.at, name.len);
        last = 0;
    }

    uint64_t h = (first ^ (last << 1) ^ (last >> 63) ^ name.len) * 0x9E3779B97F4A7C15u;
    return (size_t)(h >> 54); /* ten bits */
}
_Static_assert(TABLE_SIZE == 1 << 10, "hash() makes ten bits");

static bool is(struct lc_slice name, const char *other)
{
    return lc_slice_equals_nocase(name, lc_slice(other));
}

/* "User-Agent" is HTTP_USER_AGENT; two fields are CGI variables of their own. */
static size_t spell_key(struct lc_slice name, char *key)
{
    size_t at = 0;

    if (!is(name, "Content-Type") && !is(name, "Content-Length")) {
        memcpy(key, "HTTP_", 5);
        at = 5;
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];

        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        key[at++] = c == '-' ? '_' : c;
    }
    return at;
}

PyObject *lc_field_key(struct lc_slice name)
{
    char *key = malloc(name.len + 6);

    if (key == NULL)
        return PyErr_NoMemory();

    PyObject *text = lc_py_text((struct lc_slice){key, spell_key(name, key)});
    free(key);
    return text;
}

/* The field that other spellings of the same key lead to, if there are any. */
static struct lc_field *known_field(PyObject *key)
{
    for (size_t i = 0; i < TABLE_SIZE; i++)
        if (table[i].field != NULL && table[i].field->key == key)
            return table[i].field;
    return NULL;
}

static struct lc_field *create_field(struct lc_slice name)
{
    char key[NAME_MAX_KEPT + 6];
    PyObject *interned;

    key[spell_key(name, key)] = '\0';
    interned = PyUnicode_InternFromString(key);
    if (interned == NULL)
        return NULL;

    struct lc_field *field = known_field(interned);
    if (field != NULL) {
        Py_DECREF(interned);
        return field;
    }
    field = calloc(1, sizeof(*field));
    if (field == NULL) {
        Py_DECREF(interned);
        PyErr_NoMemory();
        return NULL;
    }
    field->key = interned;
    field->may_be_script_name = strcmp(key, "HTTP_SCRIPT_NAME") == 0;
    return field;
}

static struct lc_field *add(struct lc_slice name, struct spelling *place)
{
    struct lc_field *field = create_field(name);

    if (field == NULL) {
        PyErr_Clear(); /* without memory the name is just not kept */
        return NULL;
    }
    place->field = field;
    place->len = (uint8_t)name.len;
    memcpy(place->name, name.at, name.len);
    spellings++;
    return field;
}

struct lc_field *lc_field_find(struct lc_slice name)
{
    if (name.len == 0 || name.len > NAME_MAX_KEPT)
        return NULL;

    size_t at = hash(name);
    for (unsigned probe = 0; probe < PROBES; probe++) {
        struct spelling *s = &table[(at + probe) % TABLE_SIZE];

        if (s->field == NULL)
            return spellings < SPELLINGS_MAX ? add(name, s) : NULL;
        if (s->len == name.len && memcmp(s->name, name.at, name.len) == 0)
            return s->field;
    }
    return NULL;
}

static void remember(struct lc_field *field, PyObject *text, struct lc_slice value)
{
    if (field->bytes == NULL && (field->bytes = malloc(VALUE_MAX_KEPT)) == NULL)
        return;
    memcpy(field->bytes, value.at, value.len);
    field->len = value.len;
    Py_XDECREF(field->value);
    Py_INCREF(text);
    field->value = text;
}

PyObject *lc_field_text(struct lc_field *field, struct lc_slice value)
{
    if (!field->keeps_value || value.len == 0)
        return lc_py_text(value);
    if (field->value != NULL && field->len == value.len &&
        memcmp(field->bytes, value.at, value.len) == 0) {
        Py_INCREF(field->value);
        return field->value;
    }

    PyObject *text = lc_py_text(value);
    if (text != NULL && value.len <= VALUE_MAX_KEPT)
        remember(field, text, value);
    return text;
}

/* Well-known names are in before any client can fill the table, as browsers spell them and in
 * the lower case of proxies that speak HTTP/2. */
static int learn(const char *name, bool keeps_value)
{
    char lower[NAME_MAX_KEPT];
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++)
        lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] - 'A' + 'a')
                                                    : name[i];

    struct lc_field *field = lc_field_find(lc_slice(name));
    struct lc_field *same = lc_field_find((struct lc_slice){lower, len});
    if (field == NULL || same == NULL) {
        PyErr_Format(PyExc_SystemError, "no place for the header name %s", name);
        return -1;
    }
    field->keeps_value = keeps_value;
    return 0;
}

int lc_fields_open(void)
{
    for (size_t i = 0; i < sizeof(stable) / sizeof(stable[0]); i++)
        if (learn(stable[i], true) < 0)
            return -1;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (learn(others[i], false) < 0)
            return -1;
    return 0;
}
