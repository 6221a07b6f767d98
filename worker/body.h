/* worker/body.h — gathers a request's body until it is complete: where it lies (the read buffer), in
 * memory, or, when it is large, in a nameless file in tmp_upload_dir. */
#pragma once
#include <licorne/slice.h>

#include <stdbool.h>
#include <stdint.h>

struct lc_body;
struct lc_error;

/* Larger bodies go to a file. */
enum { LC_BODY_IN_MEMORY = 64 * 1024 };

struct lc_gather {
    struct lc_slice in_place;    /* the only piece so far, in a buffer that is not ours */
    char *memory;                /* the body, or small pieces on their way to the file  */
    size_t memory_room, waiting; /* bytes; those that wait for the file              */
    uint64_t size;
    int fd;          /* the file, or -1 */
    const char *dir; /* tmp_upload_dir, or NULL */
};

/* `expected` is the Content-Length, 0 when it is not known. */
void lc_gather_init(struct lc_gather *gather, const char *dir);
void lc_gather_deinit(struct lc_gather *gather);

/* Takes the next piece. -1 and `err` when it cannot be kept (disk full). */
int lc_gather_add(struct lc_gather *gather, struct lc_slice piece, uint64_t expected,
                  struct lc_error *err);

/* The read buffer is about to be used again: copies what still lies there. */
int lc_gather_settle(struct lc_gather *gather, struct lc_error *err);

/* Moves the body to a file, wherever it lies, for a process that cannot see our memory. On -1 and
 * `err` it is still where it was. */
int lc_gather_to_file(struct lc_gather *gather, struct lc_error *err);

/* The whole body: a copy of `body`; or what `file` begins with, ours from now on. */
void lc_gather_copy(struct lc_gather *gather, struct lc_slice body);
void lc_gather_adopt(struct lc_gather *gather, int file, uint64_t size);

/* The body as the request sees it; valid until deinit (or settle). -1 and `err` when its last bytes
 * cannot be kept. */
int lc_gather_finish(struct lc_gather *gather, struct lc_body *body,
                     struct lc_error *err);
