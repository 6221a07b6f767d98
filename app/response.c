/* app/response.c — from what a controller says to the bytes of an HTTP/1.1 response.
 *
 * Status and fields are gathered in the request's arena; the head is composed once, when the
 * first byte of the body (or the end) comes. How bytes leave is the host's business. */
#include "app/error_page.h"
#include "app/field.h"
#include "app/request.h"
#include "base/identity.h"
#include "base/mem.h"
#include "base/token.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A Content-Length that is set now would be compared with what has left without it. */
static int too_late(struct lc_error *err)
{
    return lc_error_set(err, LC_E_PROTOCOL, "the response's head has left already");
}

/* --- status ---------------------------------------------------------------------------- */

void lc_response_status(struct lc_request *request, int code)
{
    struct lc_response *response = &request->response;

    if (response->is_started)
        return;
    lc_assert(code >= 100 && code <= 999);
    response->status = code;
    response->status_text = code == 200
                                ? LC_SLICE("200 OK")
                                : lc_slice(lc_arena_printf(&request->arena, "%d %s", code,
                                                           lc_reason_phrase(code)));
}

int lc_response_status_line(struct lc_request *request, struct lc_slice status,
                            struct lc_error *err)
{
    struct lc_response *response = &request->response;
    int code = 0;

    if (response->is_started)
        return too_late(err);
    for (size_t i = 0; i < 3; i++) {
        if (i >= status.len || status.at[i] < '0' || status.at[i] > '9')
            goto wrong;
        code = code * 10 + (status.at[i] - '0');
    }
    if (code < 100 || (status.len > 3 && status.at[3] != ' ') ||
        !lc_is_field_value(status))
        goto wrong;
    response->status = code;
    if (lc_slice_equals(status, LC_SLICE("200 OK")))
        response->status_text = LC_SLICE("200 OK");
    else
        response->status_text = (struct lc_slice){
            lc_arena_strndup(&request->arena, status.at, status.len), status.len};
    return 0;
wrong:
    return lc_error_set(err, LC_E_PROTOCOL,
                        "status '%.*s': must be three digits, a blank and a reason "
                        "without control bytes",
                        status.len > 200 ? 200 : (int)status.len, status.at);
}

/* --- fields ---------------------------------------------------------------------------- */

static bool parse_length(struct lc_slice text, uint64_t *length)
{
    uint64_t n = 0;

    if (text.len == 0 || text.len > 18)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(text.at[i] - '0');
    }
    *length = n;
    return true;
}

static void append_field(struct lc_request *request, struct lc_slice name,
                         struct lc_slice value)
{
    struct lc_response *response = &request->response;
    size_t len = lc_field_len(name, value);

    if (response->fields.len + len > response->fields_room) {
        size_t room = (response->fields.len + len) * 2;
        char *more = lc_arena_alloc(&request->arena, room < 256 ? 256 : room);

        if (response->fields.len != 0)
            memcpy(more, response->fields.at, response->fields.len);
        response->fields.at = more;
        response->fields_room = room < 256 ? 256 : room;
    }
    lc_field_put((char *)response->fields.at + response->fields.len, name, value);
    response->fields.len += len;
}

/* Of what belongs to the connection an application may ask for one thing: to leave HTTP. */
static void take_upgrade(struct lc_request *request, struct lc_slice name,
                         struct lc_slice value)
{
    if (lc_slice_equals_nocase(name, LC_SLICE("Connection")))
        request->response.is_upgrade |= lc_slice_equals_nocase(value,
                                                               LC_SLICE("upgrade"));
    else if (lc_slice_equals_nocase(name, LC_SLICE("Upgrade")) &&
             lc_slice_equals_nocase(value, LC_SLICE("websocket")))
        append_field(request, name, value);
}

int lc_response_header(struct lc_request *request, struct lc_slice name,
                       struct lc_slice value, struct lc_error *err)
{
    struct lc_response *response = &request->response;

