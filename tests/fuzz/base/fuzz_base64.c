/* Whatever decodes must fit its promise: three bytes for each four characters, no more. */
#include "base/base64.h"

#include "base/mem.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Exactly as large as promised, so that one byte too many is seen. */
    LC_AUTOFREE unsigned char *out = lc_malloc(size / 4 * 3 + (size < 4));
    ssize_t n = lc_base64_decode((const char *)data, size, out);

    lc_assert(n <= (ssize_t)(size / 4 * 3));
    lc_assert(n < 0 || size % 4 == 0);
    return 0;
}
