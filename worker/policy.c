#include "worker/policy.h"

#include "app/request.h"
#include "base/token.h"
#include "worker/dropped.h"
#include "worker/rules.h"

#include <licorne/arena.h>

#include <arpa/inet.h>
#include <inttypes.h>
#include <string.h>

/* Nobody sends more, and another digit does not overflow. */
#define CONTENT_LENGTH_MAX (UINT64_MAX / 100)

/* --- characters ------------------------------------------------------------------------ */

static bool is_called(struct lc_slice name, const char *literal, size_t len)
{
    return name.len == len && strncasecmp(name.at, literal, len) == 0;
}
#define IS(name, literal) is_called(name, "" literal, sizeof(literal) - 1)

/* --- the request line (RFC 9112, 3) ------------------------------------------------------ */

static bool bad_line(struct lc_policy *policy, struct lc_slice line)
{
    lc_fault_bad(policy->fault, "Invalid HTTP request line: %s", line);
    return lc_fault_lead(policy->fault, "Invalid Request Line");
}

/* A convention that all registered methods keep to. */
static bool is_conventional(struct lc_slice method)
{
    for (size_t i = 0; i < method.len; i++)
        if ((method.at[i] >= 'a' && method.at[i] <= 'z') || method.at[i] == '#')
            return false;
    return method.len >= 3 && method.len <= 20;
}

/* RFC 9110, 9.1: a token. */
static bool check_method(struct lc_policy *policy, struct lc_slice method)
{
    if ((policy->rules->permits_any_method || is_conventional(method)) &&
        lc_is_token(method))
        return true;
    lc_fault_bad(policy->fault, "Invalid HTTP method: %s", method);
    return lc_fault_lead(policy->fault, "Invalid Method");
}

/* "2001:db8::1" or "v7.anything"; RFC 3986, 3.2.2 */
static bool is_ip_literal(struct lc_slice text)
{
    char address[INET6_ADDRSTRLEN] = "";
    struct in6_addr binary;

    if (text.len > 0 && (*text.at == 'v' || *text.at == 'V')) {
        const char *dot = memchr(text.at, '.', text.len);

        return dot != NULL && dot > text.at + 1 && dot < text.at + text.len - 1;
    }
    if (text.len >= sizeof(address))
        return false;
    memcpy(address, text.at, text.len);
    return inet_pton(AF_INET6, address, &binary) == 1;
}

/* Brackets are for IP literals alone: "user@[::1]:80". */
static bool is_authority(struct lc_slice text)
{
    if (text.len == 0)
        return true;
    const char *end = text.at + text.len;
    const char *open = memchr(text.at, '[', text.len);
    const char *close = memchr(text.at, ']', text.len);
    if (open == NULL || close == NULL)
        return open == close;
    return (open == text.at || open[-1] == '@') && close > open &&
           is_ip_literal((struct lc_slice){open + 1, (size_t)(close - open - 1)}) &&
           (close + 1 == end || close[1] == ':') &&
           memchr(close + 1, ']', (size_t)(end - close - 1)) == NULL;
}

/* RFC 9112, 3.2: a path, or in absolute form; for OPTIONS also "*", for CONNECT anything. */
static bool has_form(const struct lc_policy *policy, struct lc_slice method,
                     struct lc_slice target)
{
    struct lc_slice rest;
    bool is_connect = lc_slice_equals(method, LC_SLICE("CONNECT")) ||
                      (policy->rules->casefolds_method && IS(method, "CONNECT"));

    if (target.len == 0)
        return false;
    if (*target.at == '/')
        return true;
    if (lc_slice_equals(target, LC_SLICE("*")))
        return lc_slice_equals(method, LC_SLICE("OPTIONS")) ||
               (policy->rules->casefolds_method && IS(method, "OPTIONS"));
    if (!is_connect && memmem(target.at, target.len, "://", 3) == NULL)
        return false;
    return is_authority(lc_target_authority(target, &rest));
}

