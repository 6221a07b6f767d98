#include "config/problems.h"

#include <licorne/error.h>

#include <stddef.h>
#include <stdio.h>
#include <string.h>

void lc_problems_add(struct lc_error *all, const struct lc_error *one)
{
    if (all->code == LC_E_NONE) {
        *all = *one;
        return;
    }
    size_t used = strlen(all->text);
    snprintf(all->text + used, sizeof(all->text) - used, "\nError: %.*s",
             (int)sizeof(one->text), one->text);
}

int lc_problems_tell(const struct lc_error *all, struct lc_error *err)
{
    if (all->code == LC_E_NONE)
        return 0;
    if (err != NULL)
        *err = *all;
    return -1;
}
