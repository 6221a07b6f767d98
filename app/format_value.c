#include "app/format_parts.h"

#include "app/request.h"
#include "base/base64.h"

#include <stdio.h>
#include <string.h>

static const struct lc_slice dash = LC_SLICE("-");

static struct lc_slice digits_of(char *room, uint64_t number)
{
    char *end = room + LC_FORMAT_ROOM, *at = end;

    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    return (struct lc_slice){at, (size_t)(end - at)};
}

static struct lc_slice or_dash(const char *text)
{
    return text != NULL ? lc_slice(text) : dash;
}

static struct lc_slice last_request_field(const struct lc_request *request,
                                          struct lc_slice name)
{
    for (size_t i = request->header_count; i-- > 0;)
        if (lc_slice_equals_nocase(request->headers[i].name, name))
            return request->headers[i].value;
    return dash;
}

/* Of equal length. */
static bool equals_as_key(struct lc_slice name, struct lc_slice key)
{
    for (size_t i = 0; i < key.len; i++) {
        unsigned char a = (unsigned char)name.at[i], b = (unsigned char)key.at[i];

        a = a == '-' ? '_' : a >= 'A' && a <= 'Z' ? a | 0x20 : a;
        b = b >= 'A' && b <= 'Z' ? b | 0x20 : b;
        if (a != b)
            return false;
    }
    return true;
}

static struct lc_slice joined(struct lc_arena *arena, struct lc_slice a,
                              struct lc_slice b)
{
    char *text = lc_arena_alloc(arena, a.len + 1 + b.len);

    if (a.len > 0)
        memcpy(text, a.at, a.len);
    text[a.len] = ',';
    if (b.len > 0)
        memcpy(text + a.len + 1, b.at, b.len);
    return (struct lc_slice){text, a.len + 1 + b.len};
}

/* WSGI's HTTP_X: what came in several fields of one name is one text. */
static struct lc_slice environ_field(struct lc_format *format,
                                     const struct lc_request *request,
                                     struct lc_slice key)
{
    struct lc_slice found = {NULL, 0};
    bool is_found = false;

    for (size_t i = 0; i < request->header_count; i++) {
        const struct lc_header *header = &request->headers[i];

        if (header->name.len != key.len || !equals_as_key(header->name, key))
            continue;
        found = is_found ? joined(&format->arena, found, header->value) : header->value;
        is_found = true;
    }
    return is_found ? found : dash;
}

/* The fields lie as they go on the wire: "Name: value\r\n". */
static struct lc_slice last_response_field(struct lc_slice fields, struct lc_slice name)
{
    struct lc_slice found = dash;

    while (fields.len > 0) {
        const char *end = memmem(fields.at, fields.len, "\r\n", 2);
        const char *colon = memmem(fields.at, fields.len, ": ", 2);

        if (end == NULL || colon == NULL || colon > end)
            break;
        if (lc_slice_equals_nocase(
                (struct lc_slice){fields.at, (size_t)(colon - fields.at)}, name))
            found = (struct lc_slice){colon + 2, (size_t)(end - colon - 2)};
        fields.len -= (size_t)(end + 2 - fields.at);
        fields.at = end + 2;
    }
    return found;
}

/* RFC 7617. What is not well formed has no user. */
static struct lc_slice basic_user(struct lc_format *format,
                                  const struct lc_request *request)
{
    static const struct lc_slice scheme = LC_SLICE("basic ");
    struct lc_slice text = environ_field(format, request, LC_SLICE("authorization"));

    if (text.len <= scheme.len || strncasecmp(text.at, scheme.at, scheme.len) != 0)
        return dash;
    text.at += scheme.len;
    text.len -= scheme.len;
    while (text.len > 0 && *text.at == ' ')
        text.at++, text.len--;

    char *plain = lc_arena_alloc(&format->arena, text.len / 4 * 3);
    ssize_t len = lc_base64_decode(text.at, text.len, (unsigned char *)plain);
    const char *colon = len > 0 ? memchr(plain, ':', (size_t)len) : NULL;
    return colon != NULL && colon > plain
               ? (struct lc_slice){plain, (size_t)(colon - plain)}
               : dash;
}

