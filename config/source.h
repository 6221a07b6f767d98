/* config/source.h — what one source of settings says, before anybody believes it.
 *
 * Environment, file and command line each fill one; config.c applies them, weakest first. */
#pragma once
#include "config/settings.h"

struct lc_error;

enum lc_origin_kind {
    LC_FROM_DEFAULT,
    LC_FROM_ENVIRONMENT, /* place: the variable                         */
    LC_FROM_FILE,        /* place: "shop.ini:12"                        */
    LC_FROM_ARGUMENTS,   /* place: "command line", "GUNICORN_CMD_ARGS"  */
};

struct lc_origin {
    enum lc_origin_kind kind;
    char *place; /* heap; NULL for defaults */
    char *flag;  /* heap; LC_FROM_ARGUMENTS: "--workers", else NULL */
};

struct lc_assignment {
    const struct lc_setting *setting;
    struct lc_origin origin;
    struct lc_strings values; /* several for lists */
};

struct lc_source {
    struct lc_assignment *items;
    size_t count;
};

/* An assignment without values, the last of the source. Valid until the next call. */
struct lc_assignment *lc_source_add(struct lc_source *source,
                                    const struct lc_setting *setting,
                                    enum lc_origin_kind kind, const char *place,
                                    const char *flag);

/* The latest one for the setting, or NULL. */
struct lc_assignment *lc_source_find(const struct lc_source *source,
                                     const struct lc_setting *setting);
void lc_source_clear(struct lc_source *source);

void lc_origin_copy(struct lc_origin *to, const struct lc_origin *from);
void lc_origin_clear(struct lc_origin *origin);

/* For --print-config: "default", "environment PORT", "shop.ini:12", "command line". */
char *lc_origin_text(const struct lc_origin *origin);

/* LC_E_CONFIG, with setting and place in front: "shop.ini:12: workers: …",
 * "workers (--workers on the command line): …". Returns -1. */
int lc_setting_wrong(const struct lc_setting *setting, const struct lc_origin *origin,
                     struct lc_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Finds the configuration file that `asked` names (NULL: nobody did; "": none is wanted), seen
 * from `start_dir`. NULL: there is none to read. The caller frees it. */
char *lc_source_find_file(const char *start_dir, const char *asked);

/* Whether it is Python: "python:MODULE", "file:X.py", "X.py", "X.pyc", and a file of any other name
 * but "X.ini" that does not begin with a section. */
bool lc_source_is_python(const char *start_dir, const char *name);

/* Reads an INI file, whose name `lc_source_find_file` gave. */
int lc_source_read_ini(struct lc_source *source, const char *start_dir, const char *name,
                       struct lc_error *err);
