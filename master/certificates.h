/* master/certificates.h — the certificates and keys of a configuration, from file to worker.
 *
 * They are read while the master may, checked by the worker's own rules, and handed down with
 * the fork. Afterwards the files are watched: a pair that was renewed and fits together reaches
 * running workers without a reload. */
#pragma once

struct lc_certificates;
struct lc_config;
struct lc_credentials;
struct lc_error;
struct lc_generation;
struct lc_master;
struct lc_role;

/* Reads what `config` names; relative paths begin at the current folder. `*certificates` is NULL
 * when it names nothing: no TLS. -1 and `err` when something is wrong with it. */
int lc_certificates_read(struct lc_certificates **certificates,
                         const struct lc_config *config, const struct lc_role *worker,
                         struct lc_error *err);
void lc_certificates_destroy(struct lc_certificates *certificates); /* NULL is fine */

/* For a child; NULL: no TLS. */
struct lc_credentials *lc_certificates_credentials(struct lc_certificates *certificates);

/* Warns of a certificate that has expired or is about to. NULL is fine. */
void lc_certificates_warn(const struct lc_certificates *certificates);

/* Makes the keys of session tickets, before the first worker. */
int lc_certificates_start(struct lc_master *m, struct lc_error *err);

/* Looks at the files every few seconds, and tells the workers what is new. */
void lc_certificates_step(struct lc_master *m);
