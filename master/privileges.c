#include "master/privileges.h"

#include "config/config.h"

#include <licorne/error.h>

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

/* Root's groups would let the worker read what only they may read. */
static int set_groups(const struct lc_config *config, struct lc_error *err)
{
    if (config->initgroups) {
        const struct passwd *user = getpwuid((uid_t)config->user);

        if (user != NULL && initgroups(user->pw_name, (gid_t)config->group) < 0)
            return lc_error_sys(err, "initgroups for user %s", user->pw_name);
        if (user != NULL)
            return 0;
    }
    return setgroups(0, NULL) < 0 ? lc_error_sys(err, "setgroups") : 0;
}

int lc_privileges_drop(const struct lc_config *config, struct lc_error *err)
{
    uid_t uid = config->user == 0 ? geteuid() : (uid_t)config->user;
    gid_t gid = config->group == 0 ? getegid() : (gid_t)config->group;

    if (uid == geteuid() && gid == getegid())
        return 0;
    if (geteuid() == 0 && set_groups(config, err) < 0)
        return -1;
    if (setresgid(gid, gid, gid) < 0)
        return lc_error_sys(err, "group = %d: setgid", (int)gid);
    if (setresuid(uid, uid, uid) < 0)
        return lc_error_sys(err, "user = %d: setuid", (int)uid);
    if (uid != 0 && setuid(0) == 0)
        return lc_error_set(err, LC_E_BOOT, "user = %d: root could be regained",
                            (int)uid);
    return 0;
}
