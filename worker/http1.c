#include "worker/http1.h"

#include "app/request.h"
#include "base/mem.h"
#include "base/token.h"
#include "worker/rules.h"
#include "worker/unfold.h"

#include <string.h>

enum { LINES_MAX = 32768 }; /* of one head, counted with what is dropped */

/* --- where the head ends ------------------------------------------------------------------ */

static bool take_request_line(struct lc_http1 *http1, struct lc_slice line, bool has_cr)
{
    http1->fields_start = http1->line_start;
    if (!lc_policy_line_length(&http1->policy, line.len))
        return false;
    if (!has_cr)
        line.len++; /* show the LF in the message */
    return lc_policy_line(&http1->policy, line);
}

/* Where the field begins to which the line at `start` belongs: a fold goes on with an earlier one. */
static size_t field_of(const struct lc_http1 *http1, struct lc_slice head, size_t start)
{
    bool is_fold = http1->line_count > 0 && start < head.len &&
                   lc_is_blank(head.at[start]);

    return is_fold ? http1->field_start : start;
}

static bool take_fold(struct lc_http1 *http1, struct lc_slice head, struct lc_slice line)
{
    const char *field = head.at + http1->field_start;

    http1->has_odd_lines = true;
    return lc_policy_fold(&http1->policy,
                          (struct lc_slice){field, (size_t)(line.at + line.len - field)});
}

static bool take_field_line(struct lc_http1 *http1, struct lc_slice head,
                            struct lc_slice line)
{
    struct lc_policy *policy = &http1->policy;

    if (lc_is_blank(*line.at) && http1->line_count > 0) {
        if (!take_fold(http1, head, line))
            return false;
    } else {
        http1->field_start = (size_t)(line.at - head.at);
        if (!lc_policy_field_line(policy, line))
            return false;
        if (policy->rules->strips_name_spaces)
            http1->has_odd_lines |= lc_policy_strips(policy, line);
    }
    if (++http1->line_count > LINES_MAX)
        return lc_fault_limit(policy->fault, "limit request headers fields");
    return lc_policy_head_length(policy, http1->line_start - http1->fields_start);
}

/* RFC 9112, 2.2 lets a lone LF end a line: whoever does so sees other fields than we. */
static bool bad_line_end(struct lc_http1 *http1, struct lc_slice head,
                         struct lc_slice line)
{
    size_t start = (size_t)(line.at - head.at);
    size_t len = start + line.len - field_of(http1, head, start);

    if (lc_policy_open_line(&http1->policy, len))
        lc_fault_bad(http1->policy.fault, "Invalid HTTP Header: %s", line);
    return false;
}

enum found { NO_END, END, FAULT };

/* Looks at each complete line once, however the bytes arrive. `*length` is that of the head when
 * its end is found. What is said of a line that is not complete holds for the whole one. */
static enum found find_end(struct lc_http1 *http1, struct lc_slice head, size_t *length)
{
    struct lc_policy *policy = &http1->policy;

