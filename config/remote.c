#include "config/remote.h"

#include "base/mem.h"

#include <licorne/error.h>

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SYSLOG_PORT = 514, STATSD_PORT = 8125 };

static bool begins(const char *text, const char *prefix, const char **rest)
{
    size_t len = strlen(prefix);

    if (strncmp(text, prefix, len) != 0)
        return false;
    *rest = text + len;
    return true;
}

static int read_port(const char *text, uint16_t *port, struct lc_error *err)
{
    char *end;
    long number = strtol(text, &end, 10);

    if (!isdigit((unsigned char)*text) || *end != '\0' || number < 1 || number > 65535)
        return lc_error_set(err, LC_E_CONFIG, "'%s' is not a valid port number.", text);
    *port = (uint16_t)number;
    return 0;
}

/* "HOST", "HOST:PORT", "[V6]:PORT" */
static int read_host(const char *text, uint16_t port, struct lc_remote *out,
                     struct lc_error *err)
{
    const char *end = *text == '[' ? strchr(text, ']') : strchr(text, ':');
    const char *from = *text == '[' ? text + 1 : text;
    size_t len = end == NULL ? strlen(from) : (size_t)(end - from);

    if ((*text == '[' && end == NULL) || len >= sizeof(out->host))
        return lc_error_set(err, LC_E_CONFIG, "'%s' is not a host", text);
    for (size_t i = 0; i < len; i++)
        out->host[i] = (char)tolower((unsigned char)from[i]);
    if (len == 0)
        strcpy(out->host, "localhost");
    out->port = port;
    if (end != NULL && *end == ']')
        end++;
    if (end == NULL || *end == '\0')
        return 0;
    if (*end != ':')
        return lc_error_set(err, LC_E_CONFIG, "'%s' is not HOST:PORT", text);
    return read_port(end + 1, &out->port, err);
}

static int read_path(const char *text, struct lc_remote *out, struct lc_error *err)
{
    size_t len = strcspn(text, "#");

    if (len == 0 || len >= sizeof(out->path))
        return lc_error_set(err, LC_E_CONFIG, "'%s': a socket's path has 1 to %zu bytes",
                            text, sizeof(out->path) - 1);
    memcpy(out->path, text, len);
    out->kind = strcmp(text + len, "#dgram") == 0 ? LC_REMOTE_UNIX_DGRAM : LC_REMOTE_UNIX;
    return 0;
}

int lc_remote_parse_syslog(const char *text, struct lc_remote *out, struct lc_error *err)
{
    const char *rest;

    *out = (struct lc_remote){.kind = LC_REMOTE_UDP};
    if (begins(text, "unix://", &rest))
        return read_path(rest, out, err);
    if (begins(text, "udp://", &rest))
        return read_host(rest, SYSLOG_PORT, out, err);
    if (!begins(text, "tcp://", &rest))
        return lc_error_set(err, LC_E_CONFIG,
                            "'%s' is no address of syslog: unix://PATH, udp://HOST:PORT "
                            "or tcp://HOST:PORT",
                            text);
    out->kind = LC_REMOTE_TCP;
    return read_host(rest, SYSLOG_PORT, out, err);
}

int lc_remote_parse_statsd(const char *text, struct lc_remote *out, struct lc_error *err)
{
    const char *rest;

    *out = (struct lc_remote){.kind = LC_REMOTE_UDP};
    if (!begins(text, "unix://", &rest))
        return read_host(text, STATSD_PORT, out, err);
    if (read_path(rest, out, err) < 0)
        return -1;
    out->kind = LC_REMOTE_UNIX_DGRAM;
    return 0;
}

int lc_syslog_facility(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } known[] = {
        {"kern", 0},     {"user", 1},      {"mail", 2},    {"daemon", 3},  {"auth", 4},
        {"security", 4}, {"syslog", 5},    {"lpr", 6},     {"news", 7},    {"uucp", 8},
        {"cron", 9},     {"authpriv", 10}, {"ftp", 11},    {"local0", 16}, {"local1", 17},
        {"local2", 18},  {"local3", 19},   {"local4", 20}, {"local5", 21}, {"local6", 22},
        {"local7", 23},
    };

    for (size_t i = 0; name != NULL && i < LC_COUNT(known); i++)
        if (strcasecmp(known[i].name, name) == 0)
            return known[i].number;
    return -1;
}
