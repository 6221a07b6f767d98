/* master/ctl/tables.h — answers as people like to read them: tables for the show commands, as
 * gunicornc draws them, and JSON for the others. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* `command` is what was asked, its words with single blanks between. */
void lc_table_print(FILE *out, const char *command, const json_t *data);

void lc_json_print(FILE *out, const json_t *data);
