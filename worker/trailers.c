#include "worker/trailers.h"

#include "base/mem.h"
#include "base/token.h"
#include "worker/fault.h"

/* Fields that would say something else about the request now that it is over. */
static bool is_forbidden(struct lc_slice name)
{
    static const struct lc_slice names[] = {
        LC_SLICE("Host"),    LC_SLICE("Content-Length"), LC_SLICE("Transfer-Encoding"),
        LC_SLICE("Trailer"), LC_SLICE("Authorization"),  LC_SLICE("TE"),
    };

    for (size_t i = 0; i < LC_COUNT(names); i++)
        if (lc_slice_equals_nocase(name, names[i]))
            return true;
    return false;
}

static bool wrong_byte(struct lc_fault *fault)
{
    return lc_fault_set(fault, 400, "Bad Request",
                        "Invalid chunked body: Invalid trailer");
}

static bool end_name(struct lc_trailers *trailers, struct lc_fault *fault)
{
    struct lc_slice name = {trailers->name, trailers->name_len};

    trailers->name_len = 0;
    if (name.len <= sizeof(trailers->name) && is_forbidden(name))
        return lc_fault_bad_name(fault, "Invalid HTTP Header: %s", name);
    return true;
}

static bool read_byte(struct lc_trailers *trailers, char c, struct lc_fault *fault)
{
    switch (trailers->state) {
    case LC_TRAILERS_LINE:
        if (c == '\r') {
            trailers->state = LC_TRAILERS_LAST_LF;
            return true;
        }
        trailers->state = LC_TRAILERS_NAME;
        return c == ':' ? wrong_byte(fault) : read_byte(trailers, c, fault);
    case LC_TRAILERS_NAME:
        if (c == ':') {
            trailers->state = LC_TRAILERS_VALUE;
            return end_name(trailers, fault);
        }
        if (trailers->name_len < sizeof(trailers->name))
            trailers->name[trailers->name_len] = c;
        trailers->name_len++;
        return lc_is_token_char(c) || wrong_byte(fault);
    case LC_TRAILERS_VALUE:
        if (c == '\r')
            trailers->state = LC_TRAILERS_LF;
        else if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f)
            return wrong_byte(fault);
        return true;
    case LC_TRAILERS_LF: trailers->state = LC_TRAILERS_LINE; break;
    case LC_TRAILERS_LAST_LF: trailers->state = LC_TRAILERS_DONE; break;
    case LC_TRAILERS_DONE: break;
    }
    return c == '\n' || wrong_byte(fault);
}

bool lc_trailers_read(struct lc_trailers *trailers, struct lc_slice bytes, size_t *used,
                      struct lc_fault *fault)
{
    for (*used = 0; *used < bytes.len && trailers->state != LC_TRAILERS_DONE; ++*used) {
        if (++trailers->size > LC_TRAILERS_MAX)
            return lc_fault_limit(fault, "max buffer headers");
        if (!read_byte(trailers, bytes.at[*used], fault))
            return false;
    }
    return true;
}
