#include "base/loan.h"

#include "tests/support/cmocka.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void what_is_kept_cannot_be_borrowed(void **state)
{
    struct lc_loan loan = {0};

    assert_false(lc_loan_borrow(&loan));
    assert_false(lc_loan_take_back(&loan)); /* the owner had it all the time */
}

static void what_is_lent_can_be_borrowed_once(void **state)
{
    struct lc_loan loan = {0};

    lc_loan_lend(&loan);
    assert_true(lc_loan_borrow(&loan));
    assert_false(lc_loan_borrow(&loan));
    lc_loan_return(&loan);
    assert_true(lc_loan_borrow(&loan));
    lc_loan_return(&loan);
    assert_true(lc_loan_take_back(&loan));
    assert_false(lc_loan_borrow(&loan));
}

static void a_forked_process_gets_back_what_its_parent_had_lent(void **state)
{
    struct lc_loan loan = {0};
    int status;

    lc_loan_lend(&loan);
    assert_true(lc_loan_borrow(&loan)); /* by a thread that the child does not have */
    pid_t child = fork();
    if (child == 0) {
        lc_loan_forget_borrower(&loan);
        _exit(lc_loan_take_back(&loan) ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* --- two threads --------------------------------------------------------------------------- */

enum { ROUNDS = 200000, WORDS = 8 };

struct shared {
    struct lc_loan loan;
    _Atomic bool is_over;
    /* Not atomic: each of the two may change all of it, but never at the same time. */
    unsigned long words[WORDS];
    unsigned long borrowed;
};

static void change_all(struct shared *shared)
{
    for (int i = 0; i < WORDS; i++)
        shared->words[i]++;
}

static void *borrow_all_the_time(void *arg)
{
    struct shared *shared = arg;

    while (!atomic_load(&shared->is_over)) {
        if (!lc_loan_borrow(&shared->loan))
            continue;
        change_all(shared);
        if (++shared->borrowed % 64 == 0)
            sched_yield(); /* the owner has to wait */
        lc_loan_return(&shared->loan);
    }
    return NULL;
}

static void owner_and_borrower_never_have_it_at_the_same_time(void **state)
{
    struct shared shared = {.borrowed = 0};
    unsigned long owned = 0;
    pthread_t borrower;

    assert_int_equal(pthread_create(&borrower, NULL, borrow_all_the_time, &shared), 0);
    while (owned < ROUNDS || shared.borrowed < 1000) {
        change_all(&shared);
        owned++;
        lc_loan_lend(&shared.loan);
        if (owned % 64 == 0)
            sched_yield();
        assert_true(lc_loan_take_back(&shared.loan));
    }
    atomic_store(&shared.is_over, true);
    assert_int_equal(pthread_join(borrower, NULL), 0);
    for (int i = 0; i < WORDS; i++)
        assert_int_equal(shared.words[i], owned + shared.borrowed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_cannot_be_borrowed),
        cmocka_unit_test(what_is_lent_can_be_borrowed_once),
        cmocka_unit_test(a_forked_process_gets_back_what_its_parent_had_lent),
        cmocka_unit_test(owner_and_borrower_never_have_it_at_the_same_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
