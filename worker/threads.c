#include "worker/threads.h"

#include "base/clock.h"
#include "base/mem.h"

#include <licorne/error.h>

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <uv.h>

enum {
    SLOW_US = 500,     /* a task that takes longer is not quick                    */
    SLOW_MEMORY = 256, /* quick tasks after a slow one until they all count as quick */
    WATCH_MS = 1,      /* how long a task may stay where it is                      */
};

struct queue {
    struct lc_task *first, **end;
};

struct thread {
    struct lc_threads *pool;
    unsigned number;
    pthread_t id;
    uint64_t since_us; /* when its task began; 0: it has none. Guarded by the lock */
};

struct lc_threads {
    const struct lc_threads_ops *ops;
    void *owner;
    uv_loop_t *loop;
    uv_async_t bell; /* something was posted */
    uv_timer_t watch;

    pthread_mutex_t lock;
    pthread_cond_t work;   /* `calls` or is_stopping */
    pthread_cond_t change; /* `started` or `ended`   */
    /* From here on guarded by the lock. */
    struct queue tasks, posts;
    unsigned queued;
    uint64_t taken;       /* tasks, ever                                         */
    unsigned idle;        /* threads that wait for a call                        */
    unsigned calls;       /* that no thread has followed yet                     */
    unsigned seeking;     /* threads that were called and have not looked yet    */
    unsigned running;     /* threads with a task, or about to look for their next */
    unsigned slow_memory; /* above 0: tasks are slow just now                    */
    bool is_watched;      /* the loop looks after the queue every millisecond    */
    bool is_stopping;
    unsigned started, ended;
    struct lc_error failure;

    uint64_t taken_before; /* the loop's: as the watch saw it last */
    bool is_hearing;       /* the loop's: posts are being told     */
    unsigned count;
    struct thread threads[];
};

/* ---- queues ---- */

static void queue_init(struct queue *queue)
{
    queue->first = NULL;
    queue->end = &queue->first;
}

static void queue_append(struct queue *queue, struct lc_task *task)
{
    task->next = NULL;
    *queue->end = task;
    queue->end = &task->next;
}

static struct lc_task *queue_take(struct queue *queue)
{
    struct lc_task *task = queue->first;

    if (task == NULL)
        return NULL;
    queue->first = task->next;
    if (queue->first == NULL)
        queue->end = &queue->first;
    return task;
}

/* ---- who works (the lock is held) ---- */

static bool needs_help(const struct lc_threads *pool)
{
    return pool->queued > 0 && pool->seeking + pool->calls == 0 &&
           (pool->running == 0 || pool->slow_memory > 0);
}

static void call_one(struct lc_threads *pool)
{
    if (pool->idle <= pool->calls)
        return;
    pool->calls++;
    pthread_cond_signal(&pool->work);
}

static void call_help(struct lc_threads *pool)
{
    if (needs_help(pool))
        call_one(pool);
}

/* False: there will be no work any more. */
static bool await_work(struct lc_threads *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->idle++;
    while (pool->calls == 0 && !needs_help(pool) && !pool->is_stopping)
        pthread_cond_wait(&pool->work, &pool->lock);
    pool->idle--;
    if (pool->calls > 0)
        pool->calls--;
    bool goes_on = !pool->is_stopping || pool->queued > 0;
    if (goes_on)
        pool->seeking++;
    pthread_mutex_unlock(&pool->lock);
    return goes_on;
}

static void remember_pace(struct lc_threads *pool, uint64_t took_us)
{
    if (took_us > SLOW_US)
        pool->slow_memory = SLOW_MEMORY;
    else if (pool->slow_memory > 0)
        pool->slow_memory--;
}

/* The next task of a turn; NULL: the turn is over. */
static struct lc_task *take(struct thread *thread, bool is_first)
{
    struct lc_threads *pool = thread->pool;
    uint64_t now_us = lc_clock_us();

    pthread_mutex_lock(&pool->lock);
    if (is_first) {
        pool->seeking--;
        pool->running++;
    } else {
        remember_pace(pool, now_us - thread->since_us);
    }
    struct lc_task *task = queue_take(&pool->tasks);
    if (task != NULL) {
        pool->queued--;
        pool->taken++;
        call_help(pool);
    } else {
        pool->running--;
    }
    thread->since_us = task == NULL ? 0 : now_us;
    pthread_mutex_unlock(&pool->lock);
    return task;
}

