#include "app/request.h"

#include "app/percent.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct lc_slice lc_request_method(const struct lc_request *request)
{
    return request->method;
}

struct lc_slice lc_request_target(const struct lc_request *request)
{
    return request->target;
}

struct lc_slice lc_request_path(const struct lc_request *request)
{
    return request->path;
}

struct lc_slice lc_request_raw_path(const struct lc_request *request)
{
    return request->raw_path;
}

struct lc_slice lc_request_query(const struct lc_request *request)
{
    return request->query;
}

int lc_request_version(const struct lc_request *request)
{
    return request->version;
}

struct lc_slice lc_request_scheme(const struct lc_request *request)
{
    return request->is_https ? LC_SLICE("https") : LC_SLICE("http");
}

const struct lc_endpoints *lc_request_endpoints(const struct lc_request *request)
{
    return request->endpoints;
}

struct lc_slice lc_request_header(const struct lc_request *request, const char *name)
{
    struct lc_slice wanted = lc_slice(name);

    for (size_t i = 0; i < request->header_count; i++)
        if (lc_slice_equals_nocase(request->headers[i].name, wanted))
            return request->headers[i].value;
    return (struct lc_slice){NULL, 0};
}

const struct lc_header *lc_request_headers(const struct lc_request *request,
                                           size_t *count)
{
    *count = request->header_count;
    return request->headers;
}

struct lc_arena *lc_request_arena(struct lc_request *request)
{
    return &request->arena;
}

void *lc_request_data(const struct lc_request *request)
{
    return request->data;
}

void lc_request_set_data(struct lc_request *request, void *data)
{
    request->data = data;
}

struct lc_keep *lc_request_keep(struct lc_request *request)
{
    return request->keep;
}

struct lc_header *lc_request_add_header(struct lc_request *request, size_t limit)
{
    if (request->header_count >= limit)
        return NULL;
    if (request->header_count == request->header_room) {
        size_t room = request->header_room * 2;
        struct lc_header *more = lc_arena_alloc(&request->arena, room * sizeof(*more));

        memcpy(more, request->headers, request->header_count * sizeof(*more));
        request->headers = more;
        request->header_room = room;
    }
    return &request->headers[request->header_count++];
}

static void move_slice(struct lc_slice *slice, struct lc_slice from, const char *to)
{
    if (slice->at >= from.at && slice->at <= from.at + from.len)
        slice->at = to + (slice->at - from.at);
}

void lc_request_relocate(struct lc_request *request, struct lc_slice *head)
{
    struct lc_slice from = *head;

    if (request->is_detached || from.len == 0)
        return;
    const char *to = lc_arena_strndup(&request->arena, from.at, from.len);
    move_slice(&request->method, from, to);
    move_slice(&request->target, from, to);
    move_slice(&request->raw_path, from, to);
    move_slice(&request->path, from, to);
    move_slice(&request->query, from, to);
    for (size_t i = 0; i < request->header_count; i++) {
        move_slice(&request->headers[i].name, from, to);
        move_slice(&request->headers[i].value, from, to);
    }
    for (unsigned i = 0; i < request->param_count; i++)
        move_slice(&request->params[i].value, from, to);
    request->is_detached = true;
    head->at = to;
}

/* --- the target ----------------------------------------------------------------------- */

static bool is_letter(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* The length of "http:" at the beginning, 0 if there is none. RFC 3986, 3.1 */
static size_t scheme_length(struct lc_slice target)
{
    if (target.len == 0 || !is_letter(*target.at))
        return 0;
    for (size_t i = 1; i < target.len; i++) {
        char c = target.at[i];

        if (c == ':')
            return i + 1;
        if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '+' && c != '-' && c != '.')
            return 0;
    }
    return 0;
}

static struct lc_slice from(struct lc_slice text, size_t start)
{
    return (struct lc_slice){text.at + start, text.len - start};
}

struct lc_slice lc_target_authority(struct lc_slice target, struct lc_slice *rest)
{
    struct lc_slice behind = from(target, scheme_length(target));
    size_t len = 0;

