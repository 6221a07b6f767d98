/* config/strings.h — a list of texts that grows. */
#pragma once
#include "config/config.h"

/* Takes `text` (heap) over. */
void lc_strings_take(struct lc_strings *strings, char *text);
void lc_strings_add(struct lc_strings *strings, const char *text);
/* Adds the parts between the commas of `text` without blanks around; empty ones are left out. */
void lc_strings_split(struct lc_strings *strings, const char *text);
void lc_strings_copy(struct lc_strings *to, const struct lc_strings *from);
bool lc_strings_equal(const struct lc_strings *a, const struct lc_strings *b);
/* Frees the texts; the list is empty then. */
void lc_strings_clear(struct lc_strings *strings);

/* Each item and a newline; the caller frees it. */
char *lc_strings_lines(const struct lc_strings *strings);
