/* logger/streams/streams.h — what a type of stream is: a file of this folder, and a line in
 * list.c. A type opens what its target names and writes a backlog there; waiting, retrying and
 * reporting are done for all of them by logger/stream.c. */
#pragma once
#include <sys/types.h>

struct lc_backlog;
struct lc_error;

struct lc_stream_ops {
    const char *name;

    /* The type's own state; NULL with `err`. */
    void *(*open)(const char *target, struct lc_error *err);

    /* Writes as much as can be written without blocking, and takes it off the backlog. 0 when
     * everything has been written; else -1 with errno: EAGAIN when the rest can follow once
     * the descriptor is writable, any other when it is worth a try later. */
    int (*flush)(void *state, struct lc_backlog *backlog);

    /* The descriptor to wait for; also tells whether two streams are one and the same file. */
    int (*descriptor)(const void *state);

    void (*close)(void *state);
};

extern const struct lc_stream_ops lc_stream_file; /* target: a path */
/* Of files that are made from now on; 0: what the process's umask leaves of 0644. */
void lc_stream_file_set_mode(mode_t mode);
extern const struct lc_stream_ops lc_stream_stdout; /* target: not looked at */
extern const struct lc_stream_ops lc_stream_stderr;
extern const struct lc_stream_ops lc_stream_remote; /* target: "udp://…", "statsd:…" */

/* All types; ends with NULL. */
extern const struct lc_stream_ops *const lc_stream_types[];
