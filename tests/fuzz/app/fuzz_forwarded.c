/* Whatever a client puts into the field that names clients: nothing is read beyond it, and what is
 * found keeps its promises. The first byte chooses the kind; lines are fields. */
#include "app/forwarded.h"

#include "base/mem.h"
#include "config/networks.h"

#include <licorne/error.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS_MAX = 4 };

static void check_node(const struct lc_node *node)
{
    char text[INET6_ADDRSTRLEN];
    struct lc_ip again;

    if (node->kind != LC_NODE_ADDRESS)
        return;
    lc_ip_text(&node->ip, text);
    lc_assert(lc_ip_read(lc_slice(text), &again));
    lc_assert(memcmp(&again, &node->ip, sizeof(again)) == 0);
    lc_assert(atoi(node->port) <= 65535 && strlen(node->port) <= 5);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lc_header headers[FIELDS_MAX];
    struct lc_node nodes[LC_FORWARDED_MAX];
    struct lc_networks proxies;
    struct lc_error err;
    const struct lc_node *bad;
    size_t count = 0;

    if (size < 2)
        return 0;
    /* Exactly as large, so that one byte too many is seen. */
    LC_AUTOFREE char *copy = lc_malloc(size - 1);
    const char *at = memcpy(copy, data + 1, size - 1), *end = copy + size - 1;
    while (at < end && count < FIELDS_MAX) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        const char *stop = line == NULL ? end : line;

        headers[count++] = (struct lc_header){LC_SLICE("F"), {at, (size_t)(stop - at)}};
        at = line == NULL ? end : line + 1;
    }
    size_t found = (data[0] & 1 ? lc_forwarded_rfc7239 : lc_forwarded_list)(
        headers, count, LC_SLICE("f"), nodes);
    lc_assert(found <= LC_FORWARDED_MAX);
    for (size_t i = 0; i < found; i++)
        check_node(&nodes[i]);

    lc_assert(lc_networks_parse("10.0.0.0/8,::1", &proxies, &err) == 0);
    const struct lc_node *client = lc_forwarded_client(nodes, found, &proxies, &bad);
    lc_assert(client == NULL || client->kind == LC_NODE_ADDRESS);
    lc_assert(bad == NULL || bad->kind == LC_NODE_NONSENSE);
    lc_networks_clear(&proxies);
    return 0;
}
