/* worker/rules.h — the settings that requests are judged by, in the form in which they cost least to
 * ask. Made once in each worker. */
#pragma once
#include "app/forwarded.h"
#include "config/config.h"
#include "config/networks.h"
#include "config/scheme_headers.h"

#include <licorne/slice.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lc_dropped;

/* What becomes of a field with an underscore in its name (header_map). */
enum lc_header_map { LC_MAP_DROP, LC_MAP_REFUSE, LC_MAP_DANGEROUS };

struct lc_rules {
    /* limit_request_…, brought into Gunicorn's bounds. */
    size_t line;       /* bytes of the request line without CRLF                     */
    size_t fields;     /* number of fields                                           */
    size_t field_size; /* bytes of one field, each of its lines with CRLF            */
    size_t head;       /* bytes of all fields, dropped ones too                      */
    uint64_t body;     /* bytes of a body                                            */

    bool permits_folding;
    bool strips_name_spaces;
    bool permits_any_method;
    bool permits_any_version;
    bool casefolds_method;

    /* The rest is asked about fields that only a proxy should send. */
    enum lc_header_map header_map;
    bool permits_all_forwarders; /* "*" is among them */
    struct lc_strings forwarder_headers;
    struct lc_scheme_headers scheme_headers;
    uint64_t schemes;           /* the bits of their names */
    struct lc_dropped *dropped; /* who has been told of dropped fields; NULL: nobody is */

    struct lc_networks forwarders; /* peers whose word on scheme and names counts */
    struct lc_networks proxies;    /* peers that may speak the PROXY protocol     */

    struct lc_slice real_ip_header; /* the field that names the client            */
    lc_forwarded_fn read_forwarded; /* NULL: none does                            */
    unsigned proxy_versions;        /* LC_PROXY_V1 | LC_PROXY_V2                   */
};

/* Names that differ in length or first letter mostly differ in this bit; so one look tells that most
 * fields do not tell the scheme. */
static inline uint64_t lc_rules_scheme_bit(struct lc_slice name)
{
    return UINT64_C(1) << ((name.len + ((unsigned char)*name.at | 0x20u)) % 64);
}

/* From a checked configuration. */
void lc_rules_init(struct lc_rules *rules, const struct lc_config *config);
void lc_rules_deinit(struct lc_rules *rules);
