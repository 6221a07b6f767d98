/* config/settings.h — the table that settings.def makes: for those in this room who treat all
 * settings alike. */
#pragma once
#include "config/config.h"

/* The program's name in its messages. */
#define LC_PROGRAM "licorne"

enum lc_setting_type {
    LC_STRING,
    LC_LIST,
    LC_INT,
    LC_SECONDS,
    LC_BYTES,
    LC_MODE,
    LC_BOOL,
    LC_USER,
    LC_GROUP,
};

enum lc_setting_applies { LC_ON_RELOAD, LC_ON_RESTART };

struct lc_setting {
    const char *name, *section, *flags, *env, *value;
    const char *refused; /* NULL: supported; else why not */
    const char *text;
    enum lc_setting_type type;
    enum lc_setting_applies applies;
    size_t offset; /* of the field in struct lc_config */
};

/* LC_SET_workers … index the table. */
enum lc_setting_id {
#define X(type, name, ...) LC_SET_##name,
#include "config/settings.def"
#undef X
    LC_SETTING_COUNT
};

extern const struct lc_setting lc_settings[LC_SETTING_COUNT];

/* NULL if there is none of this name. */
const struct lc_setting *lc_setting_find(const char *name);

/* Where the setting's field is. */
static inline void *lc_setting_field(const struct lc_setting *setting,
                                     const struct lc_config *config)
{
    return (char *)config + setting->offset;
}

/* One command line flag of a setting. */
enum lc_flag_kind { LC_FLAG_VALUE, LC_FLAG_MAYBE, LC_FLAG_TRUE, LC_FLAG_FALSE };

struct lc_flag {
    enum lc_flag_kind kind;
    char name[48]; /* with its dashes */
    char bare[16]; /* LC_FLAG_MAYBE: what it means without a value */
};

/* The flag at `*at`, which moves on; false after the last. Start with setting->flags. */
bool lc_flag_next(const struct lc_setting *setting, const char **at,
                  struct lc_flag *flag);

/* All its flags as argparse names them: "-w/--workers". */
void lc_flags_join(const struct lc_setting *setting, char *out, size_t size);
