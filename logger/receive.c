#include "logger/receive.h"

#include "base/clock.h"
#include "base/log.h"
#include "logger/record.h"
#include "logger/stream_set.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

/* A turn ends here, so that the master's messages and slow streams get theirs as well. */
enum { TURN_BYTES = 512 << 10, TURN_MESSAGES = 256, COMPLAIN_MS = 10000 };

/* The senders run foreign code; one that goes mad must not fill the log with this. */
static void note_malformed(struct lc_receiver *receiver)
{
    uint64_t now = lc_clock_ms();

    receiver->malformed++;
    if (receiver->complained_ms != 0 && now - receiver->complained_ms < COMPLAIN_MS)
        return;
    receiver->complained_ms = now;
    lc_log(LC_WARN,
           "ignored what is no log record on the record socket (%" PRIu64
           " messages so far)",
           receiver->malformed);
}

/* The text may have been written in part, by a logger that was killed. */
static void write_record(struct lc_receiver *receiver, const struct lc_record *record)
{
    size_t done = lc_handover_written(&receiver->handover, record->stream, record->text);

    lc_streams_write(receiver->streams, record->stream,
                     (struct lc_slice){record->text.at + done, record->text.len - done});
    lc_streams_copy(receiver->streams, record);
}

static void on_records(struct lc_receiver *receiver, const struct lc_msg_head *head)
{
    struct lc_slice rest = {receiver->buffer, head->length};
    struct lc_record record;
    int found;

    lc_handover_begin(&receiver->handover, head, receiver->buffer);
    while ((found = lc_record_next(&rest, &record)) > 0)
        write_record(receiver, &record);
    if (found < 0)
        note_malformed(receiver);
    lc_streams_flush(receiver->streams);
    lc_channel_discard(receiver->fd);
    lc_handover_end(&receiver->handover);
}

static void ignore(struct lc_receiver *receiver)
{
    lc_channel_discard(receiver->fd);
    note_malformed(receiver);
}

/* An empty message reads like the end; only a hang-up is one. */
static bool is_hung_up(int fd)
{
    struct pollfd polled = {.fd = fd};

    return poll(&polled, 1, 0) == 1 && (polled.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static enum lc_received receive_one(struct lc_receiver *receiver, size_t *len)
{
    struct lc_msg_head head;
    ssize_t n = lc_channel_peek(receiver->fd, &head, receiver->buffer,
                                sizeof(receiver->buffer));

    *len = n > 0 ? (size_t)n : 0;
    if (n >= 0 && head.type == LC_MSG_RECORDS)
        on_records(receiver, &head);
    else if (n < 0 && errno == EAGAIN)
        return LC_RECEIVED_ALL;
    else if (n >= 0 || errno == EBADMSG || (errno == EPIPE && !is_hung_up(receiver->fd)))
        ignore(receiver);
    else
        return LC_RECEIVED_END;
    return LC_RECEIVED_SOME;
}

enum lc_received lc_receive(struct lc_receiver *receiver)
{
    enum lc_received received = LC_RECEIVED_SOME;
    size_t bytes = 0, len;

    for (int i = 0; i < TURN_MESSAGES && bytes < TURN_BYTES; i++) {
        received = receive_one(receiver, &len);
        if (received != LC_RECEIVED_SOME)
            break;
        bytes += len;
    }
    lc_streams_flush(receiver->streams); /* what there was to complain about */
    return received;
}
