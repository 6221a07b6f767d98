#include "master/ctl/tables.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A copy that a terminal may see: control characters become '?'. The caller frees it. */
static char *terminal_text(const char *text)
{
    char *copy = lc_strdup(text == NULL ? "" : text);

    for (char *at = copy; *at != '\0'; at++) {
        bool is_c1 = at[0] == '\xC2' && (unsigned char)at[1] >= 0x80 &&
                     (unsigned char)at[1] < 0xA0;

        if ((unsigned char)*at < ' ' || *at == 0x7f || is_c1)
            *at = '?';
        if (is_c1)
            *++at = '?';
    }
    return copy;
}

void lc_json_print(FILE *out, const json_t *data)
{
    LC_AUTOFREE char *text = json_dumps(data, JSON_INDENT(2) | JSON_ENSURE_ASCII |
                                                  JSON_REAL_PRECISION(15) |
                                                  JSON_ENCODE_ANY);

    fprintf(out, "%s\n", text == NULL ? "null" : text);
}

/* ---- values ---- */

static const json_t *at_key(const json_t *object, const char *name)
{
    return json_object_get(object, name);
}

static long long number(const json_t *object, const char *name)
{
    return (long long)json_number_value(at_key(object, name));
}

/* "-" for nothing; the caller frees it. */
static char *value_text(const json_t *value)
{
    if (json_is_string(value))
        return terminal_text(json_string_value(value));
    if (json_is_null(value) || value == NULL)
        return lc_strdup("-");
    if (json_is_boolean(value))
        return lc_strdup(json_is_true(value) ? "yes" : "no");
    if (json_is_real(value))
        return lc_printf("%.10g", json_real_value(value));
    if (json_is_integer(value))
        return lc_printf("%lld", (long long)json_integer_value(value));

    char *text = json_dumps(value, JSON_ENSURE_ASCII | JSON_COMPACT);
    return text;
}

static char *text_of(const json_t *object, const char *name)
{
    return value_text(at_key(object, name));
}

static void rule(FILE *out, int width)
{
    while (width-- > 0)
        fputc('-', out);
    fputc('\n', out);
}

/* ---- tables ---- */

/* Widths and words are those of gunicornc: scripts cut them by column. */
static void worker_rows(FILE *out, const json_t *workers)
{
    const json_t *worker;
    size_t i;

    fprintf(out, "%-10s %-6s %-8s %s\n", "PID", "AGE", "BOOTED", "LAST_BEAT");
    rule(out, 40);
    json_array_foreach(workers, i, worker)
    {
        fprintf(out, "%-10lld %-6lld %-8s %.1fs ago\n", number(worker, "pid"),
                number(worker, "age"),
                json_is_true(at_key(worker, "booted")) ? "yes" : "no",
                json_number_value(at_key(worker, "last_heartbeat")));
    }
}

static void print_workers(FILE *out, const json_t *data)
{
    worker_rows(out, at_key(data, "workers"));
    fprintf(out, "\nTotal: %lld workers\n", number(data, "count"));
}

static void print_all(FILE *out, const json_t *data)
{
    fprintf(out, "Master (pid %lld)\n\n", number(at_key(data, "arbiter"), "pid"));
    worker_rows(out, at_key(data, "web_workers"));
    fprintf(out, "\nTotal: %lld workers\n", number(data, "web_worker_count"));
}

static void print_listeners(FILE *out, const json_t *data)
{
    const json_t *listener;
    size_t i;

    fprintf(out, "%-40s %-6s %s\n", "ADDRESS", "TYPE", "FD");
    rule(out, 50);
    json_array_foreach(at_key(data, "listeners"), i, listener)
    {
        LC_AUTOFREE char *address = text_of(listener, "address");
        LC_AUTOFREE char *type = text_of(listener, "type");

        fprintf(out, "%-40s %-6s %lld\n", address, type, number(listener, "fd"));
    }
    fprintf(out, "\nTotal: %lld listeners\n", number(data, "count"));
}

static void print_requests(FILE *out, const json_t *data)
{
    const json_t *request;
    size_t i;

    fprintf(out, "%-10s %-9s %-15s %s\n", "PID", "FOR", "CLIENT", "REQUEST");
    rule(out, 60);
    json_array_foreach(at_key(data, "requests"), i, request)
    {
        LC_AUTOFREE char *client = text_of(request, "client");
        LC_AUTOFREE char *method = text_of(request, "method");
        LC_AUTOFREE char *target = text_of(request, "target");
        LC_AUTOFREE char *age = lc_printf("%.1fs",
                                          json_number_value(at_key(request, "seconds")));

        fprintf(out, "%-10lld %-9s %-15s %s %s\n", number(request, "pid"), age,
                *client == '\0' ? "-" : client, method, target);
    }
    fprintf(out, "\nTotal: %lld requests\n", number(data, "count"));
}

static void print_pairs(FILE *out, const char *before, const json_t *object)
{
    const char *name;
    const json_t *value;

    json_object_foreach((json_t *)object, name, value)
    {
        LC_AUTOFREE char *full = lc_printf("%s%s", before, name);
        LC_AUTOFREE char *inner = lc_printf("%s.", full);
        LC_AUTOFREE char *text = value_text(value);

        if (json_is_object(value))
            print_pairs(out, inner, value);
        else
            fprintf(out, "%-26s %s\n", full, text);
    }
}

static void print_object(FILE *out, const json_t *data)
{
    print_pairs(out, "", data);
}

static void print_commands(FILE *out, const json_t *data)
{
    const char *usage;
    const json_t *text;

    fprintf(out, "Commands:\n");
    json_object_foreach((json_t *)at_key(data, "commands"), usage, text)
    {
        fprintf(out, "  %-36s %s\n", usage, json_string_value(text));
    }
}

/* As it is: for the collector of a node exporter. */
static void print_text(FILE *out, const json_t *data)
{
    const char *text = json_string_value(at_key(data, "text"));

    if (text != NULL)
        fputs(text, out);
}

static const struct {
    const char *command;
    void (*print)(FILE *out, const json_t *data);
} tables[] = {
    {"show workers", print_workers},
    {"show all", print_all},
    {"show listeners", print_listeners},
    {"show requests", print_requests},
    {"show stats", print_object},
    {"show config", print_object},
    {"show dirty", print_object},
    {"help", print_commands},
    {"metrics", print_text},
};

void lc_table_print(FILE *out, const char *command, const json_t *data)
{
    for (size_t i = 0; i < LC_COUNT(tables); i++)
        if (strcasecmp(tables[i].command, command) == 0) {
            tables[i].print(out, data);
            return;
        }
    lc_json_print(out, data);
}
