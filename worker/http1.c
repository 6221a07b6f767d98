#include "worker/http1.h"

#include "app/request.h"
#include "base/mem.h"

#include <string.h>

enum {
    LINES_MAX = 32768,    /* of one head, counted with what is dropped            */
    OVERHEAD_MAX = 16384, /* chunk extensions or trailers without any body, bytes */
};

/* --- where the head ends ------------------------------------------------------------------ */

/* Looks at each complete line once, however the bytes arrive. 1: the head is complete and
 * `*length` long; 0: not yet; -1: fault. */
static int find_end(struct lc_http1 *http1, struct lc_slice head, size_t *length)
{
    struct lc_policy *policy = &http1->policy;

    for (;;) {
        const char *newline = memchr(head.at + http1->scanned, '\n',
                                     head.len - http1->scanned);
        if (newline == NULL) {
            http1->scanned = head.len;
            return lc_policy_open_line(policy, head.len - http1->line_start) ? 0 : -1;
        }
        struct lc_slice line = {head.at + http1->line_start,
                                (size_t)(newline - head.at) - http1->line_start};
        bool has_cr = line.len > 0 && line.at[line.len - 1] == '\r';

        line.len -= has_cr;
        http1->line_start = http1->scanned = (size_t)(newline + 1 - head.at);
        if (!policy->has_line) {
            if (!lc_policy_line_length(policy, line.len))
                return -1;
            if (!has_cr)
                line.len++; /* show the LF in the message */
            if (!lc_policy_line(policy, line))
                return -1;
            continue;
        }
        if (!has_cr) {
            lc_fault_bad(policy->fault, "Invalid HTTP Header: %s", line);
            return -1;
        }
        if (line.len == 0) {
            *length = http1->line_start;
            return 1;
        }
        if (++http1->field_count > LINES_MAX) {
            lc_fault_limit(policy->fault, "");
            return -1;
        }
        if (!lc_policy_head_length(policy, http1->line_start))
            return -1;
        if (!lc_policy_field_line(policy, line, http1->previous))
            return -1;
        http1->previous = line;
    }
}

/* --- llhttp --------------------------------------------------------------------------------- */

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct lc_http1 *http1 = parser->data;

    http1->field = (struct lc_slice){at, len};
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct lc_http1 *http1 = parser->data;

    return lc_policy_field(&http1->policy, http1->field, (struct lc_slice){at, len})
               ? 0
               : HPE_USER;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct lc_http1 *http1 = parser->data;
    struct lc_request *request = http1->policy.request;

    http1->is_past_head = true;
    if (!lc_policy_head(&http1->policy))
        return HPE_USER;
    /* An upgrade is the application's to refuse; the bytes behind the head are its body. */
    parser->upgrade = 0;
    /* Codings without chunked: there is no telling where the body ends, so there is none. */
    if (!request->is_chunked_body)
        parser->flags &= (uint16_t)~F_TRANSFER_ENCODING;
    return 0;
}

static bool bad_body(struct lc_http1 *http1, const char *why)
{
    return lc_fault_set(http1->policy.fault, 400, "Bad Request",
                        "Invalid chunked body: %s", why);
}

/* llhttp takes any two bytes for the CRLF behind a chunk. */
static bool check_crlf(struct lc_http1 *http1, struct lc_slice bytes)
{
    for (; http1->crlf_owed > 0 && bytes.len > 0; bytes.at++, bytes.len--)
        if (*bytes.at != (http1->crlf_owed-- == 2 ? '\r' : '\n'))
            return bad_body(http1, "a chunk does not end in CRLF");
    return true;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct lc_http1 *http1 = parser->data;
    struct lc_slice rest = {at + len, (size_t)(http1->bytes_end - at) - len};

    http1->body_end = rest.at;
    if (http1->policy.request->is_chunked_body && parser->content_length == 0) {
        http1->crlf_owed = 2;
        if (!check_crlf(http1, rest))
            return HPE_USER;
    }
    return http1->on_body(http1->owner, (struct lc_slice){at, len}, http1->policy.fault)
               ? 0
               : HPE_USER;
}

