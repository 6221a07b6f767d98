#include "logger/record.h"

#include <string.h>

int lc_record_next(struct lc_slice *rest, struct lc_record *record)
{
    struct lc_record_head head;

    if (rest->len == 0)
        return 0;
    if (rest->len < sizeof(head))
        return -1;
    memcpy(&head, rest->at, sizeof(head)); /* it may lie at any address */
    if (head.stream >= LC_STREAM_COUNT || head.length > rest->len - sizeof(head) ||
        head.level > LC_CRITICAL + 1)
        return -1;

    record->stream = (enum lc_stream_id)head.stream;
    record->has_level = head.level != 0;
    record->level = head.level != 0 ? (enum lc_level)(head.level - 1) : LC_INFO;
    record->pid = head.pid;
    record->text = (struct lc_slice){rest->at + sizeof(head), head.length};
    rest->at += sizeof(head) + head.length;
    rest->len -= sizeof(head) + head.length;
    return 1;
}
