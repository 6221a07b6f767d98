/* master/handed.h — listening sockets that were open when the program started: from a service
 * manager (LISTEN_FDS, see sd_listen_fds(3)), or from the master that this one is to replace
 * (GUNICORN_FD, GUNICORN_PID). */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

struct lc_address;
struct lc_error;

enum { LC_HANDED_MAX = 128 };

struct lc_handed {
    int fds[LC_HANDED_MAX];
    unsigned count;
    bool is_managed;   /* by a service manager: they stand for `bind`           */
    pid_t predecessor; /* the master that started us to take its place; 0: none */
};

/* Reads the environment and takes those variables out of it. -1 and `err` when a descriptor is
 * no listening socket. */
int lc_handed_open(struct lc_handed *handed, struct lc_error *err);

/* A predecessor's socket that listens on this address, which is the caller's from now on; -1
 * when there is none. */
int lc_handed_take(struct lc_handed *handed, const struct lc_address *address);

/* Closes what nobody took. */
void lc_handed_close(struct lc_handed *handed);
