/* base/path.h — paths that mean the same wherever the process goes. */
#pragma once

/* `path` as seen from the working directory, on the heap. Without one that can be told, it stays
 * as it is. */
char *lc_path_absolute(const char *path);