    *rest = behind;
    if (behind.len < 2 || memcmp(behind.at, "//", 2) != 0 || *target.at == '/')
        return (struct lc_slice){NULL, 0};
    behind = from(behind, 2);
    while (len < behind.len && strchr("/?#", behind.at[len]) == NULL)
        len++;
    *rest = from(behind, len);
    return (struct lc_slice){behind.at, len};
}

/* "%2F" becomes "/". A "%" without two hex digits stays as it is. A raw byte from 0x80 up is taken
 * for a Latin-1 character and becomes UTF-8, as Gunicorn does it. */
static struct lc_slice decode_path(struct lc_request *request, struct lc_slice raw)
{
    size_t plain = 0;

    while (plain < raw.len && raw.at[plain] != '%' && (unsigned char)raw.at[plain] < 0x80)
        plain++;
    if (plain == raw.len)
        return raw;

    char *out = lc_arena_alloc(&request->arena, raw.len * 2);
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.at[i];
        int decoded = c == '%' ? lc_percent_byte(raw.at + i, raw.at + raw.len) : -1;

        if (decoded >= 0) {
            out[n++] = (char)decoded;
            i += 2;
        } else if (c >= 0x80) {
            out[n++] = (char)(0xc0 | c >> 6);
            out[n++] = (char)(0x80 | (c & 0x3f));
        } else {
            out[n++] = (char)c;
        }
    }
    return (struct lc_slice){out, n};
}

void lc_request_split_target(struct lc_request *request)
{
    struct lc_slice rest = request->target;

    if (rest.len > 0 && rest.at[0] != '/') /* only path and query of others count */
        lc_target_authority(rest, &rest);

    const char *fragment = memchr(rest.at, '#', rest.len);
    if (fragment != NULL)
        rest.len = (size_t)(fragment - rest.at);
    const char *question = memchr(rest.at, '?', rest.len);
    if (question != NULL) {
        request->raw_path = (struct lc_slice){rest.at, (size_t)(question - rest.at)};
        request->query = (struct lc_slice){question + 1,
                                           rest.len - request->raw_path.len - 1};
    } else {
        request->raw_path = rest;
        request->query = (struct lc_slice){rest.at + rest.len, 0};
    }
    request->path = decode_path(request, request->raw_path);
}

/* --- the body -------------------------------------------------------------------------- */

uint64_t lc_request_body_size(const struct lc_request *request)
{
    return request->body.length;
}

bool lc_request_body_may_wait(const struct lc_request *request)
{
    return request->body.has_more && request->body.consumed == request->body.size;
}

int lc_request_body_error(const struct lc_request *request)
{
    return request->body.error;
}

static size_t unread(const struct lc_body *body, size_t at_most)
{
    uint64_t left = body->size - body->consumed;

    return left < at_most ? (size_t)left : at_most;
}

ssize_t lc_request_body_read(struct lc_request *request, void *into, size_t size)
{
    struct lc_body *body = &request->body;

    if (size > 0 && lc_request_body_may_wait(request))
        request->host->receive(request);

    size_t n = unread(body, size);
    if (n == 0 && size > 0 && body->error != 0) {
        errno = body->error;
        return -1;
    }
    if (n == 0)
        return 0;
    if (body->fd < 0) {
        memcpy(into, body->at + body->consumed, n);
        body->consumed += n;
        return (ssize_t)n;
    }
    ssize_t got;
    do
        got = pread(body->fd, into, n, (off_t)body->consumed);
    while (got < 0 && errno == EINTR);
    if (got == 0) { /* somebody cut our file */
        errno = EIO;
        return -1;
    }
    if (got > 0)
        body->consumed += (uint64_t)got;
    return got;
}

struct lc_slice lc_request_body_peek(struct lc_request *request)
{
    struct lc_body *body = &request->body;

    if (body->fd >= 0 || body->consumed == body->size)
        return (struct lc_slice){NULL, 0};
    return (struct lc_slice){body->at + body->consumed,
                             (size_t)(body->size - body->consumed)};
}

void lc_request_body_skip(struct lc_request *request, size_t size)
{
    request->body.consumed += unread(&request->body, size);
}
