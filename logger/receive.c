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

static void on_message(struct lc_receiver *receiver, const struct lc_msg_head *head)
{
    struct lc_slice rest = {receiver->buffer, head->length};
    struct lc_record record;
    int found = -1;

    if (head->type == LC_MSG_RECORDS)
        while ((found = lc_record_next(&rest, &record)) > 0)
            lc_streams_write(receiver->streams, record.stream, record.text);
    if (found < 0)
        note_malformed(receiver);
}

/* An empty message reads like the end; only a hang-up is one. */
static bool is_hung_up(int fd)
{
    struct pollfd polled = {.fd = fd};

    return poll(&polled, 1, 0) == 1 && (polled.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static enum lc_received receive_turn(struct lc_receiver *receiver)
{
    size_t bytes = 0;

    for (int i = 0; i < TURN_MESSAGES && bytes < TURN_BYTES; i++) {
        struct lc_msg_head head;
        ssize_t len = lc_channel_receive(receiver->fd, &head, receiver->buffer,
                                         sizeof(receiver->buffer));

        if (len >= 0) {
            bytes += (size_t)len;
            on_message(receiver, &head);
        } else if (errno == EAGAIN) {
            return LC_RECEIVED_ALL;
        } else if (errno == EBADMSG || (errno == EPIPE && !is_hung_up(receiver->fd))) {
            note_malformed(receiver);
        } else {
            return LC_RECEIVED_END;
        }
    }
    return LC_RECEIVED_SOME;
}

enum lc_received lc_receive(struct lc_receiver *receiver)
{
    enum lc_received received = receive_turn(receiver);

    lc_streams_flush(receiver->streams);
    return received;
}
