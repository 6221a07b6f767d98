/* python/fields.h — from header names as clients spell them to environ keys.
 *
 * Each spelling that was seen leads straight to its key, an interned str, and for fields whose
 * value rarely changes to the last value. Both caches are bounded: who sends ever new names gets
 * ever new strings, and nothing else becomes slower. All threads share them: between the first
 * and the last field of a request Python's lock must not change hands, so nothing here runs code
 * of the application's or makes objects that the garbage collector knows. */
#pragma once
#include "python/api.h"

#include <stdbool.h>
#include <stdint.h>

struct lc_field {
    PyObject *key;    /* "HTTP_USER_AGENT" */
    uint64_t seen_in; /* the serial number of the last request that had it */
    bool keeps_value;
    /* If it was spelt with the underscore, as the CGI variable. */
    bool may_be_script_name;
    PyObject *value; /* the last, if keeps_value */
    char *bytes;     /* as received */
    size_t len;
};

int lc_fields_open(void); /* -1 with an exception */

/* NULL without an exception when this name is not kept: use lc_field_key. */
struct lc_field *lc_field_find(struct lc_slice name);

/* A new str: the environ key for the name. */
PyObject *lc_field_key(struct lc_slice name);

/* A new reference to the value as str. */
PyObject *lc_field_text(struct lc_field *field, struct lc_slice value);