static void work(struct thread *thread)
{
    struct lc_threads *pool = thread->pool;
    struct lc_task *task;

    pool->ops->turn_start(pool->owner, thread->number);
    for (bool is_first = true; (task = take(thread, is_first)) != NULL; is_first = false)
        pool->ops->run(pool->owner, thread->number, task);
    pool->ops->turn_end(pool->owner, thread->number);
}

static bool start(struct thread *thread)
{
    struct lc_threads *pool = thread->pool;
    struct lc_error err = {.code = LC_E_NONE};
    char name[16];

    snprintf(name, sizeof(name), "thread %u", thread->number + 1);
    pthread_setname_np(pthread_self(), name);
    bool is_ready = pool->ops->start(pool->owner, thread->number, &err) == 0;

    pthread_mutex_lock(&pool->lock);
    if (!is_ready)
        pool->failure = err;
    pool->started++;
    pthread_cond_broadcast(&pool->change);
    pthread_mutex_unlock(&pool->lock);
    return is_ready;
}

static void *live(void *data)
{
    struct thread *thread = data;
    struct lc_threads *pool = thread->pool;

    if (start(thread)) {
        while (await_work(pool))
            work(thread);
        pool->ops->end(pool->owner, thread->number);
    }
    pthread_mutex_lock(&pool->lock);
    pool->ended++;
    pthread_cond_broadcast(&pool->change);
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* ---- the loop's side ---- */

void lc_threads_push(struct lc_threads *pool, struct lc_task *task)
{
    pthread_mutex_lock(&pool->lock);
    queue_append(&pool->tasks, task);
    pool->queued++;
    call_help(pool);
    pthread_mutex_unlock(&pool->lock);
}

static struct lc_task *queue_remove(struct queue *queue, struct lc_task **link)
{
    struct lc_task *task = *link;

    *link = task->next;
    if (queue->end == &task->next)
        queue->end = link;
    return task;
}

struct lc_task *lc_threads_recall(struct lc_threads *pool)
{
    struct lc_task *found = NULL;

    pthread_mutex_lock(&pool->lock);
    if (pool->slow_memory > 0 && pool->idle == 0)
        for (struct lc_task **at = &pool->tasks.first; *at != NULL; at = &(*at)->next)
            if (pool->ops->may_recall(pool->owner, *at)) {
                found = queue_remove(&pool->tasks, at);
                pool->queued--;
                break;
            }
    pthread_mutex_unlock(&pool->lock);
    return found;
}

/* One that has not ended yet: nobody else would tell of the first after many quick ones. */
static bool has_slow_task(const struct lc_threads *pool)
{
    uint64_t now_us = lc_clock_us();

    for (unsigned i = 0; i < pool->count; i++)
        if (pool->threads[i].since_us != 0 &&
            now_us > pool->threads[i].since_us + SLOW_US)
            return true;
    return false;
}

bool lc_threads_are_slow(struct lc_threads *pool)
{
    pthread_mutex_lock(&pool->lock);
    if (pool->slow_memory == 0 && has_slow_task(pool))
        pool->slow_memory = SLOW_MEMORY;
    bool are_slow = pool->slow_memory > 0;
    pthread_mutex_unlock(&pool->lock);
    return are_slow;
}

void lc_threads_hear(struct lc_threads *pool)
{
    if (pool->is_hearing)
        return; /* what came meanwhile must not overtake what is being told */
    pthread_mutex_lock(&pool->lock);
    struct lc_task *post = pool->posts.first;
    queue_init(&pool->posts);
    pthread_mutex_unlock(&pool->lock);

    pool->is_hearing = true;
    while (post != NULL) {
        struct lc_task *next = post->next;

        pool->ops->on_post(pool->owner, post);
        post = next;
    }
    pool->is_hearing = false;
}

static void on_bell(uv_async_t *bell)
{
    lc_threads_hear(LC_CONTAINER(bell, struct lc_threads, bell));
}

/* The loop has slept or worked for a millisecond while tasks were waiting. If none was taken
 * since, whoever is at work has met a slow one. */
static void on_watch(uv_timer_t *watch)
{
    struct lc_threads *pool = LC_CONTAINER(watch, struct lc_threads, watch);

    pthread_mutex_lock(&pool->lock);
    bool has_moved = pool->taken != pool->taken_before;
    if (pool->queued > 0 && !has_moved) {
        pool->slow_memory = SLOW_MEMORY;
        call_help(pool);
    }
    pool->taken_before = pool->taken;
    /* With all threads in slow tasks there is nothing to look after: whoever ends wakes the
     * loop. */
    pool->is_watched = pool->queued > 0 && (pool->idle > 0 || has_moved);
    if (!pool->is_watched)
        uv_timer_stop(watch);
    pthread_mutex_unlock(&pool->lock);
    lc_threads_hear(pool);
}

void lc_threads_before_sleep(struct lc_threads *pool)
{
    lc_threads_hear(pool);
    pthread_mutex_lock(&pool->lock);
    if (pool->queued > 0 && !pool->is_watched) {
        pool->is_watched = true;
        pool->taken_before = pool->taken;
        uv_timer_start(&pool->watch, on_watch, WATCH_MS, WATCH_MS);
    }
    pthread_mutex_unlock(&pool->lock);
}

void lc_threads_post(struct lc_threads *pool, struct lc_task *post, bool is_urgent)
{
    pthread_mutex_lock(&pool->lock);
    queue_append(&pool->posts, post);
    /* While more quick tasks follow, the loop may as well hear of all of them together. */
    bool can_wait = !is_urgent && pool->queued > 0 && pool->is_watched &&
                    pool->slow_memory == 0;
    pthread_mutex_unlock(&pool->lock);
    if (!can_wait)
        uv_async_send(&pool->bell);
}

/* ---- life ---- */

static bool await_ends(struct lc_threads *pool, unsigned limit_ms)
{
    struct timespec end;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += limit_ms / 1000;
    end.tv_nsec += limit_ms % 1000 * 1000000L;
    if (end.tv_nsec >= 1000000000L) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&pool->lock);
    pool->is_stopping = true;
    pthread_cond_broadcast(&pool->work);
    while (pool->ended < pool->count &&
           pthread_cond_timedwait(&pool->change, &pool->lock, &end) == 0)
        continue;
    bool have_ended = pool->ended == pool->count;
    pthread_mutex_unlock(&pool->lock);
    return have_ended;
}

