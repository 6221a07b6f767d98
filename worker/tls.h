/* worker/tls.h — what all encrypted connections of a worker share: certificates, keys, rules.
 *
 * There is a context for each certificate; the name that a client asks for (SNI) chooses, and
 * the first is for everybody else. Certificates may be replaced at any time: connections that
 * are there keep what they have. */
#pragma once
#include <stddef.h>
#include <openssl/types.h>

struct lc_certificate_facts;
struct lc_config;
struct lc_credentials;
struct lc_error;
struct lc_ticket_keys;
struct lc_tls;

/* NULL and `err`, which names the setting and the file that is wrong. What was taken from
 * `credentials` has been copied. */
struct lc_tls *lc_tls_create(const struct lc_config *config,
                             const struct lc_credentials *credentials,
                             const struct lc_ticket_keys *tickets, struct lc_error *err);
void lc_tls_destroy(struct lc_tls *tls); /* NULL is fine; after its last connection */

/* Other certificates and ticket keys for those who connect from now on. -1 and `err`: all stays
 * as it was. */
int lc_tls_renew(struct lc_tls *tls, const struct lc_credentials *credentials,
                 const struct lc_ticket_keys *tickets, struct lc_error *err);

/* Tries all this out for the master (struct lc_role). */
int lc_tls_vet(const struct lc_config *config, const struct lc_credentials *credentials,
               struct lc_certificate_facts *facts, struct lc_error *err);

/* A connection begins with the first context. NULL: no memory. */
SSL *lc_tls_session(const struct lc_tls *tls);

/* "[SSL: NO_SHARED_CIPHER] no shared cipher", as Python's ssl words OpenSSL's oldest error, which
 * is taken off the queue with all others. "" when there is none. */
void lc_tls_take_error(char *out, size_t room);
