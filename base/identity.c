#include "base/identity.h"

#include "base/token.h"

#include <stdio.h>
#include <string.h>

static const char *name = "licorne";
static const char *version = LICORNE_VERSION;
static char field[256] = "Server: licorne\r\n";
static size_t field_len = sizeof("Server: licorne\r\n") - 1;

void lc_identity_init(const char *program)
{
    const char *slash = strrchr(program, '/');
    const char *last = slash != NULL ? slash + 1 : program;

    if (strcmp(last, "gunicorn") != 0 && strcmp(last, "licorne-gunicorn") != 0)
        return;
    name = "gunicorn";
    version = "26.1.0";
    lc_identity_set_server(name);
}

const char *lc_identity_name(void)
{
    return name;
}

const char *lc_identity_version(void)
{
    return version;
}

struct lc_slice lc_identity_server_field(void)
{
    return (struct lc_slice){field, field_len};
}

void lc_identity_set_server(const char *server)
{
    int len = 0;

    if (*server != '\0' && lc_is_field_value(lc_slice(server)))
        len = snprintf(field, sizeof(field), "Server: %.200s\r\n", server);
    field_len = (size_t)len;
}
