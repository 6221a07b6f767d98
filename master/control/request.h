/* master/control/request.h — what a client of the control socket asks for: JSON becomes words. */
#pragma once
#include "config/config.h"

#include <jansson.h>
#include <stddef.h>

struct lc_error;

struct lc_control_request {
    json_t *id; /* anything: the reply has it again */
    struct lc_strings words;
};

/* Reads {"id": …, "command": "worker add", "args": ["2"]}; the command is split as a shell does.
 * -1 and `err` for what has no words (LC_E_CONFIG, the reply tells why) and for what is no such
 * object (LC_E_PROTOCOL). The request is to be cleared whatever came. */
int lc_control_request_read(struct lc_control_request *request, const char *text,
                            size_t len, struct lc_error *err);
void lc_control_request_clear(struct lc_control_request *request);

/* A string of any bytes; what is no UTF-8 is shown as U+FFFD. */
json_t *lc_json_text(const char *text);
