/* base/arena.h — the inside of <licorne/arena.h>, for those who own arenas.
 *
 * The first block comes from the owner (it lies in the pooled request), later ones from the
 * heap. A reset frees those and keeps the first: an ordinary request allocates nothing. */
#pragma once
#include <licorne/arena.h>

struct lc_arena_block;

struct lc_arena {
    char *at; /* the next free byte */
    char *end;
    char *first; /* the owner's block */
    size_t first_size;
    struct lc_arena_block *more; /* newest first */
};

/* `first` must be aligned to 16 bytes and stay until deinit. */
void lc_arena_init(struct lc_arena *arena, void *first, size_t first_size);
void lc_arena_reset(struct lc_arena *arena);
void lc_arena_deinit(struct lc_arena *arena);
