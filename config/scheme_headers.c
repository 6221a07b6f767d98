#include "config/scheme_headers.h"

#include "base/mem.h"
#include "base/token.h"

#include <licorne/error.h>

#include <string.h>

/* What is left of the text, and where the next unquoted byte goes. */
struct reader {
    const char *at;
    char *out;
    struct lc_scheme_headers *headers;
    struct lc_error *err;
};

static void skip_blanks(struct reader *reader)
{
    reader->at += strspn(reader->at, " \t\r\n");
}

static bool skip(struct reader *reader, char c)
{
    skip_blanks(reader);
    if (*reader->at != c)
        return false;
    reader->at++;
    return true;
}

static int wrong(struct reader *reader, const char *what)
{
    return lc_error_set(reader->err, LC_E_CONFIG,
                        "%s at '%.40s': write NAME=value, "
                        "NAME=value or {'NAME': 'value'}",
                        what, reader->at);
}

static int add(struct reader *reader, struct lc_slice name, struct lc_slice value)
{
    struct lc_scheme_headers *headers = reader->headers;

    if (!lc_is_token(name))
        return lc_error_set(reader->err, LC_E_CONFIG,
                            "'%.*s' is no name of a header field", LC_ARG(name));
    if (value.len == 0 || !lc_is_field_value(value))
        return lc_error_set(reader->err, LC_E_CONFIG,
                            "%.*s: '%.*s' is no value of a header field", LC_ARG(name),
                            LC_ARG(value));
    for (size_t i = 0; i < headers->count; i++)
        if (lc_slice_equals_nocase(headers->items[i].name, name))
            return lc_error_set(reader->err, LC_E_CONFIG, "%.*s is there twice",
                                LC_ARG(name));
    headers->items = lc_realloc(headers->items,
                                (headers->count + 1) * sizeof(*headers->items));
    headers->items[headers->count++] = (struct lc_scheme_header){name, value};
    return 0;
}

/* 'text' or "text"; a backslash stands before a quote or another one only. */
static int read_quoted(struct reader *reader, struct lc_slice *text)
{
    skip_blanks(reader);
    char quote = *reader->at;
    const char *at = reader->at + 1;

    if (quote != '\'' && quote != '"')
        return wrong(reader, "a quoted text is missing");
    text->at = reader->out;
    for (; *at != quote; at++) {
        if (*at == '\\' && at[1] != '\0' && strchr("\\'\"", at[1]) != NULL)
            at++;
        else if (*at == '\\' || *at == '\0')
            return wrong(reader, "a quotation is not closed, or has an escape");
        *reader->out++ = *at;
    }
    text->len = (size_t)(reader->out - text->at);
    reader->at = at + 1;
    return 0;
}

static int read_dict(struct reader *reader)
{
    while (!skip(reader, '}')) {
        struct lc_slice name = {NULL, 0}, value = {NULL, 0};

        if (read_quoted(reader, &name) < 0)
            return -1;
        if (!skip(reader, ':'))
            return wrong(reader, "a colon is missing");
        if (read_quoted(reader, &value) < 0 || add(reader, name, value) < 0)
            return -1;
        skip_blanks(reader);
        if (!skip(reader, ',') && *reader->at != '}')
            return wrong(reader, "a comma or } is missing");
    }
    skip_blanks(reader);
    return *reader->at == '\0' ? 0 : wrong(reader, "there is too much");
}

/* The bytes up to one of `ends`, without blanks around. */
static struct lc_slice read_bare(struct reader *reader, const char *ends)
{
    struct lc_slice text = {reader->out, 0};

    skip_blanks(reader);
    size_t len = strcspn(reader->at, ends);
    memcpy(reader->out, reader->at, len);
    reader->at += len;
    reader->out += len;
    text.len = len;
    while (text.len > 0 && strchr(" \t\r\n", text.at[text.len - 1]) != NULL)
        text.len--;
    return text;
}

static int read_pairs(struct reader *reader)
{
    do {
        struct lc_slice name = read_bare(reader, "=,");

        if (name.len == 0 && *reader->at != '=')
            continue;
        if (!skip(reader, '='))
            return wrong(reader, "a = is missing");
        if (add(reader, name, read_bare(reader, ",")) < 0)
            return -1;
    } while (skip(reader, ','));
    return 0;
}

int lc_scheme_headers_parse(const char *text, struct lc_scheme_headers *out,
                            struct lc_error *err)
{
    *out = (struct lc_scheme_headers){.bytes = lc_malloc(strlen(text) + 1)};

    struct reader reader = {text, out->bytes, out, err};
    int result = skip(&reader, '{') ? read_dict(&reader) : read_pairs(&reader);
    if (result < 0)
        lc_scheme_headers_clear(out);
    return result;
}

void lc_scheme_headers_clear(struct lc_scheme_headers *headers)
{
    free(headers->items);
    free(headers->bytes);
    *headers = (struct lc_scheme_headers){0};
}
