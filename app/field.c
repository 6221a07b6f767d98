#include "app/field.h"

#include "base/token.h"

#include <licorne/error.h>

#include <string.h>

#define IS(name, literal) lc_slice_equals_nocase(name, LC_SLICE(literal))

bool lc_field_is_the_servers(struct lc_slice name)
{
    switch (name.len) {
    case 2: return IS(name, "TE");
    case 4: return IS(name, "Date");
    case 6: return IS(name, "Server");
    case 7: return IS(name, "Upgrade");
    case 8: return IS(name, "Trailers");
    case 10: return IS(name, "Connection") || IS(name, "Keep-Alive");
    case 17: return IS(name, "Transfer-Encoding");
    case 18: return IS(name, "Proxy-Authenticate");
    case 19: return IS(name, "Proxy-Authorization");
    default: return false;
    }
}

int lc_field_check(struct lc_slice name, struct lc_slice value, struct lc_error *err)
{
    if (!lc_is_token(name))
        return lc_error_set(err, LC_E_PROTOCOL, "header name '%.*s' is not a token",
                            name.len > 200 ? 200 : (int)name.len, name.at);
    if (!lc_is_field_value(value))
        return lc_error_set(err, LC_E_PROTOCOL,
                            "the value of header '%.*s' holds a control byte",
                            name.len > 200 ? 200 : (int)name.len, name.at);
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct lc_slice lc_field_trim(struct lc_slice text)
{
    while (text.len > 0 && is_blank(text.at[0]))
        text.at++, text.len--;
    while (text.len > 0 && is_blank(text.at[text.len - 1]))
        text.len--;
    return text;
}

size_t lc_field_len(struct lc_slice name, struct lc_slice value)
{
    return name.len + lc_field_trim(value).len + strlen(": \r\n");
}

static char *put(char *at, struct lc_slice text)
{
    if (text.len != 0)
        memcpy(at, text.at, text.len);
    return at + text.len;
}

char *lc_field_put(char *at, struct lc_slice name, struct lc_slice value)
{
    at = put(at, name);
    at = put(at, LC_SLICE(": "));
    at = put(at, lc_field_trim(value));
    return put(at, LC_SLICE("\r\n"));
}
