#include "worker/policy.h"

#include "app/request.h"
#include "base/token.h"
#include "config/config.h"

#include <string.h>

enum {
    LINE_MAX_EVER = 8190,    /* what Gunicorn clamps limit_request_line to */
    FIELDS_MAX_EVER = 32768, /* and limit_request_fields                   */
};

void lc_limits_init(struct lc_limits *limits, const struct lc_config *config)
{
    int64_t line = config->limit_request_line;
    int64_t fields = config->limit_request_fields;
    int64_t size = config->limit_request_field_size;

    limits->line = line <= 0 || line > LINE_MAX_EVER ? LINE_MAX_EVER : (size_t)line;
    limits->fields = fields <= 0 || fields > FIELDS_MAX_EVER ? FIELDS_MAX_EVER
                                                             : (size_t)fields;
    limits->field_size = size <= 0 ? 8190 : (size_t)size;
}

/* --- characters ------------------------------------------------------------------------ */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct lc_slice trimmed(struct lc_slice text)
{
    while (text.len > 0 && is_blank(*text.at))
        text.at++, text.len--;
    while (text.len > 0 && is_blank(text.at[text.len - 1]))
        text.len--;
    return text;
}

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

static bool check_method(struct lc_policy *policy, struct lc_slice method)
{
    bool is_conventional = method.len >= 3 && method.len <= 20;

    for (size_t i = 0; i < method.len; i++)
        if ((method.at[i] >= 'a' && method.at[i] <= 'z') || method.at[i] == '#')
            is_conventional = false;
    if (is_conventional && lc_is_token(method))
        return true;
    lc_fault_bad(policy->fault, "Invalid HTTP method: %s", method);
    return lc_fault_lead(policy->fault, "Invalid Method");
}

static bool check_target(struct lc_policy *policy, struct lc_slice line,
                         struct lc_slice method, struct lc_slice target)
{
    bool is_good = target.len > 0;

    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.at[i];
        if (c <= 0x20 || c == 0x7f)
            is_good = false;
    }
    if (is_good && !IS(method, "CONNECT") && target.at[0] != '/') {
        if (lc_slice_equals(target, LC_SLICE("*")))
            is_good = lc_slice_equals(method, LC_SLICE("OPTIONS"));
        else
            is_good = memmem(target.at, target.len, "://", 3) != NULL;
    }
    return is_good || bad_line(policy, line);
}

