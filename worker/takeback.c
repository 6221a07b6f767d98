#include "worker/takeback.h"

#include "worker/conn.h"
#include "worker/reply.h"

static struct lc_server *server_of(const struct lc_request *request)
{
    return ((const struct lc_exchange *)(const void *)request)->conn->server;
}

static void lend_again(struct lc_server *server, bool was_lent)
{
    if (was_lent)
        lc_loan_lend(&server->loan);
}

static enum lc_flow on_send(struct lc_request *request, struct lc_slice text,
                            struct lc_slice body, void (*release)(void *), void *owner)
{
    struct lc_server *server = server_of(request);
    bool was_lent = lc_loan_take_back(&server->loan);
    enum lc_flow flow = lc_reply_ops.send(request, text, body, release, owner);

    lend_again(server, was_lent);
    return flow;
}

static enum lc_flow on_send_file(struct lc_request *request, struct lc_slice text,
                                 int file, uint64_t offset, uint64_t length)
{
    struct lc_server *server = server_of(request);
    bool was_lent = lc_loan_take_back(&server->loan);
    enum lc_flow flow = lc_reply_ops.send_file(request, text, file, offset, length);

    lend_again(server, was_lent);
    return flow;
}

static enum lc_flow on_flush(struct lc_request *request)
{
    struct lc_server *server = server_of(request);
    bool was_lent = lc_loan_take_back(&server->loan);
    enum lc_flow flow = lc_reply_ops.flush(request);

    lend_again(server, was_lent);
    return flow;
}

static enum lc_flow on_wait(struct lc_request *request)
{
    struct lc_server *server = server_of(request);
    bool was_lent = lc_loan_take_back(&server->loan);
    enum lc_flow flow = lc_reply_ops.wait(request);

    lend_again(server, was_lent);
    return flow;
}

static void on_receive(struct lc_request *request)
{
    struct lc_server *server = server_of(request);
    bool was_lent = lc_loan_take_back(&server->loan);

    lc_reply_ops.receive(request);
    lend_again(server, was_lent);
}

/* With the end of a response that was answered later, its connection goes on. */
static void on_end(struct lc_request *request, bool is_broken)
{
    struct lc_exchange *exchange = (struct lc_exchange *)(void *)request;
    struct lc_server *server = exchange->conn->server;

    if (exchange->is_calling) { /* it goes on when the call is over */
        lc_reply_ops.end(request, is_broken);
        return;
    }
    bool was_lent = lc_loan_take_back(&server->loan);
    lc_reply_ops.end(request, is_broken);
    lend_again(server, was_lent);
}

const struct lc_host_ops lc_takeback_ops = {
    .send = on_send,
    .send_file = on_send_file,
    .flush = on_flush,
    .wait = on_wait,
    .receive = on_receive,
    .end = on_end,
    /* These touch nothing but their own request. */
    .may_keep = lc_reply_may_keep,
    .date_line = lc_reply_date_line,
};
