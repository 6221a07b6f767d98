/* master/control/client.h — one connection to the control socket. */
#pragma once
#include "base/list.h"
#include "master/control/wait.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

struct lc_master;

struct lc_client {
    struct lc_list link;
    uv_poll_t watch;
    int fd; /* -1: closed; the memory goes with the handle */
    int events;
    bool is_ready;   /* the loop saw something, or a request waits in `in` */
    bool is_gone;    /* it takes no answers any more                       */
    uint64_t due_ms; /* closed then, unless something comes                 */
    struct ucred peer;

    char *in; /* a request that may not be complete */
    size_t in_len, in_room;
    char *out; /* an answer that has not all left */
    size_t out_at, out_len;

    struct lc_wait wait; /* what its latest request waits for, and its id */
    json_t *wait_id;
};

/* Takes the socket over. The client is in `list` until it is closed. */
struct lc_client *lc_client_open(struct lc_master *m, struct lc_list *list, int fd,
                                 const struct ucred *peer);
void lc_client_close(struct lc_client *client);

/* Reads, carries out one request at most, writes; may close the client. */
void lc_client_serve(struct lc_master *m, struct lc_client *client);

/* Sends the answer if what it waits for has come; closes it when it was silent for too long. */
void lc_client_look(struct lc_master *m, struct lc_client *client);
