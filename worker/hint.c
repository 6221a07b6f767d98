#include "worker/hint.h"

#include "base/inherit.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "worker/conn.h"

#include <licorne/log.h>

#include <strings.h>

/* Load balancers keep their connections for 60 seconds, most of them. */
enum { USUAL_PROXY_IDLE = 60 };

static bool is_forwarded(const struct lc_request *request)
{
    static const struct lc_slice prefix = LC_SLICE("X-Forwarded-");

    for (size_t i = 0; i < request->header_count; i++) {
        struct lc_slice name = request->headers[i].name;

        if (name.len > prefix.len && strncasecmp(name.at, prefix.at, prefix.len) == 0)
            return true;
    }
    return false;
}

/* A proxy that keeps connections for longer than we do sends a request now and then just when we
 * close one, and its user sees a 502. */
void lc_hint_at_keepalive(const struct lc_conn *conn)
{
    const struct lc_server *server = conn->server;
    struct lc_scoreboard *board = server->inherit->scoreboard;
    const struct lc_request *request = &conn->exchange->request;
    int64_t keepalive = server->config->keepalive;

    if (!conn->is_trusted || request->wants_close || keepalive <= 0 ||
        keepalive >= USUAL_PROXY_IDLE ||
        atomic_load_explicit(&board->has_hinted_at_keepalive, memory_order_relaxed) ||
        !is_forwarded(request) || atomic_exchange(&board->has_hinted_at_keepalive, true))
        return;
    lc_log(LC_INFO,
           "Hint: requests come through a proxy that keeps its connections open, and "
           "keepalive "
           "is %lld s. A request that it sends on a connection which is just being "
           "closed is "
           "lost (502). Let keepalive be longer than the proxy's idle timeout, which is "
           "often "
           "60 s: --keep-alive 75. Idle connections cost next to nothing.",
           (long long)keepalive);
}
