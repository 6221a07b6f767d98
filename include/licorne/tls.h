/* licorne/tls.h — what was agreed on for an encrypted connection. */
#pragma once
#include <licorne/api.h>
#include <licorne/slice.h>
#include <stdbool.h>

LC_C_BEGIN

/* Lives as long as the connection and never changes; any thread may read it. Texts end in NUL. */
struct lc_tls_info {
    const char *version;        /* "TLSv1.3"                                        */
    const char *cipher;         /* "TLS_AES_256_GCM_SHA384"                         */
    const char *cipher_version; /* the protocol that first had this cipher          */
    int cipher_bits;            /* of the secret                                    */
    const char *alpn;           /* "http/1.1"; NULL: the client did not ask for it  */
    const char *server_name;    /* whom the client wants to speak to; NULL: not said */
    bool is_resumed;            /* goes on with an earlier session                  */
    /* The client's certificate in DER, which was verified (cert_reqs); empty: it has none. */
    struct lc_slice peer_certificate;
};

LC_C_END
