/* app/error_page.h — the small HTML page that tells a client what was wrong, as Gunicorn
 * writes it. */
#pragma once
#include <licorne/slice.h>

struct lc_arena;

/* The page for a reason ("Bad Request") and a message, which is escaped here; the message may be
 * empty. In the arena. */
struct lc_slice lc_error_page(struct lc_arena *arena, const char *reason,
                              struct lc_slice message);

/* The same with its whole head, to be sent as it is before the connection closes. */
struct lc_slice lc_error_answer(struct lc_arena *arena, int status, const char *reason,
                                struct lc_slice message);

/* The standard phrase for a status code (RFC 9110, 15); "Unknown" for others. */
const char *lc_reason_phrase(int status);
