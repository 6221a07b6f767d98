#include "master/ctl/picture.h"

#include "base/mem.h"
#include "master/ctl/sample.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- lines ---- */

/* What came from clients must move no cursor, and a byte is a column. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

static void add(struct lc_picture *picture, size_t width, enum lc_look look,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

static void add(struct lc_picture *picture, size_t width, enum lc_look look,
                const char *format, ...)
{
    va_list args;

    va_start(args, format);
    char *text = lc_vprintf(format, args);
    va_end(args);
    make_printable(text);
    for (size_t len = strlen(text); len > 0 && text[len - 1] == ' '; len--)
        text[len - 1] = '\0';
    if (width > 0 && strlen(text) > width)
        text[width] = '\0';
    picture->lines = lc_realloc(picture->lines,
                                (picture->count + 1) * sizeof(*picture->lines));
    picture->lines[picture->count].text = text;
    picture->lines[picture->count++].look = look;
}

void lc_picture_clear(struct lc_picture *picture)
{
    for (size_t i = 0; i < picture->count; i++)
        free(picture->lines[i].text);
    free(picture->lines);
    *picture = (struct lc_picture){0};
}

/* ---- numbers ---- */

struct shown {
    char text[32];
};

static struct shown scaled(double value, double step, const char *const units[4])
{
    struct shown shown;
    int unit = 0;

    while (value >= 999.5 && unit < 3) {
        value /= step;
        unit++;
    }
    snprintf(shown.text, sizeof(shown.text),
             value < 99.95 && unit > 0 ? "%.1f%s" : "%.0f%s", value, units[unit]);
    return shown;
}

static struct shown bytes(double value)
{
    static const char *const units[] = {"B", "K", "M", "G"};

    return scaled(value, 1024, units);
}

static struct shown rate(double value)
{
    struct shown shown;

    if (value >= 99999.5)
        snprintf(shown.text, sizeof(shown.text), "%.0fk", value / 1000);
    else
        snprintf(shown.text, sizeof(shown.text), value < 999.95 ? "%.1f" : "%.0f", value);
    return shown;
}

/* Three that mean something. */
static struct shown digits(double value)
{
    struct shown shown;

    snprintf(shown.text, sizeof(shown.text),
             value < 1     ? "%.3f"
             : value < 10  ? "%.2f"
             : value < 100 ? "%.1f"
                           : "%.0f",
             value);
    return shown;
}

static struct shown span(double seconds)
{
    struct shown shown;
    long long all = (long long)seconds;

    snprintf(shown.text, sizeof(shown.text),
             all >= 86400 ? "%lldd %02lld:%02lld:%02lld" : "%.0lld%02lld:%02lld:%02lld",
             all / 86400, all / 3600 % 24, all / 60 % 60, all % 60);
    return shown;
}

static struct shown short_span(double seconds)
{
    struct shown shown;

    snprintf(shown.text, sizeof(shown.text), seconds < 100 ? "%.1fs" : "%.0fs", seconds);
    return shown;
}

/* ---- the server ---- */

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value == NULL ? "" : value;
}

static long long number(const json_t *object, const char *name)
{
    return (long long)json_integer_value(json_object_get(object, name));
}

/* "2 timeout, 1 signal"; the caller frees it. */
static char *restarts(const json_t *causes)
{
    char *list = lc_strdup("");
    const char *name;
    const json_t *count;

    json_object_foreach((json_t *)causes, name, count)
    {
        if (json_integer_value(count) == 0)
            continue;
        char *longer = lc_printf("%s%s%lld %s", list, *list == '\0' ? "" : ", ",
                                 (long long)json_integer_value(count), name);
        free(list);
        list = longer;
    }
    return list;
}

static void draw_server(struct lc_picture *picture, const struct lc_sample *sample,
                        size_t width)
{
    const json_t *data = sample->data;
    LC_AUTOFREE char *causes = restarts(json_object_get(data, "restarts"));

    add(picture, width, LC_LOOK_BOLD, "%s %s [%s]  pid %lld  up %s  %s",
        text(data, "program"), text(data, "version"), text(data, "name"),
        number(data, "pid"),
        span(json_number_value(json_object_get(data, "uptime"))).text,
        text(data, "phase"));
    add(picture, width, LC_LOOK_PLAIN, "%s", text(data, "listeners"));
    add(picture, width, LC_LOOK_PLAIN,
        "Workers   %lld of %lld, %zu busy   generation %lld   reload %s   restarts %s",
        number(data, "workers_current"), number(data, "workers_target"), sample->busy,
        number(data, "generation"), text(data, "reload_state"),
        *causes == '\0' ? "0" : causes);
}

