#include "worker/date.h"

#include <time.h>

struct lc_slice lc_date_line(struct lc_date *date, uint64_t now_ms)
{
    if (now_ms >= date->until_ms) {
        struct timespec now;
        struct tm parts;

        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &parts);
        date->len = strftime(date->line, sizeof(date->line),
                             "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
        date->until_ms = now_ms + 1000 - (uint64_t)now.tv_nsec / 1000000;
    }
    return (struct lc_slice){date->line, date->len};
}
