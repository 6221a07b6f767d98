#include "master/control/request.h"

#include "base/mem.h"
#include "config/env.h"
#include "config/strings.h"

#include <licorne/error.h>

#include <string.h>

/* Words may come as numbers, too. */
static int add_argument(struct lc_strings *words, const json_t *value,
                        struct lc_error *err)
{
    if (json_is_string(value))
        lc_strings_add(words, json_string_value(value));
    else if (json_is_integer(value))
        lc_strings_take(words, lc_printf("%lld", (long long)json_integer_value(value)));
    else
        return lc_error_set(err, LC_E_CONFIG,
                            "Invalid argument: args must be strings or numbers");
    return 0;
}

static int read_words(struct lc_control_request *request, const json_t *object,
                      struct lc_error *err)
{
    const char *command = json_string_value(json_object_get(object, "command"));
    const json_t *args = json_object_get(object, "args");
    const json_t *value;
    struct lc_error why;
    size_t i;

    if (command != NULL && lc_env_split(command, &request->words, &why) < 0)
        return lc_error_set(err, LC_E_CONFIG, "Invalid argument: %s", why.text);
    if (args != NULL && !json_is_array(args))
        return lc_error_set(err, LC_E_CONFIG, "Invalid argument: args must be a list");
    json_array_foreach(args, i, value)
    {
        if (add_argument(&request->words, value, err) < 0)
            return -1;
    }
    if (request->words.count == 0)
        return lc_error_set(err, LC_E_CONFIG, "Empty command");
    return 0;
}

int lc_control_request_read(struct lc_control_request *request, const char *text,
                            size_t len, struct lc_error *err)
{
    json_error_t why;
    json_t *object = json_loadb(text, len, 0, &why);
    int rc = -1;

    *request = (struct lc_control_request){0};
    if (json_is_object(object)) {
        request->id = json_incref(json_object_get(object, "id"));
        if (request->id == NULL)
            request->id = json_integer(0);
        rc = read_words(request, object, err);
    } else {
        lc_error_set(err, LC_E_PROTOCOL, "%s",
                     object == NULL ? why.text : "not an object");
    }
    json_decref(object);
    return rc;
}

void lc_control_request_clear(struct lc_control_request *request)
{
    json_decref(request->id);
    lc_strings_clear(&request->words);
    request->id = NULL;
}

json_t *lc_json_text(const char *text)
{
    static const char unknown[] = "\xEF\xBF\xBD";
    json_t *plain = json_string(text);

    if (plain != NULL)
        return plain;

    LC_AUTOFREE char *shown = lc_malloc(strlen(text) * (sizeof(unknown) - 1) + 1);
    char *end = shown;
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x80) {
            *end++ = *text;
        } else {
            memcpy(end, unknown, sizeof(unknown) - 1);
            end += sizeof(unknown) - 1;
        }
    }
    *end = '\0';
    return json_string(shown);
}
