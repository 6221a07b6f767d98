#include "master/slots.h"

#include "base/clock.h"
#include "base/scoreboard.h"

#include <stddef.h>
#include <string.h>

struct lc_slot *lc_slot_claim(struct lc_scoreboard *board)
{
    for (uint32_t i = 0; i < board->count; i++) {
        struct lc_slot *slot = &board->slots[i];

        if (atomic_load(&slot->state) != LC_SLOT_FREE)
            continue;
        /* Not all of it: hands that nobody used have no memory. */
        memset((void *)slot->hands, 0, lc_slot_hands(slot) * sizeof(slot->hands[0]));
        memset((void *)slot, 0, offsetof(struct lc_slot, hands));
        atomic_store(&slot->heartbeat_ms, lc_clock_ms());
        atomic_store(&slot->state, LC_SLOT_BOOTING);
        if (i >= atomic_load(&board->used))
            atomic_store(&board->used, i + 1);
        return slot;
    }
    return NULL;
}

void lc_slot_release(struct lc_slot *slot)
{
    atomic_store(&slot->pid, 0);
    atomic_store(&slot->state, LC_SLOT_FREE);
}
