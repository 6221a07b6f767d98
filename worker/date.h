/* worker/date.h — the Date field, made once a second by each thread that needs it. */
#pragma once
#include <licorne/slice.h>

#include <stdint.h>

struct lc_date {
    char line[48]; /* "Date: …\r\n" */
    size_t len;
    uint64_t until_ms; /* when it must be made anew */
};

/* `now_ms` is lc_clock_ms or as little older as the field may be late. */
struct lc_slice lc_date_line(struct lc_date *date, uint64_t now_ms);
