/* base/token.h — the characters of HTTP's grammar. */
#pragma once
#include <licorne/slice.h>

#include <stdbool.h>
#include <stdint.h>

/* RFC 9110, 5.6.2: the characters of a token, so of methods and field names. The underscore is one
 * of them, and in names wants to be looked at. */
enum { LC_TOKEN_CHAR = 1, LC_NO_UNDERSCORE = 2 };
extern const uint8_t lc_token_chars[256];

static inline bool lc_is_token_char(char c)
{
    return lc_token_chars[(unsigned char)c] != 0;
}

/* What all its characters have in common; 0: it is no token. */
static inline unsigned lc_token_kind(struct lc_slice text)
{
    uint8_t common = text.len > 0 ? LC_TOKEN_CHAR | LC_NO_UNDERSCORE : 0;

    for (size_t i = 0; i < text.len; i++)
        common &= lc_token_chars[(unsigned char)text.at[i]];
    return common;
}

/* At least one character, and all of them of a token. */
static inline bool lc_is_token(struct lc_slice text)
{
    return lc_token_kind(text) != 0;
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
