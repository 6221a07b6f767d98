/* config/argv.h — the command line, read as Python's argparse reads Gunicorn's. */
#pragma once
#include "config/source.h"

struct lc_command {
    struct lc_source source;
    char *app;                    /* the first positional, or NULL */
    enum lc_config_action action; /* LC_ACTION_SERVE, _HELP or _VERSION */
};

/* `argv[0]` is skipped; `place` is "command line" or the variable that the words come from.
 * 0, or -1 with `err` (LC_E_USAGE) whose text is argparse's. */
int lc_command_read(struct lc_command *command, int argc, char *const *argv,
                    const char *place, struct lc_error *err);
void lc_command_clear(struct lc_command *command);