/* take_body looks at what stands before and behind a chunk: llhttp lets too much pass. */
static int on_chunk_header(llhttp_t *parser)
{
    struct lc_http1 *http1 = parser->data;

    http1->has_last_chunk = parser->content_length == 0;
    return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *parser)
{
    struct lc_http1 *http1 = parser->data;

    http1->is_complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t *settings(void)
{
    static llhttp_settings_t table;

    if (table.on_body == NULL) {
        llhttp_settings_init(&table);
        table.on_header_field = on_header_field;
        table.on_header_value = on_header_value;
        table.on_headers_complete = on_headers_complete;
        table.on_message_complete = on_message_complete;
        table.on_chunk_header = on_chunk_header;
        table.on_body = on_body;
    }
    return &table;
}

/* llhttp refuses methods and targets that we let through, and its versions differ in which. The
 * framing of a request depends on none of them, so it is given a request line of our own: its
 * state behind that line is a constant, and copied. */
static const llhttp_t *parser_behind_line(bool is_1_0)
{
    static llhttp_t parsers[2];
    static bool is_made;

    if (!is_made) {
        static const char lines[2][18] = {"POST / HTTP/1.1\r\n", "POST / HTTP/1.0\r\n"};

        for (int i = 0; i < 2; i++) {
            llhttp_init(&parsers[i], HTTP_REQUEST, settings());
            llhttp_errno_t failed = llhttp_execute(&parsers[i], lines[i], 17);
            lc_assert(failed == HPE_OK);
        }
        is_made = true;
    }
    return &parsers[is_1_0];
}

/* Lets llhttp split the fields, which are whole lines up to and with the empty one. */
static bool take_fields(struct lc_http1 *http1, struct lc_slice fields)
{
    http1->parser = *parser_behind_line(http1->policy.request->version < 11);
    http1->parser.data = http1;

    llhttp_errno_t code = llhttp_execute(&http1->parser, fields.at, fields.len);
    const char *stop = llhttp_get_error_pos(&http1->parser);
    if (code == HPE_OK && http1->is_past_head)
        return true;
    if (code == HPE_PAUSED && http1->is_complete && stop == fields.at + fields.len)
        return true;
    if (code == HPE_UNEXPECTED_CONTENT_LENGTH || code == HPE_INVALID_CONTENT_LENGTH ||
        code == HPE_INVALID_TRANSFER_ENCODING)
        return lc_policy_bad_framing(&http1->policy,
                                     code == HPE_INVALID_TRANSFER_ENCODING);
    return lc_policy_explain(&http1->policy, fields, stop);
}

/* --- from outside -------------------------------------------------------------------------- */

void lc_http1_begin(struct lc_http1 *http1, struct lc_request *request,
                    const struct lc_limits *limits, bool is_trusted,
                    struct lc_fault *fault)
{
    memset((char *)http1 + sizeof(http1->parser), 0,
           sizeof(*http1) - sizeof(http1->parser));
    http1->policy = (struct lc_policy){
        .request = request, .limits = limits, .fault = fault, .is_trusted = is_trusted};
}

void lc_http1_move(struct lc_http1 *http1, const char *head)
{
    struct lc_request *request = http1->policy.request;
    const char *from = http1->line_base;

    http1->line_base = head;
    if (request->method.at == NULL || from == head) /* no line is complete yet */
        return;
    request->method.at = head + (request->method.at - from);
    request->target.at = head + (request->target.at - from);
    if (http1->previous.len != 0)
        http1->previous.at = head + (http1->previous.at - from);
}

enum lc_http1_result lc_http1_head(struct lc_http1 *http1, struct lc_slice head,
                                   size_t *used)
{
    struct lc_request *request = http1->policy.request;
    size_t length;

    *used = 0;
    lc_http1_move(http1, head.at);
    switch (find_end(http1, head, &length)) {
    case 0: return LC_HTTP1_MORE;
    case 1: break;
    default: return LC_HTTP1_FAIL;
    }

    const char *line_end = memchr(request->target.at, '\n', length);
    const char *fields = line_end + 1;
    size_t fields_len = (size_t)(head.at + length - fields);
    if (!take_fields(http1, (struct lc_slice){fields, fields_len}))
        return LC_HTTP1_FAIL;
    lc_request_split_target(request);
    *used = length;
    return http1->is_complete ? LC_HTTP1_DONE : LC_HTTP1_HEAD;
}

/* Chunks or a body of known length. */
static bool take_body(struct lc_http1 *http1, struct lc_slice bytes, size_t *used)
{
    if (!check_crlf(http1, bytes))
        return false;
    for (const char *at = bytes.at;;) {
        llhttp_errno_t failed = llhttp_execute(&http1->parser, at,
                                               (size_t)(http1->bytes_end - at));
        if (failed == HPE_OK) {
            *used = bytes.len;
            return true;
        }
        at = llhttp_get_error_pos(&http1->parser);
        *used = (size_t)(at - bytes.at);
        if (failed != HPE_PAUSED)
            return bad_body(http1, llhttp_get_error_reason(&http1->parser));
        if (http1->is_complete)
            return true;
        if (at[-1] != '\n') /* llhttp takes any byte behind the CR */
            return bad_body(http1, "a chunk's size does not end in CRLF");
        if (http1->has_last_chunk)
            return true;
        llhttp_resume(&http1->parser);
    }
}

static bool take_trailers(struct lc_http1 *http1, struct lc_slice bytes, size_t *used)
{
    bool is_good = lc_trailers_read(&http1->trailers, bytes, used, http1->policy.fault);

    http1->is_complete = http1->trailers.state == LC_TRAILERS_DONE;
    return is_good;
}

enum lc_http1_result lc_http1_body(struct lc_http1 *http1, struct lc_slice bytes,
                                   size_t *used)
{
    size_t more = 0;

    *used = 0;
    http1->body_end = bytes.at;
    http1->bytes_end = bytes.at + bytes.len;
    if (!http1->has_last_chunk && !take_body(http1, bytes, used))
        return LC_HTTP1_FAIL;
    if (http1->has_last_chunk) {
        struct lc_slice rest = {bytes.at + *used, bytes.len - *used};

        if (!take_trailers(http1, rest, &more))
            return LC_HTTP1_FAIL;
        *used += more;
    }
    if (http1->is_complete)
        return LC_HTTP1_DONE;
    /* Bytes since the last piece of body; a client must not keep us busy with framing. */
    size_t framing = (size_t)(bytes.at + *used - http1->body_end);
    http1->overhead = http1->body_end == bytes.at ? http1->overhead + framing : framing;
    if (http1->overhead > OVERHEAD_MAX) {
        lc_fault_set(http1->policy.fault, 400, "Bad Request",
                     "Chunk extensions or trailers are too large");
        return LC_HTTP1_FAIL;
    }
    return LC_HTTP1_MORE;
}

uint64_t lc_http1_content_length(const struct lc_http1 *http1)
{
    return http1->policy.request->is_chunked_body ? 0 : http1->parser.content_length;
}
