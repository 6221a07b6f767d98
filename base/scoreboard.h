/* base/scoreboard.h — what every worker is doing, in memory shared by all processes.
 *
 * One mapping, made by the master before its first fork; one slot a worker, written by that
 * worker only (the master claims and frees slots while no process uses them). The master's
 * timeouts read it; there are no heartbeat files. */
#pragma once
#include "base/counts.h"
#include "base/log.h"

#include <licorne/slice.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct lc_error;

enum lc_slot_state {
    LC_SLOT_FREE,
    LC_SLOT_BOOTING, /* no heartbeat is expected yet               */
    LC_SLOT_SERVING,
    LC_SLOT_DRAINING, /* accepts nothing new, finishes what it has  */
};

enum { LC_HAND_METHOD = 16, LC_HAND_TARGET = 160, LC_HAND_CLIENT = 48 };
enum { LC_HANDS_MAX = 128 };
_Static_assert((int)LC_HAND_METHOD == 16 && (int)LC_HAND_TARGET == 160 &&
                   (int)LC_HAND_CLIENT == 48,
               "as in struct lc_msg_lost");

/* The request in hand. `version` is odd while the worker writes (a sequence lock): a reader
 * takes a copy and asks again whether it changed meanwhile. In a copy that may be mixed it is odd
 * too. */
struct lc_hand {
    _Alignas(64) _Atomic uint32_t version;
    uint32_t is_busy;
    uint64_t started_ms; /* lc_clock_ms */
    char method[LC_HAND_METHOD];
    char target[LC_HAND_TARGET]; /* cut if longer */
    char client[LC_HAND_CLIENT];
};

struct lc_slot {
    _Alignas(64) _Atomic uint64_t
        heartbeat_ms; /* lc_clock_ms of the latest turn, or call */
    _Atomic uint32_t state;
    _Atomic int32_t pid;
    _Atomic uint32_t connections;
    _Atomic uint32_t in_flight; /* requests begun and not answered */
    _Atomic uint64_t requests;
    /* lc_clock_us: the call in hand began; 0: there is none. */
    _Atomic uint64_t busy_since_us;
    _Atomic uint64_t accepted;     /* connections */
    _Atomic uint32_t threads;      /* that call the application; 0: the loop's own does */
    _Atomic uint32_t free_threads; /* requests that could be begun at once */
    struct lc_counts counts;
    struct lc_hand hands[LC_HANDS_MAX]; /* one a thread; memory only where it is used */
};

enum { LC_SLOTS_MAX = 1024 };

/* What the logger was about to write, for its successor: logger/handover.h. */
struct lc_log_note {
    _Atomic uint32_t is_busy;
    uint64_t message; /* which one: its fingerprint */
    struct lc_log_place {
        uint64_t device, inode;
        uint64_t end; /* the file's length before */
    } places[LC_STREAM_COUNT];
};

struct lc_scoreboard {
    uint32_t count;
    _Atomic uint32_t used;       /* slots from here on never had a worker */
    struct lc_log_note log_note; /* written by the logger only */
    _Atomic bool has_hinted_at_keepalive;
    _Atomic bool has_peer;  /* another master serves the same sockets, in an upgrade */
    struct lc_slot slots[]; /* aligned: sizeof is a multiple of 64 */
};

/* A zeroed board that children inherit by fork; NULL and `err` if memory is short. */
struct lc_scoreboard *lc_scoreboard_create(uint32_t slots, struct lc_error *err);
void lc_scoreboard_destroy(struct lc_scoreboard *board);

/* How many of its hands a worker uses: one, or one for each thread. */
unsigned lc_slot_hands(const struct lc_slot *slot);

/* Writer: the request that the application is about to see, cut to fit. Each hand has one
 * thread that writes it. */
void lc_slot_take_in_hand(struct lc_slot *slot, unsigned hand, uint64_t now_ms,
                          struct lc_slice method, struct lc_slice target,
                          const char *client);
void lc_slot_put_down(struct lc_slot *slot, unsigned hand);

/* Reader: a consistent copy with NUL-terminated texts; false when nothing is in hand. */
bool lc_slot_in_hand(const struct lc_slot *slot, unsigned hand, struct lc_hand *copy);