static bool check_version(struct lc_policy *policy, struct lc_slice version)
{
    bool has_form = version.len == 8 && memcmp(version.at, "HTTP/", 5) == 0 &&
                    version.at[5] >= '0' && version.at[5] <= '9' &&
                    version.at[6] == '.' && version.at[7] >= '0' && version.at[7] <= '9';

    if (has_form && version.at[5] == '1') {
        policy->request->version = (uint8_t)(10 + (version.at[7] - '0'));
        return true;
    }
    if (has_form)
        lc_fault_set(policy->fault, 400, "Bad Request", "Invalid HTTP Version: (%c, %c)",
                     version.at[5], version.at[7]);
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

/* --- lines ------------------------------------------------------------------ */

bool lc_policy_line_length(struct lc_policy *policy, size_t len)
{
    if (len <= policy->limits->line)
        return true;
    return lc_fault_set(policy->fault, 400, "Bad Request",
                        "Request Line is too large (%zu > %zu)", len,
                        policy->limits->line);
}

/* Fields that are dropped do not count as fields, but somebody has to keep them till then. */
bool lc_policy_head_length(struct lc_policy *policy, size_t len)
{
    const struct lc_limits *limits = policy->limits;

    if (len <= limits->line + 2 + limits->fields * (limits->field_size + 2) + 4)
        return true;
    return lc_fault_set(policy->fault, 431, "Request Header Fields Too Large",
                        "Error parsing headers: 'max buffer headers'");
}

/* The name that a field line begins with: all of it when there is no colon. */
static struct lc_slice name_on(struct lc_slice line)
{
    const char *colon = memchr(line.at, ':', line.len);

    return (struct lc_slice){line.at,
                             colon != NULL ? (size_t)(colon - line.at) : line.len};
}

/* What only the whole line tells; `previous` is the field line before it, if any. llhttp takes some
 * lines that begin with a blank or a bare CR for something else, so none such reaches it. */
bool lc_policy_field_line(struct lc_policy *policy, struct lc_slice line,
                          struct lc_slice previous)
{
    if (line.len + 2 > policy->limits->field_size)
        return lc_fault_limit(policy->fault, " size");
    if (lc_is_token_char(line.at[0]))
        return true;
    if (is_blank(line.at[0]) && previous.len != 0)
        return lc_fault_bad_name(policy->fault,
                                 "Obsolete line folding is unacceptable: %s",
                                 name_on(previous));
    if (line.at[0] == ':' || memchr(line.at, ':', line.len) == NULL)
        return lc_fault_bad(policy->fault, "Invalid HTTP Header: %s", line);
    return lc_fault_bad(policy->fault, "Invalid HTTP header name: %s", name_on(line));
}

/* What has come of a line that is not complete yet. */
bool lc_policy_open_line(struct lc_policy *policy, size_t len)
{
    if (!policy->has_line)
        return len <= policy->limits->line + 2 || lc_policy_line_length(policy, len);
    return len <= policy->limits->field_size || lc_fault_limit(policy->fault, " size");
}

/* --- fields (RFC 9110, 5; RFC 9112, 5) ----------------------------------------------------- */

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

    if (is_chunked) /* nothing may follow it */
        return bad_field(policy, "TRANSFER-ENCODING");
    for (;;) {
        const char *comma = at == end ? NULL : memchr(at, ',', (size_t)(end - at));
        struct lc_slice coding = trimmed(
            (struct lc_slice){at, (size_t)((comma != NULL ? comma : end) - at)});

        if (IS(coding, "chunked")) {
            if (is_chunked || request->version < 11)
                return bad_field(policy, "TRANSFER-ENCODING");
            is_chunked = true;
        } else if (IS(coding, "gzip") || IS(coding, "deflate") ||
                   IS(coding, "compress")) {
            if (is_chunked)
                return bad_field(policy, "TRANSFER-ENCODING");
            request->wants_close = true;
        } else if (!IS(coding, "identity")) {
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

static bool take_content_length(struct lc_policy *policy, struct lc_slice value)
{
    if (value.len == 0 || value.len > 18)
        return bad_field(policy, "CONTENT-LENGTH");
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] < '0' || value.at[i] > '9')
            return bad_field(policy, "CONTENT-LENGTH");
    return true;
}

/* RFC 9110, 7.6.1: a list of tokens in any case; `close` wins. */
static void take_connection(struct lc_policy *policy, struct lc_slice value)
{
    const char *at = value.at, *end = value.at + value.len;

    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        struct lc_slice token = trimmed(
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

/* A proxy that is trusted says how the client came to it. */
static bool take_scheme(struct lc_policy *policy, struct lc_slice value,
                        struct lc_slice yes)
{
    bool is_https = lc_slice_equals(value, yes);

    if (!policy->is_trusted)
        return true;
    if (policy->has_scheme && is_https != policy->request->is_https)
        return lc_fault_set(policy->fault, 400, "Bad Request",
                            "Contradictory scheme headers");
    policy->has_scheme = true;
    policy->request->is_https = is_https;
    return true;
}

static bool is_first(bool *was_seen)
{
    bool is_new = !*was_seen;

    *was_seen = true;
    return is_new;
}

/* What the server itself has to understand. */
static bool take_meaning(struct lc_policy *policy, struct lc_slice name,
                         struct lc_slice value)
{
    switch (name.len) {
    case 4:
        if (IS(name, "Host"))
            return is_first(&policy->has_host) || bad_field(policy, "HOST");
        return true;
    case 6: return !IS(name, "Expect") || take_expect(policy, value);
    case 10:
        if (IS(name, "Connection"))
            take_connection(policy, value);
        return true;
    case 12:
        if (IS(name, "Content-Type"))
            return is_first(&policy->has_content_type) ||
                   bad_field(policy, "CONTENT-TYPE");
        return true;
    case 14:
        if (!IS(name, "Content-Length"))
            return true;
        if (!is_first(&policy->has_content_length))
            return bad_field(policy, "CONTENT-LENGTH");
        return take_content_length(policy, value);
    case 15:
        return !IS(name, "X-Forwarded-Ssl") || take_scheme(policy, value, LC_SLICE("on"));
    case 17:
        if (IS(name, "Transfer-Encoding"))
            return take_transfer_encoding(policy, value);
        return !IS(name, "X-Forwarded-Proto") ||
               take_scheme(policy, value, LC_SLICE("https"));
    case 20:
        return !IS(name, "X-Forwarded-Protocol") ||
               take_scheme(policy, value, LC_SLICE("ssl"));
    default: return true;
    }
}

/* A WSGI application cannot tell `_` from `-` in a name, so a client could forge what a proxy sets.
 * Only a trusted proxy may send the two names that are meant for it. */
static bool is_dropped(const struct lc_policy *policy, struct lc_slice name)
{
    if (memchr(name.at, '_', name.len) == NULL)
        return false;
    return !policy->is_trusted || !(IS(name, "SCRIPT_NAME") || IS(name, "PATH_INFO"));
}

bool lc_policy_field(struct lc_policy *policy, struct lc_slice name,
                     struct lc_slice value)
{
    if (!lc_is_token(name))
        return lc_fault_bad(policy->fault, "Invalid HTTP header name: %s", name);
    if (is_dropped(policy, name))
        return true;

    struct lc_header *header = lc_request_add_header(policy->request,
                                                     policy->limits->fields);
    if (header == NULL)
        return lc_fault_limit(policy->fault, "");
    header->name = name;
    header->value = trimmed(value);
    return take_meaning(policy, name, header->value);
}

bool lc_policy_head(struct lc_policy *policy)
{
    struct lc_request *request = policy->request;

    /* RFC 9112, 6.3: both at once is how one request is passed off as two. */
    if (request->is_chunked_body && policy->has_content_length)
        return bad_field(policy, "CONTENT-LENGTH");
    /* RFC 9112, 9.3 */
    if (policy->says_close || (request->version < 11 && !policy->says_keep))
        request->wants_close = true;
    return true;
}

/* --- what llhttp refused ------------------------------------------------------------------ */

bool lc_policy_explain(struct lc_policy *policy, struct lc_slice fields,
                       const char *where)
{
    const char *end = fields.at + fields.len;
    const char *start = where >= end || where < fields.at ? fields.at : where;

    if (policy->fault->status != 0)
        return false;
    while (start > fields.at && start[-1] != '\n')
        start--;
    const char *stop = memchr(start, '\n', (size_t)(end - start));
    struct lc_slice line = {start, (size_t)((stop != NULL ? stop - 1 : end) - start)};
    if (memchr(line.at, ':', line.len) == NULL)
        return lc_fault_bad(policy->fault, "Invalid HTTP Header: %s", line);
    if (!lc_is_token(name_on(line)))
        return lc_fault_bad(policy->fault, "Invalid HTTP header name: %s", name_on(line));
    return lc_fault_bad_name(policy->fault, "Invalid HTTP Header: %s", name_on(line));
}

bool lc_policy_bad_framing(struct lc_policy *policy, bool is_coding)
{
    bool is_length = !is_coding || policy->has_content_length;

    return bad_field(policy, is_length ? "CONTENT-LENGTH" : "TRANSFER-ENCODING");
}
