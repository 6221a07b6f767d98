#include "master/ctl/sample.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const class_names[LC_STATUS_CLASSES] = {"none", "1xx", "2xx",
                                                           "3xx",  "4xx", "5xx"};

static uint64_t number(const json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));

    return value < 0 ? 0 : (uint64_t)value;
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value == NULL ? "" : value;
}

/* ---- what the kernel knows of a process ---- */

static bool read_proc(long long pid, const char *name, char *into, size_t size)
{
    LC_AUTOFREE char *path = lc_printf("/proc/%lld/%s", pid, name);
    LC_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, into, size - 1);

    if (len <= 0)
        return false;
    into[len] = '\0';
    return true;
}

/* Number `index` of those with blanks between. */
static uint64_t field(const char *text, int index)
{
    for (; index > 0 && text != NULL; index--) {
        text = strchr(text, ' ');
        text = text == NULL ? NULL : text + 1;
    }
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

enum { USER_TICKS = 12, KERNEL_TICKS = 13 }; /* behind the name, see proc(5) */

static void look_at_process(struct lc_sample_worker *worker)
{
    char about[1024];

    worker->rss_kb = -1;
    if (read_proc(worker->pid, "statm", about, sizeof(about)))
        worker->rss_kb = (long)field(about, 1) * (sysconf(_SC_PAGESIZE) / 1024);
    if (!read_proc(worker->pid, "stat", about, sizeof(about)))
        return;
    const char *behind_name = strrchr(about, ')'); /* which may hold anything */
    if (behind_name != NULL)
        worker->cpu_ticks = field(behind_name, USER_TICKS) +
                            field(behind_name, KERNEL_TICKS);
}

/* ---- from JSON ---- */

static double age_of(const json_t *request)
{
    return json_number_value(json_object_get(request, "seconds"));
}

static const json_t *oldest(const json_t *requests)
{
    const json_t *found = NULL, *request;
    size_t i;

    json_array_foreach(requests, i, request)
    {
        if (found == NULL || age_of(request) > age_of(found))
            found = request;
    }
    return found;
}

static void read_request(struct lc_sample_worker *worker, const json_t *request)
{
    const char *client = text(request, "client");

    if (request == NULL)
        return;
    worker->request = lc_printf("%s %s%s%s", text(request, "method"),
                                text(request, "target"), *client == '\0' ? "" : " for ",
                                client);
    worker->request_seconds = age_of(request);
}

static void read_worker(struct lc_sample_worker *worker, const json_t *object,
                        bool sees_processes)
{
    *worker = (struct lc_sample_worker){
        .pid = (long long)number(object, "pid"),
        .age = (long long)number(object, "age"),
        .connections = (long long)number(object, "connections"),
        .in_flight = (long long)number(object, "in_flight"),
        .threads = (long long)number(object, "threads"),
        .requests = number(object, "requests"),
        .state = lc_strdup(text(object, "state")),
        .rss_kb = -1,
    };
    read_request(worker, oldest(json_object_get(object, "requests_in_hand")));
    if (sees_processes)
        look_at_process(worker);
}

static void read_latency(struct lc_sample *sample, const json_t *pairs)
{
    const json_t *pair;
    size_t i;

    json_array_foreach(pairs, i, pair)
    {
        json_int_t floor = json_integer_value(json_array_get(pair, 0));
        json_int_t count = json_integer_value(json_array_get(pair, 1));

        if (floor >= 0 && count > 0)
            sample->latency[lc_latency_bucket((uint64_t)floor)] += (uint64_t)count;
    }
}

static void read_workers(struct lc_sample *sample, const json_t *workers,
                         bool sees_processes)
{
    const json_t *object;
    size_t i;

    sample->workers = lc_calloc(json_array_size(workers) + 1, sizeof(*sample->workers));
    json_array_foreach(workers, i, object)
    {
        struct lc_sample_worker *worker = &sample->workers[sample->worker_count++];

        read_worker(worker, object, sees_processes);
        sample->busy += worker->in_flight > 0;
    }
}

/* ---- rates ---- */

/* Counters only grow; after a restart behind the same socket they begin anew. */
static uint64_t growth(uint64_t now, uint64_t before)
{
    return now >= before ? now - before : now;
}

static const struct lc_sample_worker *same_worker(const struct lc_sample *earlier,
                                                  const struct lc_sample_worker *worker)
{
    for (size_t i = 0; i < earlier->worker_count; i++)
        if (earlier->workers[i].pid == worker->pid &&
            earlier->workers[i].age == worker->age)
            return &earlier->workers[i];
    return NULL;
}

static void compare_workers(struct lc_sample *sample, const struct lc_sample *earlier,
                            double seconds)
{
    double ticks = (double)sysconf(_SC_CLK_TCK);

    for (size_t i = 0; i < sample->worker_count; i++) {
        struct lc_sample_worker *worker = &sample->workers[i];
        const struct lc_sample_worker *before = same_worker(earlier, worker);

        if (before == NULL)
            continue;
        worker->request_rate = (double)growth(worker->requests, before->requests) /
                               seconds;
        worker->cpu_percent = (double)growth(worker->cpu_ticks, before->cpu_ticks) * 100 /
                              ticks / seconds;
    }
}

static void compare(struct lc_sample *sample, const struct lc_sample *earlier)
{
    double seconds = (double)(sample->at_us - earlier->at_us) / 1e6;
    uint64_t latency[LC_LATENCY_BUCKETS];

    if (seconds <= 0)
        return;
    sample->request_rate = (double)growth(sample->requests, earlier->requests) / seconds;
    sample->accept_rate = (double)growth(sample->accepted, earlier->accepted) / seconds;
    sample->byte_rate = (double)growth(sample->bytes, earlier->bytes) / seconds;
    for (unsigned i = 0; i < LC_STATUS_CLASSES; i++)
        sample->status_rate[i] = (double)growth(sample->status[i], earlier->status[i]) /
                                 seconds;
    for (unsigned i = 0; i < LC_LATENCY_BUCKETS; i++)
        latency[i] = growth(sample->latency[i], earlier->latency[i]);
    sample->p50 = lc_latency_percentile(latency, 0.5) / 1000;
    sample->p90 = lc_latency_percentile(latency, 0.9) / 1000;
    sample->p99 = lc_latency_percentile(latency, 0.99) / 1000;
    sample->max = lc_latency_percentile(latency, 1) / 1000;
    compare_workers(sample, earlier, seconds);
}

/* ---- life ---- */

struct lc_sample *lc_sample_create(json_t *data, bool sees_processes,
                                   const struct lc_sample *earlier)
{
    struct lc_sample *sample = lc_new(struct lc_sample);
    const json_t *responses = json_object_get(data, "responses");

    sample->data = data;
    sample->at_us = lc_clock_us();
    sample->requests = number(data, "requests");
    sample->accepted = number(data, "connections_accepted");
    sample->bytes = number(data, "body_bytes");
    for (unsigned i = 0; i < LC_STATUS_CLASSES; i++)
        sample->status[i] = number(responses, class_names[i]);
    read_latency(sample, json_object_get(data, "latency_us"));
    read_workers(sample, json_object_get(data, "workers"), sees_processes);
    if (earlier != NULL)
        compare(sample, earlier);
    return sample;
}

void lc_sample_destroy(struct lc_sample *sample)
{
    if (sample == NULL)
        return;
    for (size_t i = 0; i < sample->worker_count; i++) {
        free(sample->workers[i].state);
        free(sample->workers[i].request);
    }
    free(sample->workers);
    json_decref(sample->data);
    free(sample);
}

/* ---- order ---- */

/* Larger comes first. */
static double weight(const struct lc_sample_worker *worker, enum lc_sample_order order)
{
    switch (order) {
    case LC_BY_AGE: return -(double)worker->age;
    case LC_BY_PID: return -(double)worker->pid;
    case LC_BY_RATE: return worker->request_rate;
    case LC_BY_CPU: return worker->cpu_percent;
    case LC_BY_MEMORY: return (double)worker->rss_kb;
    case LC_BY_REQUEST: return worker->request == NULL ? -1 : worker->request_seconds;
    }
    return 0;
}

static int compare_by(const void *one, const void *other, void *context)
{
    const struct lc_sample_worker *a = one, *b = other;
    const enum lc_sample_order *order = context;
    double heavier = weight(b, *order) - weight(a, *order);

    if (heavier != 0)
        return heavier > 0 ? 1 : -1;
    return a->age < b->age ? -1 : a->age > b->age;
}

void lc_sample_sort(struct lc_sample *sample, enum lc_sample_order order)
{
    qsort_r(sample->workers, sample->worker_count, sizeof(*sample->workers), compare_by,
            &order);
}
