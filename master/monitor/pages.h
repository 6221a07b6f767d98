/* master/monitor/pages.h — what the monitor answers.
 *
 *   /metrics           the figures, as Prometheus reads them
 *   /livez, /healthz   200: the master is at work
 *   /readyz            200 while a worker can serve and the server does not stop, else 503
 */
#pragma once
#include <licorne/slice.h>
#include <llhttp.h>
#include <stddef.h>

struct lc_master;

enum lc_page_refusal {
    LC_PAGE_BAD_REQUEST,
    LC_PAGE_TARGET_TOO_LONG,
    LC_PAGE_HEAD_TOO_LONG
};

/* A whole response, which the caller frees. */
char *lc_page_make(const struct lc_master *m, llhttp_method_t method,
                   struct lc_slice target, size_t *len);
char *lc_page_refusal(enum lc_page_refusal why, size_t *len);
