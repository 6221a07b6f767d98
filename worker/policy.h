/* worker/policy.h — which requests are taken: our rules on top of llhttp's, each beside its source
 * in policy.c. Strict by default, and the same for every version of llhttp. */
#pragma once
#include "worker/fault.h"

#include <licorne/slice.h>

#include <stdbool.h>
#include <stddef.h>

struct lc_config;
struct lc_request;

struct lc_limits {
    size_t line;       /* bytes of the request line without CRLF */
    size_t fields;     /* number of fields                       */
    size_t field_size; /* bytes of one field line with CRLF      */
};

/* The settings limit_request_line, _fields and _field_size, clamped as Gunicorn does. */
void lc_limits_init(struct lc_limits *limits, const struct lc_config *config);

/* What is known of the request so far. */
struct lc_policy {
    struct lc_request *request;
    const struct lc_limits *limits;
    struct lc_fault *fault;
    bool is_trusted;            /* the peer may name the scheme */
    bool has_line;              /* the request line was found good */
    bool says_close, says_keep; /* Connection: close, keep-alive */
    bool has_host, has_content_type, has_content_length, has_scheme;
};

/* Each returns false when the request must be refused; the fault says why. */

/* The request line without its CRLF: fills method, target and version. */
bool lc_policy_line(struct lc_policy *policy, struct lc_slice line);
bool lc_policy_line_length(struct lc_policy *policy, size_t len);

/* The head so far, request line included. */
bool lc_policy_head_length(struct lc_policy *policy, size_t len);

/* A line of which `len` bytes have come and no end. */
bool lc_policy_open_line(struct lc_policy *policy, size_t len);

/* A field line without its CRLF; `previous` is the one before it, empty for the first. */
bool lc_policy_field_line(struct lc_policy *policy, struct lc_slice line,
                          struct lc_slice previous);

/* A field as llhttp has split it: added to the request, and understood. */
bool lc_policy_field(struct lc_policy *policy, struct lc_slice name,
                     struct lc_slice value);

/* All fields are there: what they mean together. */
bool lc_policy_head(struct lc_policy *policy);

/* llhttp stopped in the field line that holds `where`: says what is wrong with it. */
bool lc_policy_explain(struct lc_policy *policy, struct lc_slice fields,
                       const char *where);

/* llhttp found that length and coding do not go together, before we were told of them. */
bool lc_policy_bad_framing(struct lc_policy *policy, bool is_coding);
