#include "worker/tls.h"

#include "base/credentials.h"
#include "base/inherit.h"
#include "base/mem.h"
#include "base/tickets.h"
#include "config/config.h"
#include "config/script.h"

#include <licorne/error.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* What Python's ssl offers, and so Gunicorn. TLS 1.3 has ciphers of its own. */
static const char usual_ciphers[] =
    "@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:"
    "!AESCCM";

struct lc_tls {
    const struct lc_config *config;
    SSL_CTX *contexts[LC_PEM_FILES]; /* [0] is the default */
    size_t count;
    struct lc_ticket_keys tickets;
};

/* --- errors ----------------------------------------------------------------------------- */

void lc_tls_take_error(char *out, size_t room)
{
    unsigned long code = ERR_get_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    char name[96];
    size_t n = 0;

    ERR_clear_error();
    if (reason == NULL) {
        snprintf(out, room, "%s", code == 0 ? "" : "[SSL] unknown error");
        return;
    }
    for (; reason[n] != '\0' && n + 1 < sizeof(name); n++)
        name[n] = isalnum((unsigned char)reason[n]) ? (char)toupper(reason[n]) : '_';
    name[n] = '\0';
    snprintf(out, room, "[SSL: %s] %s", name, reason);
}

/* The setting, the file and OpenSSL's reason. */
static int wrong(const char *name, const char *what, struct lc_error *err)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);

    lc_error_set(err, LC_E_CONFIG, "%s: %s%s%s", name, what, reason == NULL ? "" : ": ",
                 reason == NULL ? "" : reason);
    ERR_clear_error();
    return -1;
}

/* --- certificate, key, authorities ---------------------------------------------------------- */

static BIO *reader(struct lc_slice text)
{
    BIO *bio = BIO_new_mem_buf(text.at, (int)text.len);

    lc_assert(bio != NULL); /* no memory */
    return bio;
}

/* PEM readers say "no start line" at the end of a file: that is how it should end. */
static bool is_at_end(void)
{
    unsigned long code = ERR_peek_last_error();

    return ERR_GET_LIB(code) == ERR_LIB_PEM &&
           ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

static int add_chain(SSL_CTX *context, BIO *bio, const char *name, struct lc_error *err)
{
    X509 *link;

    while ((link = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        if (SSL_CTX_add0_chain_cert(context, link) != 1) {
            X509_free(link);
            return wrong(name, "a certificate of the chain cannot be used", err);
        }
    if (!is_at_end())
        return wrong(name, "the chain cannot be read", err);
    ERR_clear_error();
    return 0;
}

static int use_certificate(SSL_CTX *context, const struct lc_pem *pem,
                           struct lc_error *err)
{
    BIO *bio = reader(pem->text);
    X509 *leaf = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    int rc;

    if (leaf == NULL && is_at_end()) {
        ERR_clear_error();
        rc = wrong(pem->name, "holds no certificate (PEM is needed)", err);
    } else if (leaf == NULL) {
        rc = wrong(pem->name, "the certificate cannot be read", err);
    } else if (SSL_CTX_use_certificate(context, leaf) != 1) {
        rc = wrong(pem->name, "the certificate cannot be used", err);
    } else {
        rc = add_chain(context, bio, pem->name, err);
    }
    X509_free(leaf);
    BIO_free(bio);
    return rc;
}

/* A server has nobody to ask for a passphrase. */
static int on_passphrase(char *into, int room, int is_writing, void *asked)
{
    *(bool *)asked = true;
    return -1;
}

static bool has_key(struct lc_slice text)
{
    static const struct lc_slice mark = LC_SLICE("PRIVATE KEY-----");

    return memmem(text.at, text.len, mark.at, mark.len) != NULL;
}

static int use_key(SSL_CTX *context, const struct lc_pem *pem, struct lc_error *err)
{
    BIO *bio = reader(pem->text);
    bool is_encrypted = false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, &is_encrypted);
    int rc = 0;

    BIO_free(bio);
    if (key == NULL && is_encrypted) {
        ERR_clear_error();
        rc = wrong(
            pem->name,
            "the private key is encrypted, and nobody is asked for its passphrase: "
            "store it decrypted (openssl pkey -in KEY -out NEW), readable by root "
            "alone",
            err);
    } else if (key == NULL && !has_key(pem->text)) {
        ERR_clear_error();
        rc = wrong(pem->name, "holds no private key (PEM is needed)", err);
    } else if (key == NULL) {
        rc = wrong(pem->name, "the private key cannot be read", err);
    } else if (X509_check_private_key(SSL_CTX_get0_certificate(context), key) != 1) {
        ERR_clear_error();
        rc = wrong(pem->name, "the private key does not belong to the certificate", err);
    } else if (SSL_CTX_use_PrivateKey(context, key) != 1) {
        rc = wrong(pem->name, "the private key cannot be used", err);
    }
    EVP_PKEY_free(key);
    return rc;
}

static int add_authorities(SSL_CTX *context, const struct lc_pem *pem,
                           struct lc_error *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    BIO *bio = reader(pem->text);
    STACK_OF(X509_INFO) *all = PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL);
    int found = 0;

    BIO_free(bio);
    if (all == NULL)
        return wrong(pem->name, "the certificates cannot be read", err);
    for (int i = 0; i < sk_X509_INFO_num(all); i++) {
        const X509_INFO *info = sk_X509_INFO_value(all, i);

        if (info->x509 != NULL && X509_STORE_add_cert(store, info->x509) == 1)
            found++;
        if (info->crl != NULL)
            X509_STORE_add_crl(store, info->crl);
    }
    sk_X509_INFO_pop_free(all, X509_INFO_free);
    ERR_clear_error();
    return found > 0 ? 0 : wrong(pem->name, "holds no certificate (PEM is needed)", err);
}

/* --- what is decided while a client says hello ----------------------------------------------- */

/* The certificate for the name that the client asked for. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    const struct lc_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    if (name == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    for (size_t i = 0; i < tls->count; i++) {
        X509 *certificate = SSL_CTX_get0_certificate(tls->contexts[i]);

        if (X509_check_host(certificate, name, strlen(name), 0, NULL) != 1)
            continue;
        if (i != 0)
            SSL_set_SSL_CTX(ssl, tls->contexts[i]);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                   const unsigned char *in, unsigned in_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1\x08http/1.0";
    unsigned char *chosen;

    /* RFC 7301, 3.2: who cannot agree must say so. */
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* RFC 5077, 4 and 5.5. 0: the ticket is not ours; 2: it is, but the client should get a newer. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_sealing)
{
    const struct lc_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const struct lc_ticket_key *key = &tls->tickets.current;
    int answer = 1;

    if (is_sealing) {
        if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1)
            return -1;
        memcpy(name, key->name, sizeof(key->name));
    } else if (memcmp(name, key->name, sizeof(key->name)) != 0) {
        key = &tls->tickets.previous;
        answer = 2;
        if (memcmp(name, key->name, sizeof(key->name)) != 0)
            return 0;
    }

    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac,
                                          sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, is_sealing) !=
            1 ||
        EVP_MAC_CTX_set_params(mac, params) != 1)
        return -1;
    return answer;
}

