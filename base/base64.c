#include "base/base64.h"

static int value_of(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

ssize_t lc_base64_decode(const char *at, size_t len, unsigned char *out)
{
    unsigned char *start = out;

    if (len % 4 != 0)
        return -1;
    for (size_t i = 0; i < len; i += 4) {
        int is_last = i + 4 == len;
        int padding = is_last && at[i + 3] == '=' ? (at[i + 2] == '=' ? 2 : 1) : 0;
        unsigned bits = 0;

        for (int k = 0; k < 4 - padding; k++) {
            int v = value_of((unsigned char)at[i + (size_t)k]);
            if (v < 0)
                return -1;
            bits |= (unsigned)v << (18 - 6 * k);
        }
        if ((padding == 1 && (bits & 0xff)) || (padding == 2 && (bits & 0xffff)))
            return -1;
        *out++ = (unsigned char)(bits >> 16);
        if (padding < 2)
            *out++ = (unsigned char)(bits >> 8);
        if (padding < 1)
            *out++ = (unsigned char)bits;
    }
    return out - start;
}
