/* GUNICORN_CMD_ARGS from hostile bytes: split as a shell does, read as a command line, and each
 * word taken for an address as well. What is refused has a reason. */
#include "config/env.h"

#include "base/mem.h"
#include "config/address.h"
#include "config/argv.h"
#include "config/strings.h"
#include "config/value.h"

#include <licorne/error.h>

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take_for_address(const char *word)
{
    struct lc_address address;
    struct lc_error err = {0};

    if (lc_address_parse(word, &address, &err) < 0) {
        lc_assert(err.code == LC_E_CONFIG && err.text[0] != '\0');
        return;
    }
    lc_assert(memchr(address.host, '\0', sizeof(address.host)) != NULL);
    lc_assert(memchr(address.path, '\0', sizeof(address.path)) != NULL);
    lc_assert(address.kind != LC_ADDRESS_UNIX || address.path[0] != '\0');
    lc_assert(address.kind != LC_ADDRESS_FD || address.fd >= 0);
}

static void apply(const struct lc_source *source)
{
    struct lc_config *config = lc_new(struct lc_config);
    struct lc_error err = {0};

    for (size_t i = 0; i < source->count; i++)
        if (lc_value_assign(config, &source->items[i], &err) < 0)
            lc_assert(err.code == LC_E_CONFIG && err.text[0] != '\0');
    for (size_t i = 0; i < LC_SETTING_COUNT; i++)
        lc_value_clear(config, &lc_settings[i]);
    free(config);
}

static void take_for_command_line(const struct lc_strings *words)
{
    struct lc_command command = {0};
    struct lc_error err = {0};

    if (lc_command_read(&command, (int)words->count, words->items, "ARGS", &err) == 0)
        apply(&command.source);
    else
        lc_assert(err.code == LC_E_USAGE && err.text[0] != '\0');
    lc_command_clear(&command);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    LC_AUTOFREE char *text = lc_strndup((const char *)data, size);
    struct lc_strings words = {0};
    struct lc_error err = {0};

    lc_strings_add(&words, "licorne");
    if (lc_env_split(text, &words, &err) == 0) {
        for (size_t i = 1; i < words.count; i++)
            take_for_address(words.items[i]);
        take_for_command_line(&words);
    } else {
        lc_assert(err.code == LC_E_CONFIG && err.text[0] != '\0');
    }
    lc_strings_clear(&words);
    return 0;
}
