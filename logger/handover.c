#include "logger/handover.h"

#include "base/fd.h"
#include "logger/stream.h"
#include "logger/stream_set.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FINGERPRINT_MAX = 256 };

/* No length of a file: what has been added since cannot be told. */
#define UNKNOWN UINT64_MAX

/* Which message this is. Its head has the sender's running number; two that agree in that, in
 * their length and in their first lines would have to lie side by side to be mistaken. */
static uint64_t fingerprint(const struct lc_msg_head *head, const char *payload)
{
    size_t len = head->length < FINGERPRINT_MAX ? head->length : FINGERPRINT_MAX;
    uint64_t hash = 14695981039346656037u; /* FNV-1a */

    hash = (hash ^ head->length) * 1099511628211u;
    hash = (hash ^ head->generation) * 1099511628211u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)payload[i]) * 1099511628211u;
    return hash;
}

static struct lc_log_place place_of(const struct lc_stream *stream)
{
    struct lc_log_place place = {.end = UNKNOWN};
    struct stat st;

    if (stream == NULL || lc_stream_waiting(stream) > 0 ||
        fstat(lc_stream_descriptor(stream), &st) < 0 || !S_ISREG(st.st_mode))
        return place;
    place.device = st.st_dev;
    place.inode = st.st_ino;
    place.end = (uint64_t)st.st_size;
    return place;
}

/* A descriptor that can be read, of the file that the stream appends to; -1 when it is not the
 * one in which the predecessor wrote, or must not be read. */
static int open_written(const struct lc_stream *stream, const struct lc_log_place *noted)
{
    struct lc_log_place place = place_of(stream);
    char path[32];

    if (noted->end == UNKNOWN || place.end == UNKNOWN || place.device != noted->device ||
        place.inode != noted->inode)
        return -1;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", lc_stream_descriptor(stream));
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void resume(struct lc_handover *handover)
{
    for (int id = 0; id < LC_STREAM_COUNT; id++) {
        const struct lc_log_place *noted = &handover->note->places[id];

        handover->written[id] = open_written(handover->streams->by_id[id], noted);
        handover->at[id] = (off_t)noted->end;
    }
}

static void take_note(struct lc_handover *handover, uint64_t message)
{
    struct lc_log_note *note = handover->note;

    note->message = message;
    for (int id = 0; id < LC_STREAM_COUNT; id++)
        note->places[id] = place_of(handover->streams->by_id[id]);
    atomic_store_explicit(&note->is_busy, 1, memory_order_release);
}

void lc_handover_init(struct lc_handover *handover, struct lc_log_note *note,
                      const struct lc_stream_set *streams)
{
    *handover = (struct lc_handover){.note = note, .streams = streams};
    for (int id = 0; id < LC_STREAM_COUNT; id++)
        handover->written[id] = -1;
}

void lc_handover_begin(struct lc_handover *handover, const struct lc_msg_head *head,
                       const void *payload)
{
    uint64_t message = fingerprint(head, payload);
    bool is_left_over = !handover->is_settled &&
                        atomic_load_explicit(&handover->note->is_busy,
                                             memory_order_acquire) != 0 &&
                        handover->note->message == message;

    handover->is_settled = true;
    if (is_left_over) {
        resume(handover); /* the note stays as it is: we may be killed as well */
        return;
    }
    atomic_store_explicit(&handover->note->is_busy, 0, memory_order_release);
    take_note(handover, message);
}

size_t lc_handover_written(struct lc_handover *handover, enum lc_stream_id id,
                           struct lc_slice text)
{
    int first = lc_streams_first(handover->streams, id);
    size_t same = 0;
    char found[4096];

    if (first < 0 || handover->written[first] < 0)
        return 0;
    while (same < text.len) {
        size_t wanted = text.len - same < sizeof(found) ? text.len - same : sizeof(found);
        ssize_t n = pread(handover->written[first], found, wanted, handover->at[first]);
        ssize_t i = 0;

        while (i < n && found[i] == text.at[same + (size_t)i])
            i++;
        same += (size_t)i;
        handover->at[first] += i;
        if (i < (ssize_t)wanted) { /* here it was interrupted */
            lc_fd_close(&handover->written[first]);
            break;
        }
    }
    return same;
}

void lc_handover_end(struct lc_handover *handover)
{
    atomic_store_explicit(&handover->note->is_busy, 0, memory_order_release);
    for (int id = 0; id < LC_STREAM_COUNT; id++)
        lc_fd_close(&handover->written[id]);
}
