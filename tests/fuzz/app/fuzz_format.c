/* Access formats from hostile bytes, and hostile requests for formats that are right. The lines
 * of the input: the format, the method, the target, a field name, a field value, and the rest
 * is another value. Whatever comes, a line fits into the room that was announced, and no value
 * can end the line or leave its quotes. */
#include "app/format.h"

#include "app/request.h"
#include "base/mem.h"

#include <licorne/error.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static struct lc_slice take_line(struct lc_slice *input)
{
    const char *newline = input->len == 0 ? NULL : memchr(input->at, '\n', input->len);
    size_t len = newline == NULL ? input->len : (size_t)(newline - input->at);
    struct lc_slice line = {input->at, len};

    input->at += len + (newline != NULL);
    input->len -= len + (newline != NULL);
    return line;
}

/* A quote that no backslash stands before would end a quoted value. */
static void check_value(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)line[i];

        lc_assert(c >= 0x20 && c != 0x7f);
        lc_assert(c != '"' || (i > 0 && line[i - 1] == '\\'));
    }
}

static void write_lines(struct lc_format *format, const struct lc_request *request,
                        bool is_one_value)
{
    for (int turn = 0; turn < 2; turn++) {
        size_t room = lc_format_prepare(format, request, 1 + (uint64_t)turn * 1000001);
        char *line = lc_malloc(room); /* of its own, so that a byte too much is seen */
        size_t len = lc_format_write(format, line, room);

        lc_assert(len <= room);
        if (is_one_value)
            check_value(line, len);
        char *part = lc_malloc(room / 2);
        lc_assert(lc_format_write(format, part, room / 2) <= room / 2);
        free(part);
        free(line);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct lc_endpoints endpoints[] = {
        {.remote_addr = "192.0.2.7",
         .remote_port = "51234",
         .server_addr = "127.0.0.1",
         .server_port = "8000"},
        {.remote_addr = "", .server_addr = "/run/licorne.sock", .is_unix = true},
    };
    static const char *const right[] = {
        "%(r)s",          "%(u)s",    "%(f)s",    "%(a).9s",
        "%(U)12s",        "%({x}i)s", "%({x}o)s", "%({SERVER_PORT}e)s",
        "%({HTTP_X}e)-5s"};
    static _Alignas(16) char block[4096];
    static struct lc_request request;
    struct lc_slice input = {(const char *)data, size}, text = take_line(&input);

    memset(&request, 0, sizeof(request));
    lc_arena_init(&request.arena, block, sizeof(block));
    request.method = take_line(&input);
    request.target = take_line(&input);
    request.version = (uint8_t)(10 + size % 2);
    request.endpoints = &endpoints[size / 2 % 2];
    lc_request_split_target(&request);

    struct lc_slice name = take_line(&input), value = take_line(&input);
    struct lc_header headers[] = {
        {name, value},
        {LC_SLICE("Authorization"), value},
        {LC_SLICE("authorization"), input},
        {LC_SLICE("Referer"), input},
        {LC_SLICE("User-Agent"), value},
        {LC_SLICE("x"), input},
        {LC_SLICE("X"), value},
        {LC_SLICE("Host"), value},
    };
    request.headers = headers;
    request.header_count = LC_COUNT(headers) - size % 3;
    request.response.fields = input; /* not even what the response lets pass */

    char *copy = lc_strndup(text.at, text.len);
    struct lc_error err;
    struct lc_format *format = lc_format_create(copy, &err);
    if (format != NULL)
        write_lines(format, &request, false);
    else
        lc_assert(err.code == LC_E_CONFIG && err.text[0] != '\0');
    lc_format_destroy(format);
    free(copy);

    for (size_t i = 0; i < LC_COUNT(right); i++) {
        format = lc_format_create(right[i], &err);
        lc_assert(format != NULL);
        write_lines(format, &request, true);
        lc_format_destroy(format);
    }
    lc_arena_deinit(&request.arena);
    return 0;
}
