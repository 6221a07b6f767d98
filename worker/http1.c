#include "worker/http1.h"

#include "app/request.h"
#include "base/mem.h"
#include "config/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    LINE_MAX_EVER = 8190,    /* what Gunicorn clamps limit_request_line to      */
    FIELDS_MAX_EVER = 32768, /* and limit_request_fields                        */
    OVERHEAD_MAX = 16384,    /* chunk extensions or trailers without any body   */
};

void lc_http1_limits_init(struct lc_http1_limits *limits, const struct lc_config *config)
{
    int64_t line = config->limit_request_line;
    int64_t fields = config->limit_request_fields;
    int64_t size = config->limit_request_field_size;

    limits->line = line <= 0 || line > LINE_MAX_EVER ? LINE_MAX_EVER : (size_t)line;
    limits->fields = fields <= 0 || fields > FIELDS_MAX_EVER ? FIELDS_MAX_EVER
                                                             : (size_t)fields;
    limits->field_size = size <= 0 ? 8190 : (size_t)size;
}

/* --- faults ---------------------------------------------------------------------------- */

/* Text in Python's repr form, cut to fit: 'a\r\x1b'. People search their logs for these. */
static void put_repr(char *out, size_t room, struct lc_slice text)
{
    bool has_single = memchr(text.at, '\'', text.len) != NULL;
    bool has_double = memchr(text.at, '"', text.len) != NULL;
    char quote = has_single && !has_double ? '"' : '\'';
    size_t n = 0;

    out[n++] = quote;
    for (size_t i = 0; i < text.len && n + 8 < room; i++) {
        unsigned char c = (unsigned char)text.at[i];

        if (c == '\\' || c == (unsigned char)quote)
            n += (size_t)sprintf(out + n, "\\%c", c);
        else if (c == '\t' || c == '\n' || c == '\r')
            n += (size_t)sprintf(out + n, "\\%c",
                                 c == '\t'   ? 't'
                                 : c == '\n' ? 'n'
                                             : 'r');
        else if (c < 0x20 || (c >= 0x7f && c < 0xa1))
            n += (size_t)sprintf(out + n, "\\x%02x", c);
        else if (c >= 0xa1) /* the page is read as UTF-8, the bytes were Latin-1 */
            n += (size_t)sprintf(out + n, "%c%c", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
        else
            out[n++] = (char)c;
    }
    out[n++] = quote;
    out[n] = '\0';
}

__attribute__((format(printf, 4, 5))) static bool fail(struct lc_http1 *http1, int status,
                                                       const char *reason,
                                                       const char *format, ...)
{
    va_list args;

    if (http1->has_failed) /* the first fault counts */
        return false;
    http1->has_failed = true;
    http1->fault->status = status;
    http1->fault->reason = reason;
    va_start(args, format);
    vsnprintf(http1->fault->text, sizeof(http1->fault->text), format, args);
    va_end(args);
    return false;
}

/* 400 with Gunicorn's words: `format` has one %s for the repr of `what`. */
#define FAIL_WITH(http1, format, what)                         \
    do {                                                       \
        char repr_[400];                                       \
        put_repr(repr_, sizeof(repr_), what);                  \
        return fail(http1, 400, "Bad Request", format, repr_); \
    } while (0)

/* The same for a field name, which Gunicorn shows in upper case. */
#define FAIL_UPPER(http1, format, name)                                   \
    do {                                                                  \
        char upper_[200];                                                 \
        FAIL_WITH(http1, format, to_upper(upper_, sizeof(upper_), name)); \
    } while (0)

static struct lc_slice to_upper(char *out, size_t room, struct lc_slice name)
{
    size_t len = name.len < room ? name.len : room;

    for (size_t i = 0; i < len; i++)
        out[i] = name.at[i] >= 'a' && name.at[i] <= 'z' ? (char)(name.at[i] - 32)
                                                        : name.at[i];
    return (struct lc_slice){out, len};
}

static bool fail_limit(struct lc_http1 *http1, const char *what)
{
    return fail(http1, 431, "Request Header Fields Too Large",
                "Error parsing headers: 'limit request headers fields%s'", what);
}

/* --- characters ------------------------------------------------------------------------ */

/* RFC 9110, 5.6.2 */
static const bool is_token_char[256] = {
    ['!'] = true,         ['#'] = true,         ['$'] = true, ['%'] = true,
    ['&'] = true,         ['\''] = true,        ['*'] = true, ['+'] = true,
    ['-'] = true,         ['.'] = true,         ['^'] = true, ['_'] = true,
    ['`'] = true,         ['|'] = true,         ['~'] = true, ['0' ... '9'] = true,
    ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

static bool is_token(struct lc_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_token_char[(unsigned char)text.at[i]])
            return false;
    return text.len > 0;
}

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

static bool check_method(struct lc_http1 *http1, struct lc_slice method)
{
    bool is_conventional = method.len >= 3 && method.len <= 20;

    for (size_t i = 0; i < method.len; i++)
        if ((method.at[i] >= 'a' && method.at[i] <= 'z') || method.at[i] == '#')
            is_conventional = false;
    if (!is_conventional || !is_token(method))
        FAIL_WITH(http1, "Invalid Method 'Invalid HTTP method: %s'", method);
    return true;
}

static bool check_target(struct lc_http1 *http1, struct lc_slice line,
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
    if (!is_good)
        FAIL_WITH(http1, "Invalid Request Line 'Invalid HTTP request line: %s'", line);
    return true;
}

static bool check_version(struct lc_http1 *http1, struct lc_slice version)
{
    bool has_form = version.len == 8 && memcmp(version.at, "HTTP/", 5) == 0 &&
                    version.at[5] >= '0' && version.at[5] <= '9' &&
                    version.at[6] == '.' && version.at[7] >= '0' && version.at[7] <= '9';

    if (!has_form)
        FAIL_WITH(http1, "Invalid HTTP Version 'Invalid HTTP Version: %s'", version);
    if (version.at[5] != '1')
        return fail(http1, 400, "Bad Request",
                    "Invalid HTTP Version 'Invalid HTTP Version: (%c, %c)'",
                    version.at[5], version.at[7]);
    http1->request->version = (uint8_t)(10 + (version.at[7] - '0'));
    return true;
}

/* Three parts and single blanks between them. */
static bool take_line(struct lc_http1 *http1, struct lc_slice line)
{
    struct lc_request *request = http1->request;
    const char *end = line.at + line.len;
    const char *first = memchr(line.at, ' ', line.len);
    const char *second = first == NULL
                             ? NULL
                             : memchr(first + 1, ' ', (size_t)(end - first - 1));

    if (second == NULL)
        FAIL_WITH(http1, "Invalid Request Line 'Invalid HTTP request line: %s'", line);
    request->method = (struct lc_slice){line.at, (size_t)(first - line.at)};
    request->target = (struct lc_slice){first + 1, (size_t)(second - first - 1)};
    http1->has_line = check_method(http1, request->method) &&
                      check_target(http1, line, request->method, request->target) &&
                      check_version(http1, (struct lc_slice){second + 1,
                                                             (size_t)(end - second - 1)});
    return http1->has_line;
}

/* --- where the head ends ------------------------------------------------------------------ */

static bool check_line_length(struct lc_http1 *http1, size_t len)
{
    if (len <= http1->limits->line)
        return true;
    return fail(http1, 400, "Bad Request", "Request Line is too large (%zu > %zu)", len,
                http1->limits->line);
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
static bool check_field_line(struct lc_http1 *http1, struct lc_slice line,
                             struct lc_slice previous)
{
    if (line.len + 2 > http1->limits->field_size)
        return fail_limit(http1, " size");
    if (is_token_char[(unsigned char)line.at[0]])
        return true;
    if (is_blank(line.at[0]) && previous.len != 0)
        FAIL_UPPER(http1, "Obsolete line folding is unacceptable: %s", name_on(previous));
    if (line.at[0] == ':' || memchr(line.at, ':', line.len) == NULL)
        FAIL_WITH(http1, "Invalid HTTP Header: %s", line);
    FAIL_WITH(http1, "Invalid HTTP header name: %s", name_on(line));
}

/* What has come of a line that is not complete yet. */
static bool check_open_line(struct lc_http1 *http1, size_t len)
{
    if (!http1->has_line)
        return len <= http1->limits->line + 2 || check_line_length(http1, len);
    return len <= http1->limits->field_size || fail_limit(http1, " size");
}

/* Looks at each complete line once, however the bytes arrive. 1: the head is complete and
 * `*length` long; 0: not yet; -1: fault. */
static int find_end(struct lc_http1 *http1, struct lc_slice head, size_t *length)
{
    for (;;) {
        const char *newline = memchr(head.at + http1->scanned, '\n',
                                     head.len - http1->scanned);
        if (newline == NULL) {
            http1->scanned = head.len;
            return check_open_line(http1, head.len - http1->line_start) ? 0 : -1;
        }
        struct lc_slice line = {head.at + http1->line_start,
                                (size_t)(newline - head.at) - http1->line_start};
        bool has_cr = line.len > 0 && line.at[line.len - 1] == '\r';

        line.len -= has_cr;
        http1->line_start = http1->scanned = (size_t)(newline + 1 - head.at);
        if (!http1->has_line) {
            if (!check_line_length(http1, line.len))
                return -1;
            if (!has_cr)
                line.len++; /* show the LF in the message */
            if (!take_line(http1, line))
                return -1;
            continue;
        }
        if (!has_cr) {
            char repr[400];

            put_repr(repr, sizeof(repr), line);
            fail(http1, 400, "Bad Request", "Invalid HTTP Header: %s", repr);
            return -1;
        }
        if (line.len == 0) {
            *length = http1->line_start;
            return 1;
        }
        if (++http1->field_count > FIELDS_MAX_EVER) {
            fail_limit(http1, "");
            return -1;
        }
        if (!check_field_line(http1, line, http1->previous))
            return -1;
        http1->previous = line;
    }
}

/* --- fields (RFC 9110, 5; RFC 9112, 5) ----------------------------------------------------- */

static bool bad_field(struct lc_http1 *http1, const char *name)
{
    return fail(http1, 400, "Bad Request", "Invalid HTTP Header: '%s'", name);
}

/* RFC 9112, 6.1: of codings only chunked says where the body ends. Others may stand before it
 * (the application decodes them); chunked comes last and once, and not in HTTP/1.0. */
static bool take_transfer_encoding(struct lc_http1 *http1, struct lc_slice value)
{
    struct lc_request *request = http1->request;
    bool is_chunked = request->is_chunked_body;
    const char *at = value.at, *end = value.at + value.len;

    for (;;) {
        const char *comma = at == end ? NULL : memchr(at, ',', (size_t)(end - at));
        struct lc_slice coding = trimmed(
            (struct lc_slice){at, (size_t)((comma != NULL ? comma : end) - at)});

        if (IS(coding, "chunked")) {
            if (is_chunked || request->version < 11)
                return bad_field(http1, "TRANSFER-ENCODING");
            is_chunked = true;
        } else if (IS(coding, "gzip") || IS(coding, "deflate") ||
                   IS(coding, "compress")) {
            if (is_chunked)
                return bad_field(http1, "TRANSFER-ENCODING");
            request->wants_close = true;
        } else if (!IS(coding, "identity")) {
            char repr[200];

            put_repr(repr, sizeof(repr), coding);
            return fail(http1, 501, "Bad Request", "Unsupported transfer coding: %s",
                        repr);
        }
        if (comma == NULL)
            break;
        at = comma + 1;
    }
    request->is_chunked_body = is_chunked;
    return true;
}

static bool take_content_length(struct lc_http1 *http1, struct lc_slice value)
{
    if (value.len == 0 || value.len > 18)
        return bad_field(http1, "CONTENT-LENGTH");
    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] < '0' || value.at[i] > '9')
            return bad_field(http1, "CONTENT-LENGTH");
    return true;
}

