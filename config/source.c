#include "config/source.h"

#include "base/mem.h"
#include "config/ini.h"
#include "config/strings.h"

#include <licorne/error.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct lc_assignment *lc_source_add(struct lc_source *source,
                                    const struct lc_setting *setting,
                                    enum lc_origin_kind kind, const char *place,
                                    const char *flag)
{
    struct lc_assignment *added;

    source->items = lc_realloc(source->items,
                               (source->count + 1) * sizeof(*source->items));
    added = &source->items[source->count++];
    *added = (struct lc_assignment){
        .setting = setting,
        .origin = {.kind = kind, .place = lc_strdup(place), .flag = lc_strdup(flag)},
    };
    return added;
}

struct lc_assignment *lc_source_find(const struct lc_source *source,
                                     const struct lc_setting *setting)
{
    for (size_t i = source->count; i > 0; i--)
        if (source->items[i - 1].setting == setting)
            return &source->items[i - 1];
    return NULL;
}

void lc_source_clear(struct lc_source *source)
{
    for (size_t i = 0; i < source->count; i++) {
        lc_origin_clear(&source->items[i].origin);
        lc_strings_clear(&source->items[i].values);
    }
    free(source->items);
    *source = (struct lc_source){0};
}

void lc_origin_copy(struct lc_origin *to, const struct lc_origin *from)
{
    struct lc_origin copy = {from->kind, lc_strdup(from->place), lc_strdup(from->flag)};

    lc_origin_clear(to);
    *to = copy;
}

void lc_origin_clear(struct lc_origin *origin)
{
    free(origin->place);
    free(origin->flag);
    *origin = (struct lc_origin){LC_FROM_DEFAULT, NULL, NULL};
}

char *lc_origin_text(const struct lc_origin *origin)
{
    switch (origin->kind) {
    case LC_FROM_DEFAULT: break;
    case LC_FROM_ENVIRONMENT: return lc_printf("environment %s", origin->place);
    case LC_FROM_FILE:
    case LC_FROM_ARGUMENTS: return lc_strdup(origin->place);
    }
    return lc_strdup("default");
}

static int wrap_with_origin(const struct lc_setting *setting,
                            const struct lc_origin *origin, struct lc_error *err)
{
    const char *name = setting->name;
    const char *place = origin->place;

    switch (origin->kind) {
    case LC_FROM_DEFAULT: break;
    case LC_FROM_ENVIRONMENT:
        return lc_error_wrap(err, "%s (environment variable %s)", name, place);
    case LC_FROM_FILE: return lc_error_wrap(err, "%s: %s", place, name);
    case LC_FROM_ARGUMENTS:
        return lc_error_wrap(err, "%s (%s %s %s)", name, origin->flag,
                             strchr(place, ' ') != NULL ? "on the" : "in", place);
    }
    return lc_error_wrap(err, "%s", name);
}

int lc_setting_wrong(const struct lc_setting *setting, const struct lc_origin *origin,
                     struct lc_error *err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    LC_AUTOFREE char *text = lc_vprintf(format, args);
    va_end(args);
    lc_error_set(err, LC_E_CONFIG, "%s", text);
    return wrap_with_origin(setting, origin, err);
}

/* A path in the start directory, however the process has moved since. */
static char *path_in(const char *dir, const char *name)
{
    return *name == '/' ? lc_strdup(name) : lc_printf("%s/%s", dir, name);
}

static bool exists_in(const char *dir, const char *name)
{
    LC_AUTOFREE char *path = path_in(dir, name);

    return access(path, F_OK) == 0;
}

static const char *without_scheme(const char *name)
{
    return strncmp(name, "file:", 5) == 0 ? name + 5 : name;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

/* Whether the first line that says something cannot be an INI file's, which begins with the name
 * of a section. A pipe is not looked into: what was read of it would be missing later. */
static bool looks_like_python(const char *start_dir, const char *name)
{
    LC_AUTOFREE char *path = path_in(start_dir, without_scheme(name));
    LC_AUTOFREE char *line = NULL;
    struct stat about;
    size_t room = 0;
    char first = '[';

    if (stat(path, &about) < 0 || !S_ISREG(about.st_mode))
        return false;
    FILE *in = fopen(path, "re");
    while (in != NULL && getline(&line, &room, in) >= 0) {
        first = line[strspn(line, " \t\r\n")];
        if (first != '\0' && first != '#' && first != ';')
            break;
        first = '[';
    }
    if (in != NULL)
        fclose(in);
    return first != '[';
}

bool lc_source_is_python(const char *start_dir, const char *name)
{
    return strncmp(name, "python:", 7) == 0 || strncmp(name, "run:", 4) == 0 ||
           ends_with(name, ".py") || ends_with(name, ".pyc") ||
           (!ends_with(name, ".ini") && looks_like_python(start_dir, name));
}

int lc_source_read_ini(struct lc_source *source, const char *start_dir, const char *name,
                       struct lc_error *err)
{
    name = without_scheme(name);

    LC_AUTOFREE char *path = path_in(start_dir, name);
    FILE *in = fopen(path, "re");
    int rc;

    if (in == NULL) {
        lc_error_sys(err, "%s", name);
        err->code = LC_E_CONFIG;
        return -1;
    }
    rc = lc_ini_read(in, name, source, err);
    fclose(in);
    return rc;
}

char *lc_source_find_file(const char *start_dir, const char *asked)
{
    static const char *const defaults[] = {"./gunicorn.conf.py", "./licorne.ini"};

    for (size_t i = 0; asked == NULL && i < LC_COUNT(defaults); i++)
        if (exists_in(start_dir, defaults[i]))
            asked = defaults[i];
    return asked == NULL || *asked == '\0' ? NULL : lc_strdup(asked);
}
