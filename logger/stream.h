/* logger/stream.h — one destination of log records: a file, stdout, stderr.
 *
 * Lives in the logger process only. Never blocks: what cannot be written yet waits in a bounded
 * backlog and is tried again; what had to be dropped is counted and reported with lc_log. */
#pragma once
#include <licorne/slice.h>

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct lc_error;
struct lc_stream; /* opaque: its fields are in stream.c */

/* What waits for a stream that cannot be written, in bytes, at most. */
enum { LC_STREAM_BACKLOG = 4 << 20 };

/* Opens the type's `target`; NULL and `err` if it cannot. The caller owns the stream. */
struct lc_stream *lc_stream_create(uv_loop_t *loop, const char *type, const char *target,
                                   struct lc_error *err);
void lc_stream_destroy(struct lc_stream *stream); /* NULL is fine */

/* What `stream` names, opened once more. */
struct lc_stream *lc_stream_create_again(const struct lc_stream *stream,
                                         struct lc_error *err);

/* Takes a record's text; it leaves with the next flush. */
void lc_stream_write(struct lc_stream *stream, struct lc_slice text);

/* Writes what can be written now. A stream in trouble is left to lc_stream_tick. */
void lc_stream_flush(struct lc_stream *stream);

/* Once a second for a stream that is behind: tries again, and reports what a reader that is
 * merely slow made us drop. */
void lc_stream_tick(struct lc_stream *stream);

/* Before the end: waits for a slow reader, but not beyond `end_ms` (lc_clock_ms). */
void lc_stream_drain(struct lc_stream *stream, uint64_t end_ms);

/* `fresh` has the same target, opened anew (SIGUSR1): writes what still belongs to the old, then
 * moves what could not be written, and the old stream's troubles, to the fresh one. */
void lc_stream_take_over(struct lc_stream *fresh, struct lc_stream *old);

size_t lc_stream_waiting(const struct lc_stream *stream); /* records not yet written */
bool lc_stream_is_in_trouble(const struct lc_stream *stream); /* writing fails */
bool lc_stream_needs_tick(const struct lc_stream *stream);
bool lc_stream_is_same_target(const struct lc_stream *a, const struct lc_stream *b);
bool lc_stream_is_same_file(const struct lc_stream *a, const struct lc_stream *b);
bool lc_stream_is_file(const struct lc_stream *stream); /* named, not stdout or stderr */
int lc_stream_descriptor(const struct lc_stream *stream);
const char *lc_stream_name(const struct lc_stream *stream); /* for messages */
