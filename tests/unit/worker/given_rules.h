/* The rules of an ordinary configuration, for tests to change. */
#pragma once
#include "config/config.h"
#include "worker/rules.h"

/* The default settings that rules are made of. */
static inline struct lc_config ordinary_settings(void)
{
    return (struct lc_config){
        .limit_request_line = 4094,
        .limit_request_fields = 100,
        .limit_request_field_size = 8190,
        .header_map = (char *)"drop",
        .proxy_protocol = (char *)"off",
        .forwarded_allow_ips = (char *)"127.0.0.1,::1",
        .proxy_allow_ips = (char *)"127.0.0.1,::1",
        .forwarder_headers = (char *)"SCRIPT_NAME,PATH_INFO",
        .secure_scheme_headers = (char *)"{'X-FORWARDED-PROTOCOL': 'ssl', "
                                         "'X-FORWARDED-PROTO': 'https', "
                                         "'X-FORWARDED-SSL': 'on'}",
    };
}

/* lc_rules_deinit is the caller's. */
static inline struct lc_rules rules_of(struct lc_config settings)
{
    struct lc_rules rules;

    lc_rules_init(&rules, &settings);
    return rules;
}
