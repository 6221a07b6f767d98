/* Contexts: what is refused, which certificate is shown, and how they are exchanged. Keys and
 * certificates are made here, with OpenSSL. Client and server are two sides of a socket pair. */
#include "worker/tls.h"
#include "worker/tls_conn.h"

#include "base/credentials.h"
#include "base/inherit.h"
#include "base/mem.h"
#include "base/tickets.h"
#include "config/config.h"

#include <licorne/error.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* --- helpers ------------------------------------------------------------------------------ */

static struct lc_config config = {.suppress_ragged_eofs = true};
static struct lc_ticket_keys tickets;
static struct lc_error err;

static struct lc_slice text_of(BIO *bio)
{
    char *at;
    long len = BIO_get_mem_data(bio, &at);
    char *copy = lc_strndup(at, (size_t)len);

    BIO_free(bio);
    return (struct lc_slice){copy, (size_t)len};
}

static EVP_PKEY *make_key(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");

    assert_non_null(key);
    return key;
}

static struct lc_slice key_text(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    return text_of(bio);
}

/* Signed by its own key. `names` NULL: the common name must do. */
static struct lc_slice certificate_text(EVP_PKEY *key, const char *common_name,
                                        const char *names)
{
    X509 *certificate = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());

    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    if (names != NULL) {
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
                                                        names);
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
    }
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    PEM_write_bio_X509(bio, certificate);
    X509_free(certificate);
    return text_of(bio);
}

static struct lc_credentials given; /* each test fills it; its texts are on the heap */

static void give(enum lc_pem_kind kind, const char *name, struct lc_slice text)
{
    given.items[given.count++] = (struct lc_pem){
        .kind = kind, .name = name, .text = text};
}

static void give_pair(const char *common_name, const char *names)
{
    EVP_PKEY *key = make_key();

    give(LC_PEM_CERTIFICATE, "certfile = c", certificate_text(key, common_name, names));
    give(LC_PEM_KEY, "keyfile = k", key_text(key));
    EVP_PKEY_free(key);
}

static struct lc_slice copy_of(const char *text)
{
    return (struct lc_slice){lc_strdup(text), strlen(text)};
}

static void forget_given(void)
{
    for (size_t i = 0; i < given.count; i++)
        free((char *)given.items[i].text.at);
    given.count = 0;
}

static int begin(void **state)
{
    config = (struct lc_config){.suppress_ragged_eofs = true};
    return lc_tickets_init(&tickets, NULL);
}

static int end(void **state)
{
    forget_given();
    return 0;
}

static struct lc_tls *create(void)
{
    return lc_tls_create(&config, &given, &tickets, &err);
}

/* Both sides of a connection. */
struct pair {
    int ends[2];
    SSL_CTX *context;
    SSL *client;
    struct lc_tls_conn *server;
};

static void connect_to(struct pair *pair, struct lc_tls *tls, const char *name)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->ends), 0);
    pair->context = SSL_CTX_new(TLS_client_method());
    pair->client = SSL_new(pair->context);
    SSL_set_fd(pair->client, pair->ends[0]);
    SSL_set_connect_state(pair->client);
    if (name != NULL)
        SSL_set_tlsext_host_name(pair->client, name);
    pair->server = lc_tls_conn_create(tls, pair->ends[1]);
}

static void shake_hands(struct pair *pair)
{
    enum lc_tls_handshake result;
    char why[256];

    do {
        SSL_do_handshake(pair->client);
        result = lc_tls_conn_shake_hands(pair->server, why, sizeof(why));
    } while (result == LC_TLS_WANTS_READ);
    assert_int_equal(result, LC_TLS_DONE);
    assert_int_equal(SSL_do_handshake(pair->client), 1);
}

static void hang_up(struct pair *pair)
{
    SSL_free(pair->client);
    SSL_CTX_free(pair->context);
    lc_tls_conn_destroy(pair->server);
    close(pair->ends[0]);
    close(pair->ends[1]);
}

