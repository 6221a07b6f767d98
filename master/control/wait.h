/* master/control/wait.h — an order whose answer is due when it has been carried out (--wait). */
#pragma once
#include <jansson.h>

struct lc_error;
struct lc_master;

enum lc_wait_for {
    LC_WAIT_NOTHING,
    LC_WAIT_RELOAD,  /* the new workers serve, or were withdrawn   */
    LC_WAIT_WORKERS, /* there are as many as wanted, and no others */
    LC_WAIT_END,     /* of the server                              */
};

struct lc_wait {
    enum lc_wait_for what;
    json_t *data;           /* the answer when all went well    */
    unsigned reload;        /* its number                       */
    unsigned boot_failures; /* as many as there were before     */
};

/* `data` is taken over. */
struct lc_wait lc_wait_begin(const struct lc_master *m, enum lc_wait_for what,
                             json_t *data);

/* 1: done; -1 and `err`: it will not be; 0: not yet. */
int lc_wait_look(const struct lc_wait *wait, const struct lc_master *m,
                 struct lc_error *err);
void lc_wait_clear(struct lc_wait *wait);
