#include "base/scoreboard.h"

#include "base/mem.h"

#include <licorne/error.h>

#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { SPINS = 10, TRIES = 100 };

static size_t board_size(uint32_t slots)
{
    return sizeof(struct lc_scoreboard) + slots * sizeof(struct lc_slot);
}

struct lc_scoreboard *lc_scoreboard_create(uint32_t slots, struct lc_error *err)
{
    void *p = mmap(NULL, board_size(slots), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        lc_error_sys(err, "the scoreboard of %u workers: mmap", slots);
        return NULL;
    }
    struct lc_scoreboard *board = p;
    board->count = slots;
    return board;
}

void lc_scoreboard_destroy(struct lc_scoreboard *board)
{
    if (board != NULL)
        munmap(board, board_size(board->count));
}

static void cut(char *into, size_t room, struct lc_slice from)
{
    if (from.len > room - 1)
        from.len = room - 1;
    memcpy(into, from.at, from.len);
    into[from.len] = '\0';
}

static void begin_write(struct lc_hand *hand)
{
    atomic_fetch_add_explicit(&hand->version, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void end_write(struct lc_hand *hand)
{
    atomic_fetch_add_explicit(&hand->version, 1, memory_order_release);
}

unsigned lc_slot_hands(const struct lc_slot *slot)
{
    uint32_t threads = atomic_load_explicit(&slot->threads, memory_order_relaxed);

    return threads == 0 ? 1 : threads < LC_HANDS_MAX ? threads : LC_HANDS_MAX;
}

void lc_slot_take_in_hand(struct lc_slot *slot, unsigned hand, uint64_t now_ms,
                          struct lc_slice method, struct lc_slice target,
                          const char *client)
{
    struct lc_hand *h = &slot->hands[hand];

    begin_write(h);
    h->started_ms = now_ms;
    cut(h->method, sizeof(h->method), method);
    cut(h->target, sizeof(h->target), target);
    cut(h->client, sizeof(h->client), lc_slice(client));
    h->is_busy = 1;
    end_write(h);
}

void lc_slot_put_down(struct lc_slot *slot, unsigned hand)
{
    begin_write(&slot->hands[hand]);
    slot->hands[hand].is_busy = 0;
    end_write(&slot->hands[hand]);
}

bool lc_slot_in_hand(const struct lc_slot *slot, unsigned hand, struct lc_hand *copy)
{
    const struct lc_hand *h = &slot->hands[hand];

    bool is_whole = false;

    /* A worker that was stopped in the middle of a write leaves the version odd for good:
     * then the texts may be mixed, but they still end in NUL. */
    for (int i = 0; i < TRIES && !is_whole; i++) {
        uint32_t before = atomic_load_explicit(&h->version, memory_order_acquire);
        memcpy((void *)copy, (const void *)h, sizeof(*copy));
        atomic_thread_fence(memory_order_acquire);
        uint32_t after = atomic_load_explicit(&h->version, memory_order_relaxed);
        is_whole = before == after && before % 2 == 0;
        if (!is_whole &&
            i >= SPINS) /* the writer may wait for the processor that we have */
            nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
    if (!is_whole)
        copy->version |= 1;
    copy->method[sizeof(copy->method) - 1] = '\0';
    copy->target[sizeof(copy->target) - 1] = '\0';
    copy->client[sizeof(copy->client) - 1] = '\0';
    return copy->is_busy != 0;
}
