/* master/monitor/visitor.h — one connection to the monitor: a request, an answer, the end. */
#pragma once
#include "base/list.h"

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct lc_master;

enum { LC_VISIT_TARGET_MAX = 256 };

struct lc_visitor {
    struct lc_list link;
    uv_poll_t watch;
    int fd; /* -1: closed; the memory goes with the handle */
    int events;
    bool is_ready;   /* the loop saw something        */
    uint64_t due_ms; /* closed then, whatever it does */

    llhttp_t parser;
    char target[LC_VISIT_TARGET_MAX];
    size_t target_len;
    size_t received;
    bool is_too_long; /* the target          */
    bool is_asked;    /* the head is complete */

    char *out; /* the answer; NULL: none yet */
    size_t out_len, out_at;
    bool is_answered; /* all has left; waits for the visitor to close too */
};

/* Takes the socket over. The visitor is in `list` until it is closed. */
struct lc_visitor *lc_visitor_open(struct lc_master *m, struct lc_list *list, int fd);
void lc_visitor_close(struct lc_visitor *visitor);

/* Reads a piece, answers, writes. -1: the visit is over. */
int lc_visitor_serve(struct lc_master *m, struct lc_visitor *visitor);