/* RFC 9110, 7.6.1: a list of tokens in any case; `close` wins. */
static void take_connection(struct lc_http1 *http1, struct lc_slice value)
{
    const char *at = value.at, *end = value.at + value.len;

    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        struct lc_slice token = trimmed(
            (struct lc_slice){at, (size_t)((comma != NULL ? comma : end) - at)});

        if (IS(token, "close"))
            http1->says_close = true;
        else if (IS(token, "keep-alive"))
            http1->says_keep = true;
        at = comma != NULL ? comma + 1 : end;
    }
}

static bool take_expect(struct lc_http1 *http1, struct lc_slice value)
{
    char repr[200];

    if (IS(value, "100-continue")) {
        http1->request->expects_100 = http1->request->version > 10;
        return true;
    }
    put_repr(repr, sizeof(repr), value);
    return fail(http1, 417, "Expectation Failed", "Unable to comply with expectation: %s",
                repr);
}

/* A proxy that is trusted says how the client came to it. */
static bool take_scheme(struct lc_http1 *http1, struct lc_slice value,
                        struct lc_slice yes)
{
    bool is_https = lc_slice_equals(value, yes);

    if (!http1->is_trusted)
        return true;
    if (http1->has_scheme && is_https != http1->request->is_https)
        return fail(http1, 400, "Bad Request", "Contradictory scheme headers");
    http1->has_scheme = true;
    http1->request->is_https = is_https;
    return true;
}