/* Blanks and control bytes would let two servers disagree on where the target ends. */
static bool check_target(struct lc_policy *policy, struct lc_slice line,
                         struct lc_slice method, struct lc_slice target)
{
    bool is_good = true;

    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.at[i];
        if (c <= 0x20 || c == 0x7f)
            is_good = false;
    }
    return (is_good && has_form(policy, method, target)) || bad_line(policy, line);
}

/* RFC 9112, 2.3: a digit, a dot, a digit. */
static bool check_version(struct lc_policy *policy, struct lc_slice version)
{
    const char *at = version.at;
    bool is_version = version.len == 8 && memcmp(at, "HTTP/", 5) == 0 && at[5] >= '0' &&
                      at[5] <= '9' && at[6] == '.' && at[7] >= '0' && at[7] <= '9';

    if (is_version && (at[5] == '1' || policy->rules->permits_any_version)) {
        policy->request->version = (uint8_t)((at[5] - '0') * 10 + (at[7] - '0'));
        return true;
    }
    if (is_version)
        lc_fault_set(policy->fault, 400, "Bad Request", "Invalid HTTP Version: (%c, %c)",
                     at[5], at[7]);
    else
        lc_fault_bad(policy->fault, "Invalid HTTP Version: %s", version);
    return lc_fault_lead(policy->fault, "Invalid HTTP Version");
}

/* Three parts and single blanks between them. */
bool lc_policy_line(struct lc_policy *policy, struct lc_slice line)
{
    struct lc_request *request = policy->request;
    const char *end = line.at + line.len;
    const char *first = memchr(line.at, ' ', line.len);
    const char *second = first == NULL
                             ? NULL
                             : memchr(first + 1, ' ', (size_t)(end - first - 1));

    if (second == NULL)
        return bad_line(policy, line);
    request->method = (struct lc_slice){line.at, (size_t)(first - line.at)};
    request->target = (struct lc_slice){first + 1, (size_t)(second - first - 1)};
    policy->has_line = check_method(policy, request->method) &&
                       check_target(policy, line, request->method, request->target) &&
                       check_version(policy, (struct lc_slice){
                                                 second + 1, (size_t)(end - second - 1)});
    return policy->has_line;
}

/* Methods are capitals by convention only, but that is what casefold_http_method wants. */
static void casefold_method(struct lc_request *request)
{
    struct lc_slice method = request->method;
    char *folded = lc_arena_alloc(&request->arena, method.len);

    for (size_t i = 0; i < method.len; i++) {
        bool is_lower = method.at[i] >= 'a' && method.at[i] <= 'z';
        folded[i] = is_lower ? (char)(method.at[i] - 32) : method.at[i];
    }
    request->method.at = folded;
}

/* --- lines ------------------------------------------------------------------ */

/* RFC 9112, 3: whoever reads a line without end runs out of memory. As Gunicorn has it, a line is
 * too long when more has come of it than the limit and a CRLF; the message says how much that was,
 * so a line that came whole is named with its length. */
bool lc_policy_line_length(struct lc_policy *policy, size_t len)
{
    if (len <= policy->rules->line)
        return true;
    return lc_fault_set(policy->fault, 400, "Bad Request",
                        "Request Line is too large (%zu > %zu)", len,
                        policy->rules->line);
}

/* RFC 6585, 5. Fields that are dropped do not count as fields, but somebody has to keep them till
 * then. */
bool lc_policy_head_length(struct lc_policy *policy, size_t len)
{
    return len <= policy->rules->head ||
           lc_fault_limit(policy->fault, "max buffer headers");
}

static bool too_large_field(struct lc_policy *policy)
{
    return lc_fault_limit(policy->fault, "limit request headers fields size");
}

/* The name that a field line begins with: all of it when there is no colon. */
static struct lc_slice name_on(struct lc_slice line)
{
    const char *colon = memchr(line.at, ':', line.len);

    return (struct lc_slice){line.at,
                             colon != NULL ? (size_t)(colon - line.at) : line.len};
}

/* RFC 9112, 5: a name, a colon. */
static bool bad_field_line(struct lc_policy *policy, struct lc_slice line)
{
    if (line.len == 0 || line.at[0] == ':' || memchr(line.at, ':', line.len) == NULL)
        return lc_fault_bad(policy->fault, "Invalid HTTP Header: %s", line);
    return lc_fault_bad(policy->fault, "Invalid HTTP header name: %s", name_on(line));
}

