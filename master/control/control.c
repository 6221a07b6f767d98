#include "master/control/control.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "config/config.h"
#include "master/control/client.h"
#include "master/control/door.h"
#include "master/state.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS_MAX = 64, REST_MS = 1000 };

struct lc_control {
    struct lc_door door;
    uv_poll_t watch;
    bool has_callers;
    bool is_open_to_others; /* the mode of the file says who may connect */
    struct lc_list clients;
    uint64_t rest_until_ms; /* accept had no descriptor left */
};

static struct lc_client *client_of(struct lc_list *link)
{
    return LC_CONTAINER(link, struct lc_client, link);
}

/* ---- the socket ---- */

static void on_caller(uv_poll_t *watch, int status, int events)
{
    LC_CONTAINER(watch, struct lc_control, watch)->has_callers = true;
}

/* Nobody has asked for the default socket: that there is none deserves no warning. */
static void say_why_not(const struct lc_config *config, const struct lc_error *err)
{
    if (config->control_socket != NULL)
        lc_log(LC_WARN, "No control socket: %s", err->text);
    else
        lc_log(LC_INFO, "No control socket, because no place for one was found: %s",
               err->text);
}

void lc_control_open(struct lc_master *m)
{
    const struct lc_config *config = m->serving->config;
    struct lc_error err = {0};
    struct lc_door door;

    if (config->control_socket_disable)
        return;
    if (lc_door_open(&door, config, m->handed.predecessor, &err) < 0) {
        say_why_not(config, &err);
        return;
    }
    struct lc_control *control = lc_new(struct lc_control);
    control->door = door;
    control->is_open_to_others = (config->control_socket_mode & 022) != 0;
    lc_list_init(&control->clients);
    json_set_alloc_funcs(lc_malloc, free); /* an answer is never half of itself */
    uv_poll_init(&m->loop, &control->watch, door.fd);
    uv_poll_start(&control->watch, UV_READABLE, on_caller);
    m->control = control;
    lc_log(LC_INFO, "Control socket listening at %s", door.path);
}

void lc_control_promote(struct lc_master *m)
{
    struct lc_error err = {0};

    if (m->control == NULL)
        return;
    if (lc_door_promote(&m->control->door, &err) < 0)
        lc_log(LC_WARN, "The control socket stays at %s: %s", m->control->door.path,
               err.text);
}

const char *lc_control_path(const struct lc_master *m)
{
    return m->control == NULL ? NULL : m->control->door.path;
}

/* ---- callers ---- */

static bool may_enter(const struct lc_control *control, const struct ucred *peer)
{
    return control->is_open_to_others || peer->uid == 0 || peer->uid == geteuid();
}

/* Who was silent for longest and waits for nothing. */
static struct lc_client *idlest(const struct lc_control *control)
{
    struct lc_client *found = NULL;

    LC_LIST_EACH (at, &control->clients) {
        struct lc_client *client = client_of(at);

        if (client->wait.what == LC_WAIT_NOTHING &&
            (found == NULL || client->due_ms < found->due_ms))
            found = client;
    }
    return found;
}

/* Those who only hold a place must not keep the administrator out. */
static bool make_room(struct lc_control *control)
{
    unsigned count = 0;

    LC_LIST_EACH (at, &control->clients)
        count++;
    if (count < CLIENTS_MAX)
        return true;

    struct lc_client *client = idlest(control);
    if (client != NULL)
        lc_client_close(client);
    return client != NULL;
}

static void let_in(struct lc_master *m, int fd)
{
    struct lc_control *control = m->control;
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
        !may_enter(control, &peer) || !make_room(control)) {
        close(fd);
        return;
    }
    lc_client_open(m, &control->clients, fd, &peer);
}

static void take_callers(struct lc_master *m)
{
    struct lc_control *control = m->control;
    int fd;

    if (!control->has_callers)
        return;
    control->has_callers = false;
    while ((fd = accept4(control->door.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >=
           0)
        let_in(m, fd);
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        uv_poll_stop(&control->watch); /* it would report the same caller at once */
        control->rest_until_ms = lc_clock_ms() + REST_MS;
    }
}

static void listen_again(struct lc_master *m)
{
    struct lc_control *control = m->control;

    if (control->rest_until_ms == 0)
        return;
    lc_master_wake_at(m, control->rest_until_ms);
    if (lc_clock_ms() < control->rest_until_ms)
        return;
    control->rest_until_ms = 0;
    uv_poll_start(&control->watch, UV_READABLE, on_caller);
}

/* ---- chores ---- */

void lc_control_hear(struct lc_master *m)
{
    struct lc_control *control = m->control;

    if (control == NULL)
        return;
    take_callers(m);
    LC_LIST_EACH_SAFE (at, &control->clients)
        if (client_of(at)->is_ready)
            lc_client_serve(m, client_of(at));
}

void lc_control_answer(struct lc_master *m)
{
    if (m->control == NULL)
        return;
    listen_again(m);
    LC_LIST_EACH_SAFE (at, &m->control->clients)
        lc_client_look(m, client_of(at));
}

void lc_control_on_reloaded(struct lc_master *m)
{
    if (m->control == NULL)
        return;
    LC_LIST_EACH_SAFE (at, &m->control->clients)
        if (client_of(at)->wait.what == LC_WAIT_RELOAD)
            lc_client_look(m, client_of(at));
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *handle)
{
    free(LC_CONTAINER((uv_poll_t *)handle, struct lc_control, watch));
}

void lc_control_drop(struct lc_master *m)
{
    struct lc_control *control = m->control;

    m->control = NULL;
    if (control == NULL)
        return;
    LC_LIST_EACH_SAFE (at, &control->clients)
        lc_client_close(client_of(at));
    uv_close((uv_handle_t *)&control->watch, on_closed);
    lc_door_close(&control->door);
}

void lc_control_close(struct lc_master *m)
{
    if (m->control == NULL)
        return;
    lc_door_remove(&m->control->door);
    lc_control_answer(m);
    lc_control_drop(m);
}
