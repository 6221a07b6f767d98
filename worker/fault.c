#include "worker/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool lc_fault_set(struct lc_fault *fault, int status, const char *reason,
                  const char *format, ...)
{
    va_list args;

    if (fault->status != 0)
        return false;
    fault->status = status;
    fault->reason = reason;
    fault->lead = fault->page = NULL;
    va_start(args, format);
    vsnprintf(fault->text, sizeof(fault->text), format, args);
    va_end(args);
    return false;
}

bool lc_fault_lead(struct lc_fault *fault, const char *lead)
{
    fault->lead = lead;
    return false;
}

bool lc_fault_page(struct lc_fault *fault, const char *page)
{
    fault->page = page;
    return false;
}

void lc_fault_page_text(char *out, size_t room, const struct lc_fault *fault)
{
    if (fault->page != NULL)
        snprintf(out, room, "%s", fault->page);
    else if (fault->lead == NULL)
        snprintf(out, room, "%s", fault->text);
    else
        snprintf(out, room, "%s%s'%s'", fault->lead, *fault->lead == '\0' ? "" : " ",
                 fault->text);
}

void lc_fault_repr(char *out, size_t room, struct lc_slice text)
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

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the callers pass literals */
bool lc_fault_bad(struct lc_fault *fault, const char *format, struct lc_slice what)
{
    char repr[400];

    lc_fault_repr(repr, sizeof(repr), what);
    return lc_fault_set(fault, 400, "Bad Request", format, repr);
}
#pragma GCC diagnostic pop

bool lc_fault_bad_name(struct lc_fault *fault, const char *format, struct lc_slice name)
{
    char upper[200];
    size_t len = name.len < sizeof(upper) ? name.len : sizeof(upper);

    for (size_t i = 0; i < len; i++) {
        bool is_lower = name.at[i] >= 'a' && name.at[i] <= 'z';
        upper[i] = is_lower ? (char)(name.at[i] - 32) : name.at[i];
    }
    return lc_fault_bad(fault, format, (struct lc_slice){upper, len});
}

bool lc_fault_limit(struct lc_fault *fault, const char *what)
{
    if (fault->status != 0)
        return false;
    lc_fault_set(fault, 431, "Request Header Fields Too Large", "%s", what);
    return lc_fault_lead(fault, "Error parsing headers:");
}
