#include "app/script.h"

#include "app/module.h"

#include <licorne/error.h>
#include <licorne/module.h>

const struct lc_script_ops *lc_script_ops_load(struct lc_error *err)
{
    const struct lc_module *plugin = lc_module_load_plugin("python3.so",
                                                           "licorne-python3", err);

    if (plugin == NULL)
        return NULL;
    if (plugin->script == NULL)
        lc_error_set(err, LC_E_CONFIG, "the plugin %s reads no configuration files",
                     plugin->name);
    return plugin->script;
}
