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
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
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

static void cut(char *into, size_t room, const char *from, size_t len)
{
    if (len > room - 1)
        len = room - 1;
    memcpy(into, from, len);
    into[len] = '\0';
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

void lc_slot_take_in_hand(struct lc_slot *slot, uint64_t now_ms, const char *method,
                          uint32_t method_len, const char *target, uint32_t target_len,
                          const char *client)
{
    struct lc_hand *hand = &slot->hand;

    begin_write(hand);
    hand->started_ms = now_ms;
    cut(hand->method, sizeof(hand->method), method, method_len);
    cut(hand->target, sizeof(hand->target), target, target_len);
    cut(hand->client, sizeof(hand->client), client, strlen(client));
    hand->is_busy = 1;
    end_write(hand);
}

void lc_slot_put_down(struct lc_slot *slot)
{
    begin_write(&slot->hand);
    slot->hand.is_busy = 0;
    end_write(&slot->hand);
}

bool lc_slot_in_hand(const struct lc_slot *slot, struct lc_hand *copy)
{
    /* A worker that was stopped in the middle of a write leaves the version odd for good:
     * then the texts may be mixed, but they still end in NUL. */
    for (int i = 0; i < TRIES; i++) {
        uint32_t before = atomic_load_explicit(&slot->hand.version, memory_order_acquire);
        memcpy((void *)copy, (const void *)&slot->hand, sizeof(*copy));
        atomic_thread_fence(memory_order_acquire);
        uint32_t after = atomic_load_explicit(&slot->hand.version, memory_order_relaxed);
        if (before == after && before % 2 == 0)
            break;
        if (i >= SPINS) /* the writer may wait for the processor that we have */
            nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
    copy->method[sizeof(copy->method) - 1] = '\0';
    copy->target[sizeof(copy->target) - 1] = '\0';
    copy->client[sizeof(copy->client) - 1] = '\0';
    return copy->is_busy != 0;
}
