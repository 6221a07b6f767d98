#include "host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STREAMED_PIECE = 7 };

/* ---- the host: requests ---- */

struct lc_slice lc_request_method(const struct lc_request *r)
{
    return lc_slice(r->method);
}

struct lc_slice lc_request_target(const struct lc_request *r)
{
    return lc_slice(r->target);
}

struct lc_slice lc_request_raw_path(const struct lc_request *r)
{
    return (struct lc_slice){r->target, strcspn(r->target, "?")};
}

struct lc_slice lc_request_path(const struct lc_request *r)
{
    return (struct lc_slice){r->path, r->path_len};
}

struct lc_slice lc_request_query(const struct lc_request *r)
{
    const char *mark = strchr(r->target, '?');

    return mark == NULL ? (struct lc_slice){NULL, 0} : lc_slice(mark + 1);
}

int lc_request_version(const struct lc_request *r)
{
    return r->version;
}

struct lc_slice lc_request_scheme(const struct lc_request *r)
{
    return lc_slice(r->scheme);
}

const struct lc_endpoints *lc_request_endpoints(const struct lc_request *r)
{
    return r->endpoints;
}

struct lc_slice lc_request_header(const struct lc_request *r, const char *name)
{
    for (size_t i = 0; i < r->header_count; i++)
        if (lc_slice_equals_nocase(r->headers[i].name, lc_slice(name)))
            return r->headers[i].value;
    return (struct lc_slice){NULL, 0};
}

const struct lc_header *lc_request_headers(const struct lc_request *r, size_t *count)
{
    *count = r->header_count;
    return r->headers;
}

uint64_t lc_request_body_size(const struct lc_request *r)
{
    return r->body_is_streamed ? LC_BODY_UNKNOWN : r->body_size;
}

bool lc_request_body_may_wait(const struct lc_request *r)
{
    return r->body_is_streamed;
}

int lc_request_body_error(const struct lc_request *r)
{
    return r->body_error;
}

ssize_t lc_request_body_read(struct lc_request *r, void *into, size_t size)
{
    size_t end = r->body_is_cut ? r->body_size / 2 : r->body_size;

    if (r->body_fails) {
        errno = r->body_error != 0 ? r->body_error : EIO;
        return -1;
    }
    if (r->body_is_streamed && size > STREAMED_PIECE)
        size = STREAMED_PIECE;
    if (size > end - r->body_read)
        size = end - r->body_read;
    if (size > 0)
        memcpy(into, r->body + r->body_read, size);
    r->body_read += size;
    return (ssize_t)size;
}

struct lc_slice lc_request_body_peek(struct lc_request *r)
{
    if (r->body_lies_in_file || r->body_is_streamed || r->body_read == r->body_size)
        return (struct lc_slice){NULL, 0};
    return (struct lc_slice){r->body + r->body_read, r->body_size - r->body_read};
}

void lc_request_body_skip(struct lc_request *r, size_t size)
{
    assert_true(size <= r->body_size - r->body_read);
    r->body_read += size;
}

struct lc_arena *lc_request_arena(struct lc_request *r)
{
    return &r->arena;
}

void *lc_request_data(const struct lc_request *r)
{
    return r->data;
}

void lc_request_set_data(struct lc_request *r, void *data)
{
    r->data = data;
}

struct lc_keep *lc_request_keep(struct lc_request *r)
{
    return r->keep;
}

/* ---- the host: responses ---- */

int lc_response_status_line(struct lc_request *r, struct lc_slice status,
                            struct lc_error *err)
{
    if (status.len < 3 || strspn(status.at, "0123456789") < 3)
        return lc_error_set(err, LC_E_PROTOCOL, "does not begin with three digits");
    for (size_t i = 0; i < status.len; i++)
        if ((unsigned char)status.at[i] < ' ')
            return lc_error_set(err, LC_E_PROTOCOL, "holds a control byte");
    snprintf(r->status, sizeof(r->status), "%.*s", LC_ARG(status));
    return 0;
}

int lc_response_header(struct lc_request *r, struct lc_slice name, struct lc_slice value,
                       struct lc_error *err)
{
    size_t len = strlen(r->fields);

    if (name.len == 0 || memchr(name.at, ' ', name.len) != NULL)
        return lc_error_set(err, LC_E_PROTOCOL, "the name is no token");
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.at[i] < ' ' && value.at[i] != '\t')
            return lc_error_set(err, LC_E_PROTOCOL, "the value holds a control byte");
    if (lc_slice_equals_nocase(name, LC_SLICE("Content-Length")))
        r->length = strtoull(value.at, NULL, 10);
    assert_true(len + name.len + value.len + 4 < sizeof(r->fields));
    snprintf(r->fields + len, sizeof(r->fields) - len, "%.*s: %.*s\n", LC_ARG(name),
             LC_ARG(value));
    return 0;
}

int lc_response_interim(struct lc_request *r, int code, const struct lc_header *fields,
                        size_t count, struct lc_error *err)
{
    size_t len = strlen(r->interim);

    assert_false(r->is_ended);
    for (size_t i = 0; i < count; i++) {
        if (memchr(fields[i].value.at, '\n', fields[i].value.len) != NULL)
            return lc_error_set(err, LC_E_PROTOCOL, "the value holds a control byte");
        len += (size_t)snprintf(r->interim + len, sizeof(r->interim) - len,
                                "%d %.*s: %.*s\n", code, LC_ARG(fields[i].name),
                                LC_ARG(fields[i].value));
    }
    return 0;
}

