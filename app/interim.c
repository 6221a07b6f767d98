/* app/interim.c — answers before the answer: 103 Early Hints and its like (RFC 9110, 15.2). */
#include "app/error_page.h"
#include "app/field.h"
#include "app/request.h"

#include <licorne/error.h>

#include <string.h>

/* Interim answers have no body, so nothing that frames one; the rest belongs to the connection. */
static bool is_left_out(struct lc_slice name)
{
    return lc_field_is_the_servers(name) ||
           lc_slice_equals_nocase(name, LC_SLICE("Content-Length"));
}

static struct lc_slice compose(struct lc_request *request, int code,
                               const struct lc_header *fields, size_t count)
{
    const char *line = lc_arena_printf(&request->arena, "HTTP/1.%d %d %s\r\n",
                                       request->version % 10, code,
                                       lc_reason_phrase(code));
    struct lc_slice first = lc_slice(line);
    size_t room = first.len + strlen("\r\n");

    for (size_t i = 0; i < count; i++)
        room += lc_field_len(fields[i].name, fields[i].value);
    char *text = lc_arena_alloc(&request->arena, room);
    char *at = (char *)memcpy(text, first.at, first.len) + first.len;
    for (size_t i = 0; i < count; i++)
        if (!is_left_out(fields[i].name))
            at = lc_field_put(at, fields[i].name, fields[i].value);
    *at++ = '\r';
    *at++ = '\n';
    return (struct lc_slice){text, (size_t)(at - text)};
}

int lc_response_interim(struct lc_request *request, int code,
                        const struct lc_header *fields, size_t count,
                        struct lc_error *err)
{
    if (code < 100 || code > 199 || code == 101)
        return lc_error_set(err, LC_E_PROTOCOL, "%d is the status of no interim answer",
                            code);
    for (size_t i = 0; i < count; i++)
        if (lc_field_check(fields[i].name, fields[i].value, err) < 0)
            return -1;
    if (request->version < 11 || request->response.is_started)
        return 0;
    request->host->send(request, compose(request, code, fields, count),
                        (struct lc_slice){NULL, 0}, NULL, NULL);
    request->host->flush(request);
    return 0;
}