/* The common name that the server shows to who asks for `name`. */
static void assert_shown(struct lc_tls *tls, const char *name, const char *common_name)
{
    struct pair pair;
    char shown[64];

    connect_to(&pair, tls, name);
    shake_hands(&pair);
    X509 *certificate = SSL_get0_peer_certificate(pair.client);
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, shown,
                              sizeof(shown));
    assert_string_equal(shown, common_name);
    hang_up(&pair);
}

static void assert_refused(const char *text)
{
    assert_null(create());
    assert_int_equal(err.code, LC_E_CONFIG);
    assert_string_equal(err.text, text);
}

/* --- what is refused ---------------------------------------------------------------------- */

static void a_key_of_another_certificate_is_refused(void **state)
{
    EVP_PKEY *other = make_key();

    give_pair("a", NULL);
    free((char *)given.items[1].text.at);
    given.items[1].text = key_text(other);
    EVP_PKEY_free(other);
    assert_refused("keyfile = k: the private key does not belong to the certificate");
}

static void text_that_is_no_certificate_is_refused(void **state)
{
    give(LC_PEM_CERTIFICATE, "certfile = c", copy_of("hello"));
    assert_refused("certfile = c: holds no certificate (PEM is needed)");
}

static void a_missing_key_is_refused(void **state)
{
    give_pair("a", NULL);
    free((char *)given.items[1].text.at);
    given.items[1].text = copy_of("");
    assert_refused("keyfile = k: holds no private key (PEM is needed)");
}

static void an_encrypted_key_is_refused_without_a_question(void **state)
{
    EVP_PKEY *key = make_key();
    BIO *bio = BIO_new(BIO_s_mem());

    give(LC_PEM_CERTIFICATE, "certfile = c", certificate_text(key, "a", NULL));
    PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
    give(LC_PEM_KEY, "keyfile = k", text_of(bio));
    EVP_PKEY_free(key);
    assert_null(create());
    assert_non_null(strstr(err.text, "keyfile = k: the private key is encrypted"));
}

static void authorities_without_any_are_refused(void **state)
{
    give_pair("a", NULL);
    give(LC_PEM_AUTHORITIES, "ca_certs = a", copy_of("none here\n"));
    assert_refused("ca_certs = a: holds no certificate (PEM is needed)");
}

static void ciphers_that_openssl_does_not_know_are_refused(void **state)
{
    char nonsense[] = "NONSENSE";

    config.ciphers = nonsense;
    give_pair("a", NULL);
    assert_refused("ciphers = NONSENSE: OpenSSL cannot use this: no cipher match");
}

static void a_good_pair_has_facts(void **state)
{
    struct lc_certificate_facts facts;

    give_pair("shop.example", NULL);
    assert_int_equal(lc_tls_vet(&config, &given, &facts, &err), 0);
    assert_string_equal(facts.subject, "CN = shop.example");
    assert_in_range(facts.until_s, time(NULL) + 3590, time(NULL) + 3610);
}

/* --- which certificate is shown ------------------------------------------------------------ */

static void the_name_that_is_asked_for_chooses(void **state)
{
    give_pair("first", "DNS:first.example");
    give_pair("second", "DNS:second.example,DNS:*.second.example");
    give_pair("third.example", NULL);
    struct lc_tls *tls = create();
    assert_non_null(tls);

    assert_shown(tls, "first.example", "first");
    assert_shown(tls, "second.example", "second");
    assert_shown(tls, "SECOND.example", "second");
    assert_shown(tls, "www.second.example", "second");
    assert_shown(tls, "third.example", "third.example");
    assert_shown(tls, "a.b.second.example", "first"); /* a wildcard is one label */
    assert_shown(tls, "stranger.example", "first");
    assert_shown(tls, NULL, "first");
    lc_tls_destroy(tls);
}

