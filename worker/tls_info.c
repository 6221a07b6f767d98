#include "worker/tls_info.h"

#include "base/mem.h"

#include <stdint.h>
#include <string.h>

enum { TEXTS = 5 };

/* Behind it come the texts, each with its NUL, and the certificate. */
struct packed {
    uint32_t texts[TEXTS]; /* their bytes; 0: NULL */
    uint32_t certificate;
    int32_t cipher_bits;
    uint32_t is_resumed;
};

static void list_texts(const struct lc_tls_info *info, const char *texts[TEXTS])
{
    texts[0] = info->version;
    texts[1] = info->cipher;
    texts[2] = info->cipher_version;
    texts[3] = info->alpn;
    texts[4] = info->server_name;
}

static size_t text_size(const char *text)
{
    return text == NULL ? 0 : strlen(text) + 1;
}

size_t lc_tls_info_size(const struct lc_tls_info *info)
{
    const char *texts[TEXTS];
    size_t size = sizeof(struct packed) + info->peer_certificate.len;

    list_texts(info, texts);
    for (int i = 0; i < TEXTS; i++)
        size += text_size(texts[i]);
    return size;
}

static char *put(char *into, const char *from, size_t len)
{
    if (len != 0)
        memcpy(into, from, len);
    return into + len;
}

void lc_tls_info_pack(const struct lc_tls_info *info, char *into)
{
    const char *texts[TEXTS];
    struct packed packed = {
        .certificate = (uint32_t)info->peer_certificate.len,
        .cipher_bits = info->cipher_bits,
        .is_resumed = info->is_resumed,
    };

    list_texts(info, texts);
    for (int i = 0; i < TEXTS; i++)
        packed.texts[i] = (uint32_t)text_size(texts[i]);
    into = put(into, (const char *)&packed, sizeof(packed));
    for (int i = 0; i < TEXTS; i++)
        into = put(into, texts[i], packed.texts[i]);
    put(into, info->peer_certificate.at, info->peer_certificate.len);
}

/* The next `len` bytes; false when there are less, or when they are no text. */
static bool take(struct lc_slice *bytes, size_t len, bool is_text, const char **at)
{
    *at = len == 0 ? NULL : bytes->at;
    if (len > bytes->len || (is_text && len != 0 && bytes->at[len - 1] != '\0'))
        return false;
    bytes->at += len;
    bytes->len -= len;
    return true;
}

static bool take_all(struct lc_tls_info *info, const struct packed *packed,
                     struct lc_slice *bytes)
{
    const char **texts[TEXTS] = {&info->version, &info->cipher, &info->cipher_version,
                                 &info->alpn, &info->server_name};

    for (int i = 0; i < TEXTS; i++)
        if (!take(bytes, packed->texts[i], true, texts[i]))
            return false;
    info->cipher_bits = packed->cipher_bits;
    info->is_resumed = packed->is_resumed != 0;
    info->peer_certificate.len = packed->certificate;
    return take(bytes, packed->certificate, false, &info->peer_certificate.at);
}

struct lc_tls_info *lc_tls_info_unpack(struct lc_slice *bytes)
{
    struct packed packed;

    if (bytes->len < sizeof(packed))
        return NULL;
    /* More than its own bytes are copied: how many these are is not known yet. */
    char *block = lc_calloc(1, sizeof(struct lc_tls_info) + bytes->len);
    char *copy = block + sizeof(struct lc_tls_info);
    struct lc_tls_info *info = (struct lc_tls_info *)(void *)block;
    struct lc_slice rest = {copy + sizeof(packed), bytes->len - sizeof(packed)};

    memcpy(copy, bytes->at, bytes->len);
    memcpy(&packed, copy, sizeof(packed));
    if (!take_all(info, &packed, &rest)) {
        free(block);
        return NULL;
    }
    bytes->at += bytes->len - rest.len;
    bytes->len = rest.len;
    return info;
}
