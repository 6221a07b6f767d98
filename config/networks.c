#include "config/networks.h"

#include "base/mem.h"
#include "config/strings.h"

#include <licorne/error.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

struct lc_network {
    int family;
    uint8_t bytes[16]; /* 4 of them for AF_INET */
    unsigned bits;
};

static unsigned bits_of(int family)
{
    return family == AF_INET ? 32 : 128;
}

/* Whether the two addresses begin with the same bits. */
static bool begin_alike(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || (uint8_t)(a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

/* --- reading ------------------------------------------------------------------------------ */

static int parse_address(const char *text, struct lc_network *out)
{
    out->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
    return inet_pton(out->family, text, out->bytes) == 1 ? 0 : -1;
}

/* "255.255.0.0" is 16; -1 for what is no such mask. */
static int bits_of_mask(const char *text)
{
    struct in_addr mask;

    if (inet_pton(AF_INET, text, &mask) != 1)
        return -1;
    uint32_t holes = ~ntohl(mask.s_addr);
    return (holes & (holes + 1)) == 0 ? 32 - __builtin_popcount(holes) : -1;
}

/* At most three digits; -1 for anything else. */
static int parse_bits(const char *text)
{
    int bits = 0;

    if (*text == '\0' || strlen(text) > 3)
        return -1;
    for (; *text >= '0' && *text <= '9'; text++)
        bits = bits * 10 + (*text - '0');
    return *text == '\0' ? bits : -1;
}

/* What follows the slash: a number of bits, or for IPv4 a mask. */
static int parse_length(const char *text, struct lc_network *out)
{
    int bits = parse_bits(text);

    if (bits < 0 && out->family == AF_INET)
        bits = bits_of_mask(text);
    if (bits < 0 || (unsigned)bits > bits_of(out->family))
        return -1;
    out->bits = (unsigned)bits;
    return 0;
}

static bool has_bits_beyond(const struct lc_network *network)
{
    uint8_t kept[16] = {0};
    unsigned whole = network->bits / 8;

    memcpy(kept, network->bytes, whole);
    if (network->bits % 8 != 0)
        kept[whole] = network->bytes[whole] & (uint8_t)(0xff00u >> (network->bits % 8));
    return memcmp(kept, network->bytes, bits_of(network->family) / 8) != 0;
}

static int parse_one(char *text, struct lc_network *out, struct lc_error *err)
{
    char *slash = strchr(text, '/');

    if (slash != NULL)
        *slash = '\0';
    int failed = parse_address(text, out);
    out->bits = bits_of(out->family);
    if (failed == 0 && slash != NULL)
        failed = parse_length(slash + 1, out);
    if (slash != NULL)
        *slash = '/';
    if (failed < 0)
        return lc_error_set(err, LC_E_CONFIG,
                            "'%s' is no IP address or network: write 10.0.0.1, "
                            "10.0.0.0/8, ::1 or *",
                            text);
    if (has_bits_beyond(out))
        return lc_error_set(err, LC_E_CONFIG, "'%s' has host bits set", text);
    return 0;
}

static int add(struct lc_networks *out, char *text, struct lc_error *err)
{
    if (strcmp(text, "*") == 0) {
        out->is_everybody = true;
        return 0;
    }
    out->items = lc_realloc(out->items, (out->count + 1) * sizeof(*out->items));
    memset(&out->items[out->count], 0, sizeof(*out->items));
    return parse_one(text, &out->items[out->count++], err);
}

int lc_networks_parse(const char *text, struct lc_networks *out, struct lc_error *err)
{
    struct lc_strings entries = {0};
    int result = 0;

    *out = (struct lc_networks){0};
    lc_strings_split(&entries, text);
    for (size_t i = 0; i < entries.count && result == 0; i++)
        result = add(out, entries.items[i], err);
    lc_strings_clear(&entries);
    if (result < 0)
        lc_networks_clear(out);
    return result;
}

void lc_networks_clear(struct lc_networks *networks)
{
    free(networks->items);
    *networks = (struct lc_networks){0};
}

/* --- asking ------------------------------------------------------------------------------- */

static bool contain(const struct lc_networks *networks, int family, const void *bytes)
{
    for (size_t i = 0; i < networks->count; i++) {
        const struct lc_network *network = &networks->items[i];

        if (network->family == family &&
            begin_alike(network->bytes, bytes, network->bits))
            return true;
    }
    return false;
}

bool lc_networks_contain(const struct lc_networks *networks, const struct sockaddr *peer)
{
    if (networks->is_everybody || peer->sa_family == AF_UNIX)
        return true;
    if (peer->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)peer;

        return contain(networks, AF_INET, &in->sin_addr);
    }
    if (peer->sa_family == AF_INET6) {
        const struct in6_addr *address =
            &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;

        return contain(networks, AF_INET6, address) ||
               (IN6_IS_ADDR_V4MAPPED(address) &&
                contain(networks, AF_INET, &address->s6_addr[12]));
    }
    return false;
}
