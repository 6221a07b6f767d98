#include "config/config.h"

#include "base/identity.h"
#include "base/mem.h"
#include "config/origins.h"
#include "config/value.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* --- --help --- */

enum { DEFAULT_WIDTH = 80, LEAST_WIDTH = 40, TEXT_COLUMN = 24 };

/* COLUMNS, else the terminal's own, else 80; argparse leaves two columns free, too. */
static int width_of(FILE *out)
{
    const char *columns = getenv("COLUMNS");
    long width = columns == NULL ? 0 : strtol(columns, NULL, 10);
    struct winsize window;

    if ((width <= 0 || width > 10000) && ioctl(fileno(out), TIOCGWINSZ, &window) == 0)
        width = window.ws_col;
    if (width <= 0 || width > 10000)
        width = DEFAULT_WIDTH;
    return width < LEAST_WIDTH ? LEAST_WIDTH : (int)width - 2;
}

static void put_blanks(FILE *out, int count)
{
    fprintf(out, "%*s", count, "");
}

/* Words of `text` from column `at` on, in lines that begin at `margin` and end before `width`. */
static void put_wrapped(FILE *out, const char *text, int at, int margin, int width)
{
    for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
        int len = (int)strcspn(text, " ");

        if (at > margin && at + 1 + len > width) {
            fputc('\n', out);
            at = 0;
        }
        if (at < margin) {
            put_blanks(out, margin - at);
            at = margin;
        } else if (at > margin) {
            fputc(' ', out);
            at++;
        }
        fprintf(out, "%.*s", len, text);
        at += len;
        text += len;
    }
    fputc('\n', out);
}

/* "  -w INT, --workers INT    How many …": the text starts a line of its own if the names are
 * long. */
static void put_entry(FILE *out, const char *names, const char *text, int width)
{
    int at = fprintf(out, "  %s", names);

    if (at > TEXT_COLUMN - 2) {
        fputc('\n', out);
        at = 0;
    }
    put_wrapped(out, text, at, TEXT_COLUMN, width);
}

static const char *value_name(const struct lc_setting *setting)
{
    switch (setting->type) {
    case LC_STRING:
    case LC_LIST: break;
    case LC_INT:
    case LC_MODE: return "INT";
    case LC_SECONDS: return "SECONDS";
    case LC_BYTES: return "BYTES";
    case LC_BOOL: return "";
    case LC_USER: return "USER";
    case LC_GROUP: return "GROUP";
    }
    return "STRING";
}

/* The names as the entry shows them; a setting without flags belongs in files only. */
static char *names_of(const struct lc_setting *setting)
{
    const char *at = setting->flags;
    struct lc_flag flag;
    char *names = NULL;

    while (lc_flag_next(setting, &at, &flag)) {
        const char *value = value_name(setting);
        bool may_miss = flag.kind == LC_FLAG_MAYBE;
        char *longer = lc_printf("%s%s%s%s%s%s%s", names == NULL ? "" : names,
                                 names == NULL ? "" : ", ", flag.name,
                                 *value == '\0' ? "" : " ", may_miss ? "[" : "", value,
                                 may_miss ? "]" : "");
        free(names);
        names = longer;
    }
    return names != NULL ? names : lc_printf("%s (in files only)", setting->name);
}

static void put_setting(FILE *out, const struct lc_setting *setting, int width)
{
    LC_AUTOFREE char *names = names_of(setting);
    LC_AUTOFREE char *text = NULL;

    if (setting->refused != NULL)
        text = lc_printf("%s Not available in this version: %s.", setting->text,
                         setting->refused);
    else if (setting->value != NULL)
        text = lc_printf("%s [%s]", setting->text, setting->value);
    else
        text = lc_strdup(setting->text);
    put_entry(out, names, text, width);
}

/* Sections stand in the order in which settings.def first names them. */
static bool is_first_of_section(size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(lc_settings[j].section, lc_settings[i].section) == 0)
            return false;
    return true;
}

/* Hooks and the like, which are neither flags nor supported, would only be noise. */
static bool is_shown(const struct lc_setting *setting)
{
    return setting->flags != NULL || setting->refused == NULL;
}

static void put_section(FILE *out, const char *section, int width)
{
    bool has_title = false;

    for (size_t i = 0; i < LC_SETTING_COUNT; i++) {
        if (strcmp(lc_settings[i].section, section) != 0 || !is_shown(&lc_settings[i]))
            continue;
        if (!has_title)
            fprintf(out, "\n%s:\n", section);
        has_title = true;
        put_setting(out, &lc_settings[i], width);
    }
}

void lc_config_help(FILE *out)
{
    int width = width_of(out);

    lc_config_usage(out);
    fputc('\n', out);
    put_wrapped(
        out,
        "Serves a web application: MODULE[:NAME] for Python's WSGI, or a path that "
        "ends in .so for a native module.",
        0, 0, width);
    fputs("\noptions:\n", out);
    put_entry(out, "-h, --help", "Show this text and exit.", width);
    put_entry(out, "-v, --version", "Show the version and exit.", width);
    for (size_t i = 0; i < LC_SETTING_COUNT; i++)
        if (is_first_of_section(i))
            put_section(out, lc_settings[i].section, width);
    fputc('\n', out);
    put_wrapped(out,
                "Options may also stand in GUNICORN_CMD_ARGS and LICORNE_CMD_ARGS. The "
                "command line is stronger than these, they than the configuration file, "
                "and that than PORT, WEB_CONCURRENCY and the like in the environment.",
                0, 0, width);
}

void lc_config_usage(FILE *out)
{
    fprintf(out, "usage: %s [OPTIONS] [APP_MODULE]\n", lc_identity_name());
}

/* --- --print-config --- */

enum { ORIGIN_COLUMN = 64 };

static int by_name(const void *a, const void *b)
{
    const size_t *left = a, *right = b;

    return strcmp(lc_settings[*left].name, lc_settings[*right].name);
}

static void put_value(FILE *out, const struct lc_config *config, size_t i, int name_width)
{
    LC_AUTOFREE char *value = lc_value_text(&lc_settings[i], config);
    LC_AUTOFREE char *where = lc_origin_text(&config->origins->of[i]);
    int used = fprintf(out, "%-*s = %s", name_width, lc_settings[i].name, value);

    fprintf(out, "%*s  # %s\n", used < ORIGIN_COLUMN ? ORIGIN_COLUMN - used : 0, "",
            where);
}

void lc_config_print(const struct lc_config *config, FILE *out)
{
    size_t order[LC_SETTING_COUNT];
    int longest = 0;

    for (size_t i = 0; i < LC_SETTING_COUNT; i++) {
        int len = (int)strlen(lc_settings[i].name);

        order[i] = i;
        longest = len > longest ? len : longest;
    }
    qsort(order, LC_SETTING_COUNT, sizeof(order[0]), by_name);
    for (size_t i = 0; i < LC_SETTING_COUNT; i++)
        put_value(out, config, order[i], longest);
}
