/* app/access.h — one line for each answered request, in the words of access_log_format. */
#pragma once
#include <stdint.h>

struct lc_access_log;
struct lc_config;
struct lc_error;
struct lc_msg_lost;
struct lc_request;

/* Compiles the format (Gunicorn's %(name)s atoms). NULL without error when there is no access
 * log. -1-like failures: NULL with err->code set when the format is wrong. */
struct lc_access_log *lc_access_log_create(const struct lc_config *config,
                                           struct lc_error *err);
void lc_access_log_destroy(struct lc_access_log *log);

/* Writes the line into the batch of this loop turn. `now_us` is lc_clock_us at the end of the
 * response. What came from the client is escaped here, once. */
void lc_access_log_write(struct lc_access_log *log, const struct lc_request *request,
                         uint64_t now_us);

/* The line of a request that ended with the worker that had it; of it no more is known than the
 * scoreboard knew. */
void lc_access_log_write_lost(struct lc_access_log *log, const struct lc_msg_lost *lost,
                              uint64_t now_us);
