/* base/credentials.h — certificates, private keys and authorities as the bytes of their files.
 *
 * The master reads them: a worker may be a user by then who must not. The bytes lie in memory of
 * their own, which stays out of core dumps and, where the limits allow it, out of swap, and which
 * is wiped when it is given back. Nothing here knows TLS; whether the bytes make sense is for
 * whoever uses them to say. */
#pragma once
#include <licorne/slice.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lc_error;

enum lc_pem_kind {
    LC_PEM_CERTIFICATE, /* with its chain; begins another pair                       */
    LC_PEM_KEY,         /* of the certificate before it                              */
    LC_PEM_AUTHORITIES, /* whom to believe about the certificates of clients; last   */
};

/* One file. `name` is for messages: "certfile = /etc/ssl/shop.pem". */
struct lc_pem {
    enum lc_pem_kind kind;
    const char *name;
    struct lc_slice text;
};

struct lc_pem_file {
    enum lc_pem_kind kind;
    const char *setting; /* "certfile" */
    const char *path;
};

/* Far more than any chain or bundle of authorities has. */
enum { LC_PEM_FILE_MAX = 1 << 20, LC_PEM_FILES = 64 };

struct lc_credentials {
    struct lc_pem items[LC_PEM_FILES];
    size_t count;
    char *block; /* what `items` point into */
    size_t size, room;
};

/* NULL and `err`, which names the setting and the file. */
struct lc_credentials *lc_credentials_read(const struct lc_pem_file *files, size_t count,
                                           struct lc_error *err);
void lc_credentials_destroy(struct lc_credentials *credentials); /* wipes; NULL is fine */

/* Gives the bytes back, wiped: no item is left. A child does this with what it does not need. */
void lc_credentials_wipe(struct lc_credentials *credentials);

bool lc_credentials_equal(const struct lc_credentials *a, const struct lc_credentials *b);

/* For a process that runs already: a file without a name that holds them all. The reader takes
 * no length in it on trust. -1 or NULL with `err`. */
int lc_credentials_export(const struct lc_credentials *credentials, struct lc_error *err);
struct lc_credentials *lc_credentials_import(int fd, struct lc_error *err);
