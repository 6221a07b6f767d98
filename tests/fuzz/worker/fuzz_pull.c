/* A body from hostile bytes, pulled out of a socket in pieces: it must be the body that is gathered
 * when all of the request comes at once. The first two bytes say how it is cut and read. */
#include "tests/unit/worker/given_stream.h"

#include <stdint.h>
#include <stdlib.h>

enum { INPUT_MAX = 4096 };

struct gathered {
    char body[INPUT_MAX];
    size_t len;
};

static bool gather(void *owner, struct lc_slice piece, struct lc_fault *fault)
{
    struct gathered *all = owner;

    (void)fault;
    memcpy(all->body + all->len, piece.at, piece.len);
    all->len += piece.len;
    return true;
}

/* All at once; how much of `bytes` belongs to the request. */
static enum lc_http1_result feed(struct lc_slice bytes, const struct lc_rules *rules,
                                 struct gathered *all, size_t *used)
{
    static _Alignas(16) char block[4096];
    static struct lc_request request;
    struct lc_http1 http1;
    struct lc_fault fault = {.status = 0};
    size_t more = 0;

    memset(&request, 0, sizeof(request));
    lc_arena_init(&request.arena, block, sizeof(block));
    request.headers = request.first_headers;
    request.header_room = LC_HEAD_COUNT;
    lc_http1_begin(&http1, &request, rules, false, &fault);
    http1.on_body = gather;
    http1.owner = all;
    all->len = 0;
    enum lc_http1_result result = lc_http1_head(&http1, bytes, used);
    if (result == LC_HTTP1_HEAD && *used < bytes.len) {
        struct lc_slice rest = {bytes.at + *used, bytes.len - *used};

        result = lc_http1_body(&http1, rest, &more);
        *used += more;
    }
    lc_arena_deinit(&request.arena);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gathered all;
    static char body[INPUT_MAX];
    struct stream stream;
    struct lc_config settings = ordinary_settings();
    size_t used;
    int error;

    if (size < 3 || size > INPUT_MAX)
        return 0;
    struct lc_slice bytes = {(const char *)data + 2, size - 2};
    settings.limit_request_body = (data[0] & 64) != 0 ? 20 : 0;
    if (!stream_open(&stream, bytes, data[1] >> 4, 1 + data[0] % 32, settings)) {
        stream_close(&stream);
        return 0;
    }
    size_t len = stream_read(&stream, body, sizeof(body), 1 + data[1] % 16, &error);
    enum lc_http1_result whole = feed(bytes, &stream.server.rules, &all, &used);

    lc_assert(len == all.len && memcmp(body, all.body, len) == 0);
    lc_assert((whole == LC_HTTP1_FAIL) ==
              (error == EBADMSG || error == EPROTO || error == EFBIG));
    if (whole == LC_HTTP1_DONE) {
        struct lc_slice rest = lc_pull_end(stream.exchange);

        lc_assert(error == 0 && !stream.exchange->pull.has_eof);
        lc_assert(rest.len == bytes.len - used - stream.unsent.len);
        lc_assert(rest.len == 0 || memcmp(rest.at, bytes.at + used, rest.len) == 0);
    }
    stream_close(&stream);
    return 0;
}
