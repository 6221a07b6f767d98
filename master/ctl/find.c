#include "master/ctl/find.h"

#include "base/mem.h"
#include "master/control/place.h"
#include "master/ctl/fail.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

struct search {
    long pid;     /* 0: whoever is there                       */
    char *found;  /* the first                                 */
    char *list;   /* all of them, one a line                   */
    char *where;  /* the places that were looked at            */
    char *barred; /* one that may not be connected to, or NULL */
    unsigned count;
};

static void append(char **text, const char *more, const char *between)
{
    char *longer = lc_printf("%s%s%s", *text, **text == '\0' ? "" : between, more);

    free(*text);
    *text = longer;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* A new master that is not promoted yet has NAME.ctl.2; only who names it means it. */
static bool is_candidate(const struct search *search, const char *name)
{
    return ends_with(name, ".ctl") || (search->pid != 0 && ends_with(name, ".ctl.2"));
}

static void look_at(struct search *search, const char *path)
{
    pid_t owner = lc_place_owner(path);

    if (owner < 0 && (errno == EACCES || errno == EPERM) && search->barred == NULL)
        search->barred = lc_strdup(path);
    if (owner < 0 || (search->pid != 0 && owner != search->pid))
        return;

    LC_AUTOFREE char *who = owner == 0 ? lc_strdup("busy")
                                       : lc_printf("pid %d", (int)owner);
    LC_AUTOFREE char *line = lc_printf("  licornectl -s %s ...  (%s)", path, who);
    append(&search->list, line, "\n");
    if (search->count++ == 0)
        search->found = lc_strdup(path);
}

static void look_in(struct search *search, const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;

    append(&search->where, folder, ", ");
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        LC_AUTOFREE char *path = lc_printf("%s/%s", folder, entry->d_name);

        if (is_candidate(search, entry->d_name))
            look_at(search, path);
    }
    if (dir != NULL)
        closedir(dir);
}

static int judge(const struct search *search)
{
    if (search->count == 1 || (search->count == 0 && search->pid != 0))
        return 0;
    if (search->count == 0 && search->barred != NULL)
        return lc_fail(EX_NOPERM, "'%s': %s", search->barred, strerror(EACCES));
    if (search->count == 0)
        return lc_fail(EX_UNAVAILABLE,
                       "no server listens in %s. Is it running? Was it started with "
                       "--no-control-socket, or with a socket of another name (-s PATH)?",
                       search->where);
    return lc_fail(EX_UNAVAILABLE, "there are %u servers; say which one:\n%s",
                   search->count, search->list);
}

char *lc_find_socket(long pid, int *code)
{
    struct search search = {.pid = pid, .list = lc_strdup(""), .where = lc_strdup("")};

    for (unsigned i = 0; i < LC_PLACES; i++) {
        LC_AUTOFREE char *folder = lc_place_folder(i);

        if (folder != NULL)
            look_in(&search, folder);
    }
    *code = judge(&search);
    if (*code != 0 || search.count == 0) {
        free(search.found);
        search.found = NULL;
    }
    free(search.list);
    free(search.where);
    free(search.barred);
    return search.found;
}
