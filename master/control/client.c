#include "master/control/client.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "config/config.h"
#include "master/control/commands.h"
#include "master/control/frame.h"
#include "master/control/request.h"
#include "master/state.h"

#include <licorne/error.h>

#include <errno.h>
#include <string.h>

enum { IDLE_MS = 300 * 1000, FIRST_ROOM = 4096 };

/* ---- life ---- */

static void on_event(uv_poll_t *watch, int status, int events)
{
    struct lc_client *client = LC_CONTAINER(watch, struct lc_client, watch);

    client->is_ready = true;
    client->is_gone = client->is_gone || status < 0 || (events & UV_DISCONNECT);
}

static void watch_for(struct lc_client *client, int events)
{
    if (client->events == events)
        return;
    client->events = events;
    uv_poll_start(&client->watch, events, on_event);
}

static void stay(struct lc_master *m, struct lc_client *client)
{
    client->due_ms = lc_clock_ms() + IDLE_MS;
    lc_master_wake_at(m, client->due_ms);
}

struct lc_client *lc_client_open(struct lc_master *m, struct lc_list *list, int fd,
                                 const struct ucred *peer)
{
    struct lc_client *client = lc_new(struct lc_client);

    client->fd = fd;
    client->peer = *peer;
    uv_poll_init(&m->loop, &client->watch, fd);
    lc_list_append(list, &client->link);
    watch_for(client, UV_READABLE);
    stay(m, client);
    return client;
}

static void on_closed(uv_handle_t *handle)
{
    free(LC_CONTAINER((uv_poll_t *)handle, struct lc_client, watch));
}

void lc_client_close(struct lc_client *client)
{
    lc_list_remove(&client->link);
    uv_close((uv_handle_t *)&client->watch, on_closed);
    lc_fd_close(&client->fd);
    lc_wait_clear(&client->wait);
    json_decref(client->wait_id);
    free(client->in);
    free(client->out);
}

/* ---- answers ---- */

