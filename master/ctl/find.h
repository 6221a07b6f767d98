/* master/ctl/find.h — which server is meant: its control socket. */
#pragma once

/* The sockets in the default places on which somebody listens: that of process `pid`, or with 0
 * the only one there is. Its path (heap) or NULL, then `*code` is the exit code of what was
 * said; 0 and nothing was said if process `pid` has none there. */
char *lc_find_socket(long pid, int *code);
