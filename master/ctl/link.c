#include "master/ctl/link.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "master/control/frame.h"

#include <licorne/error.h>

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

static int refuse(const struct lc_link *link, const char *path, struct lc_error *err)
{
    if (errno == EACCES || errno == EPERM) {
        lc_error_sys(err, "'%s'", path);
        return EX_NOPERM;
    }
    if (errno == EAGAIN) {
        lc_error_set(err, LC_E_SYSTEM, "the server at '%s' took no call within %ld s",
                     path, link->timeout_ms / 1000);
        return EX_TEMPFAIL;
    }
    if (errno == ENOENT || errno == ECONNREFUSED)
        lc_error_set(err, LC_E_SYSTEM,
                     "no server listens at '%s'. Is it running? Was it started with "
                     "--no-control-socket?",
                     path);
    else
        lc_error_sys(err, "'%s'", path);
    return EX_UNAVAILABLE;
}

/* As many calls as its queue holds wait already: connect waits, too, and so may send. */
static int limit_patience(int fd, long timeout_ms)
{
    struct timeval limit = {
        .tv_sec = timeout_ms / 1000,
        .tv_usec = timeout_ms % 1000 * 1000,
    };

    return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

int lc_link_open(struct lc_link *link, const char *path, struct lc_error *err)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    LC_AUTOCLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    link->fd = -1;
    link->path = path;
    if (fd < 0 || limit_patience(fd, link->timeout_ms) < 0)
        return refuse(link, "socket", err);
    if (strlen(path) >= sizeof(name.sun_path)) {
        errno = ENAMETOOLONG;
        return refuse(link, path, err);
    }
    memcpy(name.sun_path, path, strlen(path));
    if (connect(fd, (const struct sockaddr *)&name, sizeof(name)) < 0)
        return refuse(link, path, err);
    link->fd = lc_fd_take(&fd);
    return 0;
}

void lc_link_close(struct lc_link *link)
{
    lc_fd_close(&link->fd);
}

/* ---- there ---- */

/* NULL if a word is not UTF-8: the server must not obey the others without it. */
static json_t *request(struct lc_link *link, const char *command, char **words)
{
    json_t *args = json_array();
    bool is_sound = true;

    for (; words != NULL && *words != NULL; words++)
        is_sound = json_array_append_new(args, json_string(*words)) == 0 && is_sound;
    json_t *object = json_pack("{s:I, s:s, s:O}", "id", (json_int_t)++link->last_id,
                               "command", command, "args", args);
    json_decref(args);
    if (is_sound)
        return object;
    json_decref(object);
    return NULL;
}

static int send_all(const struct lc_link *link, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(link->fd, at, len, MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return -1;
        at += sent;
        len -= (size_t)sent;
    }
    return 0;
}

static int send_request(struct lc_link *link, const char *command, char **words,
                        struct lc_error *err)
{
    json_t *object = request(link, command, words);
    LC_AUTOFREE char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);
    char head[LC_FRAME_HEAD];

    json_decref(object);
    if (text == NULL)
        return lc_error_set(err, LC_E_CONFIG, "the command is not UTF-8");
    if (strlen(text) > LC_REQUEST_MAX)
        return lc_error_set(err, LC_E_CONFIG, "the command is too long");
    lc_frame_put_head(head, (uint32_t)strlen(text));
    if (send_all(link, head, sizeof(head)) < 0 || send_all(link, text, strlen(text)) < 0)
        return lc_error_sys(err, "'%s'", link->path);
    return 0;
}

/* ---- and back ---- */

static int wait_for_more(const struct lc_link *link, uint64_t end_ms)
{
    struct pollfd watched = {.fd = link->fd, .events = POLLIN};

    for (;;) {
        uint64_t now = lc_clock_ms();
        int patience = end_ms == 0 ? -1 : now >= end_ms ? 0 : (int)(end_ms - now);
        int rc = poll(&watched, 1, patience);

        if (rc >= 0 || errno != EINTR)
            return rc;
    }
}

static int receive_all(const struct lc_link *link, char *at, size_t len, uint64_t end_ms,
                       struct lc_error *err)
{
    while (len > 0) {
        int rc = wait_for_more(link, end_ms);

        if (rc == 0)
            return lc_error_set(err, LC_E_SYSTEM,
                                "the server at '%s' gave no answer within %ld s",
                                link->path, link->timeout_ms / 1000);
        ssize_t got = rc < 0 ? -1 : recv(link->fd, at, len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = ECONNRESET;
        if (got <= 0)
            return lc_error_sys(err, "the server at '%s' gave no answer", link->path);
        at += got;
        len -= (size_t)got;
    }
    return 0;
}

static json_t *receive_reply(const struct lc_link *link, struct lc_error *err)
{
    uint64_t end_ms = link->timeout_ms == 0 ? 0
                                            : lc_clock_ms() + (uint64_t)link->timeout_ms;
    char head[LC_FRAME_HEAD];
    json_error_t why;

    if (receive_all(link, head, sizeof(head), end_ms, err) < 0)
        return NULL;
    ssize_t length = lc_frame_length(head, sizeof(head), LC_REPLY_MAX);
    if (length < 0) {
        lc_error_set(err, LC_E_PROTOCOL, "what answers at '%s' is no Licorne",
                     link->path);
        return NULL;
    }
    size_t len = (size_t)length - LC_FRAME_HEAD;
    LC_AUTOFREE char *text = lc_malloc(len);
    if (receive_all(link, text, len, end_ms, err) < 0)
        return NULL;
    json_t *reply = json_loadb(text, len, 0, &why);
    if (reply == NULL)
        lc_error_set(err, LC_E_PROTOCOL, "the answer is not JSON: %s", why.text);
    return reply;
}

json_t *lc_link_ask(struct lc_link *link, const char *command, char **words,
                    struct lc_error *err)
{
    if (send_request(link, command, words, err) < 0)
        return NULL;
    json_t *reply = receive_reply(link, err);
    if (reply == NULL)
        return NULL;

    const char *error = json_string_value(json_object_get(reply, "error"));
    json_t *data = json_incref(json_object_get(reply, "data"));
    if (data == NULL)
        lc_error_set(err, LC_E_CONFIG, "%s", error != NULL ? error : "no data came");
    json_decref(reply);
    return data;
}

int lc_link_exit_code(const struct lc_error *err)
{
    switch (err->code) {
    case LC_E_CONFIG: return EXIT_FAILURE;
    case LC_E_SYSTEM: return EX_TEMPFAIL; /* it was there a moment ago */
    default: return EX_UNAVAILABLE;
    }
}