    for (;;) {
        const char *newline = memchr(head.at + http1->scanned, '\n',
                                     head.len - http1->scanned);
        size_t start = http1->line_start;

        if (newline == NULL) {
            size_t len = head.len - field_of(http1, head, start);

            http1->scanned = head.len;
            if (!policy->has_line && len > 0 && head.at[head.len - 1] == '\r')
                len--; /* it may be the line's end */
            return lc_policy_open_line(policy, len) ? NO_END : FAULT;
        }
        struct lc_slice line = {head.at + start, (size_t)(newline - head.at) - start};
        bool has_cr = line.len > 0 && line.at[line.len - 1] == '\r';

        line.len -= has_cr;
        http1->line_start = http1->scanned = (size_t)(newline + 1 - head.at);
        if (!policy->has_line) {
            if (!take_request_line(http1, line, has_cr))
                return FAULT;
        } else if (!has_cr) {
            bad_line_end(http1, head, line);
            return FAULT;
        } else if (line.len == 0) {
            *length = http1->line_start;
            return END;
        } else if (!take_field_line(http1, head, line)) {
            return FAULT;
        }
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
    /* llhttp frames the body: it must have understood what we have. */
    return request->is_chunked_body == ((parser->flags & F_CHUNKED) != 0) ? 0 : HPE_USER;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct lc_http1 *http1 = parser->data;

    return http1->on_body(http1->owner, (struct lc_slice){at, len}, http1->policy.fault)
               ? 0
               : HPE_USER;
}

static int on_chunk_header(llhttp_t *parser)
{
    struct lc_http1 *http1 = parser->data;

    http1->chunks.left = parser->content_length;
    return 0;
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
static bool split(struct lc_http1 *http1, struct lc_slice fields)
{
    http1->parser = *parser_behind_line(http1->policy.request->version < 11);
    http1->parser.data = http1;

    llhttp_errno_t code = llhttp_execute(&http1->parser, fields.at, fields.len);
    if (code == HPE_OK && http1->is_past_head)
        return true;
    return code == HPE_PAUSED && http1->is_complete &&
           llhttp_get_error_pos(&http1->parser) == fields.at + fields.len;
}

/* RFC 9110, 5.5: blanks on either side of a value are no part of it, tabs neither. llhttp does not
 * take all of them behind the values that it reads itself: they are removed, if that is
 * all that is wrong. */
static bool take_fields(struct lc_http1 *http1, struct lc_slice fields)
{
    struct lc_policy *policy = &http1->policy;

    if (split(http1, fields))
        return true;
    if (!lc_policy_judge(policy, fields))
        return false;
    lc_policy_restart(policy);
    http1->is_past_head = http1->is_complete = false;
    return split(http1, lc_unfold(&policy->request->arena, fields,
                                  policy->rules->strips_name_spaces)) ||
           lc_fault_set(policy->fault, 400, "Bad Request", "Invalid HTTP Header");
}

/* --- from outside -------------------------------------------------------------------------- */

void lc_http1_begin(struct lc_http1 *http1, struct lc_request *request,
                    const struct lc_rules *rules, bool is_trusted, struct lc_fault *fault)
{
    memset((char *)http1 + sizeof(http1->parser), 0,
           sizeof(*http1) - sizeof(http1->parser));
    http1->policy = (struct lc_policy){
        .request = request,
        .rules = rules,
        .fault = fault,
        .is_trusted = is_trusted,
        .schemes = is_trusted ? rules->schemes : 0,
    };
}

/* The head's bytes have been moved to `head`, where the request is to find them. */
static void move(struct lc_http1 *http1, const char *head)
{
    struct lc_request *request = http1->policy.request;
    const char *from = http1->line_base;

    http1->line_base = head;
    if (request->method.at == NULL || from == head) /* no line is complete yet */
        return;
    request->method.at = head + (request->method.at - from);
    request->target.at = head + (request->target.at - from);
}

enum lc_http1_result lc_http1_head(struct lc_http1 *http1, struct lc_slice head,
                                   size_t *used)
{
    struct lc_request *request = http1->policy.request;
    size_t length;

    *used = 0;
    move(http1, head.at);
    switch (find_end(http1, head, &length)) {
    case NO_END: return LC_HTTP1_MORE;
    case FAULT: return LC_HTTP1_FAIL;
    case END: break;
    }

    struct lc_slice fields = {head.at + http1->fields_start,
                              length - http1->fields_start};
    if (http1->has_odd_lines)
        fields = lc_unfold(&request->arena, fields,
                           http1->policy.rules->strips_name_spaces);
    if (!take_fields(http1, fields))
        return LC_HTTP1_FAIL;
    lc_request_split_target(request);
    *used = length;
    return http1->is_complete ? LC_HTTP1_DONE : LC_HTTP1_HEAD;
}

static bool bad_body(struct lc_http1 *http1)
{
    return lc_fault_set(http1->policy.fault, 400, "Bad Request",
                        "Invalid chunked body: %s",
                        llhttp_get_error_reason(&http1->parser));
}

/* The next bytes of a body of known length. */
static bool take_measured(struct lc_http1 *http1, struct lc_slice bytes, size_t *used)
{
    llhttp_errno_t code = llhttp_execute(&http1->parser, bytes.at, bytes.len);

    *used = bytes.len;
    if (code == HPE_OK)
        return true;
    *used = (size_t)(llhttp_get_error_pos(&http1->parser) - bytes.at);
    return (code == HPE_PAUSED && http1->is_complete) || bad_body(http1);
}

/* Bytes of a chunk, or the line that we have made of what stands before it. */
static bool decode(struct lc_http1 *http1, struct lc_slice bytes)
{
    return llhttp_execute(&http1->parser, bytes.at, bytes.len) == HPE_OK ||
           bad_body(http1);
}

/* Between two chunks. */
static bool take_chunk_line(struct lc_http1 *http1, struct lc_slice bytes, size_t *used)
{
    struct lc_chunks *chunks = &http1->chunks;

    if (!lc_chunks_read(chunks, bytes, used, http1->policy.fault))
        return false;
    if (chunks->state != LC_CHUNK_DATA)
        return true;
    if (!decode(http1, lc_chunks_line(chunks)))
        return false;
    http1->has_last_chunk = chunks->left == 0;
    if (chunks->left > UINT64_MAX - http1->body_len) /* no body is that long */
        chunks->left = UINT64_MAX - http1->body_len;
    http1->body_len += chunks->left;
    return lc_policy_body_length(&http1->policy, http1->body_len);
}

static bool take_chunk(struct lc_http1 *http1, struct lc_slice bytes, size_t *used)
{
    struct lc_chunks *chunks = &http1->chunks;

    *used = bytes.len < chunks->left ? bytes.len : (size_t)chunks->left;
    chunks->left -= *used;
    if (chunks->left == 0)
        chunks->state = LC_CHUNK_CR;
    return decode(http1, (struct lc_slice){bytes.at, *used});
}

static bool take_chunks(struct lc_http1 *http1, struct lc_slice bytes, size_t *used)
{
    for (*used = 0; *used < bytes.len && !http1->has_last_chunk;) {
        struct lc_slice rest = {bytes.at + *used, bytes.len - *used};
        size_t more;

        if (!(http1->chunks.state == LC_CHUNK_DATA ? take_chunk(http1, rest, &more)
                                                   : take_chunk_line(http1, rest, &more)))
            return false;
        *used += more;
    }
    return true;
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
    bool is_chunked = http1->policy.request->is_chunked_body;
    size_t more = 0;

    *used = 0;
    if (!(is_chunked ? take_chunks(http1, bytes, used)
                     : take_measured(http1, bytes, used)))
        return LC_HTTP1_FAIL;
    if (http1->has_last_chunk) {
        struct lc_slice rest = {bytes.at + *used, bytes.len - *used};

        if (!take_trailers(http1, rest, &more))
            return LC_HTTP1_FAIL;
        *used += more;
    }
    return http1->is_complete ? LC_HTTP1_DONE : LC_HTTP1_MORE;
}

uint64_t lc_http1_content_length(const struct lc_http1 *http1)
{
    return http1->policy.content_length;
}