static bool is_first(bool *was_seen)
{
    bool is_new = !*was_seen;

    *was_seen = true;
    return is_new;
}

/* What the server itself has to understand. */
static bool take_meaning(struct lc_http1 *http1, struct lc_slice name,
                         struct lc_slice value)
{
    switch (name.len) {
    case 4:
        if (IS(name, "Host"))
            return is_first(&http1->has_host) || bad_field(http1, "HOST");
        return true;
    case 6: return !IS(name, "Expect") || take_expect(http1, value);
    case 10:
        if (IS(name, "Connection"))
            take_connection(http1, value);
        return true;
    case 12:
        if (IS(name, "Content-Type"))
            return is_first(&http1->has_content_type) || bad_field(http1, "CONTENT-TYPE");
        return true;
    case 14:
        if (!IS(name, "Content-Length"))
            return true;
        if (!is_first(&http1->has_content_length))
            return bad_field(http1, "CONTENT-LENGTH");
        return take_content_length(http1, value);
    case 15:
        return !IS(name, "X-Forwarded-Ssl") || take_scheme(http1, value, LC_SLICE("on"));
    case 17:
        if (IS(name, "Transfer-Encoding"))
            return take_transfer_encoding(http1, value);
        return !IS(name, "X-Forwarded-Proto") ||
               take_scheme(http1, value, LC_SLICE("https"));
    case 20:
        return !IS(name, "X-Forwarded-Protocol") ||
               take_scheme(http1, value, LC_SLICE("ssl"));
    default: return true;
    }
}

