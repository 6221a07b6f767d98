/* licorne/request.h — a request as a controller sees it.
 *
 * A request belongs to the worker. It, and every slice that these calls return, is valid from
 * the call of the controller until the controller has ended the response. All calls belong on
 * the thread that called the controller. */
#pragma once
#include <licorne/api.h>
#include <licorne/slice.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

LC_C_BEGIN

struct lc_arena;
struct lc_request;
struct lc_tls_info;

struct lc_header {
    struct lc_slice name;
    struct lc_slice value;
};

/* Who speaks to whom on a connection. Texts end in NUL and live as long as the connection, or as
 * the request where a header field named the client (real_ip_header). */
struct lc_endpoints {
    const char *remote_addr; /* "192.0.2.7", "2001:db8::7"; "" on a unix socket    */
    const char *remote_port; /* "51234"; NULL on a unix socket                     */
    const char *server_addr; /* the listening socket's own address, or unix path   */
    const char *server_port; /* "8000"; NULL on a unix socket                      */
    bool is_unix;

    /* Where a proxy announced the client by the PROXY protocol, else NULL. `remote_addr` and
     * `remote_port` are the client's then. */
    const char *proxy_protocol; /* "TCP4", "TCP6", "LOCAL", "UNSPEC"         */
    const char *proxy_addr;     /* where the client connected to; NULL with  */
    const char *proxy_port;     /* LOCAL and UNSPEC, which name no client    */

    int socket; /* the connection's: to ask it, and to set its options, not to read or write */
    const struct lc_tls_info *tls; /* <licorne/tls.h>; NULL: not encrypted */

    /* Where a header field of a trusted proxy named the client (real_ip_header), `remote_addr` is
     * that client's and `remote_port` its port, or NULL; these are who connected. Else NULL. */
    const char *peer_addr;
    const char *peer_port; /* NULL also on a unix socket */
};

/* A place for a controller to keep something with a connection (a cached object). `release` is
 * called with `data` when the connection closes or is handed to another owner. */
struct lc_keep {
    void *data;
    void (*release)(void *data);
    /* There is a duplicate of the socket: the connection is shut down before it is closed. */
    bool has_duplicate;
};

/* The method as received: "GET" (RFC 9110, 9). */
LC_API struct lc_slice lc_request_method(const struct lc_request *request);
/* The request target exactly as received: "/a%20b?x=1" (RFC 9112, 3.2). */
LC_API struct lc_slice lc_request_target(const struct lc_request *request);
/* The target's path, percent-decoded; may hold any byte, also NUL. */
LC_API struct lc_slice lc_request_path(const struct lc_request *request);
/* The target's path as received, still percent-encoded. */
LC_API struct lc_slice lc_request_raw_path(const struct lc_request *request);
/* What follows "?", not decoded; empty when there is none. */
LC_API struct lc_slice lc_request_query(const struct lc_request *request);
/* 10 for HTTP/1.0, 11 for HTTP/1.1. */
LC_API int lc_request_version(const struct lc_request *request);
/* "http" or "https". */
LC_API struct lc_slice lc_request_scheme(const struct lc_request *request);
/* The two ends of the connection; never NULL, and valid as long as the connection is. */
LC_API const struct lc_endpoints *lc_request_endpoints(const struct lc_request *request);

/* The value of the first field of this name, in any case; {NULL, 0} when it was not sent. */
LC_API struct lc_slice lc_request_header(const struct lc_request *request,
                                         const char *name);
/* All fields in the order of their arrival, and in `count` how many; names as sent, values
 * without blanks around. */
LC_API const struct lc_header *lc_request_headers(const struct lc_request *request,
                                                  size_t *count);

/* What a route's "{name}" matched, percent-decoded; {NULL, 0} when the route has no such part. */
LC_API struct lc_slice lc_request_param(const struct lc_request *request,
                                        const char *name);

/* The body, after any chunked coding was removed. It is complete before the controller is called
 * (large ones lie in a file), and no read blocks, unless the server runs with request_buffering
 * off: then it is received while the controller reads. Such a read waits for the client, as
 * long as `body_timeout` and `body_min_rate` let it, and the calling thread serves nobody else
 * meanwhile. */

/* Its length; LC_BODY_UNKNOWN as long as the client has not said how much is to come. */
#define LC_BODY_UNKNOWN UINT64_MAX
LC_API uint64_t lc_request_body_size(const struct lc_request *request);
/* Copies the next at most `size` bytes to `into`; 0 at the end, -1 with errno: a read error, or
 * that the client sent nothing in time, or too slowly (ETIMEDOUT), has gone (ECONNRESET), sent what
 * is no chunk (EBADMSG) or trailer (EPROTO), or more than limit_request_body (EFBIG), or that the
 * worker stops and has given the connection up (ECONNABORTED). A client that stops before the
 * length it said is no error, but the end: compare with lc_request_body_size. */
LC_API ssize_t lc_request_body_read(struct lc_request *request, void *into, size_t size);
/* What has come and lies in memory, all of the rest unless it is streamed: its bytes, without
 * copying or consuming them, valid until the next read. {NULL, 0} when it lies in a file or there
 * is nothing. */
LC_API struct lc_slice lc_request_body_peek(struct lc_request *request);
/* Marks the next `size` bytes of these, at most all, as read. */
LC_API void lc_request_body_skip(struct lc_request *request, size_t size);
/* Whether the next read has to wait for the client. */
LC_API bool lc_request_body_may_wait(const struct lc_request *request);
/* Why the rest of the body will never come: an errno of lc_request_body_read; 0: it will. */
LC_API int lc_request_body_error(const struct lc_request *request);

/* Memory that lives as long as the request. */
LC_API struct lc_arena *lc_request_arena(struct lc_request *request);

/* One pointer for the controller, NULL at first; it stays with the request, and what it points to
 * is the controller's. */
LC_API void *lc_request_data(const struct lc_request *request);
LC_API void lc_request_set_data(struct lc_request *request, void *data);

/* The connection's keep for the controller; empty for a new connection. */
LC_API struct lc_keep *lc_request_keep(struct lc_request *request);

LC_C_END
