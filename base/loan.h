/* base/loan.h — who may touch something that two threads share: its owner, who lends it out while
 * it has no use for it and can have it back at any moment, or one borrower.
 *
 * Lending costs the owner a store, taking back one compare-and-swap. The owner waits only for a
 * borrower that is at work; the borrower never waits. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum lc_loan_state {
    LC_LOAN_KEPT,     /* the owner has it                         */
    LC_LOAN_LENT,     /* nobody touches it: the borrower may      */
    LC_LOAN_BORROWED, /* the borrower has it                      */
    LC_LOAN_AWAITED,  /* the same, and the owner sleeps until then */
};

struct lc_loan {
    _Atomic uint32_t state; /* zero: kept */
};

void lc_loan_await(struct lc_loan *loan);

/* The owner has it, and what follows it does without. */
static inline void lc_loan_lend(struct lc_loan *loan)
{
    atomic_store_explicit(&loan->state, LC_LOAN_LENT, memory_order_release);
}

/* The owner needs it now. False if it had it all the time. */
static inline bool lc_loan_take_back(struct lc_loan *loan)
{
    uint32_t state = LC_LOAN_LENT;

    if (atomic_compare_exchange_strong_explicit(&loan->state, &state, LC_LOAN_KEPT,
                                                memory_order_acquire,
                                                memory_order_relaxed))
        return true;
    if (state == LC_LOAN_KEPT)
        return false;
    lc_loan_await(loan);
    return true;
}

/* In a forked process, where the borrower is missing. */
void lc_loan_forget_borrower(struct lc_loan *loan);

/* False when it is not lent. */
bool lc_loan_borrow(struct lc_loan *loan);
void lc_loan_return(struct lc_loan *loan);
