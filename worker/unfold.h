/* worker/unfold.h — field lines that permit_obsolete_folding and strip_header_spaces let in, written
 * as they should have been: versions of llhttp differ in what they make of the others. */
#pragma once
#include <licorne/slice.h>

#include <stdbool.h>

struct lc_arena;

/* `fields` are whole lines up to and with the empty one; the first does not begin with a blank.
 * Lines that do are joined to the one before them with one blank (RFC 9112, 5.2);
 * `strips_names`: blanks before a colon are taken out. In the arena. */
struct lc_slice lc_unfold(struct lc_arena *arena, struct lc_slice fields,
                          bool strips_names);