    if (response->is_started)
        return too_late(err);
    if (lc_field_check(name, value, err) < 0)
        return -1;
    value = lc_field_trim(value);
    if (lc_field_is_the_servers(name)) {
        take_upgrade(request, name, value);
        return 0;
    }
    if (lc_slice_equals_nocase(name, LC_SLICE("Content-Length"))) {
        uint64_t length;

        if (!parse_length(value, &length))
            return lc_error_set(err, LC_E_PROTOCOL,
                                "Content-Length '%.*s' is not a number of bytes",
                                value.len > 200 ? 200 : (int)value.len, value.at);
        if (response->has_length)
            return lc_error_set(err, LC_E_PROTOCOL, "Content-Length is set twice");
        response->has_length = true;
        response->length = length;
    }
    append_field(request, name, value);
    return 0;
}

void lc_response_reset(struct lc_request *request)
{
    if (!request->response.is_started)
        request->response = (struct lc_response){0};
}

bool lc_response_is_started(const struct lc_request *request)
{
    return request->response.is_started;
}

/* --- the head -------------------------------------------------------------------------- */

static bool has_no_body(const struct lc_request *request)
{
    int status = request->response.status;

    return (status != 0 && status < 200) || status == 204 || status == 304 ||
           lc_slice_equals(request->method, LC_SLICE("HEAD"));
}

static char *put(char *at, struct lc_slice text)
{
    memcpy(at, text.at, text.len);
    return at + text.len;
}

/* The length that the server itself knows. */
static void set_length(struct lc_request *request, uint64_t length)
{
    char digits[20];
    size_t at = sizeof(digits);

    request->response.has_length = true;
    request->response.length = length;
    do
        digits[--at] = (char)('0' + length % 10);
    while ((length /= 10) != 0);
    append_field(request, LC_SLICE("Content-Length"),
                 (struct lc_slice){digits + at, sizeof(digits) - at});
}

/* RFC 9110, 8.6: 1xx and 204 have no Content-Length, whatever the controller said. */
static void drop_length(struct lc_response *response)
{
    static const struct lc_slice name = LC_SLICE("Content-Length:");
    char *at = (char *)response->fields.at;
    char *end = at + response->fields.len;

    while (at < end) {
        char *next = (char *)memchr(at, '\n', (size_t)(end - at)) + 1;

        if ((size_t)(next - at) > name.len && strncasecmp(at, name.at, name.len) == 0) {
            memmove(at, next, (size_t)(end - next));
            response->fields.len -= (size_t)(next - at);
            end -= next - at;
        } else {
            at = next;
        }
    }
    response->has_length = false;
}

/* Decides framing and persistence as things stand now, and writes the head down. */
static struct lc_slice compose_head(struct lc_request *request)
{
    struct lc_response *response = &request->response;

    if (response->status == 0)
        lc_response_status(request, 200);
    response->is_bodiless = has_no_body(request);
    if (response->has_length && (response->status < 200 || response->status == 204))
        drop_length(response);
    response->is_chunked = !response->has_length && !response->is_bodiless &&
                           request->version > 10;
    response->keeps = !request->wants_close && response->status != 101 &&
                      request->host->may_keep(request) &&
                      (response->has_length || response->is_chunked ||
                       response->is_bodiless);

    struct lc_slice date = request->host->date_line(request);
    struct lc_slice server = lc_identity_server_field();
    char *head = lc_arena_alloc(&request->arena, 192 + server.len + date.len +
                                                     response->fields.len +
                                                     response->status_text.len);
    char *at = put(head, LC_SLICE("HTTP/"));
    *at++ = (char)('0' + request->version / 10);
    *at++ = '.';
    *at++ = (char)('0' + request->version % 10);
    *at++ = ' ';
    at = put(at, response->status_text);
    at = put(at, LC_SLICE("\r\n"));
    at = put(at, server);
    at = put(at, date);
    at = put(at, response->is_upgrade ? LC_SLICE("Connection: upgrade\r\n")
                 : response->keeps    ? LC_SLICE("Connection: keep-alive\r\n")
                                      : LC_SLICE("Connection: close\r\n"));
    if (response->is_chunked)
        at = put(at, LC_SLICE("Transfer-Encoding: chunked\r\n"));
    if (response->fields.len != 0)
        at = put(at, response->fields);
    at = put(at, LC_SLICE("\r\n"));
    response->is_started = true;
    return (struct lc_slice){head, (size_t)(at - head)};
}

/* --- the body -------------------------------------------------------------------------- */

static const struct lc_slice nothing = {"", 0};

