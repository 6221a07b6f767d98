#include "base/path.h"

#include "base/mem.h"

#include <unistd.h>

char *lc_path_absolute(const char *path)
{
    LC_AUTOFREE char *folder = NULL;

    if (*path == '/' || (folder = getcwd(NULL, 0)) == NULL)
        return lc_strdup(path);
    return lc_printf("%s/%s", folder, path);
}
