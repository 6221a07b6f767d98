/* python/sources.h — the files that the application was imported from, for the setting
 * `reload`. */
#pragma once

/* Names those that were not named before; takes Python's lock meanwhile. */
void lc_sources_each(void (*each)(void *owner, const char *path), void *owner);
