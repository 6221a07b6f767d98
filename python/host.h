/* python/host.h — the module _licorne: what the package `gunicorn` may ask of the server. */
#pragma once

int lc_host_open(void); /* makes it importable; -1 with an exception */
