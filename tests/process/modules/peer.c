/* What a native controller can learn about its connection. */
#include <licorne/licorne.h>
#include <sys/socket.h>

/* "TLSv1.3 http/1.1 localhost 403 new": the client's certificate has so many bytes. */
static enum lc_step peer(struct lc_request *request, void *state)
{
    const struct lc_endpoints *ends = lc_request_endpoints(request);
    const struct lc_tls_info *tls = ends->tls;
    int type = 0;
    socklen_t size = sizeof(type);

    getsockopt(ends->socket, SOL_SOCKET, SO_TYPE, &type, &size);
    if (tls == NULL)
        return lc_response_text(request, 200,
                                type == SOCK_STREAM ? "plain" : "no socket");
    return lc_response_text(
        request, 200,
        lc_arena_printf(lc_request_arena(request), "%s %s %s %zu %s", tls->version,
                        tls->alpn == NULL ? "-" : tls->alpn,
                        tls->server_name == NULL ? "-" : tls->server_name,
                        tls->peer_certificate.len, tls->is_resumed ? "again" : "new"));
}

static const struct lc_route routes[] = {{"GET", "/", peer}, {NULL, NULL, NULL}};

LC_MODULE(.name = "peer", .routes = routes);
