/* worker/queue.h — what the socket did not take: bytes in memory and pieces of files, in order.
 *
 * While a connection has a queue it is watched for room to write and not read from, so a client
 * that does not take its answers costs what is queued here and nothing more. */
#pragma once
#include <licorne/slice.h>

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct lc_conn;
struct lc_piece;
struct lc_request;
struct lc_server;

/* Appends. An owned piece is not copied and is released when it has left; nothing is appended
 * for an empty one that is copied. */
void lc_queue_copy(struct lc_conn *conn, struct lc_slice bytes);
void lc_queue_owned(struct lc_conn *conn, struct lc_slice bytes, void (*release)(void *),
                    void *owner);

/* Appends `len` bytes of a regular file, by a duplicate of its descriptor. */
void lc_queue_file(struct lc_conn *conn, int file, off_t offset, size_t len);

/* Writes until the queue is empty, the socket is full or the connection had its share of the loop's
 * turn. */
void lc_queue_write(struct lc_conn *conn);

/* Past the queue, which is empty: how much the socket took. A failed socket or file is dealt
 * with, and the connection is gone. */
size_t lc_queue_write_now(struct lc_conn *conn, struct lc_slice first,
                          struct lc_slice second, bool has_more);
size_t lc_queue_send_file_now(struct lc_conn *conn, int file, off_t offset, size_t len);

/* From errno: a file of the response cannot be sent on. `missing` bytes were promised and will
 * never come. */
void lc_queue_report_file(struct lc_request *request, size_t missing);

/* The client has gone: the application learns it with its next write. */
void lc_queue_fail(struct lc_conn *conn);

/* Forgets everything. */
void lc_queue_drop(struct lc_conn *conn);

/* What the relief thread has sent (worker/relief.h) is the application's to release. */
void lc_queue_release_spent(struct lc_server *server);
