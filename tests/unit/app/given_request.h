/* tests/unit/app/given_request.h — requests made by hand, and a host that notes the answers. */
#pragma once
#include "app/request.h"

#include <stdio.h>
#include <string.h>

/* What the latest response was, as it went on the wire. */
struct heard {
    char text[16384];
    size_t len;
    int ends;
    bool is_broken;
};

static struct heard heard;

static void hear(struct lc_slice bytes)
{
    size_t room = sizeof(heard.text) - 1 - heard.len;
    size_t len = bytes.len < room ? bytes.len : room;

    if (len > 0)
        memcpy(heard.text + heard.len, bytes.at, len);
    heard.len += len;
    heard.text[heard.len] = '\0';
}

static enum lc_flow host_send(struct lc_request *request, struct lc_slice text,
                              struct lc_slice body, void (*release)(void *), void *owner)
{
    (void)request;
    hear(text);
    hear(body);
    if (release != NULL)
        release(owner);
    return LC_FLOW_GO;
}

static enum lc_flow host_flow(struct lc_request *request)
{
    (void)request;
    return LC_FLOW_GO;
}

static void host_end(struct lc_request *request, bool is_broken)
{
    (void)request;
    heard.ends++;
    heard.is_broken = is_broken;
}

static bool host_may_keep(const struct lc_request *request)
{
    (void)request;
    return true;
}

static struct lc_slice host_date_line(const struct lc_request *request)
{
    (void)request;
    return LC_SLICE("Date: Sat, 21 Nov 2026 07:45:55 GMT\r\n");
}

static const struct lc_host_ops host = {
    .send = host_send,
    .flush = host_flow,
    .wait = host_flow,
    .end = host_end,
    .may_keep = host_may_keep,
    .date_line = host_date_line,
};

/* A request for `target` that must stay as long as the request does. One at a time. */
static struct lc_request *given_request(const char *method, const char *target)
{
    static const struct lc_endpoints endpoints = {.remote_addr = "192.0.2.7",
                                                  .remote_port = "51234",
                                                  .server_addr = "127.0.0.1",
                                                  .server_port = "8000"};
    static _Alignas(16) char block[8192];
    static struct lc_keep keep;
    static struct lc_request request;

    memset(&heard, 0, sizeof(heard));
    request = (struct lc_request){
        .method = lc_slice(method),
        .target = lc_slice(target),
        .version = 11,
        .body.fd = -1,
        .endpoints = &endpoints,
        .keep = &keep,
        .host = &host,
        .header_room = LC_HEAD_COUNT,
        .started_us = 1000000,
    };
    request.headers = request.first_headers;
    lc_arena_init(&request.arena, block, sizeof(block));
    lc_request_split_target(&request);
    return &request;
}

static inline void given_header(struct lc_request *request, const char *name,
                                const char *value)
{
    request->headers[request->header_count++] = (struct lc_header){lc_slice(name),
                                                                   lc_slice(value)};
}
