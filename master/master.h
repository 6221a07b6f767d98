/* master/master.h — the parent: reads the configuration, binds sockets, supervises children. */
#pragma once

struct lc_role;

struct lc_roles {
    const struct lc_role *worker;
    const struct lc_role *logger;
};

/* The whole program. Returns the exit code (Gunicorn's: 0, 1, 2, 3, 4). */
int lc_master_main(int argc, char **argv, const struct lc_roles *roles);
