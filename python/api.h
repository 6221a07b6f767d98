/* python/api.h — CPython as the bridge sees it: the limited API of 3.8, which every later
 * CPython keeps, and the few calls beyond it, looked up in the libpython that runs. */
#pragma once
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <licorne/slice.h>

struct lc_error;

/* A method that takes its arguments as an array. Flag and call shape are those of every CPython
 * from 3.7 on; the headers show them to the limited API from 3.10 on. */
enum { LC_PY_FASTCALL = 0x0080 };
typedef PyObject *(*lc_py_fastcall_fn)(PyObject *self, PyObject *const *args,
                                       Py_ssize_t count);
typedef PyObject *(*lc_py_fastcall_names_fn)(PyObject *self, PyObject *const *args,
                                             Py_ssize_t count, PyObject *names);
#define LC_PY_METHOD(fn) ((PyCFunction)(void (*)(void))(fn))

struct lc_py {
    /* The str's UTF-8, which lives as long as the str; exported by all, declared from 3.10. */
    const char *(*utf8)(PyObject *text, Py_ssize_t *size);
    PyObject *(*context_copy)(void);
    int (*context_enter)(PyObject *context);
    int (*context_exit)(PyObject *context);
    /* NULL before 3.11, where it is no symbol. */
    PyObject *(*vectorcall)(PyObject *callable, PyObject *const *args, size_t count,
                            PyObject *names);
};
extern struct lc_py lc_py;

/* LC_E_BOOT when the loaded libpython lacks one of the calls. */
int lc_py_open(struct lc_error *err);

/* A new reference to None, to be returned. */
static inline PyObject *lc_py_none(void)
{
    Py_INCREF(Py_None);
    return Py_None;
}

/* callable(a, b) */
PyObject *lc_py_call2(PyObject *callable, PyObject *a, PyObject *b);

/* A str of the bytes, one character each (latin-1), as PEP 3333 wants it. */
static inline PyObject *lc_py_text(struct lc_slice bytes)
{
    return PyUnicode_DecodeLatin1(bytes.len == 0 ? "" : bytes.at, (Py_ssize_t)bytes.len,
                                  NULL);
}

/* The str's characters as latin-1 bytes. Those of an ASCII str are its own; for others `*owner`
 * becomes a new bytes object that holds them, else NULL. -1 with an exception. */
int lc_py_latin1(PyObject *text, struct lc_slice *bytes, PyObject **owner);

static inline struct lc_slice lc_py_bytes(PyObject *bytes)
{
    return (struct lc_slice){PyBytes_AsString(bytes), (size_t)PyBytes_Size(bytes)};
}

/* dict[key] = value, and gives `value` away; NULL (an exception is set) stays a failure. */
int lc_py_put(PyObject *dict, PyObject *key, PyObject *value);
