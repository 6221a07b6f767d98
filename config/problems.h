/* config/problems.h — all that is wrong with a configuration, not only what is met first. */
#pragma once

struct lc_error;

/* Adds what `one` says to `all`, which is empty (LC_E_NONE) at first. */
void lc_problems_add(struct lc_error *all, const struct lc_error *one);

/* -1 if there are any, which `err` then tells; else 0. */
int lc_problems_tell(const struct lc_error *all, struct lc_error *err);
