/* master/slots.h — who has which place on the scoreboard. */
#pragma once

struct lc_scoreboard;
struct lc_slot;

/* A free slot, emptied, BOOTING; NULL when all are taken. */
struct lc_slot *lc_slot_claim(struct lc_scoreboard *board);

/* After its worker was reaped: nobody writes it any more. */
void lc_slot_release(struct lc_slot *slot);
