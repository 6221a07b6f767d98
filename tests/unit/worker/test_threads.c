#include "worker/threads.h"

#include "base/clock.h"
#include "base/mem.h"
#include "tests/support/cmocka.h"

#include <licorne/error.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <uv.h>

enum { THREADS = 4, JOBS = 20000 };

struct job {
    struct lc_task task;
    unsigned takes_ms;
    unsigned thread;  /* that ran it */
    unsigned ordinal; /* among all that were begun */
    bool is_back;
};

struct office {
    uv_loop_t loop;
    struct lc_threads *threads;
    struct job *jobs;
    atomic_uint begun, inside, most_inside, starts, ends, turns;
    _Atomic bool refuses;             /* `start` fails for the last thread */
    _Atomic bool is_in_turn[THREADS]; /* written by the thread itself */
    unsigned back;                    /* the loop's */
    uv_prepare_t before_sleep;
};

/* ---- what the threads do ---- */

static int on_start(void *owner, unsigned thread, struct lc_error *err)
{
    struct office *office = owner;

    office->starts++;
    if (office->refuses && thread == THREADS - 1)
        return lc_error_set(err, LC_E_BOOT, "thread %u will not", thread);
    return 0;
}

static void on_end(void *owner, unsigned thread)
{
    ((struct office *)owner)->ends++;
}

static void on_turn_start(void *owner, unsigned thread)
{
    struct office *office = owner;

    office->turns++;
    office->is_in_turn[thread] = true;
}

static void on_turn_end(void *owner, unsigned thread)
{
    ((struct office *)owner)->is_in_turn[thread] = false;
}

