/* master/daemon.h — goes on in the background. */
#pragma once
#include <stdbool.h>

struct lc_error;

/* Leaves the terminal and the process that started the program, which exits with 0; returns in the
 * process that goes on. Standard input, output and error lead nowhere from then on; with
 * `keeps_output` only those that are a terminal, and the input. -1 and `err`. */
int lc_daemon_start(bool keeps_output, struct lc_error *err);
