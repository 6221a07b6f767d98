#include "config/address.h"

#include <licorne/error.h>

#include <ctype.h>
#include <limits.h>
#include <string.h>

static const char default_port[] = "8000";

/* Decimal digits only, at most `max`; -1 for anything else. */
static long number(const char *text, long max)
{
    long value = 0;

    if (*text == '\0')
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        value = value * 10 + (*text - '0');
        if (value > max)
            return -1;
    }
    return value;
}

static int parse_unix(const char *path, struct lc_address *out, struct lc_error *err)
{
    size_t len;

    /* "unix:///run/x" is absolute, "unix://run/x" relative. */
    if (strncmp(path, "//", 2) == 0)
        path += 2;
    len = strlen(path);
    if (len == 0)
        return lc_error_set(err, LC_E_CONFIG, "a path must follow 'unix:'");
    if (len >= sizeof(out->path))
        return lc_error_set(err, LC_E_CONFIG,
                            "the socket's path '%s' is too long: %zu bytes, the system "
                            "takes at most %zu",
                            path, len, sizeof(out->path) - 1);
    out->kind = LC_ADDRESS_UNIX;
    memcpy(out->path, path, len + 1);
    return 0;
}

static int parse_fd(const char *text, struct lc_address *out, struct lc_error *err)
{
    long fd = number(text, INT_MAX);

    if (fd < 0)
        return lc_error_set(err, LC_E_CONFIG, "'%s' is not a valid file descriptor.",
                            text);
    out->kind = LC_ADDRESS_FD;
    out->fd = (int)fd;
    return 0;
}

static int set_host(struct lc_address *out, const char *at, size_t len,
                    struct lc_error *err)
{
    if (len >= sizeof(out->host))
        return lc_error_set(err, LC_E_CONFIG, "the host name '%.*s' is too long",
                            (int)len, at);
    for (size_t i = 0; i < len; i++)
        out->host[i] = (char)tolower((unsigned char)at[i]);
    out->host[len] = '\0';
    return 0;
}

static int set_port(struct lc_address *out, const char *at, size_t len,
                    struct lc_error *err)
{
    char text[8];
    long port = -1;

    if (len < sizeof(text)) {
        memcpy(text, at, len);
        text[len] = '\0';
        port = number(text, UINT16_MAX);
    }
    if (port < 0)
        return lc_error_set(err, LC_E_CONFIG, "'%.*s' is not a valid port number.",
                            (int)len, at);
    out->port = (uint16_t)port;
    return 0;
}

static int parse_v6(const char *text, struct lc_address *out, struct lc_error *err)
{
    const char *close = strchr(text, ']');
    const char *port = default_port;

    if (*text != '[' || close == text + 1 || (close[1] != '\0' && close[1] != ':'))
        return lc_error_set(err, LC_E_CONFIG,
                            "'%s' is not a valid address: write [IPV6]:PORT", text);
    if (close[1] == ':')
        port = close + 2;
    if (set_host(out, text + 1, (size_t)(close - text) - 1, err) < 0)
        return -1;
    return set_port(out, port, strlen(port), err);
}

static int parse_tcp(const char *text, struct lc_address *out, struct lc_error *err)
{
    const char *open = strchr(text, '[');
    const char *colon = strchr(text, ':');
    const char *port = default_port;

    out->kind = LC_ADDRESS_TCP;
    if (open != NULL && strchr(open, ']') != NULL)
        return parse_v6(text, out, err);
    if (*text == '\0')
        text = "0.0.0.0";
    if (colon == NULL)
        colon = text + strlen(text);
    else
        port = colon + 1;
    if (set_host(out, text, (size_t)(colon - text), err) < 0)
        return -1;
    /* A third field is of no meaning, as in Gunicorn: "a:1:9" is port 1. */
    return set_port(out, port, strcspn(port, ":"), err);
}

int lc_address_parse(const char *text, struct lc_address *out, struct lc_error *err)
{
    memset(out, 0, sizeof(*out));
    out->fd = -1;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, out, err);
    if (strncmp(text, "fd://", 5) == 0)
        return parse_fd(text + 5, out, err);
    if (strncmp(text, "tcp://", 6) == 0)
        text += 6;
    return parse_tcp(text, out, err);
}
