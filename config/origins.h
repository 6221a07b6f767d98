/* config/origins.h — what this room remembers beside the values of a configuration. */
#pragma once
#include "config/source.h"

struct lc_config_origins {
    struct lc_origin of[LC_SETTING_COUNT];
    struct lc_config *defaults; /* what each would be if nobody had said anything */
    /* What raw_env replaced, while it is applied: the names, and for each "=VALUE", or "" where
     * there was none. */
    struct lc_strings saved_names, saved_values;
};