/* What only the whole line tells. llhttp takes some lines that begin with a blank or a bare CR for
 * something else, so none such reaches it. */
bool lc_policy_field_line(struct lc_policy *policy, struct lc_slice line)
{
    if (line.len + 2 > policy->rules->field_size)
        return too_large_field(policy);
    return lc_is_token_char(line.at[0]) || bad_field_line(policy, line);
}

/* RFC 9112, 5.2: folding is obsolete. Where a body ends is too important to be read from a field
 * that others may read in another way. */
bool lc_policy_fold(struct lc_policy *policy, struct lc_slice field)
{
    const char *newline = memchr(field.at, '\n', field.len);
    struct lc_slice line = {field.at, (size_t)(newline - 1 - field.at)};
    struct lc_slice name = name_on(line);

    if (field.len + 2 > policy->rules->field_size)
        return too_large_field(policy);
    if (policy->rules->strips_name_spaces)
        name = lc_without_blanks(name);
    if (name.len == line.len || !lc_is_token(name))
        return bad_field_line(policy, line);
    if (policy->rules->permits_folding && !IS(name, "Content-Length") &&
        !IS(name, "Transfer-Encoding"))
        return true;
    return lc_fault_bad_name(policy->fault, "Obsolete line folding is unacceptable: %s",
                             name);
}

/* RFC 9112, 5.1 forbids these blanks: proxies have been fooled with them. */
bool lc_policy_strips(const struct lc_policy *policy, struct lc_slice line)
{
    struct lc_slice name = name_on(line);

    return policy->rules->strips_name_spaces && name.len > 1 && name.len < line.len &&
           lc_is_blank(name.at[name.len - 1]);
}

/* What has come of a line that is not complete yet. */
bool lc_policy_open_line(struct lc_policy *policy, size_t len)
{
    if (!policy->has_line)
        return len <= policy->rules->line + 2 || lc_policy_line_length(policy, len);
    return len <= policy->rules->field_size || too_large_field(policy);
}

/* --- fields (RFC 9110, 5; RFC 9112, 5) ----------------------------------------------------- */

static bool is_first(bool *was_seen)
{
    bool is_new = !*was_seen;

    *was_seen = true;
    return is_new;
}

static bool bad_field(struct lc_policy *policy, const char *name)
{
    return lc_fault_set(policy->fault, 400, "Bad Request", "Invalid HTTP Header: '%s'",
                        name);
}

/* RFC 9112, 6.1: of codings only chunked says where the body ends. Others may stand before it
 * (the application decodes them); chunked comes last and once, and not in HTTP/1.0. */
static bool take_transfer_encoding(struct lc_policy *policy, struct lc_slice value)
{
    struct lc_request *request = policy->request;
    bool is_chunked = request->is_chunked_body;
    const char *at = value.at, *end = value.at + value.len;

    policy->has_coding = true;
    for (;;) {
        const char *comma = at == end ? NULL : memchr(at, ',', (size_t)(end - at));
        struct lc_slice coding = lc_without_blanks(
            (struct lc_slice){at, (size_t)((comma != NULL ? comma : end) - at)});

        if (IS(coding, "chunked")) {
            if (is_chunked || request->version < 11)
                return bad_field(policy, "TRANSFER-ENCODING");
            is_chunked = true;
        } else if (IS(coding, "gzip") || IS(coding, "deflate") ||
                   IS(coding, "compress") || IS(coding, "identity")) {
            if (is_chunked)
                return bad_field(policy, "TRANSFER-ENCODING");
            request->wants_close |= coding.len != sizeof("identity") - 1;
        } else {
            char repr[200];

            lc_fault_repr(repr, sizeof(repr), coding);
            return lc_fault_set(policy->fault, 501, "Bad Request",
                                "Unsupported transfer coding: %s", repr);
        }
        if (comma == NULL)
            break;
        at = comma + 1;
    }
    request->is_chunked_body = is_chunked;
    return true;
}

