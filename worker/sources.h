/* worker/sources.h — tells the master which files the application consists of, so that it can
 * watch them (the setting `reload`). */
#pragma once

struct lc_server;

/* Those that were not told before. Does nothing without `reload`. */
void lc_sources_tell(struct lc_server *server);