bool lc_threads_stop(struct lc_threads *pool, unsigned limit_ms)
{
    if (!await_ends(pool, limit_ms))
        return false;
    for (unsigned i = 0; i < pool->count; i++)
        pthread_join(pool->threads[i].id, NULL);
    uv_close((uv_handle_t *)&pool->bell, NULL);
    uv_close((uv_handle_t *)&pool->watch, NULL);
    return true;
}

void lc_threads_destroy(struct lc_threads *pool)
{
    if (pool == NULL)
        return;
    pthread_cond_destroy(&pool->change);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static struct lc_threads *create_pool(uv_loop_t *loop, unsigned count,
                                      const struct lc_threads_ops *ops, void *owner)
{
    struct lc_threads *pool = lc_calloc(1, sizeof(*pool) + count * sizeof(struct thread));
    pthread_condattr_t monotonic;

    pool->ops = ops;
    pool->owner = owner;
    pool->loop = loop;
    queue_init(&pool->tasks);
    queue_init(&pool->posts);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    uv_async_init(loop, &pool->bell, on_bell);
    uv_timer_init(loop, &pool->watch);
    return pool;
}

static int start_threads(struct lc_threads *pool, unsigned count, struct lc_error *err)
{
    int failed = 0;

    while (pool->count < count && failed == 0) {
        struct thread *thread = &pool->threads[pool->count];

        *thread = (struct thread){.pool = pool, .number = pool->count};
        failed = pthread_create(&thread->id, NULL, live, thread);
        pool->count += failed == 0;
    }
    pthread_mutex_lock(&pool->lock);
    while (pool->started < pool->count)
        pthread_cond_wait(&pool->change, &pool->lock);
    pthread_mutex_unlock(&pool->lock);

    if (failed != 0)
        return lc_error_set(err, LC_E_BOOT, "threads = %u: number %u cannot be made: %s",
                            count, pool->count + 1, strerror(failed));
    if (pool->failure.code == LC_E_NONE)
        return 0;
    if (err != NULL)
        *err = pool->failure;
    return -1;
}

struct lc_threads *lc_threads_create(uv_loop_t *loop, unsigned count,
                                     const struct lc_threads_ops *ops, void *owner,
                                     struct lc_error *err)
{
    struct lc_threads *pool = create_pool(loop, count, ops, owner);

    if (start_threads(pool, count, err) == 0)
        return pool;
    lc_threads_stop(pool, 60 * 1000);
    uv_run(loop, UV_RUN_NOWAIT); /* what was just closed leaves the loop */
    lc_threads_destroy(pool);
    return NULL;
}
