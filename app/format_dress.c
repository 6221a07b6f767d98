#include "app/format_parts.h"

#include "app/escape.h"

#include <string.h>

/* Escaped, and no longer than `limit`; an escape is never cut in two. */
static struct lc_slice escaped_text(struct lc_arena *arena, struct lc_slice text,
                                    size_t limit)
{
    size_t size = text.len < limit ? text.len : limit;
    char *start = lc_arena_alloc(arena, size * LC_ESCAPED_MAX), *at = start;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];

        if ((size_t)(at - start) + lc_escaped_size(c) > limit)
            break;
        at = lc_put_escaped_byte(at, c);
    }
    return (struct lc_slice){start, (size_t)(at - start)};
}

/* Python's repr, or ascii, of a text that is escaped already. */
static struct lc_slice quoted_text(struct lc_arena *arena, struct lc_slice text,
                                   bool is_ascii)
{
    static const char hex[] = "0123456789abcdef";
    bool has_single = memchr(text.at, '\'', text.len) != NULL;
    bool has_double = memchr(text.at, '"', text.len) != NULL;
    char quote = has_single && !has_double ? '"' : '\'';
    char *start = lc_arena_alloc(arena, text.len * LC_ESCAPED_MAX + 2), *at = start;

    *at++ = quote;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];

        if (c >= 0x80 && is_ascii) {
            *at++ = '\\';
            *at++ = 'x';
            *at++ = hex[c >> 4];
            c = (unsigned char)hex[c & 15];
        } else if (c == '\\' || c == (unsigned char)quote) {
            *at++ = '\\';
        }
        *at++ = (char)c;
    }
    *at++ = quote;
    return (struct lc_slice){start, (size_t)(at - start)};
}

static struct lc_slice dressed_text(struct lc_arena *arena,
                                    const struct lc_format_spec *spec,
                                    struct lc_slice text, bool is_number)
{
    size_t limit = spec->precision >= 0 ? (size_t)spec->precision : SIZE_MAX;

    if (spec->conversion == 's' || is_number) /* a number's repr is its digits */
        return escaped_text(arena, text, limit);
    text = escaped_text(arena, text, SIZE_MAX);
    text = quoted_text(arena, text, spec->conversion == 'a');
    if (text.len > limit)
        text.len = limit;
    return text;
}

static const char *sign_of(const struct lc_format_spec *spec)
{
    return spec->is_signed ? "+" : spec->is_spaced ? " " : "";
}

/* Zeros between what stands in front ("+", "0x") and the digits, up to the width. */
static struct lc_slice number_text(struct lc_arena *arena,
                                   const struct lc_format_spec *spec, const char *prefix,
                                   const char *digits)
{
    size_t len = strlen(sign_of(spec)) + strlen(prefix) + strlen(digits);
    bool fills = spec->is_zero_filled && !spec->is_left && len < (size_t)spec->width;

    return lc_slice(lc_arena_printf(arena, "%s%s%.*d%s", sign_of(spec), prefix,
                                    fills ? (int)((size_t)spec->width - len) : 0, 0,
                                    digits));
}

static struct lc_slice dressed_integer(struct lc_arena *arena,
                                       const struct lc_format_spec *spec,
                                       unsigned long long n)
{
    int precision = spec->precision < 1 ? 1 : spec->precision; /* 0 is a digit too */
    const char *prefix = "", *digits;

    switch (spec->conversion) {
    case 'x':
        prefix = "0x";
        digits = lc_arena_printf(arena, "%.*llx", precision, n);
        break;
    case 'X':
        prefix = "0X";
        digits = lc_arena_printf(arena, "%.*llX", precision, n);
        break;
    case 'o':
        prefix = "0o";
        digits = lc_arena_printf(arena, "%.*llo", precision, n);
        break;
    default: digits = lc_arena_printf(arena, "%.*llu", precision, n);
    }
    return number_text(arena, spec, spec->is_alternate ? prefix : "", digits);
}

/* An application may have chosen a locale with another decimal point; Python never uses it. */
static struct lc_slice dressed_float(struct lc_format *format,
                                     const struct lc_format_spec *spec, double n)
{
    int precision = spec->precision < 0 ? 6 : spec->precision;
    bool alt = spec->is_alternate;
    struct lc_arena *arena = &format->arena;
    locale_t chosen = uselocale(format->plain);
    const char *digits;

    switch (spec->conversion) {
    case 'e':
        digits = lc_arena_printf(arena, alt ? "%#.*e" : "%.*e", precision, n);
        break;
    case 'E':
        digits = lc_arena_printf(arena, alt ? "%#.*E" : "%.*E", precision, n);
        break;
    case 'g':
        digits = lc_arena_printf(arena, alt ? "%#.*g" : "%.*g", precision, n);
        break;
    case 'G':
        digits = lc_arena_printf(arena, alt ? "%#.*G" : "%.*G", precision, n);
        break;
    default: digits = lc_arena_printf(arena, alt ? "%#.*f" : "%.*f", precision, n);
    }
    uselocale(chosen);
    return number_text(arena, spec, "", digits);
}

static struct lc_slice padded(struct lc_arena *arena, const struct lc_format_spec *spec,
                              struct lc_slice text)
{
    size_t width = (size_t)spec->width;

    if (text.len >= width)
        return text;
    char *wide = memset(lc_arena_alloc(arena, width), ' ', width);
    memcpy(spec->is_left ? wide : wide + width - text.len, text.at, text.len);
    return (struct lc_slice){wide, width};
}

void lc_format_dress(struct lc_format *format, const struct lc_format_op *op,
                     const struct lc_request *request, uint64_t us,
                     struct lc_format_value *value)
{
    const struct lc_format_spec *spec = &op->spec;
    struct lc_arena *arena = &format->arena;
    struct lc_slice text;

    if (strchr("diuxXo", spec->conversion) != NULL)
        text = dressed_integer(arena, spec, lc_format_number(op->atom, request, us));
    else if (strchr("eEfFgG", spec->conversion) != NULL)
        text = dressed_float(format, spec,
                             (double)lc_format_number(op->atom, request, us));
    else
        text = dressed_text(arena, spec, value->text, op->atom >= LC_ATOM_FIRST_NUMBER);
    value->text = padded(arena, spec, text);
    value->is_safe = true;
}
