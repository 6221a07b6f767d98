#include "base/token.h"

enum { T = LC_TOKEN_CHAR | LC_NO_UNDERSCORE };

const uint8_t lc_token_chars[256] = {
    ['!'] = T,         ['#'] = T,         ['$'] = T,
    ['%'] = T,         ['&'] = T,         ['\''] = T,
    ['*'] = T,         ['+'] = T,         ['-'] = T,
    ['.'] = T,         ['^'] = T,         ['`'] = T,
    ['|'] = T,         ['~'] = T,         ['_'] = LC_TOKEN_CHAR,
    ['0' ... '9'] = T, ['A' ... 'Z'] = T, ['a' ... 'z'] = T,
};