void lc_response_reset(struct lc_request *r)
{
    assert_false(r->is_started);
    r->status[0] = r->fields[0] = '\0';
    r->length = UINT64_MAX;
}

bool lc_response_is_started(const struct lc_request *r)
{
    return r->is_started;
}

uint64_t lc_response_left(const struct lc_request *r)
{
    if (r->length == UINT64_MAX)
        return UINT64_MAX;
    return r->length > r->answer_size ? r->length - r->answer_size : 0;
}

static enum lc_flow flow_of(const struct lc_request *r)
{
    if (r->answer_size > r->goes_after)
        return LC_FLOW_GONE;
    return r->unsent > r->reads_slowly_after ? LC_FLOW_WAIT : LC_FLOW_GO;
}

enum lc_flow lc_response_write(struct lc_request *r, struct lc_slice piece)
{
    assert_false(r->is_ended);
    r->is_started = true;
    if (piece.len > lc_response_left(r))
        piece.len = (size_t)lc_response_left(r);
    r->answer = realloc(r->answer, r->answer_size + piece.len + 1);
    memcpy(r->answer + r->answer_size, piece.at, piece.len);
    r->answer_size += piece.len;
    r->unsent += piece.len;
    r->answer[r->answer_size] = '\0';
    return flow_of(r);
}

enum lc_flow lc_response_flush(struct lc_request *r)
{
    assert_true(r->is_started && !r->is_ended);
    r->flushes++;
    return flow_of(r);
}

enum lc_flow lc_response_wait(struct lc_request *r)
{
    assert_true(r->is_started && !r->is_ended);
    r->waits++;
    r->unsent = 0;
    return flow_of(r);
}

void lc_response_end(struct lc_request *r)
{
    assert_false(r->is_ended);
    r->is_started = r->is_ended = true;
}

void lc_response_abort(struct lc_request *r)
{
    lc_response_end(r);
    r->is_aborted = true;
}

void lc_response_refuse(struct lc_request *r, int code, const char *reason,
                        struct lc_slice message)
{
    lc_response_reset(r);
    snprintf(r->status, sizeof(r->status), "%d %s", code, reason);
    lc_response_write(r, message);
    lc_response_end(r);
}

int lc_response_send_file(struct lc_request *r, int fd, uint64_t offset, uint64_t length)
{
    char *bytes = malloc(length + 1);

    assert_int_equal(pread(fd, bytes, length, (off_t)offset), length);
    lc_response_write(r, (struct lc_slice){bytes, length});
    lc_response_end(r);
    r->was_sent_as_file = true;
    free(bytes);
    return 0;
}

void lc_response_send(struct lc_request *r, struct lc_slice body)
{
    r->was_copied = true;
    lc_response_write(r, body);
    lc_response_end(r);
}

void lc_response_send_owned(struct lc_request *r, struct lc_slice body,
                            void (*release)(void *owner), void *owner)
{
    lc_response_write(r, body);
    lc_response_end(r);
    r->release = release; /* the client is slow: later */
    r->owner = owner;
}

/* ---- the host: log ---- */

char logged[LOG_ROOM], raw[LOG_ROOM];

static void add(char *log, size_t size, struct lc_slice text, const char *end)
{
    size_t len = strlen(log);

    assert_true(len + text.len + 2 < size);
    snprintf(log + len, size - len, "%.*s%s", LC_ARG(text), end);
}

void lc_log_text(enum lc_level level, struct lc_slice text)
{
    static const char *const names[] = {"DEBUG ", "INFO ", "WARNING ", "ERROR ",
                                        "CRITICAL "};

    add(logged, sizeof(logged), lc_slice(names[level]), "");
    add(logged, sizeof(logged), text, "\n");
}

void lc_log(enum lc_level level, const char *format, ...)
{
    char text[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    lc_log_text(level, lc_slice(text));
}

void lc_log_access(struct lc_slice line)
{
    lc_log_raw(line);
}

void lc_log_raw(struct lc_slice text)
{
    add(raw, sizeof(raw), text, "[]");
}

bool lc_log_enabled(enum lc_level level)
{
    return true;
}

/* ---- given ---- */

struct lc_keep connection;
static const struct lc_endpoints tcp = {.remote_addr = "192.0.2.7",
                                        .remote_port = "51234",
                                        .server_addr = "0.0.0.0",
                                        .server_port = "8000"};

static int hex(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

void given_request(struct lc_request *r, const char *method, const char *target)
{
    memset(r, 0, offsetof(struct lc_request, arena));
    r->method = method;
    r->target = target;
    r->scheme = "http";
    r->version = 11;
    r->endpoints = &tcp;
    r->keep = &connection;
    r->length = UINT64_MAX;
    r->reads_slowly_after = r->goes_after = SIZE_MAX;
    r->path_len = 0;
    for (const char *at = target; *at != '\0' && *at != '?'; at++) {
        bool is_coded = *at == '%';

        r->path[r->path_len++] = is_coded ? (char)(hex(at[1]) * 16 + hex(at[2])) : *at;
        at += is_coded ? 2 : 0;
    }
    lc_arena_init(&r->arena, r->memory, sizeof(r->memory));
    logged[0] = raw[0] = '\0';
}

void given_header(struct lc_request *r, const char *name, const char *value)
{
    r->headers[r->header_count++] = (struct lc_header){lc_slice(name), lc_slice(value)};
}

void given_body(struct lc_request *r, const char *body)
{
    r->body = body;
    r->body_size = strlen(body);
}

void forget(struct lc_request *r)
{
    if (r->release != NULL)
        r->release(r->owner);
    free(r->answer);
    lc_arena_deinit(&r->arena);
}
