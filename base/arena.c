#include "base/arena.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ALIGNMENT = 16, BLOCK_SIZE = 8192 };

struct lc_arena_block {
    struct lc_arena_block *next;
    _Alignas(ALIGNMENT) char bytes[];
};

void lc_arena_init(struct lc_arena *arena, void *first, size_t first_size)
{
    arena->first = first;
    arena->first_size = first_size;
    arena->more = NULL;
    arena->at = first;
    arena->end = arena->at + first_size;
}

void lc_arena_reset(struct lc_arena *arena)
{
    while (arena->more != NULL) {
        struct lc_arena_block *block = arena->more;

        arena->more = block->next;
        free(block);
    }
    arena->at = arena->first;
    arena->end = arena->first + arena->first_size;
}

void lc_arena_deinit(struct lc_arena *arena)
{
    lc_arena_reset(arena);
    arena->at = arena->end = NULL;
}

static void *alloc_slow(struct lc_arena *arena, size_t size)
{
    /* A large piece gets a block of its own, so that the current one keeps its rest. */
    bool is_large = size > BLOCK_SIZE / 4;
    size_t room = is_large ? size : BLOCK_SIZE;
    struct lc_arena_block *block = lc_malloc(sizeof(*block) + room);

    block->next = arena->more;
    arena->more = block;
    if (!is_large) {
        arena->at = block->bytes + size;
        arena->end = block->bytes + room;
    }
    return block->bytes;
}

void *lc_arena_alloc(struct lc_arena *arena, size_t size)
{
    lc_assert(size <= PTRDIFF_MAX - 2 * ALIGNMENT);
    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (size > (size_t)(arena->end - arena->at))
        return alloc_slow(arena, size);

    void *p = arena->at;
    arena->at += size;
    return p;
}

void *lc_arena_calloc(struct lc_arena *arena, size_t size)
{
    return memset(lc_arena_alloc(arena, size), 0, size);
}

char *lc_arena_strndup(struct lc_arena *arena, const char *at, size_t len)
{
    char *copy = lc_arena_alloc(arena, len + 1);

    if (len != 0)
        memcpy(copy, at, len);
    copy[len] = '\0';
    return copy;
}

char *lc_arena_printf(struct lc_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    lc_assert(len >= 0);
    char *text = lc_arena_alloc(arena, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}