static void renewal_is_for_those_who_come_later(void **state)
{
    struct pair before;
    char byte;

    give_pair("old", NULL);
    struct lc_tls *tls = create();
    connect_to(&before, tls, NULL);
    shake_hands(&before);

    forget_given();
    give_pair("new", NULL);
    assert_int_equal(lc_tls_renew(tls, &given, &tickets, &err), 0);
    assert_shown(tls, NULL, "new");

    struct iovec part = {(void *)"x", 1};
    assert_int_equal(lc_tls_conn_write(before.server, &part, 1), 1);
    assert_int_equal(SSL_read(before.client, &byte, 1), 1);
    hang_up(&before);
    lc_tls_destroy(tls);
}

/* Hello on both sides, then other certificates, then the rest of the handshake. */
static void renewal_does_not_disturb_a_handshake(void **state)
{
    struct pair pair;
    char why[256];

    give_pair("old", NULL);
    struct lc_tls *tls = create();
    connect_to(&pair, tls, NULL);
    SSL_do_handshake(pair.client);
    assert_int_equal(lc_tls_conn_shake_hands(pair.server, why, sizeof(why)),
                     LC_TLS_WANTS_READ);
    forget_given();
    give_pair("new", NULL);
    assert_int_equal(lc_tls_renew(tls, &given, &tickets, &err), 0);
    shake_hands(&pair);
    hang_up(&pair);
    lc_tls_destroy(tls);
}

static void a_renewal_that_fails_changes_nothing(void **state)
{
    give_pair("old", NULL);
    struct lc_tls *tls = create();
    forget_given();
    give(LC_PEM_CERTIFICATE, "certfile = c", copy_of("nothing"));
    assert_int_equal(lc_tls_renew(tls, &given, &tickets, &err), -1);
    assert_shown(tls, NULL, "old");
    lc_tls_destroy(tls);
}

/* --- bytes ---------------------------------------------------------------------------------- */

static void small_parts_share_a_record(void **state)
{
    const struct iovec parts[] = {
        {(void *)"head", 4}, {(void *)"", 0}, {(void *)"and ", 4}, {(void *)"body", 4}};
    struct pair pair;
    char text[12];

    give_pair("a", NULL);
    struct lc_tls *tls = create();
    connect_to(&pair, tls, NULL);
    shake_hands(&pair);
    assert_int_equal(lc_tls_conn_write(pair.server, parts, LC_COUNT(parts)), 12);
    assert_int_equal(SSL_read(pair.client, text, sizeof(text)), 12); /* one record */
    assert_memory_equal(text, "headand body", 12);
    hang_up(&pair);
    lc_tls_destroy(tls);
}

/* The socket is full in the middle of a record; the same bytes are offered again, in other
 * pieces, as the queue of a connection does. */
static void what_did_not_fit_goes_on_where_it_stopped(void **state)
{
    enum { SIZE = 3 * 1024 * 1024 };
    char *sent = lc_malloc(SIZE), *got = lc_malloc(SIZE);
    struct pair pair;
    size_t at = 0, read = 0;

    for (size_t i = 0; i < SIZE; i++)
        sent[i] = (char)(i * 2654435761u >> 24);
    give_pair("a", NULL);
    struct lc_tls *tls = create();
    connect_to(&pair, tls, NULL);
    shake_hands(&pair);
    while (read < SIZE) {
        size_t left = SIZE - at, first = left / 3;
        const struct iovec parts[] = {{sent + at, first},
                                      {sent + at + first, left - first}};
        ssize_t n = lc_tls_conn_write(pair.server, parts, LC_COUNT(parts));
        assert_true(n >= 0);
        at += (size_t)n;
        int m = SSL_read(pair.client, got + read, (int)(SIZE - read));
        if (m > 0)
            read += (size_t)m;
    }
    assert_int_equal(at, SIZE);
    assert_memory_equal(sent, got, SIZE);
    free(sent);
    free(got);
    hang_up(&pair);
    lc_tls_destroy(tls);
}