static void spend(unsigned ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static void run(void *owner, unsigned thread, struct lc_task *task)
{
    struct office *office = owner;
    struct job *job = LC_CONTAINER(task, struct job, task);
    unsigned inside = ++office->inside;
    unsigned most = office->most_inside;

    while (most < inside &&
           !atomic_compare_exchange_weak(&office->most_inside, &most, inside))
        continue;
    job->ordinal = office->begun++;
    job->thread = office->is_in_turn[thread] ? thread : THREADS;
    if (job->takes_ms != 0)
        spend(job->takes_ms);
    office->inside--;
    lc_threads_post(office->threads, task, false);
}

static void on_post(void *owner, struct lc_task *post)
{
    struct office *office = owner;
    struct job *job = LC_CONTAINER(post, struct job, task);

    assert_false(job->is_back);
    job->is_back = true;
    office->back++;
}

static const struct lc_threads_ops ops = {
    .start = on_start,
    .end = on_end,
    .turn_start = on_turn_start,
    .turn_end = on_turn_end,
    .run = run,
    .on_post = on_post,
};

/* ---- the loop ---- */

static void before_sleep(uv_prepare_t *prepare)
{
    struct office *office = LC_CONTAINER(prepare, struct office, before_sleep);

    lc_threads_before_sleep(office->threads);
}

static int open_office(void **state)
{
    struct office *office = lc_new(struct office);
    struct lc_error err;

    uv_loop_init(&office->loop);
    office->jobs = lc_calloc(JOBS, sizeof(*office->jobs));
    office->threads = lc_threads_create(&office->loop, THREADS, &ops, office, &err);
    uv_prepare_init(&office->loop, &office->before_sleep);
    uv_prepare_start(&office->before_sleep, before_sleep);
    *state = office;
    return office->threads == NULL ? -1 : 0;
}

static int close_office(void **state)
{
    struct office *office = *state;
    bool have_ended = lc_threads_stop(office->threads, 10000);

    uv_close((uv_handle_t *)&office->before_sleep, NULL);
    uv_run(&office->loop, UV_RUN_DEFAULT);
    uv_loop_close(&office->loop);
    lc_threads_destroy(office->threads);
    free(office->jobs);
    free(office);
    return have_ended ? 0 : -1;
}

static void push(struct office *office, unsigned index, unsigned takes_ms)
{
    office->jobs[index].takes_ms = takes_ms;
    lc_threads_push(office->threads, &office->jobs[index].task);
}

static void run_until_back(struct office *office, unsigned count)
{
    uint64_t end = lc_clock_ms() + 20000;

    while (office->back < count && lc_clock_ms() < end)
        uv_run(&office->loop, UV_RUN_ONCE);
    assert_int_equal(office->back, count);
}

/* ---- tests ---- */

static void every_task_is_run_once_in_a_turn_and_comes_back(void **state)
{
    struct office *office = *state;

    for (unsigned i = 0; i < JOBS; i++) {
        push(office, i, 0);
        if (i % 100 == 99)
            uv_run(&office->loop, UV_RUN_NOWAIT);
    }
    run_until_back(office, JOBS);
    for (unsigned i = 0; i < JOBS; i++) {
        assert_true(office->jobs[i].is_back);
        assert_true(office->jobs[i].thread < THREADS);
    }
    assert_int_equal(office->begun, JOBS);
}

static void one_by_one_works_as_well(void **state)
{
    struct office *office = *state;

    for (unsigned i = 0; i < 500; i++) {
        push(office, i, 0);
        run_until_back(office, i + 1);
    }
}

static void tasks_are_begun_in_order(void **state)
{
    struct office *office = *state;

    for (unsigned i = 0; i < 40; i++)
        push(office, i, 1);
    run_until_back(office, 40);
    for (unsigned i = 0; i < 40; i++) /* as many may overtake as there are threads */
        assert_in_range(office->jobs[i].ordinal + THREADS, i, i + 2 * THREADS);
}

static void slow_tasks_use_all_threads(void **state)
{
    struct office *office = *state;
    uint64_t since = lc_clock_ms();

    for (unsigned i = 0; i < THREADS; i++)
        push(office, i, 500);
    run_until_back(office, THREADS);
    assert_int_equal(office->most_inside, THREADS);
    assert_in_range(lc_clock_ms() - since, 500, 1500);
}

static void a_quick_task_does_not_wait_behind_a_slow_one(void **state)
{
    struct office *office = *state;

    for (unsigned i = 0; i < 1000; i++) { /* nothing makes it expect a slow one */
        push(office, i, 0);
        run_until_back(office, i + 1);
    }
    push(office, 1000, 3000);
    push(office, 1001, 0);
    uint64_t since = lc_clock_ms();
    run_until_back(office, 1001);
    assert_true(office->jobs[1001].is_back);
    assert_in_range(lc_clock_ms() - since, 0, 1000);
    run_until_back(office, 1002);
}

static void await_begin(struct office *office, unsigned count)
{
    uint64_t end = lc_clock_ms() + 20000;

    while (office->begun < count && lc_clock_ms() < end)
        spend(1);
    assert_int_equal(office->begun, count);
}

static void a_thread_at_work_is_left_alone_with_the_queue(void **state)
{
    struct office *office = *state;

    push(office, 0, 200);
    await_begin(office, 1);
    for (unsigned i = 1; i < 100; i++)
        push(office, i, 0);
    spend(50); /* the loop does not turn: nobody watches */
    assert_int_equal(office->begun, 1);
    assert_int_equal(office->turns, 1);
    run_until_back(office, 100);
}

static void after_a_slow_task_everybody_is_called_at_once(void **state)
{
    struct office *office = *state;

    push(office, 0, 10);
    run_until_back(office, 1);
    for (unsigned i = 1; i <= THREADS; i++)
        push(office, i, 200);
    await_begin(office, 1 + THREADS); /* the loop does not turn */
    run_until_back(office, 1 + THREADS);
}

static void stopping_finishes_the_queue(void **state)
{
    struct office *office = *state;

    for (unsigned i = 0; i < 100; i++)
        push(office, i, 2);
    assert_true(lc_threads_stop(office->threads, 10000));
    assert_int_equal(office->back,
                     0); /* told when the owner knows that they have ended */
    lc_threads_hear(office->threads);
    assert_int_equal(office->back, 100);
    assert_int_equal(office->ends, THREADS);
    uv_close((uv_handle_t *)&office->before_sleep, NULL);
    uv_run(&office->loop, UV_RUN_DEFAULT);
    uv_loop_close(&office->loop);
    lc_threads_destroy(office->threads);
    free(office->jobs);
    free(office);
}

static void stopping_does_not_wait_for_ever(void **state)
{
    struct office *office = *state;
    uint64_t since = lc_clock_ms();

    push(office, 0, 1000);
    spend(100); /* it has begun */
    assert_false(lc_threads_stop(office->threads, 50));
    assert_in_range(lc_clock_ms() - since, 100, 900);
}

static void a_thread_that_cannot_start_is_an_error(void **state)
{
    struct office office = {.refuses = true};
    struct lc_error err;

    uv_loop_init(&office.loop);
    assert_null(lc_threads_create(&office.loop, THREADS, &ops, &office, &err));
    assert_string_equal(err.text, "thread 3 will not");
    assert_int_equal(office.starts, THREADS);
    assert_int_equal(office.ends, THREADS - 1);
    assert_int_equal(uv_loop_close(&office.loop), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_office, close_office)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_task_is_run_once_in_a_turn_and_comes_back),
        TEST(one_by_one_works_as_well),
        TEST(tasks_are_begun_in_order),
        TEST(slow_tasks_use_all_threads),
        TEST(a_quick_task_does_not_wait_behind_a_slow_one),
        TEST(a_thread_at_work_is_left_alone_with_the_queue),
        TEST(after_a_slow_task_everybody_is_called_at_once),
        TEST(stopping_does_not_wait_for_ever),
        cmocka_unit_test_setup(stopping_finishes_the_queue, open_office),
        cmocka_unit_test(a_thread_that_cannot_start_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
