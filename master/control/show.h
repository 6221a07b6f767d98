/* master/control/show.h — the answers of the show commands: the master's knowledge as JSON. */
#pragma once
#include <jansson.h>

struct lc_master;

json_t *lc_show_workers(const struct lc_master *m);
json_t *lc_show_all(const struct lc_master *m);
json_t *lc_show_stats(const struct lc_master *m);
json_t *lc_show_listeners(const struct lc_master *m);
json_t *lc_show_config(const struct lc_master *m);
json_t *lc_show_dirty(const struct lc_master *m);

/* The requests that are in workers' hands. */
json_t *lc_show_requests(const struct lc_master *m);

/* Everything that is counted, for those who draw or collect it. */
json_t *lc_show_metrics(const struct lc_master *m);

/* The same for Prometheus: {"content_type": …, "text": …}. */
json_t *lc_show_exposition(const struct lc_master *m);
