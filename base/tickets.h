/* base/tickets.h — the keys that session tickets of TLS are sealed with.
 *
 * The master makes them, and all workers of all generations have the same: a client may come
 * back to any of them. They change while the server runs, so that a stolen key opens little;
 * a ticket that the previous ones sealed is good for as long as it lasts. */
#pragma once
struct lc_error;

struct lc_ticket_key {
    unsigned char name[16], cipher[32], mac[32];
};

struct lc_ticket_keys {
    struct lc_ticket_key current, previous;
};

/* Both return -1 and `err` when there is no randomness to be had. */
int lc_tickets_init(struct lc_ticket_keys *keys, struct lc_error *err);
/* New current key; what was current is previous. */
int lc_tickets_rotate(struct lc_ticket_keys *keys, struct lc_error *err);
