/* INI files from hostile bytes. Whatever comes, it is either refused with the file and a line,
 * or makes assignments that can be applied or refused in their turn. */
#include "config/ini.h"

#include "base/mem.h"
#include "config/config.h"
#include "config/source.h"
#include "config/value.h"

#include <licorne/error.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void apply(const struct lc_source *source)
{
    struct lc_config *config = lc_new(struct lc_config);

    for (size_t i = 0; i < source->count; i++) {
        const struct lc_assignment *item = &source->items[i];
        struct lc_error err = {0};

        lc_assert(item->origin.kind == LC_FROM_FILE && item->origin.place != NULL);
        if (lc_value_assign(config, item, &err) < 0)
            lc_assert(err.code == LC_E_CONFIG && strncmp(err.text, "f.ini:", 6) == 0);
        else
            free(lc_value_text(item->setting, config));
    }
    for (size_t i = 0; i < LC_SETTING_COUNT; i++)
        lc_value_clear(config, &lc_settings[i]);
    free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lc_source source = {0};
    struct lc_error err = {0};
    /* fmemopen takes no empty buffer, and ends at its size, not at a NUL byte. */
    FILE *in = size == 0 ? fopen("/dev/null", "r") : fmemopen((void *)data, size, "rb");

    lc_assert(in != NULL);
    if (lc_ini_read(in, "f.ini", &source, &err) == 0)
        apply(&source);
    else
        lc_assert(err.code == LC_E_CONFIG && strncmp(err.text, "f.ini:", 6) == 0);
    lc_source_clear(&source);
    fclose(in);
    return 0;
}
