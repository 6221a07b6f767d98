#include "base/token.h"

const bool lc_token_chars[256] = {
    ['!'] = true,         ['#'] = true,         ['$'] = true, ['%'] = true,
    ['&'] = true,         ['\''] = true,        ['*'] = true, ['+'] = true,
    ['-'] = true,         ['.'] = true,         ['^'] = true, ['_'] = true,
    ['`'] = true,         ['|'] = true,         ['~'] = true, ['0' ... '9'] = true,
    ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};
