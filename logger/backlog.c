#include "logger/backlog.h"

#include "base/mem.h"

#include <string.h>

/* What an idle stream keeps; a backlog that was larger is given back. */
enum { KEPT = 512 << 10, FIRST_ROOM = 64 << 10, FIRST_LENGTHS = 512 };

void lc_backlog_init(struct lc_backlog *backlog, size_t limit)
{
    *backlog = (struct lc_backlog){.limit = limit};
}

void lc_backlog_deinit(struct lc_backlog *backlog)
{
    free(backlog->bytes);
    free(backlog->lengths);
    *backlog = (struct lc_backlog){.limit = backlog->limit, .dropped = backlog->dropped};
}

static size_t cost(const struct lc_backlog *backlog)
{
    return backlog->end - backlog->from + backlog->count * sizeof(uint32_t);
}

static size_t doubled(size_t room, size_t first, size_t needed)
{
    if (room == 0)
        room = first;
    while (room < needed)
        room *= 2;
    return room;
}

/* Room behind `end`. What was freed in front is used again once it is the larger part: moving
 * the rest to the front for every record would cost more than the memory is worth. */
static void make_byte_room(struct lc_backlog *backlog, size_t len)
{
    size_t held = backlog->end - backlog->from;

    if (len <= backlog->room - backlog->end)
        return;
    if (backlog->from > held) {
        memmove(backlog->bytes, backlog->bytes + backlog->from, held);
        backlog->from = 0;
        backlog->end = held;
    }
    if (len > backlog->room - backlog->end) {
        backlog->room = doubled(backlog->room, FIRST_ROOM, backlog->end + len);
        backlog->bytes = lc_realloc(backlog->bytes, backlog->room);
    }
}

static void make_length_room(struct lc_backlog *backlog)
{
    size_t size = sizeof(*backlog->lengths);

    if (backlog->first + backlog->count < backlog->lengths_room)
        return;
    if (backlog->first > backlog->count) {
        memmove(backlog->lengths, backlog->lengths + backlog->first,
                backlog->count * size);
        backlog->first = 0;
        return;
    }
    backlog->lengths_room = doubled(backlog->lengths_room, FIRST_LENGTHS,
                                    backlog->first + backlog->count + 1);
    backlog->lengths = lc_realloc(backlog->lengths, backlog->lengths_room * size);
}

bool lc_backlog_add(struct lc_backlog *backlog, struct lc_slice text)
{
    if (text.len == 0)
        return true;
    if (text.len > UINT32_MAX || cost(backlog) + sizeof(uint32_t) > backlog->limit ||
        text.len > backlog->limit - cost(backlog) - sizeof(uint32_t)) {
        backlog->dropped++;
        return false;
    }
    make_byte_room(backlog, text.len);
    make_length_room(backlog);
    memcpy(backlog->bytes + backlog->end, text.at, text.len);
    backlog->end += text.len;
    backlog->lengths[backlog->first + backlog->count++] = (uint32_t)text.len;
    return true;
}

struct lc_slice lc_backlog_rest(const struct lc_backlog *backlog)
{
    size_t at = backlog->from + backlog->written;

    if (backlog->count == 0)
        return (struct lc_slice){NULL, 0};
    return (struct lc_slice){backlog->bytes + at, backlog->end - at};
}

struct lc_slice lc_backlog_oldest(const struct lc_backlog *backlog)
{
    struct lc_slice rest = lc_backlog_rest(backlog);

    if (backlog->count > 0)
        rest.len = backlog->lengths[backlog->first] - backlog->written;
    return rest;
}

void lc_backlog_written(struct lc_backlog *backlog, size_t len)
{
    lc_assert(len <= backlog->end - backlog->from - backlog->written);
    backlog->written += len;
    while (backlog->count > 0 && backlog->written >= backlog->lengths[backlog->first]) {
        backlog->written -= backlog->lengths[backlog->first];
        backlog->from += backlog->lengths[backlog->first];
        backlog->first++;
        backlog->count--;
    }
    if (backlog->count > 0)
        return;
    backlog->from = backlog->end = backlog->first = 0;
    if (backlog->room > KEPT)
        lc_backlog_deinit(backlog);
}

void lc_backlog_restart_record(struct lc_backlog *backlog)
{
    backlog->written = 0;
}
