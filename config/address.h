/* config/address.h — what one entry of `bind` names. */
#pragma once
#include <stdint.h>

struct lc_error;

enum lc_address_kind { LC_ADDRESS_TCP, LC_ADDRESS_UNIX, LC_ADDRESS_FD };

struct lc_address {
    enum lc_address_kind kind;
    char host[256]; /* tcp: lower case, no brackets; "" is every IPv4 address */
    uint16_t port;  /* tcp */
    char path[108]; /* unix: as long as the kernel takes, NUL included */
    int fd;         /* fd */
};

/* Reads "HOST", "HOST:PORT", "[V6]:PORT", "tcp://…", "unix:PATH" or "fd://N" as Gunicorn does;
 * the port is 8000 if none is given. 0, or -1 with `err` (LC_E_CONFIG). */
int lc_address_parse(const char *text, struct lc_address *out, struct lc_error *err);