/* RFC 9110, 8.6: digits and nothing else. RFC 9112, 6.3 would allow a list of equal numbers. */
static bool take_content_length(struct lc_policy *policy, struct lc_slice value)
{
    uint64_t length = 0;

    if (!is_first(&policy->has_content_length) || value.len == 0)
        return bad_field(policy, "CONTENT-LENGTH");
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];

        if (c < '0' || c > '9' || length >= CONTENT_LENGTH_MAX)
            return bad_field(policy, "CONTENT-LENGTH");
        length = length * 10 + (uint64_t)(c - '0');
    }
    policy->content_length = length;
    return true;
}

/* RFC 9110, 7.6.1: a list of tokens in any case; `close` wins. */
static void take_connection(struct lc_policy *policy, struct lc_slice value)
{
    const char *at = value.at, *end = value.at + value.len;

    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        struct lc_slice token = lc_without_blanks(
            (struct lc_slice){at, (size_t)((comma != NULL ? comma : end) - at)});

        if (IS(token, "close"))
            policy->says_close = true;
        else if (IS(token, "keep-alive"))
            policy->says_keep = true;
        at = comma != NULL ? comma + 1 : end;
    }
}

static bool take_expect(struct lc_policy *policy, struct lc_slice value)
{
    char repr[200];

    if (IS(value, "100-continue")) {
        policy->request->expects_100 = policy->request->version > 10;
        return true;
    }
    lc_fault_repr(repr, sizeof(repr), value);
    return lc_fault_set(policy->fault, 417, "Expectation Failed",
                        "Unable to comply with expectation: %s", repr);
}

/* A proxy that is trusted says how the client came to it; anything but the word that means https
 * is http. */
static bool take_scheme(struct lc_policy *policy, struct lc_slice name,
                        struct lc_slice value)
{
    const struct lc_scheme_headers *headers = &policy->rules->scheme_headers;
    struct lc_request *request = policy->request;

    for (size_t i = 0; i < headers->count; i++) {
        if (!lc_slice_equals_nocase(headers->items[i].name, name))
            continue;
        bool is_https = lc_slice_equals(headers->items[i].value, value);
        if (policy->has_scheme && is_https != request->is_https)
            return lc_fault_set(policy->fault, 400, "Bad Request",
                                "Contradictory scheme headers");
        policy->has_scheme = true;
        request->is_https = is_https;
    }
    return true;
}

/* What the server itself has to understand. */
static bool take_meaning(struct lc_policy *policy, struct lc_slice name,
                         struct lc_slice value)
{
    if ((policy->schemes & lc_rules_scheme_bit(name)) != 0 &&
        !take_scheme(policy, name, value))
        return false;
    switch (name.len) {
    case 4: /* RFC 9112, 3.2: one Host says which site is meant */
        if (IS(name, "Host"))
            return is_first(&policy->has_host) || bad_field(policy, "HOST");
        return true;
    case 6: return !IS(name, "Expect") || take_expect(policy, value);
    case 10:
        if (IS(name, "Connection"))
            take_connection(policy, value);
        return true;
    case 12: /* RFC 9110, 5.3: no list, so it cannot be repeated */
        if (IS(name, "Content-Type"))
            return is_first(&policy->has_content_type) ||
                   bad_field(policy, "CONTENT-TYPE");
        return true;
    case 14: return !IS(name, "Content-Length") || take_content_length(policy, value);
    case 17:
        return !IS(name, "Transfer-Encoding") || take_transfer_encoding(policy, value);
    default: return true;
    }
}

static bool is_for_forwarders(const struct lc_rules *rules, struct lc_slice name)
{
    for (size_t i = 0; i < rules->forwarder_headers.count; i++)
        if (lc_slice_equals_nocase(lc_slice(rules->forwarder_headers.items[i]), name))
            return true;
    return rules->permits_all_forwarders;
}

/* RFC 3875, 4.1.18: an application cannot tell `_` from `-` in a name, so a client could forge what
 * a proxy sets. Only a trusted proxy may send the few names that are meant for it. */
static bool take_underscore(struct lc_policy *policy, struct lc_slice name,
                            struct lc_slice value, bool *is_kept)
{
    const struct lc_rules *rules = policy->rules;

