/* master/notify.h — tells a service manager how the server is (sd_notify): READY=1 when the
 * workers can serve, RELOADING=1 around a reload, STOPPING=1, in STATUS how many workers there
 * are, and WATCHDOG=1 as often as it is asked for, as long as there is a worker. Asks for more
 * time while the application is being loaded. Says nothing where NOTIFY_SOCKET is not set.
 * During an upgrade the old master alone speaks, until it ends. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct lc_master;

struct lc_notify {
    const char *address;  /* of the manager's socket; NULL: there is none to tell */
    uint64_t watchdog_ms; /* between two signs of life; 0: none are asked for     */
    uint64_t next_ms;     /* when the next is due                                 */
    uint64_t ask_at_ms;   /* booting: when to ask for more time; 0: not booting   */
    bool was_ready;       /* READY=1 was said at least once                       */
    bool is_ready;        /* as said last                                         */
    unsigned ready;       /* workers, as STATUS says                              */
    unsigned wanted;      /* the same                                             */
    uint64_t status_ms;   /* when STATUS may change next                          */
    unsigned reloads;     /* as many as were told of                              */
    bool is_stopping;
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. */
void lc_notify_open(struct lc_notify *notify);

/* In a process that becomes the new master: the signs of life are asked of it. */
void lc_notify_hand_over(const struct lc_notify *notify);

/* The master's chore: says what has changed since the last turn. */
void lc_notify_step(struct lc_master *m);

/* The last word of a master that ends: which process the service is from now on, if another one
 * takes over. A manager takes the end of the process that it knows for the end of the service. */
void lc_notify_farewell(const struct lc_master *m);
