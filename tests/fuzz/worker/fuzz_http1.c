/* Requests from hostile bytes, under any settings. The first three bytes choose the settings, the
 * fourth how the rest is cut; whatever the cut, the result must be the same as for the whole. */
#include "worker/http1.h"

#include "app/request.h"
#include "base/mem.h"
#include "tests/unit/worker/given_rules.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct outcome {
    enum lc_http1_result result;
    struct lc_fault fault;
    uint64_t hash;
    size_t used, body_len;
    unsigned flags;
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

/* Where the bytes are cut: all equally long, or as a small generator has it. */
struct cuts {
    uint32_t seed;
    size_t step; /* 0: at random */
};

static size_t next(struct cuts *cuts, size_t left)
{
    size_t n = cuts->step;

    if (n == 0) {
        cuts->seed = cuts->seed * 1664525u + 1013904223u;
        n = 1 + (cuts->seed >> 16) % 40;
    }
    return n < left ? n : left;
}

static struct outcome feed(struct lc_slice bytes, struct cuts cuts,
                           const struct lc_rules *rules, bool is_trusted)
{
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
    lc_http1_begin(&http1, &request, rules, is_trusted, &o.fault);
    http1.on_body = on_body;
    http1.owner = &o;
    while (o.result == LC_HTTP1_MORE && have < bytes.len) {
        have += next(&cuts, bytes.len - have);
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
        mix(&o, lc_request_scheme(&request));
        o.flags = (unsigned)request.version << 8 | request.wants_close |
                  request.expects_100 << 1 | request.is_chunked_body << 2 |
                  request.has_endless_body << 3;
    }
    while (o.result == LC_HTTP1_HEAD ||
           (o.result == LC_HTTP1_MORE && http1.is_past_head)) {
        size_t n = bytes.len - o.used;

        if (n == 0)
            break;
        n = next(&cuts, n);
        o.result = lc_http1_body(&http1, (struct lc_slice){bytes.at + o.used, n}, &used);
        o.used += used;
    }
    lc_arena_deinit(&request.arena);
    free(copy);
    return o;
}

static struct lc_rules rules_from(const uint8_t *bits)
{
    struct lc_config settings = ordinary_settings();
    static const char *const maps[] = {"drop", "refuse", "dangerous", "drop"};
    static const char *const forwarders[] = {"SCRIPT_NAME,PATH_INFO", "*", "", "A_B"};

    settings.permit_obsolete_folding = (bits[0] & 1) != 0;
    settings.strip_header_spaces = (bits[0] & 2) != 0;
    settings.permit_unconventional_http_method = (bits[0] & 4) != 0;
    settings.permit_unconventional_http_version = (bits[0] & 8) != 0;
    settings.casefold_http_method = (bits[0] & 16) != 0;
    settings.header_map = (char *)maps[bits[0] >> 5 & 3];
    settings.forwarder_headers = (char *)forwarders[bits[1] & 3];
    if ((bits[1] & 4) != 0)
        settings.secure_scheme_headers = (char *)"A=b, X_Y=z, Host=h";
    settings.limit_request_body = (bits[1] & 8) != 0 ? 20 : 0;
    settings.limit_request_line = (bits[2] & 1) != 0 ? 40 : 200;
    settings.limit_request_fields = (bits[2] & 2) != 0 ? 3 : 40;
    settings.limit_request_field_size = (bits[2] & 4) != 0 ? 20 : 300;
    struct lc_rules rules = rules_of(settings);
    if ((bits[2] & 8) != 0)
        rules.head = 100;
    return rules;
}

/* The one message that tells how much of a line had come. */
static bool counts_bytes(const struct lc_fault *fault)
{
    return strncmp(fault->text, "Request Line is too large", 25) == 0;
}

static void check_alike(const struct outcome *whole, const struct outcome *cut)
{
    if (whole->result == LC_HTTP1_FAIL || cut->result == LC_HTTP1_FAIL) {
        lc_assert(whole->result == cut->result);
        lc_assert(whole->fault.status == cut->fault.status);
        lc_assert(whole->fault.status >= 400);
        lc_assert(strcmp(whole->fault.text, cut->fault.text) == 0 ||
                  (counts_bytes(&whole->fault) && counts_bytes(&cut->fault)));
        return;
    }
    lc_assert(whole->result == cut->result ||
              (whole->result == LC_HTTP1_HEAD && cut->result == LC_HTTP1_MORE) ||
              (whole->result == LC_HTTP1_MORE && cut->result == LC_HTTP1_HEAD));
    lc_assert(whole->hash == cut->hash && whole->body_len == cut->body_len);
    lc_assert(whole->used == cut->used && whole->flags == cut->flags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5)
        return 0;
    struct lc_slice bytes = {(const char *)data + 4, size - 4};
    struct lc_rules rules = rules_from(data);
    bool is_trusted = (data[1] & 16) != 0;
    struct outcome whole = feed(bytes, (struct cuts){.step = bytes.len}, &rules,
                                is_trusted);
    struct outcome cut = feed(bytes, (struct cuts){data[3], data[3] % 4}, &rules,
                              is_trusted);

    check_alike(&whole, &cut);
    lc_rules_deinit(&rules);
    return 0;
}
