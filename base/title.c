#include "base/title.h"

#include "base/identity.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static char *room;
static size_t room_size;

/* setenv makes an array of its own and forgets this one, and unsetenv forgets the strings: both
 * must still be known to somebody when a leak checker asks. Nobody reads `known`: volatile keeps
 * the compiler from leaving it out. */
static char **moved;
static char **volatile known;

void lc_title_init(int argc, char **argv)
{
    char *end = argv[0];

    for (int i = 0; i < argc && argv[i] == end; i++)
        end = argv[i] + strlen(argv[i]) + 1;
    int count = 0;
    for (; environ[count] != NULL; count++)
        if (environ[count] == end)
            end += strlen(environ[count]) + 1;

    moved = lc_malloc(sizeof(char *) * ((size_t)count + 1));
    for (int i = 0; i < count; i++)
        moved[i] = lc_strdup(environ[i]);
    moved[count] = NULL;
    char **copy = lc_malloc(sizeof(char *) * ((size_t)count + 1));
    memcpy(copy, moved, sizeof(char *) * ((size_t)count + 1));
    known = copy;
    environ = moved;

    room_size = (size_t)(end - argv[0]);
    room = argv[0];
    for (int i = 0; i < argc; i++)
        argv[i] = lc_strdup(argv[i]);
}

void lc_title_set(const char *format, ...)
{
    char title[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(title, sizeof(title), format, args);
    va_end(args);

    char name[16]; /* what top and /proc/PID/comm show */
    snprintf(name, sizeof(name), "%s", lc_identity_name());
    prctl(PR_SET_NAME, name);
    if (room_size == 0)
        return;
    memset(room, 0, room_size);
    size_t len = strlen(title) < room_size ? strlen(title) : room_size - 1;
    memcpy(room, title, len);
}
