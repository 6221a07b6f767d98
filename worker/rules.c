#include "worker/rules.h"

#include "config/strings.h"
#include "worker/proxy.h"

#include <licorne/error.h>

#include <string.h>

enum {
    LINE_MAX_EVER = 8190,     /* what Gunicorn clamps limit_request_line to       */
    LINE_UNLIMITED = 1 << 20, /* without a limit somebody must still hold the line */
    FIELDS_MAX_EVER = 32768,  /* what Gunicorn clamps limit_request_fields to     */
    FIELD_SIZE_DEFAULT = 8190,
};

static void init_limits(struct lc_rules *rules, const struct lc_config *config)
{
    int64_t line = config->limit_request_line;
    int64_t fields = config->limit_request_fields;
    int64_t size = config->limit_request_field_size;
    int64_t body = config->limit_request_body;

    rules->line = line <= 0              ? LINE_UNLIMITED
                  : line > LINE_MAX_EVER ? LINE_MAX_EVER
                                         : (size_t)line;
    rules->fields = fields <= 0 || fields > FIELDS_MAX_EVER ? FIELDS_MAX_EVER
                                                            : (size_t)fields;
    rules->field_size = size <= 0 ? FIELD_SIZE_DEFAULT : (size_t)size;
    rules->head = rules->fields * (rules->field_size + 2) + 4;
    rules->body = body <= 0 ? UINT64_MAX : (uint64_t)body;
}

static enum lc_header_map header_map_of(const char *word)
{
    return strcmp(word, "dangerous") == 0 ? LC_MAP_DANGEROUS
           : strcmp(word, "refuse") == 0  ? LC_MAP_REFUSE
                                          : LC_MAP_DROP;
}

static unsigned proxy_versions_of(const char *word)
{
    return strcmp(word, "v1") == 0     ? LC_PROXY_V1
           : strcmp(word, "v2") == 0   ? LC_PROXY_V2
           : strcmp(word, "auto") == 0 ? LC_PROXY_V1 | LC_PROXY_V2
                                       : 0;
}

static void init_trust(struct lc_rules *rules, const struct lc_config *config)
{
    struct lc_error ignored; /* the configuration was checked */

    lc_networks_parse(config->forwarded_allow_ips, &rules->forwarders, &ignored);
    lc_networks_parse(config->proxy_allow_ips, &rules->proxies, &ignored);
    lc_scheme_headers_parse(config->secure_scheme_headers, &rules->scheme_headers,
                            &ignored);
    for (size_t i = 0; i < rules->scheme_headers.count; i++)
        rules->schemes |= lc_rules_scheme_bit(rules->scheme_headers.items[i].name);
    lc_strings_split(&rules->forwarder_headers, config->forwarder_headers);
    for (size_t i = 0; i < rules->forwarder_headers.count; i++)
        if (strcmp(rules->forwarder_headers.items[i], "*") == 0)
            rules->permits_all_forwarders = true;
}

static void init_real_ip(struct lc_rules *rules, const struct lc_config *config)
{
    if (config->real_ip_header == NULL || *config->real_ip_header == '\0')
        return;
    rules->real_ip_header = lc_slice(config->real_ip_header);
    rules->read_forwarded = lc_slice_equals_nocase(rules->real_ip_header,
                                                   LC_SLICE("Forwarded"))
                                ? lc_forwarded_rfc7239
                                : lc_forwarded_list;
}

void lc_rules_init(struct lc_rules *rules, const struct lc_config *config)
{
    *rules = (struct lc_rules){
        .permits_folding = config->permit_obsolete_folding,
        .strips_name_spaces = config->strip_header_spaces,
        .permits_any_method = config->permit_unconventional_http_method,
        .permits_any_version = config->permit_unconventional_http_version,
        .casefolds_method = config->casefold_http_method,
        .header_map = header_map_of(config->header_map),
        .proxy_versions = proxy_versions_of(config->proxy_protocol),
    };
    init_limits(rules, config);
    init_trust(rules, config);
    init_real_ip(rules, config);
}

void lc_rules_deinit(struct lc_rules *rules)
{
    lc_networks_clear(&rules->forwarders);
    lc_networks_clear(&rules->proxies);
    lc_scheme_headers_clear(&rules->scheme_headers);
    lc_strings_clear(&rules->forwarder_headers);
}