static void draw_requests(struct lc_picture *picture, const struct lc_sample *sample,
                          size_t width)
{
    const double *status = sample->status_rate;

    add(picture, width, LC_LOOK_PLAIN,
        "Requests  %s/s   2xx %s  3xx %s  4xx %s  5xx %s  none %s",
        rate(sample->request_rate).text, rate(status[2]).text, rate(status[3]).text,
        rate(status[4]).text, rate(status[5]).text, rate(status[0]).text);
}

static void draw_traffic(struct lc_picture *picture, const struct lc_sample *sample,
                         size_t width)
{
    add(picture, width, LC_LOOK_PLAIN,
        "Latency   p50 %s ms   p90 %s ms   p99 %s ms   max %s ms",
        digits(sample->p50).text, digits(sample->p90).text, digits(sample->p99).text,
        digits(sample->max).text);
    add(picture, width, LC_LOOK_PLAIN,
        "Traffic   %s/s out   connections %lld, %s/s new   in flight %lld",
        bytes(sample->byte_rate).text, number(sample->data, "connections"),
        rate(sample->accept_rate).text, number(sample->data, "in_flight"));
}

/* ---- the workers ---- */

static void draw_worker(struct lc_picture *picture, const struct lc_sample_worker *worker,
                        size_t width)
{
    const bool is_seen = worker->rss_kb >= 0;
    LC_AUTOFREE char *cpu = is_seen ? lc_printf("%.1f", worker->cpu_percent)
                                    : lc_strdup("-");
    LC_AUTOFREE char *busy = worker->threads == 0
                                 ? lc_printf("%lld", worker->in_flight)
                                 : lc_printf("%lld/%lld", worker->in_flight,
                                             worker->threads);

    add(picture, width, worker->in_flight > 0 ? LC_LOOK_BOLD : LC_LOOK_PLAIN,
        "%7lld %5lld %-8s %5lld %6s %7s %5s %5s  %s%s%s", worker->pid, worker->age,
        worker->state, worker->connections, busy, rate(worker->request_rate).text, cpu,
        is_seen ? bytes((double)worker->rss_kb * 1024).text : "-",
        worker->request == NULL ? "" : short_span(worker->request_seconds).text,
        worker->request == NULL ? "" : " ",
        worker->request == NULL ? "" : worker->request);
}

static void draw_workers(struct lc_picture *picture, const struct lc_sample *sample,
                         size_t width, size_t height)
{
    size_t shown = sample->worker_count;

    add(picture, width, LC_LOOK_TITLE,
        "    PID   AGE STATE     CONN   BUSY   REQ/S  CPU%%   RSS  REQUEST");
    if (height > 0 && picture->count + shown > height)
        shown = height > picture->count + 1 ? height - picture->count - 1 : 0;
    for (size_t i = 0; i < shown; i++)
        draw_worker(picture, &sample->workers[i], width);
    if (shown < sample->worker_count)
        add(picture, width, LC_LOOK_PLAIN, "... and %zu more",
            sample->worker_count - shown);
}

/* On a low screen the workers matter more than the rest. */
enum { LOW = 14 };

static void cut(struct lc_picture *picture, size_t height)
{
    while (height > 0 && picture->count > height)
        free(picture->lines[--picture->count].text);
}

void lc_picture_draw(struct lc_picture *picture, const struct lc_sample *sample,
                     size_t width, size_t height)
{
    *picture = (struct lc_picture){0};
    draw_server(picture, sample, width);
    draw_requests(picture, sample, width);
    if (height == 0 || height >= LOW) {
        draw_traffic(picture, sample, width);
        add(picture, width, LC_LOOK_PLAIN, "%s", "");
    }
    draw_workers(picture, sample, width, height);
    cut(picture, height);
}
