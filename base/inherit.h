/* base/inherit.h — what a child process gets from the master at fork, and the roles it can
 * have. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct lc_config;
struct lc_credentials;
struct lc_error;
struct lc_scoreboard;
struct lc_slot;
struct lc_ticket_keys;

/* A listening socket. The master owns the descriptors and keeps them open across reloads. */
struct lc_listener {
    int fd;
    bool is_unix;
    char *spec;    /* as in `bind`: "127.0.0.1:8000", "unix:/run/x", "fd://3" */
    char *address; /* the socket's own: "127.0.0.1", "::", "/run/x"           */
    char *port;    /* "8000"; NULL for unix sockets                           */
};

struct lc_inherit {
    const struct lc_config *config;
    const struct lc_listener *listeners;
    unsigned listener_count;
    struct lc_scoreboard *scoreboard;
    struct lc_slot *slot; /* the child's own; NULL for the logger             */
    int channel;          /* to the master, blocking                          */
    int passing[2];       /* worker: both ends of base/passing.h              */
    int records;          /* worker: where records go; logger: where they come from */
    int output; /* a pipe's end: the logger reads there what applications print and what is said of
                 * crashes; -1: none */
    /* `reload`: a worker that cannot load the application shows why. */
    bool serves_errors;
    uint16_t generation;
    unsigned age; /* Gunicorn's worker.age: 1, 2, 3 …                 */
    struct lc_credentials *credentials; /* the child's to wipe; NULL: no TLS  */
    const struct lc_ticket_keys *tickets;
};

/* What there is to say about a certificate. */
struct lc_certificate_facts {
    int64_t until_s;   /* seconds since 1970: valid no longer */
    char subject[256]; /* "CN = shop.example"                 */
};

/* What a forked child becomes. `run` returns its exit code. */
struct lc_role {
    const char *name; /* "worker", "logger" */
    int (*run)(const struct lc_inherit *inherit);

    /* For --check-config, in a child of its own: loads the application and says on stderr what
     * is wrong with it. 0, or -1. NULL: there is nothing to check. */
    int (*check)(const struct lc_config *config);

    /* Whether it could serve with these; says what is wrong in `err`, else tells about the first
     * certificate. The master, which knows no TLS, asks before it lets anybody use them. */
    int (*vet)(const struct lc_config *config, const struct lc_credentials *credentials,
               struct lc_certificate_facts *facts, struct lc_error *err);
};

enum { LC_EXIT_BOOT = 3, LC_EXIT_APP_LOAD = 4 }; /* as Gunicorn's workers */