/* On a unix socket the Host field says it, where there is one. "[::1]:80" keeps its brackets. */
static struct lc_slice server_name(const struct lc_request *request)
{
    if (!request->endpoints->is_unix)
        return or_dash(request->endpoints->server_addr);

    struct lc_slice host = lc_request_header(request, "host");
    if (host.at == NULL)
        return or_dash(request->endpoints->server_addr);
    const char *bracket = memrchr(host.at, ']', host.len);
    const char *from = bracket != NULL ? bracket : host.at;
    const char *colon = memchr(from, ':', host.len - (size_t)(from - host.at));
    return colon != NULL ? (struct lc_slice){host.at, (size_t)(colon - host.at)} : host;
}

static struct lc_slice server_port(const struct lc_request *request)
{
    if (!request->endpoints->is_unix)
        return or_dash(request->endpoints->server_port);

    struct lc_slice host = lc_request_header(request, "host");
    if (host.at == NULL)
        return LC_SLICE("");
    struct lc_slice name = server_name(request);
    if (name.len < host.len)
        return (struct lc_slice){host.at + name.len + 1, host.len - name.len - 1};
    return request->is_https ? LC_SLICE("443") : LC_SLICE("80");
}

/* A proxy may say it in a field, which the worker drops when the peer is not trusted. */
static struct lc_slice script_name(const struct lc_format *format,
                                   const struct lc_request *request)
{
    struct lc_slice sent = lc_request_header(request, "SCRIPT_NAME");

    return sent.at != NULL ? sent : lc_slice(format->script_name);
}

/* The path without the part that is the application's own place. */
static struct lc_slice path_info(const struct lc_format *format,
                                 const struct lc_request *request)
{
    struct lc_slice path = request->path, place = script_name(format, request);

    if (place.len > 0 && place.len <= path.len &&
        memcmp(path.at, place.at, place.len) == 0)
        return (struct lc_slice){path.at + place.len, path.len - place.len};
    return path;
}

static struct lc_slice protocol_text(char *room, const struct lc_request *request)
{
    if (request->version == 11)
        return LC_SLICE("HTTP/1.1");

    int len = snprintf(room, LC_FORMAT_ROOM, "HTTP/%u.%u", request->version / 10u,
                       request->version % 10u);
    return (struct lc_slice){room, (size_t)len};
}

/* In one piece, for a width or precision. */
static struct lc_slice request_line(struct lc_format *format,
                                    const struct lc_request *request)
{
    char room[LC_FORMAT_ROOM];
    struct lc_slice method = request->method, target = request->target;
    struct lc_slice protocol = protocol_text(room, request);
    size_t size = method.len + target.len + protocol.len + 2;
    char *line = lc_arena_alloc(&format->arena, size), *at = line;
    at = (char *)mempcpy(at, method.at != NULL ? method.at : "", method.len);
    *at++ = ' ';
    at = (char *)mempcpy(at, target.at != NULL ? target.at : "", target.len);
    *at++ = ' ';
    memcpy(at, protocol.at, protocol.len);
    return (struct lc_slice){line, size};
}

/* English names whatever the locale, as log readers expect them. */
static struct lc_slice time_text(struct lc_format *format)
{
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);

    if (now != format->second) {
        struct tm tm;

        localtime_r(&now, &tm);
        long offset = tm.tm_gmtoff < 0 ? -tm.tm_gmtoff : tm.tm_gmtoff;
        snprintf(format->time_text, sizeof(format->time_text),
                 "[%02d/%s/%04d:%02d:%02d:%02d %c%02ld%02ld]", tm.tm_mday,
                 months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec,
                 tm.tm_gmtoff < 0 ? '-' : '+', offset / 3600 % 100, offset / 60 % 60);
        format->second = now;
    }
    return lc_slice(format->time_text);
}