    *is_kept = rules->header_map == LC_MAP_DANGEROUS ||
               (policy->is_trusted && is_for_forwarders(rules, name));
    if (*is_kept)
        return true;
    if (rules->header_map == LC_MAP_REFUSE)
        return lc_fault_bad_name(policy->fault, "Invalid HTTP header name: %s", name);
    if (rules->dropped != NULL)
        lc_dropped_tell(rules->dropped, name, policy->is_trusted);
    return !policy->is_trusted || take_scheme(policy, name, value);
}

bool lc_policy_field(struct lc_policy *policy, struct lc_slice name,
                     struct lc_slice value)
{
    unsigned kind = lc_token_kind(name);
    bool is_kept = true;

    if (kind == 0) /* RFC 9110, 5.1 */
        return lc_fault_bad(policy->fault, "Invalid HTTP header name: %s", name);
    value = lc_without_blanks(value);
    if ((kind & LC_NO_UNDERSCORE) == 0 && !take_underscore(policy, name, value, &is_kept))
        return false;
    if (!is_kept)
        return true;

    struct lc_header *header = lc_request_add_header(policy->request,
                                                     policy->rules->fields);
    if (header == NULL)
        return lc_fault_limit(policy->fault, "limit request headers fields");
    header->name = name;
    header->value = value;
    return take_meaning(policy, name, value);
}

bool lc_policy_head(struct lc_policy *policy)
{
    struct lc_request *request = policy->request;

    /* RFC 9112, 6.3: both at once is how one request is passed off as two. */
    if (policy->has_coding && policy->has_content_length)
        return bad_field(policy, "CONTENT-LENGTH");
    if (!lc_policy_body_length(policy, policy->content_length))
        return false;
    /* RFC 9112, 6.3: without chunked at its end nobody can tell where such a body ends. It is
     * taken for empty, and nothing behind it for another request. */
    if (policy->has_coding && !request->is_chunked_body)
        request->has_endless_body = request->wants_close = true;
    /* RFC 9112, 9.3 */
    if (policy->says_close || (request->version < 11 && !policy->says_keep))
        request->wants_close = true;
    if (policy->rules->casefolds_method)
        casefold_method(request);
    return true;
}

/* RFC 9110, 15.5.14 */
bool lc_policy_body_length(struct lc_policy *policy, uint64_t len)
{
    if (len <= policy->rules->body)
        return true;
    return lc_fault_set(policy->fault, 413, "Content Too Large",
                        "Request body is too large (%" PRIu64 " > %" PRIu64 ")", len,
                        policy->rules->body);
}

/* --- what llhttp refused ------------------------------------------------------------------ */

/* RFC 9110, 5.5: a value holds no control bytes. */
static bool judge_line(struct lc_policy *policy, struct lc_slice line)
{
    struct lc_slice name = name_on(line);

    if (name.len == line.len || !lc_is_token(name))
        return bad_field_line(policy, line);
    struct lc_slice value = {name.at + name.len + 1, line.len - name.len - 1};
    if (!lc_is_field_value(value))
        return lc_fault_bad_name(policy->fault, "Invalid HTTP Header: %s", name);
    return lc_policy_field(policy, name, value);
}

void lc_policy_restart(struct lc_policy *policy)
{
    struct lc_request *request = policy->request;

    *policy = (struct lc_policy){
        .request = request,
        .rules = policy->rules,
        .fault = policy->fault,
        .is_trusted = policy->is_trusted,
        .has_line = policy->has_line,
        .schemes = policy->schemes,
    };
    policy->fault->status = 0;
    request->header_count = 0;
    request->is_chunked_body = request->wants_close = request->expects_100 = false;
}

bool lc_policy_judge(struct lc_policy *policy, struct lc_slice fields)
{
    const char *end = fields.at + fields.len;

    lc_policy_restart(policy);
    for (const char *at = fields.at; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        struct lc_slice line = {at, (size_t)(newline - 1 - at)};

        if (line.len > 0 && !judge_line(policy, line))
            return false;
        at = newline + 1;
    }
    return lc_policy_head(policy);
}
