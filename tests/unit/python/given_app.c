#include "given_app.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct lc_app_ops *wsgi;
void *app;
const struct lc_endpoints on_unix = {
    .remote_addr = "", .server_addr = "/run/app.sock", .is_unix = true};

/* ---- opening and closing ---- */

struct lc_app_options options_for(const char *spec)
{
    return (struct lc_app_options){
        .stack_fd = -1,
        .spec = spec,
        .chdir = LICORNE_WSGI_APPS,
        .python = getenv("LICORNE_TEST_PYTHON"),
        .is_multiprocess = true,
    };
}

int open_app(const char *spec)
{
    struct lc_app_options options = options_for(spec);
    struct lc_error err = {0};

    setenv("SERVER_SOFTWARE", "licorne/test", 1);
    if (options.python != NULL)
        unsetenv("VIRTUAL_ENV");
    void *plugin = dlopen(LICORNE_PLUGIN, RTLD_NOW | RTLD_LOCAL);
    if (plugin == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return -1;
    }

    const struct lc_module *module = dlsym(plugin, LC_MODULE_SYMBOL);
    if (module == NULL || module->abi != LC_ABI)
        return -1;
    wsgi = module->app;
    app = wsgi->open(&options, &err); /* keeps neither of the two */
    if (app == NULL)
        fprintf(stderr, "%s\n%s\n", err.text, logged);
    /* cppcheck-suppress danglingLifetime */
    return app == NULL ? -1 : 0;
}

int open_plugin(void **state)
{
    return open_app("apps");
}

int close_plugin(void **state)
{
    if (connection.release != NULL)
        connection.release(connection.data);
    if (app != NULL)
        wsgi->close(app);
    return 0;
}

/* ---- requests ---- */

void serve(struct lc_request *r)
{
    enum lc_step step = wsgi->call(app, r);

    assert_int_equal(step == LC_DONE, r->is_ended);
    wsgi->turn_end(app);
}

void client_catches_up(struct lc_request *r)
{
    r->unsent = 0;
    wsgi->resume(app, r);
    wsgi->turn_end(app);
}

const char *answer(const struct lc_request *r)
{
    return r->answer == NULL ? "" : r->answer;
}

const char *get(const char *target)
{
    static char text[65536];
    struct lc_request r;

    given_request(&r, "GET", target);
    serve(&r);
    assert_false(r.is_aborted);
    snprintf(text, sizeof(text), "%s", answer(&r));
    forget(&r);
    return text;
}

/* ---- what must be ---- */

void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in:\n%s", part, text);
}

void assert_has_not(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("'%s' is in:\n%s", part, text);
}

void assert_starts(const char *text, const char *start)
{
    if (strncmp(text, start, strlen(start)) != 0)
        fail_msg("does not start with '%s':\n%s", start, text);
}

void assert_fails(const char *target, const char *reason)
{
    struct lc_request r;

    given_request(&r, "GET", target);
    serve(&r);
    assert_true(r.is_aborted);
    assert_string_equal(r.fields, "");
    assert_has(logged, "ERROR Error handling request GET ");
    assert_has(logged, target);
    assert_has(logged, reason);
    forget(&r);
}

void assert_answers(const char *target, const char *text)
{
    assert_string_equal(get(target), text);
    assert_string_equal(logged, "");
}
