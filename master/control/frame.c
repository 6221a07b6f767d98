#include "master/control/frame.h"

#include <arpa/inet.h>
#include <string.h>

ssize_t lc_frame_length(const char *at, size_t len, size_t max)
{
    uint32_t length;

    if (len < LC_FRAME_HEAD)
        return 0;
    memcpy(&length, at, sizeof(length));
    length = ntohl(length);
    if (length == 0 || length > max)
        return -1;
    return (ssize_t)(LC_FRAME_HEAD + (size_t)length);
}

void lc_frame_put_head(char head[LC_FRAME_HEAD], uint32_t length)
{
    length = htonl(length);
    memcpy(head, &length, sizeof(length));
}
