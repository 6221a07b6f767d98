/* worker/tls_info.h — what was agreed on for an encrypted connection, on its way to the worker that
 * answers a request of it without having its keys (worker/relay.h). */
#pragma once
#include <licorne/slice.h>
#include <licorne/tls.h>

#include <stddef.h>

/* How many bytes it takes, and those bytes. */
size_t lc_tls_info_size(const struct lc_tls_info *info);
void lc_tls_info_pack(const struct lc_tls_info *info, char *into);

/* One block of memory, to be freed by the caller; `bytes` becomes what follows. NULL: it is none. */
struct lc_tls_info *lc_tls_info_unpack(struct lc_slice *bytes);
