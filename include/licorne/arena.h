/* licorne/arena.h — memory that is given back all at once.
 *
 * Each request has one: lc_request_arena(). What is taken from it lives until the request's log
 * line has been written; there is no free. Not for use by several threads at a time. */
#pragma once
#include <licorne/api.h>
#include <licorne/slice.h>
#include <stddef.h>

LC_C_BEGIN

struct lc_arena;

/* `size` bytes, aligned for any type, not zeroed. Never NULL: without memory the process ends. */
LC_API void *lc_arena_alloc(struct lc_arena *arena, size_t size);

/* The same, zeroed. */
LC_API void *lc_arena_calloc(struct lc_arena *arena, size_t size);

/* A copy of `len` bytes that ends in NUL. */
LC_API char *lc_arena_strndup(struct lc_arena *arena, const char *at, size_t len);

/* Formatted text, as printf has it, that ends in NUL. */
LC_API char *lc_arena_printf(struct lc_arena *arena, const char *format, ...)
    LC_PRINTF(2, 3);

/* A zeroed `type`. */
#define lc_arena_new(arena, type) ((type *)lc_arena_calloc((arena), sizeof(type)))

LC_C_END