static struct lc_slice duration_text(char *room, uint64_t us)
{
    int len = snprintf(room, LC_FORMAT_ROOM, "%llu.%06u",
                       (unsigned long long)(us / 1000000), (unsigned)(us % 1000000));

    return (struct lc_slice){room, (size_t)len};
}

static uint64_t status_of(const struct lc_request *request)
{
    return request->response.status != 0 ? (uint64_t)request->response.status : 200;
}

uint64_t lc_format_number(enum lc_atom atom, const struct lc_request *request,
                          uint64_t us)
{
    switch (atom) {
    case LC_ATOM_SENT: return request->response.written;
    case LC_ATOM_SECONDS: return us / 1000000;
    case LC_ATOM_MILLISECONDS: return us / 1000;
    case LC_ATOM_QUEUED: return lc_request_waited_us(request);
    default: return us;
    }
}

static struct lc_slice text_of(struct lc_format *format, const struct lc_format_op *op,
                               const struct lc_request *request, uint64_t us, char *room)
{
    const struct lc_endpoints *endpoints = request->endpoints;

    switch (op->atom) {
    case LC_ATOM_LITERAL: return op->text;
    case LC_ATOM_DASH: return dash;
    case LC_ATOM_REMOTE_ADDR: return or_dash(endpoints->remote_addr);
    case LC_ATOM_REMOTE_PORT: return or_dash(endpoints->remote_port);
    case LC_ATOM_PROXY_PROTOCOL: return or_dash(endpoints->proxy_protocol);
    case LC_ATOM_PROXY_ADDR: return or_dash(endpoints->proxy_addr);
    case LC_ATOM_PROXY_PORT: return or_dash(endpoints->proxy_port);
    case LC_ATOM_PEER_ADDR: return or_dash(endpoints->peer_addr);
    case LC_ATOM_PEER_PORT: return or_dash(endpoints->peer_port);
    case LC_ATOM_SERVER_NAME: return server_name(request);
    case LC_ATOM_SERVER_PORT: return server_port(request);
    case LC_ATOM_SERVER_SOFTWARE: return lc_slice(format->software);
    case LC_ATOM_SCRIPT_NAME: return script_name(format, request);
    case LC_ATOM_SCHEME: return lc_request_scheme(request);
    case LC_ATOM_USER: return basic_user(format, request);
    case LC_ATOM_TIME: return time_text(format);
    case LC_ATOM_REQUEST_LINE: return request_line(format, request);
    case LC_ATOM_METHOD: return request->method;
    case LC_ATOM_TARGET: return request->target;
    case LC_ATOM_PATH: return path_info(format, request);
    case LC_ATOM_QUERY: return request->query;
    case LC_ATOM_PROTOCOL: return protocol_text(room, request);
    case LC_ATOM_STATUS: return digits_of(room, status_of(request));
    case LC_ATOM_SENT_TEXT: return digits_of(room, request->response.written);
    case LC_ATOM_DURATION_TEXT: return duration_text(room, us);
    case LC_ATOM_PID: return lc_slice(format->pid);
    case LC_ATOM_REQUEST_FIELD: return last_request_field(request, op->text);
    case LC_ATOM_ENVIRON_FIELD: return environ_field(format, request, op->text);
    case LC_ATOM_RESPONSE_FIELD:
        return last_response_field(request->response.fields, op->text);
    case LC_ATOM_SENT:
    case LC_ATOM_SECONDS:
    case LC_ATOM_MILLISECONDS:
    case LC_ATOM_MICROSECONDS:
    case LC_ATOM_QUEUED: return digits_of(room, lc_format_number(op->atom, request, us));
    }
    return dash;
}

void lc_format_look_up(struct lc_format *format, const struct lc_format_op *op,
                       const struct lc_request *request, uint64_t us,
                       struct lc_format_value *value)
{
    value->text = text_of(format, op, request, us, value->room);
    value->is_safe = op->atom > LC_ATOM_LAST_FOREIGN;
}
