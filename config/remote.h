/* config/remote.h — where a setting sends packets to: syslog_addr, statsd_host. */
#pragma once
#include <stdint.h>

struct lc_error;

enum lc_remote_kind {
    LC_REMOTE_UDP,
    LC_REMOTE_TCP,
    LC_REMOTE_UNIX,       /* datagrams, or a stream where the other end wants one */
    LC_REMOTE_UNIX_DGRAM, /* unix://PATH#dgram                                    */
};

struct lc_remote {
    enum lc_remote_kind kind;
    char host[256]; /* lower case, no brackets */
    uint16_t port;
    char path[108]; /* as long as the kernel takes, NUL included */
};

/* "unix://PATH", "unix://PATH#dgram", "udp://HOST[:PORT]", "tcp://HOST[:PORT]", as Gunicorn reads
 * them; the port is 514 if none is given. 0, or -1 with `err` (LC_E_CONFIG). */
int lc_remote_parse_syslog(const char *text, struct lc_remote *out, struct lc_error *err);

/* "HOST[:PORT]" (8125) or "unix://PATH". */
int lc_remote_parse_statsd(const char *text, struct lc_remote *out, struct lc_error *err);

/* The number of a facility of RFC 3164 by its name in any case, -1 if there is none. */
int lc_syslog_facility(const char *name);
