/* cmake/settings_table.c — writes config/settings.def as a Python module, for the package
 * `gunicorn`: each setting's name, type, section and default. */
#include <stddef.h>
#include <stdio.h>

static const struct {
    const char *name, *type, *section, *value;
} settings[] = {
#define X(type, name, section, flags, env, value, applies, support, text) \
    {#name, #type, section, value},
#include "config/settings.def"
#undef X
};

static void put(FILE *out, const char *text, const char *after)
{
    if (text == NULL) {
        fprintf(out, "None%s", after);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++)
        fprintf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    fprintf(out, "\"%s", after);
}

int main(int argc, char **argv)
{
    FILE *out = argc == 2 ? fopen(argv[1], "we") : NULL;

    if (out == NULL) {
        fprintf(stderr, "usage: settings-table FILE\n");
        return 1;
    }
    fputs("\"\"\"Made from config/settings.def: (name, type, section, default).\"\"\"\n"
          "SETTINGS = [\n",
          out);
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        fputs("    (", out);
        put(out, settings[i].name, ", ");
        put(out, settings[i].type, ", ");
        put(out, settings[i].section, ", ");
        put(out, settings[i].value, "),\n");
    }
    fputs("]\n", out);
    return fclose(out) == 0 ? 0 : 1;
}