/* A WSGI application cannot tell `_` from `-` in a name, so a client could forge what a proxy sets.
 * Only a trusted proxy may send the two names that are meant for it. */
static bool is_dropped(const struct lc_http1 *http1, struct lc_slice name)
{
    if (memchr(name.at, '_', name.len) == NULL)
        return false;
    return !http1->is_trusted || !(IS(name, "SCRIPT_NAME") || IS(name, "PATH_INFO"));
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct lc_http1 *http1 = parser->data;

    http1->field = (struct lc_slice){at, len};
    return 0;
}

static bool take_field(struct lc_http1 *http1, struct lc_slice name,
                       struct lc_slice value)
{
    if (!is_token(name))
        FAIL_WITH(http1, "Invalid HTTP header name: %s", name);
    if (is_dropped(http1, name))
        return true;

    struct lc_header *header = lc_request_add_header(http1->request,
                                                     http1->limits->fields);
    if (header == NULL)
        return fail_limit(http1, "");
    header->name = name;
    header->value = trimmed(value);
    return take_meaning(http1, name, header->value);
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct lc_http1 *http1 = parser->data;

    if (http1->is_past_head) /* trailers are read over */
        return 0;
    return take_field(http1, http1->field, (struct lc_slice){at, len}) ? 0 : HPE_USER;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct lc_http1 *http1 = parser->data;
    struct lc_request *request = http1->request;

    http1->is_past_head = true;
    if (request->is_chunked_body && http1->has_content_length) {
        bad_field(http1, "CONTENT-LENGTH");
        return HPE_USER;
    }
    if (http1->says_close || (request->version < 11 && !http1->says_keep))
        request->wants_close = true;

    /* An upgrade is the application's to refuse; the bytes behind the head are its body. */
    parser->upgrade = 0;
    /* Codings without chunked: there is no telling where the body ends, so there is none. */
    if (!request->is_chunked_body)
        parser->flags &= (uint16_t)~F_TRANSFER_ENCODING;
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct lc_http1 *http1 = parser->data;