/* --- contexts -------------------------------------------------------------------------------- */

static int verify_mode(const struct lc_config *config)
{
    const struct lc_script_tls *hook = lc_script_tls(config->script);

    switch (hook != NULL && hook->verify_mode >= 0 ? hook->verify_mode
                                                   : config->cert_reqs) {
    case 0: return SSL_VERIFY_NONE;
    case 1: return SSL_VERIFY_PEER;
    default: return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
}

/* A session goes on only under the same rules for clients: one from a time when nobody asked for
 * a certificate must not open a server that demands one. */
static int bind_sessions(SSL_CTX *context, const struct lc_config *config,
                         const struct lc_credentials *credentials)
{
    unsigned char id[SSL_MAX_SSL_SESSION_ID_LENGTH];
    const int mode = verify_mode(config);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool is_done;

    _Static_assert(sizeof(id) == 32, "a SHA-256");
    is_done = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
              EVP_DigestUpdate(digest, &mode, sizeof(mode)) == 1;
    for (size_t i = 0; is_done && i < credentials->count; i++) {
        const struct lc_pem *item = &credentials->items[i];

        if (item->kind == LC_PEM_AUTHORITIES)
            is_done = EVP_DigestUpdate(digest, item->text.at, item->text.len) == 1;
    }
    is_done = is_done && EVP_DigestFinal_ex(digest, id, NULL) == 1 &&
              SSL_CTX_set_session_id_context(context, id, sizeof(id)) == 1;
    EVP_MD_CTX_free(digest);
    return is_done ? 0 : -1;
}

static const char *ciphers_of(const struct lc_config *config)
{
    const struct lc_script_tls *hook = lc_script_tls(config->script);

    if (hook != NULL && hook->ciphers != NULL)
        return hook->ciphers;
    return config->ciphers == NULL ? usual_ciphers : config->ciphers;
}

static int set_ciphers(SSL_CTX *context, const struct lc_config *config,
                       struct lc_error *err)
{
    if (SSL_CTX_set_cipher_list(context, ciphers_of(config)) == 1)
        return 0;
    LC_AUTOFREE char *name = lc_printf("ciphers = %s", ciphers_of(config));
    return wrong(name, "OpenSSL cannot use this", err);
}

static void set_rules(SSL_CTX *context, const struct lc_config *config)
{
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    if (config->suppress_ragged_eofs)
        SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* Buffers are there only while they hold something: an idle connection needs none. */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1); /* one recv for head and rest of a record */
    SSL_CTX_set_verify(context, verify_mode(config), NULL);
    /* Tickets alone: a cache would know only the sessions of this worker. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
    SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, NULL);
}

/* What gunicorn.conf.py's ssl_context() has changed. */
static void obey_hook(SSL_CTX *context, const struct lc_script_tls *hook)
{
    if (hook == NULL)
        return;
    if (hook->min_version != 0)
        SSL_CTX_set_min_proto_version(context, hook->min_version);
    if (hook->max_version != 0)
        SSL_CTX_set_max_proto_version(context, hook->max_version);
    SSL_CTX_set_options(context, hook->options);
    SSL_CTX_clear_options(context, hook->no_options);
}

static int add_context(struct lc_tls *tls, const struct lc_credentials *credentials,
                       struct lc_error *err)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    if (context == NULL)
        return wrong("TLS", "OpenSSL has no context to give", err);
    tls->contexts[tls->count++] = context;
    SSL_CTX_set_app_data(context, tls);
    set_rules(context, tls->config);
    obey_hook(context, lc_script_tls(tls->config->script));
    if (set_ciphers(context, tls->config, err) < 0)
        return -1;
    if (bind_sessions(context, tls->config, credentials) < 0)
        return wrong("TLS", "OpenSSL cannot make a digest", err);
    return 0;
}

