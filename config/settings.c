#include "config/settings.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define SUPPORTED NULL
#define NO_HTTP2 \
    "only HTTP/1 is spoken yet; a proxy in front can speak HTTP/2 with clients"
#define NO_UWSGI \
    "only http is spoken yet; nginx does with proxy_pass instead of uwsgi_pass"
#define NO_ASGI  "there is no asgi worker yet, which alone would look at it"
#define NO_DIRTY "there is no pool of dirty workers yet"

const struct lc_setting lc_settings[LC_SETTING_COUNT] = {
#define X(type, name, section, flags, env, value, applies, support, text) \
    {#name,   section, flags,     env,          value,                    \
     support, text,    LC_##type, LC_##applies, offsetof(struct lc_config, name)},
#include "config/settings.def"
#undef X
};

const struct lc_setting *lc_setting_find(const char *name)
{
    for (size_t i = 0; i < LC_SETTING_COUNT; i++)
        if (strcmp(lc_settings[i].name, name) == 0)
            return &lc_settings[i];
    return NULL;
}

static void copy_part(char *out, size_t size, const char *at, size_t len)
{
    lc_assert(len < size); /* settings.def is ours */
    memcpy(out, at, len);
    out[len] = '\0';
}

bool lc_flag_next(const struct lc_setting *setting, const char **at, struct lc_flag *flag)
{
    const char *start = *at;

    if (start == NULL || *start == '\0')
        return false;
    flag->kind = setting->type == LC_BOOL ? LC_FLAG_TRUE : LC_FLAG_VALUE;
    if (*start == '!') {
        flag->kind = LC_FLAG_FALSE;
        start++;
    }

    size_t len = strcspn(start, ",");
    size_t name_len = strcspn(start, ",?");
    copy_part(flag->name, sizeof(flag->name), start, name_len);
    flag->bare[0] = '\0';
    if (name_len < len) {
        flag->kind = LC_FLAG_MAYBE;
        copy_part(flag->bare, sizeof(flag->bare), start + name_len + 1,
                  len - name_len - 1);
    }
    *at = start + len + (start[len] == ',');
    return true;
}

void lc_flags_join(const struct lc_setting *setting, char *out, size_t size)
{
    const char *at = setting->flags;
    struct lc_flag flag;
    size_t used = 0;

    *out = '\0';
    while (lc_flag_next(setting, &at, &flag) && used < size)
        used += (size_t)snprintf(out + used, size - used, "%s%s", used == 0 ? "" : "/",
                                 flag.name);
}
