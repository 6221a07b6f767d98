/* python/bridge.h — what python3.so (no Python in it) and python3-wsgi.so (needs libpython
 * already loaded) agree on. Both come from one build and lie side by side. */
#pragma once
#include <licorne/app.h>
#include <licorne/script.h>

enum { LC_PYTHON_BRIDGE = 2 }; /* raised when this file changes */

/* An interpreter that was asked who it is. */
struct lc_interpreter {
    char *executable;  /* "/srv/venv/bin/python3", as its sys.executable says */
    char *version;     /* "3.11.2" */
    char *base_prefix; /* the installation that a virtual environment was made from */
    char *library;     /* INSTSONAME: "libpython3.11.so.1.0" */
    char *libdir, *libpl,
        *multiarch; /* where sysconfig says that it lies; "" if nowhere */
    int major, minor;
    bool is_cpython;
    bool is_free_threaded; /* no GIL and another ABI */
};

/* What python3-wsgi.so exports: the calls of lc_app_ops, and an `open` that knows which
 * interpreter to be. */
struct lc_python_bridge {
    unsigned version; /* LC_PYTHON_BRIDGE */
    void *(*open)(const struct lc_app_options *options,
                  const struct lc_interpreter *interpreter, struct lc_error *err);
    enum lc_step (*call)(void *app, struct lc_request *request);
    void (*resume)(void *app, struct lc_request *request);
    void (*turn_end)(void *app);
    void (*close)(void *app);
    int (*thread_start)(void *app, struct lc_error *err);
    void (*thread_end)(void *app);
    void (*turn_start)(void *app);
    void (*sources)(void *app, void (*each)(void *owner, const char *path), void *owner);
    bool (*attend)(void *app);
    void (*reopen_files)(void *app);

    /* The calls of lc_script_ops, but for these two. */
    const struct lc_script_ops *script;
    int (*start)(const struct lc_interpreter *interpreter, struct lc_error *err);
    int (*preload)(const struct lc_app_options *options,
                   const struct lc_interpreter *interpreter, struct lc_error *err);
};

#define LC_PYTHON_BRIDGE_SYMBOL "licorne_python_bridge"
LC_API extern const struct lc_python_bridge licorne_python_bridge;