/* -1: the client is gone. */
static int send_out(struct lc_client *client)
{
    while (client->out_at < client->out_len) {
        ssize_t sent = send(client->fd, client->out + client->out_at,
                            client->out_len - client->out_at, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == EAGAIN ? 0 : -1;
        client->out_at += (size_t)sent;
    }
    free(client->out);
    client->out = NULL;
    client->out_at = client->out_len = 0;
    return 0;
}

/* Takes `reply` over. */
static int send_reply(struct lc_client *client, json_t *reply)
{
    const size_t flags = JSON_COMPACT;
    size_t len = json_dumpb(reply, NULL, 0, flags);

    if (len == 0 || len > LC_REPLY_MAX) {
        json_decref(reply);
        return -1;
    }
    client->out = lc_malloc(LC_FRAME_HEAD + len);
    client->out_len = LC_FRAME_HEAD + len;
    lc_frame_put_head(client->out, (uint32_t)len);
    json_dumpb(reply, client->out + LC_FRAME_HEAD, len, flags);
    json_decref(reply);
    return send_out(client);
}

/* `id` and `data` are taken over; without data, `err` tells why. */
static int answer(struct lc_client *client, json_t *id, json_t *data,
                  const struct lc_error *err)
{
    json_t *reply = json_object();

    json_object_set_new(reply, "id", id);
    json_object_set_new(reply, "status", json_string(data != NULL ? "ok" : "error"));
    if (data != NULL)
        json_object_set_new(reply, "data", data);
    else
        json_object_set_new(reply, "error", lc_json_text(err->text));
    return send_reply(client, reply);
}

/* ---- requests ---- */

static int obey(struct lc_master *m, struct lc_client *client,
                struct lc_control_request *request)
{
    struct lc_error err = {0};
    json_t *data = lc_command_run(m, &request->words, &client->peer, &client->wait, &err);

    lc_master_wake_at(m, lc_clock_ms()); /* the chores see what has changed */
    if (client->wait.what != LC_WAIT_NOTHING) {
        client->wait_id = json_incref(request->id);
        return 0;
    }
    return answer(client, json_incref(request->id), data, &err);
}

static int handle(struct lc_master *m, struct lc_client *client, const char *text,
                  size_t len)
{
    struct lc_control_request request;
    struct lc_error err = {0};
    int rc;

    if (lc_control_request_read(&request, text, len, &err) == 0)
        rc = obey(m, client, &request);
    else if (err.code == LC_E_CONFIG)
        rc = answer(client, json_incref(request.id), NULL, &err);
    else
        rc = -1;
    lc_control_request_clear(&request);
    return rc;
}

/* ---- input ---- */

/* 1: something came; 0: nothing now; -1: nothing ever again. */
static int receive(struct lc_client *client)
{
    if (client->in_len == client->in_room) {
        client->in_room = client->in_room == 0 ? FIRST_ROOM : client->in_room * 2;
        client->in = lc_realloc(client->in, client->in_room);
    }
    ssize_t len = recv(client->fd, client->in + client->in_len,
                       client->in_room - client->in_len, 0);
    if (len < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (len == 0)
        return -1;
    client->in_len += (size_t)len;
    return 1;
}

/* The length of the frame that has come whole; 0: none has, -1: it is none of ours. */
static ssize_t whole_frame(const struct lc_client *client)
{
    ssize_t length = lc_frame_length(client->in, client->in_len, LC_REQUEST_MAX);

    return length > (ssize_t)client->in_len ? 0 : length;
}

static void drop_frame(struct lc_client *client, size_t length)
{
    client->in_len -= length;
    memmove(client->in, client->in + length, client->in_len);
}

/* One request; the next one has to wait for the other clients. */
static int take_request(struct lc_master *m, struct lc_client *client)
{
    ssize_t length = whole_frame(client);
    bool has_more = true;

    if (length == 0) {
        int rc = receive(client);

        if (rc < 0)
            return -1;
        has_more = rc > 0;
        length = whole_frame(client);
    }
    if (length < 0)
        return -1;
    client->is_ready = has_more;
    if (has_more)
        lc_master_wake_at(m, lc_clock_ms());
    if (length == 0)
        return 0;

    stay(m, client);
    int rc = handle(m, client, client->in + LC_FRAME_HEAD,
                    (size_t)length - LC_FRAME_HEAD);
    drop_frame(client, (size_t)length);
    return rc;
}

static int serve(struct lc_master *m, struct lc_client *client)
{
    if (client->out != NULL && send_out(client) < 0)
        return -1;
    if (client->out == NULL && client->wait.what == LC_WAIT_NOTHING)
        return take_request(m, client);
    client->is_ready = false; /* no other request is read now */
    return client->is_gone ? -1 : 0;
}

static int events_for(const struct lc_client *client)
{
    if (client->out != NULL)
        return UV_WRITABLE;
    return client->wait.what != LC_WAIT_NOTHING ? UV_DISCONNECT : UV_READABLE;
}

void lc_client_serve(struct lc_master *m, struct lc_client *client)
{
    if (serve(m, client) < 0)
        lc_client_close(client);
    else
        watch_for(client, events_for(client));
}

void lc_client_look(struct lc_master *m, struct lc_client *client)
{
    struct lc_error err = {0};
    int came = 0;

    if (client->wait.what != LC_WAIT_NOTHING)
        came = lc_wait_look(&client->wait, m, &err);
    else if (lc_clock_ms() >= client->due_ms)
        lc_client_close(client);
    else
        lc_master_wake_at(m, client->due_ms);
    if (came == 0)
        return;

    json_t *id = lc_take(&client->wait_id);
    json_t *data = came > 0 ? lc_take(&client->wait.data) : NULL;
    lc_wait_clear(&client->wait);
    stay(m, client);
    client->is_ready = true; /* the next request may have come meanwhile */
    lc_master_wake_at(m, lc_clock_ms());
    if (answer(client, id, data, &err) < 0)
        lc_client_close(client);
    else
        watch_for(client, events_for(client));
}
