#include "app/format_parts.h"

#include "base/mem.h"

#include <licorne/error.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SIZE_MAX_WANTED = 4096 }; /* the largest width or precision */

static const struct {
    const char *name;
    enum lc_atom atom;
    const char *field; /* of the kinds that need one */
} atoms[] = {
    {"h", LC_ATOM_REMOTE_ADDR, NULL},
    {"l", LC_ATOM_DASH, NULL},
    {"u", LC_ATOM_USER, NULL},
    {"t", LC_ATOM_TIME, NULL},
    {"r", LC_ATOM_REQUEST_LINE, NULL},
    {"m", LC_ATOM_METHOD, NULL},
    {"U", LC_ATOM_PATH, NULL},
    {"q", LC_ATOM_QUERY, NULL},
    {"H", LC_ATOM_PROTOCOL, NULL},
    {"s", LC_ATOM_STATUS, NULL},
    {"B", LC_ATOM_SENT, NULL},
    {"b", LC_ATOM_SENT_TEXT, NULL},
    {"T", LC_ATOM_SECONDS, NULL},
    {"M", LC_ATOM_MILLISECONDS, NULL},
    {"D", LC_ATOM_MICROSECONDS, NULL},
    {"Q", LC_ATOM_QUEUED, NULL},
    {"L", LC_ATOM_DURATION_TEXT, NULL},
    {"p", LC_ATOM_PID, NULL},
    {"f", LC_ATOM_ENVIRON_FIELD, "referer"},
    {"a", LC_ATOM_ENVIRON_FIELD, "user_agent"},
};

static const struct {
    const char *key;
    enum lc_atom atom;
    const char *field;
} environ_keys[] = {
    {"request_method", LC_ATOM_METHOD, NULL},
    {"raw_uri", LC_ATOM_TARGET, NULL},
    {"path_info", LC_ATOM_PATH, NULL},
    {"query_string", LC_ATOM_QUERY, NULL},
    {"server_protocol", LC_ATOM_PROTOCOL, NULL},
    {"server_name", LC_ATOM_SERVER_NAME, NULL},
    {"server_port", LC_ATOM_SERVER_PORT, NULL},
    {"server_software", LC_ATOM_SERVER_SOFTWARE, NULL},
    {"remote_addr", LC_ATOM_REMOTE_ADDR, NULL},
    {"remote_port", LC_ATOM_REMOTE_PORT, NULL},
    {"proxy_protocol", LC_ATOM_PROXY_PROTOCOL, NULL},
    {"proxy_addr", LC_ATOM_PROXY_ADDR, NULL},
    {"proxy_port", LC_ATOM_PROXY_PORT, NULL},
    {"licorne.peer_addr", LC_ATOM_PEER_ADDR, NULL},
    {"licorne.peer_port", LC_ATOM_PEER_PORT, NULL},
    {"script_name", LC_ATOM_SCRIPT_NAME, NULL},
    {"wsgi.url_scheme", LC_ATOM_SCHEME, NULL},
    {"content_type", LC_ATOM_REQUEST_FIELD, "content-type"},
    {"content_length", LC_ATOM_REQUEST_FIELD, "content-length"},
    {"http_content_type", LC_ATOM_DASH, NULL}, /* WSGI has them without HTTP_ only */
    {"http_content_length", LC_ATOM_DASH, NULL},
};

/* Where reading stands. */
struct reader {
    struct lc_format *format;
    const char *at;
    struct lc_error *err;
};

LC_PRINTF(3, 4)
static int wrong(const struct reader *reader, const char *at, const char *what, ...)
{
    char text[512];
    va_list args;

    va_start(args, what);
    vsnprintf(text, sizeof(text), what, args);
    va_end(args);
    return lc_error_set(reader->err, LC_E_CONFIG, "offset %td: %s",
                        at - reader->format->text, text);
}

static void add_op(struct lc_format *format, struct lc_format_op op)
{
    format->ops = lc_realloc(format->ops, (format->count + 1) * sizeof(op));
    format->ops[format->count++] = op;
}

static void add_literal(struct lc_format *format, struct lc_slice text)
{
    add_op(format, (struct lc_format_op){.atom = LC_ATOM_LITERAL, .text = text});
}

static void find_environ_key(struct lc_format_op *op, struct lc_slice key)
{
    static const struct lc_slice http = LC_SLICE("http_");

    op->atom = LC_ATOM_DASH;
    for (size_t i = 0; i < LC_COUNT(environ_keys); i++) {
        if (lc_slice_equals_nocase(key, lc_slice(environ_keys[i].key))) {
            op->atom = environ_keys[i].atom;
            op->text = lc_slice(environ_keys[i].field);
            return;
        }
    }
    if (key.len > http.len && strncasecmp(key.at, http.at, http.len) == 0) {
        op->atom = LC_ATOM_ENVIRON_FIELD;
        op->text = (struct lc_slice){key.at + http.len, key.len - http.len};
    }
}

/* "{Referer}i" */
static void find_braced(struct lc_format_op *op, struct lc_slice name)
{
    op->atom = LC_ATOM_DASH;
    if (name.len < 3 || name.at[name.len - 2] != '}')
        return;

    struct lc_slice inner = {name.at + 1, name.len - 3};
    switch (name.at[name.len - 1] | 0x20) {
    case 'i':
        op->atom = LC_ATOM_REQUEST_FIELD;
        op->text = inner;
        break;
    case 'o':
        op->atom = LC_ATOM_RESPONSE_FIELD;
        op->text = inner;
        break;
    case 'e': find_environ_key(op, inner); break;
    }
}

