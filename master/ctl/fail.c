#include "master/ctl/fail.h"

#include <stdarg.h>
#include <stdio.h>

int lc_fail(int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fflush(stdout);
    if (code == LC_EXIT_USAGE)
        fprintf(stderr, "%slicornectl: error: ", LC_CTL_USAGE);
    else
        fprintf(stderr, "Error: ");
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return code;
}
