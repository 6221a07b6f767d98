#include "worker/exchange.h"

#include "config/config.h"
#include "worker/conn.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <string.h>

enum { POOL_MAX = 256 };

static bool on_body(void *owner, struct lc_slice piece, struct lc_fault *fault)
{
    struct lc_exchange *exchange = owner;
    struct lc_error err;

    if (lc_gather_add(&exchange->body, piece, lc_http1_content_length(&exchange->http1),
                      &err) == 0)
        return true;
    lc_log(LC_ERROR, "%s", err.text);
    *fault = (struct lc_fault){.status = 500, .reason = "Internal Server Error"};
    return false;
}

struct lc_exchange *lc_exchange_lend(struct lc_server *server, struct lc_conn *conn)
{
    struct lc_exchange *exchange = server->free_exchanges;

    if (exchange != NULL) {
        server->free_exchanges = exchange->next_free;
        server->free_exchange_count--;
    } else {
        exchange = lc_malloc(sizeof(*exchange));
        lc_arena_init(&exchange->request.arena, exchange->first_block,
                      sizeof(exchange->first_block));
    }

    struct lc_request *request = &exchange->request;
    memset(request, 0, offsetof(struct lc_request, arena));
    request->headers = request->first_headers;
    request->header_room = LC_HEAD_COUNT;
    request->body.fd = -1;
    request->endpoints = &conn->endpoints;
    request->keep = &conn->keep;
    request->host = server->host;
    request->started_us = server->now_us;
    request->pipeline = server->pipeline;
    request->is_https = conn->endpoints.tls != NULL;

    exchange->conn = conn;
    exchange->head = (struct lc_slice){NULL, 0};
    exchange->kept = NULL;
    exchange->is_received = exchange->is_stuck = exchange->is_calling = false;
    exchange->is_broken = exchange->is_counted = false;
    exchange->fault.status = 0;
    exchange->pull.buffer = NULL;
    exchange->ended_us = 0;
    lc_gather_init(&exchange->body, server->config->tmp_upload_dir);
    lc_http1_begin(&exchange->http1, request, &server->rules, conn->is_trusted,
                   &exchange->fault);
    exchange->http1.on_body = on_body;
    exchange->http1.owner = exchange;
    return exchange;
}

void lc_exchange_return(struct lc_server *server, struct lc_exchange *exchange)
{
    lc_arena_reset(&exchange->request.arena);
    lc_gather_deinit(&exchange->body);
    lc_pull_deinit(&exchange->pull);
    free(exchange->kept);
    if (server->free_exchange_count == POOL_MAX) {
        free(exchange);
        return;
    }
    exchange->next_free = server->free_exchanges;
    server->free_exchanges = exchange;
    server->free_exchange_count++;
}

bool lc_exchange_is_received(const struct lc_exchange *exchange)
{
    return exchange->http1.is_complete || exchange->is_received;
}

void lc_exchange_free_all(struct lc_server *server)
{
    while (server->free_exchanges != NULL) {
        struct lc_exchange *exchange = server->free_exchanges;

        server->free_exchanges = exchange->next_free;
        free(exchange);
    }
    server->free_exchange_count = 0;
}
