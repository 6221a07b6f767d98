/* worker/takeback.h — the way from an application to its answer while the server is lent
 * (worker/relief.h): each call takes it back for a moment. */
#pragma once
#include "app/request.h"

extern const struct lc_host_ops lc_takeback_ops;
