/* base/passing.h — descriptors on their way from one worker to another.
 *
 * One SOCK_SEQPACKET pair serves all workers of all generations. The master keeps both ends open,
 * so what waits there outlives the worker that sent it, and is taken by whoever comes first. A
 * message is a connection's descriptor, that of a file with what was read of it if there is one, and
 * a note: what the descriptors themselves do not tell. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct lc_error;

enum { LC_PASSING_TAKE, LC_PASSING_GIVE }; /* which end is for what */
enum { LC_PASSING_MAX = 32 * 1024 };       /* bytes of a note             */

/* Two connected ends, both non-blocking and close-on-exec. 0, or -1 with `err`. */
int lc_passing_open(int ends[2], struct lc_error *err);

/* The descriptors of one message. */
struct lc_passed {
    int conn;
    int file; /* -1: there is none */
};

/* Sends copies of the descriptors. 0, or -1 with errno (EAGAIN: full). */
int lc_passing_send(int end, const void *note, size_t len,
                    const struct lc_passed *passed);

/* The next note's length, with the descriptors, which are the caller's from now on. -1 with errno:
 * EAGAIN when none waits; EMFILE or ENFILE when it must wait; EBADMSG for a message with a longer
 * note or another number of descriptors, which is gone with them. */
ssize_t lc_passing_receive(int end, void *note, size_t room, struct lc_passed *passed);

bool lc_passing_is_empty(int end);
