#include "config/problems.h"

#include <licorne/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char between[] = "\nError: ";
static const char more[] = "\nError: there is more, for which no room is left here";

static bool is_full(const char *text)
{
    size_t len = strlen(text);

    return len >= sizeof(more) - 1 && strcmp(text + len - (sizeof(more) - 1), more) == 0;
}

/* A line comes whole or not at all. False: from here on there is no room. */
static bool add_line(struct lc_error *all, const char *line, size_t len)
{
    size_t used = strlen(all->text);
    size_t room = sizeof(all->text) - used;
    bool fits = len + sizeof(between) + sizeof(more) <= room;

    if (fits)
        snprintf(all->text + used, room, "%s%.*s", between, (int)len, line);
    else
        snprintf(all->text + used, room, "%s", more);
    return fits;
}

void lc_problems_add(struct lc_error *all, const struct lc_error *one)
{
    const char *line = one->text, *end;

    if (all->code == LC_E_NONE) {
        *all = *one;
        return;
    }
    if (is_full(all->text))
        return;
    /* It may itself be several. */
    while ((end = strstr(line, between)) != NULL) {
        if (!add_line(all, line, (size_t)(end - line)))
            return;
        line = end + strlen(between);
    }
    add_line(all, line, strlen(line));
}

int lc_problems_tell(const struct lc_error *all, struct lc_error *err)
{
    if (all->code == LC_E_NONE)
        return 0;
    if (err != NULL)
        *err = *all;
    return -1;
}
