/* base/token.h — the characters of HTTP's grammar. */
#pragma once
#include <licorne/slice.h>

#include <stdbool.h>

/* RFC 9110, 5.6.2: a character of a token, so of methods and field names. */
extern const bool lc_token_chars[256];

static inline bool lc_is_token_char(char c)
{
    return lc_token_chars[(unsigned char)c];
}

/* At least one character, and all of them of a token. */
static inline bool lc_is_token(struct lc_slice text)
{
    bool is_good = text.len > 0;

    for (size_t i = 0; i < text.len; i++)
        is_good &= lc_is_token_char(text.at[i]);
    return is_good;
}

/* RFC 9110, 5.5: field values hold visible characters, blanks, tabs and bytes above 0x7f. */
static inline bool lc_is_field_value(struct lc_slice text)
{
    bool is_good = true;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        is_good &= (c >= 0x20 && c != 0x7f) || c == '\t';
    }
    return is_good;
}

/* RFC 9110, 5.6.3: what may stand around values and between parts. */
static inline bool lc_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline struct lc_slice lc_without_blanks(struct lc_slice text)
{
    while (text.len > 0 && lc_is_blank(*text.at))
        text.at++, text.len--;
    while (text.len > 0 && lc_is_blank(text.at[text.len - 1]))
        text.len--;
    return text;
}
