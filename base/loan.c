#include "base/loan.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

bool lc_loan_borrow(struct lc_loan *loan)
{
    uint32_t lent = LC_LOAN_LENT;

    return atomic_compare_exchange_strong_explicit(&loan->state, &lent, LC_LOAN_BORROWED,
                                                   memory_order_acquire,
                                                   memory_order_relaxed);
}

void lc_loan_return(struct lc_loan *loan)
{
    if (atomic_exchange_explicit(&loan->state, LC_LOAN_LENT, memory_order_release) ==
        LC_LOAN_AWAITED)
        syscall(SYS_futex, &loan->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* The borrower may lose the processor in the middle of its work: sleep rather than spin. */
void lc_loan_await(struct lc_loan *loan)
{
    uint32_t state = LC_LOAN_LENT;

    while (!atomic_compare_exchange_strong_explicit(
        &loan->state, &state, LC_LOAN_KEPT, memory_order_acquire, memory_order_relaxed)) {
        if (state == LC_LOAN_AWAITED || atomic_compare_exchange_strong_explicit(
                                            &loan->state, &state, LC_LOAN_AWAITED,
                                            memory_order_relaxed, memory_order_relaxed))
            syscall(SYS_futex, &loan->state, FUTEX_WAIT_PRIVATE, LC_LOAN_AWAITED, NULL,
                    NULL, 0);
        state = LC_LOAN_LENT;
    }
}

void lc_loan_forget_borrower(struct lc_loan *loan)
{
    if (atomic_load(&loan->state) != LC_LOAN_KEPT)
        atomic_store(&loan->state, LC_LOAN_LENT);
}