static int use(struct lc_tls *tls, const struct lc_credentials *credentials,
               const struct lc_pem *item, struct lc_error *err)
{
    switch (item->kind) {
    case LC_PEM_CERTIFICATE:
        if (add_context(tls, credentials, err) < 0)
            return -1;
        return use_certificate(tls->contexts[tls->count - 1], item, err);
    case LC_PEM_KEY:
        lc_assert(tls->count > 0);
        return use_key(tls->contexts[tls->count - 1], item, err);
    case LC_PEM_AUTHORITIES:
        for (size_t i = 0; i < tls->count; i++)
            if (add_authorities(tls->contexts[i], item, err) < 0)
                return -1;
        return 0;
    }
    return 0;
}

static int fill(struct lc_tls *tls, const struct lc_credentials *credentials,
                struct lc_error *err)
{
    for (size_t i = 0; i < credentials->count; i++)
        if (use(tls, credentials, &credentials->items[i], err) < 0)
            return -1;
    lc_assert(tls->count > 0);
    return 0;
}

/* --- life -------------------------------------------------------------------------------------- */

static void drop_contexts(struct lc_tls *tls)
{
    for (size_t i = 0; i < tls->count; i++)
        SSL_CTX_free(tls->contexts[i]);
    tls->count = 0;
}

struct lc_tls *lc_tls_create(const struct lc_config *config,
                             const struct lc_credentials *credentials,
                             const struct lc_ticket_keys *tickets, struct lc_error *err)
{
    struct lc_tls *tls = lc_new(struct lc_tls);

    ERR_clear_error();
    tls->config = config;
    tls->tickets = *tickets;
    if (fill(tls, credentials, err) == 0)
        return tls;
    lc_tls_destroy(tls);
    return NULL;
}

void lc_tls_destroy(struct lc_tls *tls)
{
    if (tls == NULL)
        return;
    drop_contexts(tls);
    OPENSSL_cleanse(&tls->tickets, sizeof(tls->tickets));
    free(tls);
}

int lc_tls_renew(struct lc_tls *tls, const struct lc_credentials *credentials,
                 const struct lc_ticket_keys *tickets, struct lc_error *err)
{
    struct lc_tls *fresh = lc_tls_create(tls->config, credentials, tickets, err);

    if (fresh == NULL)
        return -1;
    /* A connection that says hello just now may keep one for a while. */
    drop_contexts(tls);
    tls->tickets = fresh->tickets;
    tls->count = fresh->count;
    memcpy(tls->contexts, fresh->contexts, sizeof(tls->contexts));
    for (size_t i = 0; i < tls->count; i++)
        SSL_CTX_set_app_data(tls->contexts[i], tls);
    fresh->count = 0;
    lc_tls_destroy(fresh);
    return 0;
}

SSL *lc_tls_session(const struct lc_tls *tls)
{
    return SSL_new(tls->contexts[0]);
}

/* --- for the master ---------------------------------------------------------------------------- */

static void find_facts(struct lc_certificate_facts *facts, SSL_CTX *context)
{
    X509 *certificate = SSL_CTX_get0_certificate(context);
    BIO *bio = BIO_new(BIO_s_mem());
    struct tm until = {0};

    lc_assert(bio != NULL);
    X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0,
                       XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
    int n = BIO_read(bio, facts->subject, sizeof(facts->subject) - 1);
    facts->subject[n > 0 ? n : 0] = '\0';
    BIO_free(bio);
    ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &until);
    facts->until_s = timegm(&until);
}

int lc_tls_vet(const struct lc_config *config, const struct lc_credentials *credentials,
               struct lc_certificate_facts *facts, struct lc_error *err)
{
    static const struct lc_ticket_keys none;
    struct lc_tls *tls = lc_tls_create(config, credentials, &none, err);

    if (tls == NULL)
        return -1;
    find_facts(facts, tls->contexts[0]);
    lc_tls_destroy(tls);
    return 0;
}
