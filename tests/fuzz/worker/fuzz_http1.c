/* Requests from hostile bytes. The first byte says how the rest is cut; whatever the cut, the
 * result must be the same as for the whole. */
#include "worker/http1.h"

#include "app/request.h"
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct outcome {
    enum lc_http1_result result;
    struct lc_fault fault;
    uint64_t hash;
    size_t used, body_len;
};

static void mix(struct outcome *o, struct lc_slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        o->hash = (o->hash ^ (unsigned char)bytes.at[i]) * 1099511628211u;
    o->hash = (o->hash ^ 0x100) * 1099511628211u;
}

static bool on_body(void *owner, struct lc_slice piece, struct lc_fault *fault)
{
    struct outcome *o = owner;

    (void)fault;
    for (size_t i = 0; i < piece.len; i++)
        o->hash = (o->hash ^ (unsigned char)piece.at[i]) * 1099511628211u;
    o->body_len += piece.len;
    return true;
}

static struct outcome feed(struct lc_slice bytes, size_t step)
{
    static const struct lc_limits limits = {200, 10, 300};
    static _Alignas(16) char block[4096];
    static struct lc_request request;
    struct lc_http1 http1;
    struct outcome o = {.result = LC_HTTP1_MORE};
    size_t have = 0, used = 0;
    char *copy = NULL;

    memset(&request, 0, sizeof(request));
    lc_arena_init(&request.arena, block, sizeof(block));
    request.headers = request.first_headers;
    request.header_room = LC_HEAD_COUNT;
    lc_http1_begin(&http1, &request, &limits, true, &o.fault);
    http1.on_body = on_body;
    http1.owner = &o;
    while (o.result == LC_HTTP1_MORE && have < bytes.len) {
        have = have + step < bytes.len ? have + step : bytes.len;
        free(copy);
        copy = lc_strndup(bytes.at, have);
        o.result = lc_http1_head(&http1, (struct lc_slice){copy, have}, &used);
        o.used = used;
    }
    if (o.result == LC_HTTP1_HEAD || o.result == LC_HTTP1_DONE) {
        mix(&o, request.method);
        mix(&o, request.target);
        mix(&o, request.path);
        mix(&o, request.query);
        for (size_t i = 0; i < request.header_count; i++) {
            mix(&o, request.headers[i].name);
            mix(&o, request.headers[i].value);
        }
    }
    while (o.result == LC_HTTP1_HEAD ||
           (o.result == LC_HTTP1_MORE && http1.is_past_head)) {
        size_t n = bytes.len - o.used < step ? bytes.len - o.used : step;

        if (n == 0)
            break;
        o.result = lc_http1_body(&http1, (struct lc_slice){bytes.at + o.used, n}, &used);
        o.used += used;
    }
    lc_arena_deinit(&request.arena);
    free(copy);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct lc_slice bytes = {(const char *)data + 1, size - 1};
    struct outcome whole = feed(bytes, bytes.len);
    struct outcome cut = feed(bytes, 1 + data[0] % 16);

    if (whole.result == LC_HTTP1_FAIL || cut.result == LC_HTTP1_FAIL) {
        lc_assert(whole.result == cut.result);
        return 0;
    }
    lc_assert(whole.result == cut.result ||
              (whole.result == LC_HTTP1_HEAD && cut.result == LC_HTTP1_MORE) ||
              (whole.result == LC_HTTP1_MORE && cut.result == LC_HTTP1_HEAD));
    lc_assert(whole.hash == cut.hash && whole.body_len == cut.body_len);
    return 0;
}
