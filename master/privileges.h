/* master/privileges.h — workers give up root; the master keeps its identity. */
#pragma once

struct lc_config;
struct lc_error;

/* Takes on the configured group and user for good, without root's supplementary groups (or with
 * the user's own, if `initgroups` is set). user = 0 and group = 0 change nothing. */
int lc_privileges_drop(const struct lc_config *config, struct lc_error *err);