static void what_is_left_inside_is_told(void **state)
{
    struct pair pair;
    char text[8];

    give_pair("a", NULL);
    struct lc_tls *tls = create();
    connect_to(&pair, tls, NULL);
    shake_hands(&pair);
    assert_int_equal(SSL_write(pair.client, "0123456789ab", 12), 12);
    assert_int_equal(lc_tls_conn_read(pair.server, text, 8),
                     -1); /* not asked the socket */
    assert_int_equal(lc_tls_conn_read(pair.server, text, 8), 8);
    assert_true(lc_tls_conn_has_more(pair.server));
    assert_int_equal(lc_tls_conn_read(pair.server, text, 8), 4);
    assert_false(lc_tls_conn_has_more(pair.server));
    assert_memory_equal(text, "89ab", 4);
    hang_up(&pair);
    lc_tls_destroy(tls);
}

static void a_look_takes_nothing_away(void **state)
{
    struct pair pair;
    char text[8];

    give_pair("a", NULL);
    struct lc_tls *tls = create();
    connect_to(&pair, tls, NULL);
    shake_hands(&pair);
    assert_false(lc_tls_conn_peek(pair.server));
    assert_int_equal(SSL_write(pair.client, "hello", 5), 5);
    assert_true(lc_tls_conn_peek(pair.server));
    assert_int_equal(lc_tls_conn_read(pair.server, text, 8), 5);
    hang_up(&pair);
    lc_tls_destroy(tls);
}

static void a_goodbye_is_an_end(void **state)
{
    struct pair pair;
    char text[8];

    give_pair("a", NULL);
    struct lc_tls *tls = create();
    connect_to(&pair, tls, NULL);
    shake_hands(&pair);
    assert_int_equal(SSL_write(pair.client, "bye", 3), 3);
    SSL_shutdown(pair.client);
    assert_true(lc_tls_conn_peek(pair.server));
    assert_int_equal(lc_tls_conn_read(pair.server, text, 8), 3);
    assert_true(lc_tls_conn_has_more(pair.server)); /* the end */
    assert_int_equal(lc_tls_conn_read(pair.server, text, 8), 0);
    lc_tls_conn_say_goodbye(pair.server);
    assert_int_equal(SSL_shutdown(pair.client), 1);
    hang_up(&pair);
    lc_tls_destroy(tls);
}

static void a_ragged_end_is_one_only_where_it_is_allowed(void **state)
{
    for (int is_allowed = 0; is_allowed < 2; is_allowed++) {
        struct pair pair;
        char text[8];

        config.suppress_ragged_eofs = is_allowed;
        give_pair("a", NULL);
        struct lc_tls *tls = create();
        connect_to(&pair, tls, NULL);
        shake_hands(&pair);
        shutdown(pair.ends[0], SHUT_WR);
        assert_false(lc_tls_conn_peek(pair.server));
        assert_int_equal(lc_tls_conn_read(pair.server, text, 8), is_allowed ? 0 : -1);
        hang_up(&pair);
        lc_tls_destroy(tls);
        forget_given();
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_key_of_another_certificate_is_refused),
        TEST(text_that_is_no_certificate_is_refused),
        TEST(a_missing_key_is_refused),
        TEST(an_encrypted_key_is_refused_without_a_question),
        TEST(authorities_without_any_are_refused),
        TEST(ciphers_that_openssl_does_not_know_are_refused),
        TEST(a_good_pair_has_facts),
        TEST(the_name_that_is_asked_for_chooses),
        TEST(renewal_is_for_those_who_come_later),
        TEST(renewal_does_not_disturb_a_handshake),
        TEST(a_renewal_that_fails_changes_nothing),
        TEST(small_parts_share_a_record),
        TEST(what_did_not_fit_goes_on_where_it_stopped),
        TEST(what_is_left_inside_is_told),
        TEST(a_look_takes_nothing_away),
        TEST(a_goodbye_is_an_end),
        TEST(a_ragged_end_is_one_only_where_it_is_allowed),
    };

    return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
