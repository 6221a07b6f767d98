/* config/load.h — lc_config_load with the start directory as an argument, for tests. */
#pragma once
#include "config/config.h"

struct lc_config *lc_config_load_in(const char *start_dir, int argc, char **argv,
                                    struct lc_error *err);