    http1->body_end = at + len;
    if (http1->on_body(http1->owner, (struct lc_slice){at, len}, http1->fault))
        return 0;
    http1->has_failed = true;
    return HPE_USER;
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

/* llhttp stopped in a field: says which, in Gunicorn's words. */
static bool explain_field(struct lc_http1 *http1, struct lc_slice fields,
                          const char *where)
{
    const char *end = fields.at + fields.len;
    const char *start = where >= end || where < fields.at ? fields.at : where;

    if (http1->has_failed)
        return false;
    while (start > fields.at && start[-1] != '\n')
        start--;
    const char *stop = memchr(start, '\n', (size_t)(end - start));
    struct lc_slice line = {start, (size_t)((stop != NULL ? stop - 1 : end) - start)};
    if (memchr(line.at, ':', line.len) == NULL)
        FAIL_WITH(http1, "Invalid HTTP Header: %s", line);
    if (!is_token(name_on(line)))
        FAIL_WITH(http1, "Invalid HTTP header name: %s", name_on(line));
    FAIL_UPPER(http1, "Invalid HTTP Header: %s", name_on(line));
}

/* llhttp looks at lengths and codings while it reads them, before we are told. */
static bool fail_framing(struct lc_http1 *http1, llhttp_errno_t code)
{
    bool is_coding = code == HPE_INVALID_TRANSFER_ENCODING && !http1->has_content_length;

    return bad_field(http1, is_coding ? "TRANSFER-ENCODING" : "CONTENT-LENGTH");
}

/* Lets llhttp split the fields, which are whole lines up to and with the empty one. */
static bool take_fields(struct lc_http1 *http1, struct lc_slice fields)
{
    http1->parser = *parser_behind_line(http1->request->version < 11);
    http1->parser.data = http1;

    llhttp_errno_t code = llhttp_execute(&http1->parser, fields.at, fields.len);
    const char *stop = llhttp_get_error_pos(&http1->parser);
    if (code == HPE_OK && http1->is_past_head)
        return true;
    if (code == HPE_PAUSED && http1->is_complete && stop == fields.at + fields.len)
        return true;
    if (code == HPE_UNEXPECTED_CONTENT_LENGTH || code == HPE_INVALID_CONTENT_LENGTH ||
        code == HPE_INVALID_TRANSFER_ENCODING)
        return fail_framing(http1, code);
    return explain_field(http1, fields, stop);
}

/* --- from outside -------------------------------------------------------------------------- */

void lc_http1_begin(struct lc_http1 *http1, struct lc_request *request,
                    const struct lc_http1_limits *limits, bool is_trusted,
                    struct lc_http1_fault *fault)
{
    memset((char *)http1 + sizeof(http1->parser), 0,
           sizeof(*http1) - sizeof(http1->parser));
    http1->request = request;
    http1->limits = limits;
    http1->is_trusted = is_trusted;
    http1->fault = fault;
}

enum lc_http1_result lc_http1_head(struct lc_http1 *http1, struct lc_slice head,
                                   size_t *used)
{
    struct lc_request *request = http1->request;
    size_t length;

    *used = 0;
    if (http1->line_base != NULL && http1->line_base != head.at) {
        request->method.at = head.at + (request->method.at - http1->line_base);
        request->target.at = head.at + (request->target.at - http1->line_base);
        if (http1->previous.len != 0)
            http1->previous.at = head.at + (http1->previous.at - http1->line_base);
    }
    http1->line_base = head.at;
    switch (find_end(http1, head, &length)) {
    case 0: return LC_HTTP1_MORE;
    case 1: break;
    default: return LC_HTTP1_FAIL;
    }

    const char *fields = memchr(request->target.at, '\n', length) + 1;
    size_t fields_len = (size_t)(head.at + length - fields);
    if (!take_fields(http1, (struct lc_slice){fields, fields_len}))
        return LC_HTTP1_FAIL;
    lc_request_split_target(request);
    *used = length;
    return http1->is_complete ? LC_HTTP1_DONE : LC_HTTP1_HEAD;
}

enum lc_http1_result lc_http1_body(struct lc_http1 *http1, struct lc_slice bytes,
                                   size_t *used)
{
    http1->body_end = bytes.at;
    llhttp_errno_t failed = llhttp_execute(&http1->parser, bytes.at, bytes.len);
    const char *stop = failed == HPE_OK ? bytes.at + bytes.len
                                        : llhttp_get_error_pos(&http1->parser);

    *used = (size_t)(stop - bytes.at);
    if (http1->is_complete)
        return LC_HTTP1_DONE;
    if (failed != HPE_OK) {
        fail(http1, 400, "Bad Request", "Invalid chunked body: %s",
             llhttp_get_error_reason(&http1->parser));
        return LC_HTTP1_FAIL;
    }
    /* Bytes since the last piece of body; a client must not keep us busy with framing. */
    size_t framing = (size_t)(stop - http1->body_end);
    http1->overhead = http1->body_end == bytes.at ? http1->overhead + framing : framing;
    if (http1->overhead > OVERHEAD_MAX) {
        fail(http1, 400, "Bad Request", "Chunk extensions or trailers are too large");
        return LC_HTTP1_FAIL;
    }
    return LC_HTTP1_MORE;
}

uint64_t lc_http1_content_length(const struct lc_http1 *http1)
{
    return http1->request->is_chunked_body ? 0 : http1->parser.content_length;
}
