/* licorne/module.h — the one symbol that a loadable module exports.
 *
 *     static const struct lc_route routes[] = {
 *         {"GET", "/", hello},
 *         {NULL, NULL, NULL},
 *     };
 *     LC_MODULE(.name = "hello", .routes = routes);
 */
#pragma once
#include <licorne/api.h>
#include <licorne/app.h>
#include <licorne/script.h>
#include <stdint.h>

LC_C_BEGIN

struct lc_module {
    uint32_t abi; /* LC_ABI as the module saw it when it was built */
    const char *name;

    /* A native application. `open` makes the state that handlers get, in each worker before it
     * serves; -1 with `err` if it cannot. Both may be NULL. */
    const struct lc_route *routes;
    int (*open)(void **state, struct lc_error *err);
    void (*close)(void *state);

    /* A plugin that brings a kind of application instead. */
    const struct lc_app_ops *app;

    /* Beside it: configuration files and hooks in the plugin's language. May be NULL. */
    const struct lc_script_ops *script;
};

#define LC_MODULE_SYMBOL "licorne_module"

#define LC_MODULE(...)                                   \
    LC_API extern const struct lc_module licorne_module; \
    const struct lc_module licorne_module = {.abi = LC_ABI, __VA_ARGS__}

LC_C_END
