#include "base/tickets.h"

#include <licorne/error.h>

#include <errno.h>
#include <sys/random.h>

static int make(struct lc_ticket_key *key, struct lc_error *err)
{
    ssize_t n;

    do /* whole for so few bytes, once there is anything at all */
        n = getrandom(key, sizeof(*key), 0);
    while (n < 0 && errno == EINTR);
    return n == sizeof(*key) ? 0 : lc_error_sys(err, "random bytes for session tickets");
}

int lc_tickets_init(struct lc_ticket_keys *keys, struct lc_error *err)
{
    return make(&keys->current, err) < 0 ? -1 : make(&keys->previous, err);
}

int lc_tickets_rotate(struct lc_ticket_keys *keys, struct lc_error *err)
{
    struct lc_ticket_key fresh;

    if (make(&fresh, err) < 0)
        return -1;
    keys->previous = keys->current;
    keys->current = fresh;
    return 0;
}
