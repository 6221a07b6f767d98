#include "config/strings.h"

#include "base/mem.h"

#include <string.h>

void lc_strings_take(struct lc_strings *strings, char *text)
{
    strings->items = lc_realloc(strings->items,
                                (strings->count + 2) * sizeof(*strings->items));
    strings->items[strings->count++] = text;
    strings->items[strings->count] = NULL;
}

void lc_strings_add(struct lc_strings *strings, const char *text)
{
    lc_strings_take(strings, lc_strdup(text));
}

void lc_strings_split(struct lc_strings *strings, const char *text)
{
    static const char blanks[] = " \t\r\n";

    while (*text != '\0') {
        text += strspn(text, blanks);
        size_t part = strcspn(text, ","), len = part;

        while (len > 0 && strchr(blanks, text[len - 1]) != NULL)
            len--;
        if (len > 0)
            lc_strings_take(strings, lc_strndup(text, len));
        text += part + (text[part] == ',');
    }
}

void lc_strings_copy(struct lc_strings *to, const struct lc_strings *from)
{
    for (size_t i = 0; i < from->count; i++)
        lc_strings_add(to, from->items[i]);
}

bool lc_strings_equal(const struct lc_strings *a, const struct lc_strings *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

void lc_strings_clear(struct lc_strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->items[i]);
    free(strings->items);
    *strings = (struct lc_strings){0};
}

char *lc_strings_lines(const struct lc_strings *strings)
{
    char *text = lc_strdup("");

    for (size_t i = 0; i < strings->count; i++) {
        char *longer = lc_printf("%s%s\n", text, strings->items[i]);

        free(text);
        text = longer;
    }
    return text;
}
