/* master/queue_length.h — how many connections wait on a listening socket to be accepted. */
#pragma once
#include <stdbool.h>

struct lc_queue_length {
    unsigned waiting;
    unsigned limit; /* from here on the kernel turns clients away */
};

/* False where the kernel does not tell: one without sock_diag, of Unix sockets. */
bool lc_queue_length(int fd, bool is_unix, struct lc_queue_length *length);
