#include "config/env.h"

#include "base/mem.h"
#include "config/strings.h"

#include <licorne/error.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void lc_env_read(struct lc_source *source)
{
    for (size_t i = 0; i < LC_SETTING_COUNT; i++) {
        const struct lc_setting *setting = &lc_settings[i];
        const char *value = setting->env == NULL ? NULL : getenv(setting->env);
        struct lc_assignment *made;

        if (value == NULL)
            continue;
        made = lc_source_add(source, setting, LC_FROM_ENVIRONMENT, setting->env, NULL);
        if (i == LC_SET_bind)
            lc_strings_take(&made->values, lc_printf("0.0.0.0:%s", value));
        else
            lc_strings_add(&made->values, value);
    }
}

/* Within double quotes a backslash only escapes itself and the quote. */
static bool escapes(char quote, char next)
{
    return quote == '\0' || next == '\\' || next == '"';
}

/* Reads the word at `*at` to `out`, which has room for all that follows. */
static int read_word(const char **at, char *out, struct lc_error *err)
{
    char quote = '\0';
    const char *p = *at;

    for (; *p != '\0'; p++) {
        if (quote == '\0' && strchr(" \t\r\n", *p) != NULL)
            break;
        if (*p == '\\' && quote != '\'') {
            if (p[1] == '\0')
                return lc_error_set(err, LC_E_CONFIG,
                                    "nothing follows the last backslash");
            if (escapes(quote, p[1]))
                p++;
            *out++ = *p;
        } else if (quote != '\0' && *p == quote) {
            quote = '\0';
        } else if (quote == '\0' && (*p == '"' || *p == '\'')) {
            quote = *p;
        } else {
            *out++ = *p;
        }
    }
    if (quote != '\0')
        return lc_error_set(err, LC_E_CONFIG, "a quotation is not closed: %c is missing",
                            quote);
    *out = '\0';
    *at = p;
    return 0;
}

int lc_env_split(const char *text, struct lc_strings *words, struct lc_error *err)
{
    LC_AUTOFREE char *word = lc_malloc(strlen(text) + 1);

    for (;;) {
        text += strspn(text, " \t\r\n");
        if (*text == '\0')
            return 0;
        if (read_word(&text, word, err) < 0)
            return -1;
        lc_strings_add(words, word);
    }
}
