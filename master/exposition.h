/* master/exposition.h — the server's figures as Prometheus reads them: its text format 0.0.4. */
#pragma once
#include <stddef.h>

struct lc_master;

#define LC_EXPOSITION_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* The whole text; the caller frees it. */
char *lc_exposition_text(const struct lc_master *m, size_t *len);
