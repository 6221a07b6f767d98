#include "master/monitor/visitor.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "master/monitor/pages.h"
#include "master/state.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum {
    PATIENCE_MS = 5000, /* for the whole visit */
    PIECE = 4096,       /* read in one turn    */
    HEAD_MAX = 16 * 1024,
};

/* ---- the request ---- */

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct lc_visitor *visitor = parser->data;

    visitor->is_too_long = len > sizeof(visitor->target) - visitor->target_len;
    if (visitor->is_too_long)
        return -1;
    memcpy(visitor->target + visitor->target_len, at, len);
    visitor->target_len += len;
    return 0;
}

/* A body would be nobody's: what follows the head is not looked at. */
static int on_headers_complete(llhttp_t *parser)
{
    struct lc_visitor *visitor = parser->data;

    visitor->is_asked = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t *settings(void)
{
    static llhttp_settings_t table;

    if (table.on_url == NULL) {
        llhttp_settings_init(&table);
        table.on_url = on_url;
        table.on_headers_complete = on_headers_complete;
    }
    return &table;
}

/* ---- life ---- */

static void on_event(uv_poll_t *watch, int status, int events)
{
    LC_CONTAINER(watch, struct lc_visitor, watch)->is_ready = true;
}

static void watch_for(struct lc_visitor *visitor, int events)
{
    if (visitor->events == events)
        return;
    visitor->events = events;
    uv_poll_start(&visitor->watch, events, on_event);
}

struct lc_visitor *lc_visitor_open(struct lc_master *m, struct lc_list *list, int fd)
{
    struct lc_visitor *visitor = lc_new(struct lc_visitor);

    visitor->fd = fd;
    visitor->due_ms = lc_clock_ms() + PATIENCE_MS;
    llhttp_init(&visitor->parser, HTTP_REQUEST, settings());
    visitor->parser.data = visitor;
    uv_poll_init(&m->loop, &visitor->watch, fd);
    lc_list_append(list, &visitor->link);
    watch_for(visitor, UV_READABLE);
    return visitor;
}

static void on_closed(uv_handle_t *handle)
{
    free(LC_CONTAINER((uv_poll_t *)handle, struct lc_visitor, watch));
}

void lc_visitor_close(struct lc_visitor *visitor)
{
    lc_list_remove(&visitor->link);
    uv_close((uv_handle_t *)&visitor->watch, on_closed);
    lc_fd_close(&visitor->fd);
    free(visitor->out);
}

/* ---- reading, writing ---- */

/* -1: nothing will come any more. */
static ssize_t receive(struct lc_visitor *visitor, char piece[PIECE])
{
    ssize_t len = recv(visitor->fd, piece, PIECE, 0);

    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return len > 0 ? len : -1;
}

static void answer(struct lc_master *m, struct lc_visitor *visitor)
{
    struct lc_slice target = {visitor->target, visitor->target_len};

    visitor->out = lc_page_make(m, (llhttp_method_t)visitor->parser.method, target,
                                &visitor->out_len);
}

static int take_request(struct lc_master *m, struct lc_visitor *visitor)
{
    char piece[PIECE];
    ssize_t len = receive(visitor, piece);

    if (len <= 0)
        return (int)len;
    visitor->received += (size_t)len;
    llhttp_errno_t rc = llhttp_execute(&visitor->parser, piece, (size_t)len);
    if (visitor->is_asked && visitor->parser.http_major == 1)
        answer(m, visitor);
    else if (visitor->is_too_long)
        visitor->out = lc_page_refusal(LC_PAGE_TARGET_TOO_LONG, &visitor->out_len);
    else if (rc != HPE_OK || visitor->is_asked)
        visitor->out = lc_page_refusal(LC_PAGE_BAD_REQUEST, &visitor->out_len);
    else if (visitor->received > HEAD_MAX)
        visitor->out = lc_page_refusal(LC_PAGE_HEAD_TOO_LONG, &visitor->out_len);
    return 0;
}

/* A plain close would reset the connection if more has come, and could take the answer with it. */
static int write_answer(struct lc_visitor *visitor)
{
    ssize_t sent = send(visitor->fd, visitor->out + visitor->out_at,
                        visitor->out_len - visitor->out_at, MSG_NOSIGNAL);

    if (sent < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    visitor->out_at += (size_t)sent;
    if (visitor->out_at == visitor->out_len) {
        visitor->is_answered = true;
        shutdown(visitor->fd, SHUT_WR);
    }
    return 0;
}

static int wait_for_the_end(struct lc_visitor *visitor)
{
    char piece[PIECE];

    return receive(visitor, piece) < 0 ? -1 : 0;
}

static int go_on(struct lc_master *m, struct lc_visitor *visitor)
{
    if (visitor->is_answered)
        return wait_for_the_end(visitor);
    if (visitor->out == NULL && take_request(m, visitor) < 0)
        return -1;
    return visitor->out == NULL ? 0 : write_answer(visitor);
}

int lc_visitor_serve(struct lc_master *m, struct lc_visitor *visitor)
{
    if (lc_clock_ms() >= visitor->due_ms)
        return -1;
    lc_master_wake_at(m, visitor->due_ms);
    if (!visitor->is_ready)
        return 0;
    visitor->is_ready = false;
    if (go_on(m, visitor) < 0)
        return -1;
    watch_for(visitor,
              visitor->out != NULL && !visitor->is_answered ? UV_WRITABLE : UV_READABLE);
    return 0;
}
