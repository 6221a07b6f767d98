/* master/ctl/sample.h — what `show metrics` said at one moment, and what follows from two such
 * moments. */
#pragma once
#include "base/counts.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lc_sample_worker {
    long long pid, age, connections, in_flight;
    long long threads; /* 0: the loop runs the application itself */
    char *state;
    uint64_t requests;
    char *request; /* "GET /path for 127.0.0.1", the oldest; NULL: none in hand */
    double request_seconds;
    long rss_kb; /* -1: the process cannot be seen from here */
    uint64_t cpu_ticks;

    double request_rate; /* each second, since the earlier sample */
    double cpu_percent;
};

struct lc_sample {
    json_t *data;
    uint64_t at_us;
    uint64_t requests, accepted, bytes;
    uint64_t status[LC_STATUS_CLASSES];
    uint64_t latency[LC_LATENCY_BUCKETS];
    struct lc_sample_worker *workers;
    size_t worker_count;
    size_t busy; /* workers with a request */

    /* Each second, since the earlier sample; the times in milliseconds. */
    double request_rate, accept_rate, byte_rate;
    double status_rate[LC_STATUS_CLASSES];
    double p50, p90, p99, max;
};

/* Takes the data of the answer over. `sees_processes`: the server's process ids are ours, too.
 * `earlier` may be NULL: then nothing has a rate. */
struct lc_sample *lc_sample_create(json_t *data, bool sees_processes,
                                   const struct lc_sample *earlier);
void lc_sample_destroy(struct lc_sample *sample); /* NULL is fine */

enum lc_sample_order {
    LC_BY_AGE,
    LC_BY_PID,
    LC_BY_RATE,
    LC_BY_CPU,
    LC_BY_MEMORY,
    LC_BY_REQUEST, /* the longest request first */
};

void lc_sample_sort(struct lc_sample *sample, enum lc_sample_order order);
