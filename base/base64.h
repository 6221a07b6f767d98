/* base/base64.h — strict base64 (RFC 4648, 4) for Basic credentials. */
#pragma once
#include <stddef.h>
#include <sys/types.h>

/* Decodes `len` characters into `out`, which has room for len / 4 * 3 bytes. Returns the number
 * of bytes, or -1: a length that is no multiple of 4, a foreign character, padding in the
 * middle, or bits that are set behind the end. */
ssize_t lc_base64_decode(const char *at, size_t len, unsigned char *out);
