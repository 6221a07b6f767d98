/* master/ctl/top.h — `licornectl top`: the server on a live screen, or as text for scripts. */
#pragma once
#include <stdbool.h>

struct lc_link;

struct lc_top_options {
    long delay_ms; /* between two pictures */
    long count;    /* of pictures as text; 0: without end */
    bool is_text;
};

/* Returns the exit code. */
int lc_top_run(struct lc_link *link, const struct lc_top_options *options);