uint64_t lc_response_left(const struct lc_request *request)
{
    const struct lc_response *response = &request->response;

    if (!response->has_length)
        return UINT64_MAX;
    return response->length - response->written;
}

static void end_response(struct lc_request *request, bool is_broken)
{
    request->response.is_ended = true;
    request->host->end(request, is_broken);
}

/* That HEAD shows nothing of it is what applications rely on; with a 204 it is a mistake. */
static void note_dropped(struct lc_request *request)
{
    if (!lc_slice_equals(request->method, LC_SLICE("HEAD")))
        request->response.was_dropped = true;
}

void lc_response_send_owned(struct lc_request *request, struct lc_slice body,
                            void (*release)(void *owner), void *owner)
{
    struct lc_response *response = &request->response;

    if (response->is_ended || response->is_started) {
        if (!response->is_ended) {
            lc_response_write(request, body);
            lc_response_end(request);
        }
        if (release != NULL)
            release(owner);
        return;
    }
    if (!response->has_length &&
        response->status != 304) /* RFC 9110, 8.6: not this length */
        set_length(request, body.len);
    if (response->has_length && body.len > response->length) {
        response->was_cut = true;
        body.len = (size_t)response->length;
    }
    struct lc_slice head = compose_head(request);
    if (response->is_bodiless) {
        if (body.len != 0)
            note_dropped(request);
        request->host->send(request, head, nothing, NULL, NULL);
        if (release != NULL)
            release(owner);
    } else {
        response->written = body.len;
        request->host->send(request, head, body, release, owner);
    }
    lc_response_end(request);
}

void lc_response_send(struct lc_request *request, struct lc_slice body)
{
    lc_response_send_owned(request, body, NULL, NULL);
}

enum lc_step lc_response_bytes(struct lc_request *request, int code,
                               const char *content_type, struct lc_slice body)
{
    lc_response_status(request, code);
    append_field(request, LC_SLICE("Content-Type"), lc_slice(content_type));
    lc_response_send(request, body);
    return LC_DONE;
}

enum lc_step lc_response_text(struct lc_request *request, int code, const char *text)
{
    return lc_response_bytes(request, code, "text/plain; charset=utf-8", lc_slice(text));
}

static enum lc_flow send_chunk(struct lc_request *request, struct lc_slice head,
                               struct lc_slice piece)
{
    char size[24];
    int len = snprintf(size, sizeof(size), "%zX\r\n", piece.len);

    if (head.len != 0)
        request->host->send(request, head, nothing, NULL, NULL);
    request->host->send(request, (struct lc_slice){size, (size_t)len}, piece, NULL, NULL);
    return request->host->send(request, LC_SLICE("\r\n"), nothing, NULL, NULL);
}

/* The head if it has not left, and what a piece of this length needs in front of it. */
static struct lc_slice file_prefix(struct lc_request *request, uint64_t length)
{
    struct lc_slice head = nothing;

    if (!request->response.is_started)
        head = compose_head(request);
    if (!request->response.is_chunked)
        return head;
    return lc_slice(lc_arena_printf(&request->arena, "%.*s%llX\r\n", LC_ARG(head),
                                    (unsigned long long)length));
}

int lc_response_send_file(struct lc_request *request, int fd, uint64_t offset,
                          uint64_t length)
{
    struct lc_response *response = &request->response;
    struct stat about;

    if (fstat(fd, &about) < 0)
        return -1;
    if (!S_ISREG(about.st_mode) || offset > INT64_MAX || length > INT64_MAX - offset) {
        errno = EINVAL;
        return -1;
    }
    if (response->is_ended)
        return 0;
    if (length > lc_response_left(request)) {
        response->was_cut = true;
        length = lc_response_left(request);
    }
    if (length > 0 && has_no_body(request)) {
        note_dropped(request);
    } else if (length > 0) {
        struct lc_slice prefix = file_prefix(request, length);

        response->written += length;
        if (request->host->send_file(request, prefix, fd, offset, length) ==
            LC_FLOW_GONE) {
            end_response(request, true); /* the host knows why, and has told */
            return 0;
        }
        if (response->is_chunked)
            request->host->send(request, LC_SLICE("\r\n"), nothing, NULL, NULL);
    }
    lc_response_end(request);
    return 0;
}