static void find_atom(struct lc_format_op *op, struct lc_slice name)
{
    op->atom = LC_ATOM_DASH;
    if (name.len > 0 && name.at[0] == '{') {
        find_braced(op, name);
        return;
    }
    for (size_t i = 0; i < LC_COUNT(atoms); i++) {
        if (lc_slice_equals(name, lc_slice(atoms[i].name))) {
            op->atom = atoms[i].atom;
            op->text = lc_slice(atoms[i].field);
            return;
        }
    }
}

/* "(name)"; parentheses in the name come in pairs. */
static int read_name(struct reader *reader, struct lc_slice *name)
{
    const char *start = reader->at;
    int depth = 0;

    if (*start != '(')
        return wrong(
            reader, start - 1,
            "after %% comes a name in parentheses, as in %%(h)s; a percent sign is "
            "written %%%%");
    do {
        if (*reader->at == '\0')
            return wrong(reader, start - 1, "the name has no closing parenthesis");
        depth += (*reader->at == '(') - (*reader->at == ')');
        reader->at++;
    } while (depth > 0);
    *name = (struct lc_slice){start + 1, (size_t)(reader->at - start - 2)};
    return 0;
}

static void read_flags(struct reader *reader, struct lc_format_spec *spec)
{
    for (;; reader->at++) {
        switch (*reader->at) {
        case '-': spec->is_left = true; break;
        case '+': spec->is_signed = true; break;
        case ' ': spec->is_spaced = true; break;
        case '0': spec->is_zero_filled = true; break;
        case '#': spec->is_alternate = true; break;
        default: return;
        }
    }
}

static int read_number(struct reader *reader, int *number)
{
    const char *start = reader->at;

    if (*start == '*')
        return wrong(reader, start, "'*' is not possible here: write a number");
    for (*number = 0; *reader->at >= '0' && *reader->at <= '9'; reader->at++) {
        *number = *number * 10 + (*reader->at - '0');
        if (*number > SIZE_MAX_WANTED)
            return wrong(reader, start, "at most %d is possible here", SIZE_MAX_WANTED);
    }
    return 0;
}

static int read_spec(struct reader *reader, struct lc_format_spec *spec)
{
    *spec = (struct lc_format_spec){.precision = -1};
    read_flags(reader, spec);
    if (read_number(reader, &spec->width) < 0)
        return -1;
    if (*reader->at == '.') {
        reader->at++;
        if (read_number(reader, &spec->precision) < 0)
            return -1;
    }
    if (*reader->at == 'h' || *reader->at == 'l' || *reader->at == 'L')
        reader->at++; /* C's lengths, which mean nothing to Python either */
    spec->conversion = *reader->at;
    if (spec->conversion == '\0')
        return wrong(reader, reader->at, "the format ends within a conversion");
    reader->at++;
    return 0;
}

static int check_conversion(const struct reader *reader, const struct lc_format_op *op,
                            struct lc_slice name)
{
    const char *at = reader->at - 1;
    char conversion = op->spec.conversion;

    if (strchr("sra", conversion) != NULL)
        return 0;
    if (strchr("diuxXoeEfFgG", conversion) == NULL)
        return wrong(reader, at,
                     "there is no conversion '%c' (0x%02x): use s, or d for numbers",
                     conversion >= 0x20 && conversion < 0x7f ? conversion : '?',
                     (unsigned char)conversion);
    if (op->atom < LC_ATOM_FIRST_NUMBER)
        return wrong(reader, at, "'%c' is for numbers, but %.*s is text: use %%(%.*s)s",
                     conversion, LC_ARG(name), LC_ARG(name));
    return 0;
}

static bool is_plain(const struct lc_format_spec *spec)
{
    return !spec->is_left && !spec->is_signed && !spec->is_spaced && spec->width == 0 &&
           spec->precision < 0 && strchr("sdiu", spec->conversion) != NULL;
}

/* The parts of a request line are shown where they lie. */
static void add_request_line(struct lc_format *format, struct lc_format_op op)
{
    static const enum lc_atom parts[] = {LC_ATOM_METHOD, LC_ATOM_TARGET,
                                         LC_ATOM_PROTOCOL};

    for (size_t i = 0; i < LC_COUNT(parts); i++) {
        if (i > 0)
            add_literal(format, LC_SLICE(" "));
        op.atom = parts[i];
        add_op(format, op);
    }
}

static int read_conversion(struct reader *reader)
{
    struct lc_slice name = {"", 0};
    struct lc_format_op op = {0};

    reader->at++; /* the percent sign */
    if (read_name(reader, &name) < 0 || read_spec(reader, &op.spec) < 0)
        return -1;
    find_atom(&op, name);
    if (check_conversion(reader, &op, name) < 0)
        return -1;
    op.is_plain = is_plain(&op.spec);
    if (op.atom == LC_ATOM_REQUEST_LINE && op.is_plain)
        add_request_line(reader->format, op);
    else
        add_op(reader->format, op);
    return 0;
}

int lc_format_read(struct lc_format *format, struct lc_error *err)
{
    struct reader here = {.format = format, .at = format->text, .err = err};
    struct reader *reader = &here;

    while (*reader->at != '\0') {
        size_t run = strcspn(reader->at, "%");

        if (run == 0 && reader->at[1] == '%') {
            add_literal(reader->format, (struct lc_slice){reader->at, 1});
            reader->at += 2;
        } else if (run == 0) {
            if (read_conversion(reader) < 0)
                return -1;
        } else {
            add_literal(reader->format, (struct lc_slice){reader->at, run});
            reader->at += run;
        }
    }
    return 0;
}
