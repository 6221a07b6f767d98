/* The payload of a record message, from hostile bytes: every text that is found lies inside the
 * message, behind the one before; and what a backlog gives back is what it was given. */
#include "logger/record.h"

#include "base/mem.h"
#include "logger/backlog.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes `len` bytes off the backlog; they must be those at `expected`. */
static void take(struct lc_backlog *backlog, const char *expected, size_t len)
{
    struct lc_slice rest = lc_backlog_rest(backlog);

    lc_assert(rest.len >= len);
    lc_assert(len == 0 || memcmp(rest.at, expected, len) == 0);
    lc_backlog_written(backlog, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Of exactly this size and at an odd address, as a record may lie. */
    LC_AUTOFREE char *memory = lc_malloc(size + 1);
    LC_AUTOFREE char *texts = lc_malloc(size + 1);
    struct lc_slice rest = {memory + 1, size};
    const char *end = memory + 1 + size, *last = memory + 1;
    struct lc_backlog backlog;
    struct lc_record record;
    size_t added = 0, taken = 0;
    int found;

    if (size != 0)
        memcpy(memory + 1, data, size);
    lc_backlog_init(&backlog, 4096);
    while ((found = lc_record_next(&rest, &record)) > 0) {
        lc_assert(record.stream < LC_STREAM_COUNT);
        lc_assert(record.text.at >= last + sizeof(struct lc_record_head));
        lc_assert(record.text.len <= (size_t)(end - record.text.at));
        last = record.text.at + record.text.len;
        lc_assert(rest.at == last && rest.len == (size_t)(end - last));

        if (lc_backlog_add(&backlog, record.text)) {
            memcpy(texts + added, record.text.at, record.text.len);
            added += record.text.len;
        }
        size_t part = (added - taken) / 2;
        take(&backlog, texts + taken, part);
        taken += part;
    }
    lc_assert(found == 0 ? rest.len == 0 : rest.len > 0);
    take(&backlog, texts + taken, added - taken);
    lc_assert(lc_backlog_count(&backlog) == 0);
    lc_backlog_deinit(&backlog);
    return 0;
}
