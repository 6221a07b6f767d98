/* worker/ready.h — since when a request waits for the application. */
#pragma once
#include <stdint.h>

struct lc_conn;

/* The request of `conn` is complete: since when it could have been handled. At the latest since the
 * loop woke up to read it. Before that its bytes may have waited in the socket, unread, while
 * calls kept the loop or all threads: the kernel knows since when, and is asked while calls are slow. */
uint64_t lc_ready_since(struct lc_conn *conn);
