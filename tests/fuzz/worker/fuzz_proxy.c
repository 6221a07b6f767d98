/* The beginnings of hostile connections. The first byte chooses versions and trust; whether all
 * bytes come at once or one by one, the result must be the same. */
#include "worker/proxy.h"

#include "base/mem.h"
#include "worker/fault.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct outcome {
    enum lc_proxy_result result;
    size_t used;
    struct lc_proxy proxy;
    struct lc_fault fault;
};

static struct outcome read_some(struct lc_slice bytes, uint8_t bits)
{
    struct outcome o = {.used = 12345};
    char *copy = lc_malloc(bytes.len);

    memcpy(copy, bytes.at, bytes.len);
    o.result = lc_proxy_read((struct lc_slice){copy, bytes.len}, bits & 3,
                             (bits & 4) == 0, "192.0.2.1", &o.used, &o.proxy, &o.fault);
    free(copy);
    return o;
}

static void check_promises(const struct outcome *o, size_t len)
{
    const struct lc_proxy *proxy = &o->proxy;
    char binary[16];

    lc_assert((o->result == LC_PROXY_FAIL) == (o->fault.status != 0));
    lc_assert(o->result == LC_PROXY_DONE ? o->used > 0 && o->used <= len : o->used == 0);
    if (o->result != LC_PROXY_DONE || !proxy->has_addresses)
        return;
    int family = strcmp(proxy->protocol, "TCP4") == 0 ? AF_INET : AF_INET6;
    lc_assert(inet_pton(family, proxy->remote_addr, binary) == 1);
    lc_assert(inet_pton(family, proxy->proxy_addr, binary) == 1);
    lc_assert(atoi(proxy->remote_port) <= 65535 && atoi(proxy->proxy_port) <= 65535);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct lc_slice bytes = {(const char *)data + 1, size - 1};
    struct outcome whole = read_some(bytes, data[0]), cut;
    size_t n = 0;

    check_promises(&whole, bytes.len);
    do
        cut = read_some((struct lc_slice){bytes.at, ++n}, data[0]);
    while (cut.result == LC_PROXY_MORE && n < bytes.len);
    lc_assert(cut.result == whole.result && cut.used == whole.used);
    lc_assert(cut.fault.status == whole.fault.status);
    lc_assert(strcmp(cut.fault.text, whole.fault.text) == 0);
    lc_assert(cut.result != LC_PROXY_DONE ||
              memcmp(&cut.proxy, &whole.proxy, sizeof(cut.proxy)) == 0);
    return 0;
}
