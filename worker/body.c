#include "worker/body.h"

#include "app/request.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/permission.h"

#include <licorne/error.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { WAITING_MAX = 16 * 1024 }; /* bytes that wait for the file */

void lc_gather_init(struct lc_gather *gather, const char *dir)
{
    *gather = (struct lc_gather){.fd = -1, .dir = dir};
}

void lc_gather_deinit(struct lc_gather *gather)
{
    free(gather->memory);
    lc_fd_close(&gather->fd);
    *gather = (struct lc_gather){.fd = -1};
}

static int write_to_file(struct lc_gather *gather, struct lc_slice piece,
                         struct lc_error *err)
{
    if (piece.len == 0 || lc_fd_write_all(gather->fd, piece.at, piece.len) == 0)
        return 0;
    return lc_error_sys(err, "a request body in tmp_upload_dir = %s: write",
                        gather->dir != NULL ? gather->dir : "(the system's)");
}

/* What could not be written still waits, and a part of it that was is written again. */
static int flush(struct lc_gather *gather, struct lc_error *err)
{
    struct lc_slice waiting = {gather->memory, gather->waiting};

    if (write_to_file(gather, waiting, err) < 0) {
        lseek(gather->fd, (off_t)(gather->size - gather->waiting), SEEK_SET);
        return -1;
    }
    gather->waiting = 0;
    return 0;
}

/* Chunks of a few bytes are not worth a write each. */
static int append_to_file(struct lc_gather *gather, struct lc_slice piece,
                          struct lc_error *err)
{
    bool is_large = piece.len > WAITING_MAX / 2;

    if ((is_large || gather->waiting + piece.len > WAITING_MAX) && flush(gather, err) < 0)
        return -1;
    if (is_large)
        return write_to_file(gather, piece, err);
    if (gather->memory == NULL)
        gather->memory = lc_malloc(WAITING_MAX);
    memcpy(gather->memory + gather->waiting, piece.at, piece.len);
    gather->waiting += piece.len;
    return 0;
}

static void append_to_memory(struct lc_gather *gather, struct lc_slice piece, size_t used)
{
    if (used + piece.len > gather->memory_room) {
        size_t room = gather->memory_room == 0 ? 4096 : gather->memory_room;

        while (room < used + piece.len)
            room *= 2;
        gather->memory = lc_realloc(gather->memory, room);
        gather->memory_room = room;
    }
    memcpy(gather->memory + used, piece.at, piece.len);
}

static int no_file(const char *dir, struct lc_error *err)
{
    const char *used = lc_fd_tmpdir(dir);
    LC_AUTOFREE char *file = lc_printf("%s/licorne-XXXXXX", used);

    lc_error_sys(err, "a request body in tmp_upload_dir = %s", used);
    return lc_error_blame(err, file, LC_RIGHT_MAKE);
}

/* Moves what is in memory to a file of its own. It stays where it is when that fails. */
static int spill(struct lc_gather *gather, struct lc_slice bytes, struct lc_error *err)
{
    gather->fd = lc_fd_tmpfile(gather->dir);
    if (gather->fd < 0)
        return no_file(gather->dir, err);
    if (write_to_file(gather, bytes, err) < 0) {
        lc_fd_close(&gather->fd);
        return -1;
    }
    free(gather->memory);
    gather->memory = NULL;
    gather->memory_room = 0;
    return 0;
}

static int store(struct lc_gather *gather, struct lc_slice piece, uint64_t used,
                 uint64_t expected, struct lc_error *err)
{
    if (gather->fd < 0 &&
        (used + piece.len > LC_BODY_IN_MEMORY || expected > LC_BODY_IN_MEMORY) &&
        spill(gather, (struct lc_slice){gather->memory, (size_t)used}, err) < 0)
        return -1;
    if (gather->fd >= 0)
        return append_to_file(gather, piece, err);
    append_to_memory(gather, piece, (size_t)used);
    return 0;
}

int lc_gather_settle(struct lc_gather *gather, struct lc_error *err)
{
    struct lc_slice piece = gather->in_place;

    if (piece.len == 0)
        return 0;
    gather->in_place = (struct lc_slice){NULL, 0};
    return store(gather, piece, gather->size - piece.len, 0, err);
}

int lc_gather_add(struct lc_gather *gather, struct lc_slice piece, uint64_t expected,
                  struct lc_error *err)
{
    if (gather->size == 0) {
        gather->in_place = piece;
        gather->size = piece.len;
        return 0;
    }
    if (lc_gather_settle(gather, err) < 0 ||
        store(gather, piece, gather->size, expected, err) < 0)
        return -1;
    gather->size += piece.len;
    return 0;
}

int lc_gather_to_file(struct lc_gather *gather, struct lc_error *err)
{
    struct lc_slice bytes = {gather->memory, (size_t)gather->size};

    if (gather->fd >= 0)
        return flush(gather, err);
    if (gather->in_place.len != 0)
        bytes = gather->in_place;
    if (spill(gather, bytes, err) < 0)
        return -1;
    gather->in_place = (struct lc_slice){NULL, 0};
    return 0;
}

void lc_gather_copy(struct lc_gather *gather, struct lc_slice body)
{
    append_to_memory(gather, body, 0);
    gather->size = body.len;
}

void lc_gather_adopt(struct lc_gather *gather, int file, uint64_t size)
{
    gather->fd = file;
    gather->size = size;
}

int lc_gather_finish(struct lc_gather *gather, struct lc_body *body, struct lc_error *err)
{
    if (gather->fd >= 0 && flush(gather, err) < 0)
        return -1;
    body->size = body->length = gather->size;
    body->consumed = 0;
    body->fd = gather->fd;
    body->at = gather->in_place.len != 0 ? gather->in_place.at : gather->memory;
    return 0;
}
