/* master/ctl/link.h — a connection to a server's control socket: one question, one answer. */
#pragma once
#include <jansson.h>
#include <stdint.h>

struct lc_error;

struct lc_link {
    int fd;
    const char *path;
    int64_t last_id;
    long timeout_ms; /* for an answer; 0: for ever */
};

/* 0, or an exit code, and `err` says why. It takes timeout_ms at most. */
int lc_link_open(struct lc_link *link, const char *path, struct lc_error *err);
void lc_link_close(struct lc_link *link);

/* The data of the answer to `command`, with `words` (ended by NULL; may be NULL) behind it; the
 * caller's. NULL and `err`: the server's own words in it or those of a command that cannot be
 * sent, code LC_E_CONFIG; that no answer came, LC_E_SYSTEM; that what came is none,
 * LC_E_PROTOCOL. */
json_t *lc_link_ask(struct lc_link *link, const char *command, char **words,
                    struct lc_error *err);

/* What licornectl ends with after such an error: 1, 75 (try again), 69. */
int lc_link_exit_code(const struct lc_error *err);
