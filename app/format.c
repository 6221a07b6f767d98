#include "app/format.h"

#include "app/escape.h"
#include "app/format_parts.h"
#include "app/request.h"
#include "base/mem.h"
#include "base/identity.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* They are the same in every line. */
static void place_literals(struct lc_format *format)
{
    format->values = lc_calloc(format->count, sizeof(struct lc_format_value));
    for (size_t i = 0; i < format->count; i++) {
        const struct lc_format_op *op = &format->ops[i];

        if (op->atom != LC_ATOM_LITERAL)
            continue;
        format->values[i].text = op->text;
        format->values[i].is_safe = true;
        format->literal_size += op->text.len;
    }
}

struct lc_format *lc_format_create(const char *text, struct lc_error *err)
{
    struct lc_format *format = lc_new(struct lc_format);
    const char *script_name = getenv("SCRIPT_NAME");

    format->text = lc_strdup(text);
    format->software = lc_printf("%s/%s", lc_identity_name(), lc_identity_version());
    format->script_name = lc_strdup(script_name != NULL ? script_name : "");
    format->second = -1;
    snprintf(format->pid, sizeof(format->pid), "<%d>", (int)getpid());
    format->plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    lc_arena_init(&format->arena, format->first_block, sizeof(format->first_block));

    if (lc_format_read(format, err) < 0) {
        lc_format_destroy(format);
        return NULL;
    }
    place_literals(format);
    return format;
}

void lc_format_destroy(struct lc_format *format)
{
    if (format == NULL)
        return;
    lc_arena_deinit(&format->arena);
    freelocale(format->plain);
    free(format->values);
    free(format->script_name);
    free(format->software);
    free(format->ops);
    free(format->text);
    free(format);
}

size_t lc_format_prepare(struct lc_format *format, const struct lc_request *request,
                         uint64_t now_us)
{
    uint64_t us = now_us > request->started_us ? now_us - request->started_us : 0;

    lc_arena_reset(&format->arena);
    format->size = format->literal_size;
    for (size_t i = 0; i < format->count; i++) {
        const struct lc_format_op *op = &format->ops[i];
        struct lc_format_value *value = &format->values[i];

        if (op->atom == LC_ATOM_LITERAL)
            continue;
        lc_format_look_up(format, op, request, us, value);
        if (!op->is_plain)
            lc_format_dress(format, op, request, us, value);
        format->size += value->is_safe ? value->text.len
                                       : value->text.len * LC_ESCAPED_MAX;
    }
    return format->size;
}

static size_t write_all(const struct lc_format *format, char *into)
{
    char *at = into;

    for (size_t i = 0; i < format->count; i++) {
        const struct lc_format_value *value = &format->values[i];

        if (value->text.len == 0)
            continue;
        at = value->is_safe ? (char *)mempcpy(at, value->text.at, value->text.len)
                            : lc_put_escaped(at, value->text);
    }
    return (size_t)(at - into);
}

size_t lc_format_write(struct lc_format *format, char *into, size_t room)
{
    if (format->size <= room)
        return write_all(format, into);

    char *whole = lc_arena_alloc(&format->arena, format->size);
    size_t len = write_all(format, whole);
    if (len > room)
        len = room;
    memcpy(into, whole, len);
    return len;
}