enum lc_flow lc_response_write(struct lc_request *request, struct lc_slice piece)
{
    struct lc_response *response = &request->response;
    struct lc_slice head = nothing;

    if (response->is_ended)
        return LC_FLOW_GONE;
    if (piece.len ==
        0) /* an empty chunk would end the body; the head waits for a real one */
        return LC_FLOW_GO;
    if (!response->is_started)
        head = compose_head(request);
    if (response->is_bodiless) {
        note_dropped(request);
        piece.len = 0;
    }
    if (piece.len > lc_response_left(request)) {
        response->was_cut = true;
        piece.len = (size_t)lc_response_left(request);
    }
    response->written += piece.len;
    if (response->is_chunked)
        return send_chunk(request, head, piece);
    return request->host->send(request, head, piece, NULL, NULL);
}

enum lc_flow lc_response_flush(struct lc_request *request)
{
    if (request->response.is_ended)
        return LC_FLOW_GONE;
    return request->host->flush(request);
}

enum lc_flow lc_response_wait(struct lc_request *request)
{
    if (request->response.is_ended)
        return LC_FLOW_GONE;
    return request->host->wait(request);
}

static void report_wrong_length(const struct lc_request *request, bool is_short)
{
    const struct lc_response *response = &request->response;

    lc_log(is_short ? LC_ERROR : LC_WARN,
           "%.*s %.*s: the application's body %s its Content-Length of %llu bytes%s",
           LC_ARG(request->method), LC_ARG(request->target),
           is_short ? "is shorter than" : "is longer than",
           (unsigned long long)response->length,
           is_short ? "; the connection is closed" : " and was cut");
}

void lc_response_end(struct lc_request *request)
{
    struct lc_response *response = &request->response;

    if (response->is_ended)
        return;
    if (!response->is_started) {
        if (!response->has_length && !has_no_body(request))
            set_length(request, 0);
        struct lc_slice head = compose_head(request);
        request->host->send(request, head, nothing, NULL, NULL);
    }
    if (response->was_cut)
        report_wrong_length(request, false);
    if (response->was_dropped)
        lc_log(LC_WARN, "%.*s %.*s: the application's body was dropped: a %d has none",
               LC_ARG(request->method), LC_ARG(request->target), response->status);

    bool is_short = response->has_length && !response->is_bodiless &&
                    lc_response_left(request) != 0;
    if (is_short)
        report_wrong_length(request, true);
    else if (response->is_chunked)
        request->host->send(request, LC_SLICE("0\r\n\r\n"), nothing, NULL, NULL);
    end_response(request, is_short);
}

/* The client is to blame: it learns that, where it can still be told. */
static void refuse_body(struct lc_request *request)
{
    const struct lc_refusal *refusal = &request->body.refusal;

    request->response = (struct lc_response){
        .status = refusal->status != 0 ? refusal->status : 400,
        .is_started = true,
        .written = refusal->page_len,
    };
    if (refusal->status != 0)
        request->host->send(request, refusal->answer, nothing, NULL, NULL);
    end_response(request, refusal->status == 0);
}

/* As Gunicorn's: without Server and Date, and the connection closes. */
static void send_page(struct lc_request *request, int code, const char *reason,
                      struct lc_slice message)
{
    struct lc_arena *arena = &request->arena;

    request->response = (struct lc_response){
        .status = code,
        .status_text = lc_slice(lc_arena_printf(arena, "%d %s", code, reason)),
        .is_started = true,
        .written = lc_error_page(arena, reason, message).len,
    };
    request->host->send(request, lc_error_answer(arena, code, reason, message), nothing,
                        NULL, NULL);
    end_response(request, false);
}

void lc_response_abort(struct lc_request *request)
{
    struct lc_response *response = &request->response;

    if (response->is_ended)
        return;
    if (response->is_started) {
        end_response(request, true);
        return;
    }
    if (request->body.error != 0) {
        refuse_body(request);
        return;
    }
    send_page(request, 500, "Internal Server Error", nothing);
}

void lc_response_refuse(struct lc_request *request, int code, const char *reason,
                        struct lc_slice message)
{
    if (request->response.is_started || request->response.is_ended)
        lc_response_abort(request);
    else
        send_page(request, code, reason, message);
}
