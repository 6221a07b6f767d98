/* worker/policy.h — which requests are taken: our rules on top of llhttp's, each beside its source
 * in policy.c. Strict by default, and the same for every version of llhttp. The settings that make
 * them less strict are in rules.h. */
#pragma once
#include "worker/fault.h"

#include <licorne/slice.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lc_request;
struct lc_rules;

/* What is known of the request so far. */
struct lc_policy {
    struct lc_request *request;
    const struct lc_rules *rules;
    struct lc_fault *fault;
    bool is_trusted;            /* the peer may name the scheme */
    bool has_line;              /* the request line was found good */
    bool says_close, says_keep; /* Connection: close, keep-alive */
    bool has_host, has_content_type, has_content_length, has_coding, has_scheme;
    uint64_t content_length;
    uint64_t schemes; /* as in `rules`, if the peer's word counts */
};

/* Each returns false when the request must be refused; the fault says why. */

/* The request line without its CRLF: fills method, target and version. */
bool lc_policy_line(struct lc_policy *policy, struct lc_slice line);
bool lc_policy_line_length(struct lc_policy *policy, size_t len);

/* All fields so far. */
bool lc_policy_head_length(struct lc_policy *policy, size_t len);

/* A request line or a field of which `len` bytes have come and no end. */
bool lc_policy_open_line(struct lc_policy *policy, size_t len);

/* The first line of a field, without its CRLF. */
bool lc_policy_field_line(struct lc_policy *policy, struct lc_slice line);

/* `field` goes on with a line that begins with a blank; it ends before that line's CRLF. */
bool lc_policy_fold(struct lc_policy *policy, struct lc_slice field);

/* Whether blanks stand between a name and the colon, and are to be overlooked. */
bool lc_policy_strips(const struct lc_policy *policy, struct lc_slice line);

/* A field as llhttp has split it: added to the request, and understood. */
bool lc_policy_field(struct lc_policy *policy, struct lc_slice name,
                     struct lc_slice value);

/* All fields are there: what they mean together. */
bool lc_policy_head(struct lc_policy *policy);

/* A body that has got, or will get, this long. */
bool lc_policy_body_length(struct lc_policy *policy, uint64_t len);

/* llhttp did not take the fields, or a call from within it was false: judges them anew, without it,
 * so that what is said does not depend on its version. */
bool lc_policy_judge(struct lc_policy *policy, struct lc_slice fields);

/* Forgets all fields: they will be told again. */
void lc_policy_restart(struct lc_policy *policy);
