#include "python/peer.h"

#include "python/socket.h"

#include <licorne/request.h>

#include <stdlib.h>
#include <string.h>

static struct lc_peer *gone; /* only the loop's thread looks at it */

static void free_peer(struct lc_peer *peer)
{
    if (peer->socket != NULL)
        lc_socket_forget(peer->socket);
    Py_XDECREF(peer->socket);
    Py_XDECREF(peer->remote_addr);
    Py_XDECREF(peer->remote_port);
    Py_XDECREF(peer->server_name);
    Py_XDECREF(peer->server_port);
    Py_XDECREF(peer->proxy_protocol);
    Py_XDECREF(peer->proxy_addr);
    Py_XDECREF(peer->proxy_port);
    free(peer);
}

void lc_peers_sweep(void)
{
    while (gone != NULL) {
        struct lc_peer *peer = gone;

        gone = peer->next;
        free_peer(peer);
    }
}

/* The host may give a connection up while another thread holds Python's lock. */
static void on_peer_gone(void *data)
{
    struct lc_peer *peer = data;

    peer->next = gone;
    gone = peer;
}

/* The last str of its kind: all connections of a proxy have the same address. */
struct last {
    PyObject *text;
    char bytes[48];
};

static PyObject *text_like(struct last *last, const char *text)
{
    if (last->text == NULL || strcmp(last->bytes, text) != 0) {
        PyObject *made = lc_py_text(lc_slice(text));

        if (made == NULL || strlen(text) >= sizeof(last->bytes))
            return made;
        Py_XDECREF(last->text);
        last->text = made;
        memcpy(last->bytes, text, strlen(text) + 1);
    }
    Py_INCREF(last->text);
    return last->text;
}

static struct lc_peer *create_peer(const struct lc_endpoints *ends)
{
    static struct last remote_addr, server_name, server_port;
    struct lc_peer *peer = calloc(1, sizeof(*peer));

    if (peer == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    peer->socket = lc_socket_create();
    /* What is said of one request only is not the connection's. */
    bool is_named = ends->peer_addr != NULL;
    const char *port = is_named ? ends->peer_port : ends->remote_port;
    peer->remote_addr = text_like(&remote_addr,
                                  is_named ? ends->peer_addr : ends->remote_addr);
    if (port != NULL)
        peer->remote_port = lc_py_text(lc_slice(port));
    if (!ends->is_unix) {
        peer->server_name = text_like(&server_name, ends->server_addr);
        peer->server_port = text_like(&server_port, ends->server_port);
    }
    if (ends->proxy_protocol != NULL)
        peer->proxy_protocol = lc_py_text(lc_slice(ends->proxy_protocol));
    if (ends->proxy_addr != NULL) {
        peer->proxy_addr = lc_py_text(lc_slice(ends->proxy_addr));
        peer->proxy_port = lc_py_text(lc_slice(ends->proxy_port));
    }
    if (PyErr_Occurred() != NULL) {
        free_peer(peer);
        return NULL;
    }
    return peer;
}

const struct lc_peer *lc_peer_of(struct lc_request *request)
{
    struct lc_keep *keep = lc_request_keep(request);

    if (keep->data == NULL) {
        keep->data = create_peer(lc_request_endpoints(request));
        if (keep->data != NULL)
            keep->release = on_peer_gone;
    }
    return keep->data;
}
