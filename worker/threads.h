/* worker/threads.h — threads beside the loop's, for work that may take its time.
 *
 * The loop puts tasks into a queue; whichever thread is free takes the first of them, and what
 * it has to say about it is posted back to the loop. A thread runs its tasks in turns: a turn
 * begins when there is work and ends when there is none, so that what it needs for working
 * (Python's lock) is taken once for many quick tasks.
 *
 * Waking a thread costs more than a quick task. So while tasks are quick those who are at work
 * are left to it; others are called when a task has not got on for a millisecond, and at once
 * while tasks are slow. */
#pragma once
#include <stdbool.h>

struct lc_error;
struct lc_threads;
typedef struct uv_loop_s uv_loop_t;

/* A member of what is to be done, or of what is posted. */
struct lc_task {
    struct lc_task *next;
};

/* What the threads do. `thread` counts from 0. */
struct lc_threads_ops {
    /* First and last on each thread. start: -1 with `err` when the thread cannot work. */
    int (*start)(void *owner, unsigned thread, struct lc_error *err);
    void (*end)(void *owner, unsigned thread);

    /* Around the tasks of a turn. A task is taken only when turn_start has returned. */
    void (*turn_start)(void *owner, unsigned thread);
    void (*turn_end)(void *owner, unsigned thread);

    void (*run)(void *owner, unsigned thread, struct lc_task *task);

    /* On the loop's thread: whether the task could be done elsewhere. */
    bool (*may_recall)(void *owner, const struct lc_task *task);

    /* On the loop's thread: what lc_threads_post was given, in that order. */
    void (*on_post)(void *owner, struct lc_task *post);
};

/* All have started when this returns. NULL and `err` if one of them cannot. */
struct lc_threads *lc_threads_create(uv_loop_t *loop, unsigned count,
                                     const struct lc_threads_ops *ops, void *owner,
                                     struct lc_error *err);

/* Calls of the loop's thread. */

void lc_threads_push(struct lc_threads *pool, struct lc_task *task);

/* Takes the first task that is not to be done here after all: while every thread is in a slow one,
 * the owner may have a better place for it. NULL: none of them is like that. */
struct lc_task *lc_threads_recall(struct lc_threads *pool);

/* Whether tasks are slow just now. */
bool lc_threads_are_slow(struct lc_threads *pool);

/* Takes what was posted, without waiting for the loop to be woken. */
void lc_threads_hear(struct lc_threads *pool);

/* The loop has nothing more to do for now. */
void lc_threads_before_sleep(struct lc_threads *pool);

/* Lets the threads finish the queue and end, for at most so long; lc_threads_hear has what they
 * posted last. False: some of them still are at work, and always will be; the process can only
 * exit. */
bool lc_threads_stop(struct lc_threads *pool, unsigned limit_ms);

/* After a stop that said true, when the loop has been closed. */
void lc_threads_destroy(struct lc_threads *pool);

/* Calls of any thread. */

/* `is_urgent`: the loop has something to do about it, so it is woken at once. */
void lc_threads_post(struct lc_threads *pool, struct lc_task *post, bool is_urgent);
