/* A plugin that brings a kind of application. */
#include <licorne/licorne.h>

static void *open_app(const struct lc_app_options *options, struct lc_error *err)
{
    (void)options;
    lc_error_set(err, LC_E_BOOT, "this kind is for a test");
    return NULL;
}

static const struct lc_app_ops ops = {.name = "test", .open = open_app};

LC_MODULE(.name = "plugin", .app = &ops);
