#include "master/lost.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "master/state.h"

#include <signal.h>
#include <string.h>

/* More than these wait for a worker only when workers die faster than they boot. */
enum { LOST_MAX = LC_HANDS_MAX };

/* 504: it took too long for the server's patience. 500: it took the worker with it. */
static int status_for(const struct lc_worker *worker)
{
    bool was_late = worker->farewell == SIGABRT;

    return was_late ? 504 : 500;
}

static void note(struct lc_master *m, const struct lc_hand *hand, int status)
{
    uint64_t now = lc_clock_ms();

    if (m->lost_count == LOST_MAX)
        return;
    m->lost = lc_realloc(m->lost, (m->lost_count + 1) * sizeof(*m->lost));

    struct lc_msg_lost *lost = &m->lost[m->lost_count++];
    *lost = (struct lc_msg_lost){
        .status = status,
        .age_ms = now > hand->started_ms ? now - hand->started_ms : 0,
    };
    memcpy(lost->method, hand->method, sizeof(lost->method));
    memcpy(lost->target, hand->target, sizeof(lost->target));
    memcpy(lost->client, hand->client, sizeof(lost->client));
}

void lc_lost_note(struct lc_master *m, const struct lc_worker *worker)
{
    struct lc_hand hand;

    for (unsigned i = 0; i < lc_slot_hands(worker->slot); i++)
        if (lc_slot_in_hand(worker->slot, i, &hand))
            note(m, &hand, status_for(worker));
}

static const struct lc_worker *someone_who_serves(const struct lc_master *m)
{
    LC_LIST_EACH (at, &m->workers) {
        const struct lc_worker *worker = LC_CONTAINER(at, struct lc_worker, link);

        if (worker->state == LC_WORKER_SERVING)
            return worker;
    }
    return NULL;
}

void lc_lost_step(struct lc_master *m)
{
    const struct lc_worker *writer = m->lost_count == 0 ? NULL : someone_who_serves(m);

    if (writer == NULL)
        return;
    for (size_t i = 0; i < m->lost_count; i++)
        lc_channel_send(writer->child->channel, LC_MSG_LOST, writer->generation->number,
                        &m->lost[i], sizeof(m->lost[i]));
    free(m->lost);
    m->lost = NULL;
    m->lost_count = 0;
}
