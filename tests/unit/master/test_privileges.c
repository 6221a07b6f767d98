#include "master/privileges.h"

#include "config/config.h"

#include <licorne/error.h>

#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOBODY = 65534 };

/* What becomes of a process that drops its privileges, seen from inside it. */
static bool in_a_child(const struct lc_config *config, bool (*holds)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        gid_t groups[] = {4, 24, 27};

        if (setgroups(3, groups) < 0)
            _exit(2);
        _exit(lc_privileges_drop(config, NULL) == 0 && holds() ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int only_as_root(void **state)
{
    *state = geteuid() == 0 ? state : NULL;
    return 0;
}

static bool is_nobody_for_good(void)
{
    uid_t uid, euid, saved;
    gid_t gid, egid, saved_gid;

    getresuid(&uid, &euid, &saved);
    getresgid(&gid, &egid, &saved_gid);
    return uid == NOBODY && euid == NOBODY && saved == NOBODY && gid == NOBODY &&
           egid == NOBODY && saved_gid == NOBODY && getgroups(0, NULL) == 0 &&
           setuid(0) < 0;
}

static void a_worker_loses_root_and_its_groups(void **state)
{
    struct lc_config config = {.user = NOBODY, .group = NOBODY};

    if (*state == NULL)
        skip();
    assert_true(in_a_child(&config, is_nobody_for_good));
}

static bool is_root_as_before(void)
{
    return geteuid() == 0 && getegid() == 0 && getgroups(0, NULL) == 3;
}

static void user_0_and_group_0_change_nothing(void **state)
{
    struct lc_config config = {.user = 0, .group = 0};

    if (*state == NULL)
        skip();
    assert_true(in_a_child(&config, is_root_as_before));
}

static bool is_refused_to_become_another(void)
{
    struct lc_config other = {.user = 1, .group = NOBODY};
    struct lc_error err;

    return lc_privileges_drop(&other, &err) == -1 && err.code == LC_E_SYSTEM &&
           geteuid() == NOBODY;
}

static void who_is_not_root_cannot_become_somebody_else(void **state)
{
    struct lc_config config = {.user = NOBODY, .group = NOBODY};

    if (*state == NULL)
        skip();
    assert_true(in_a_child(&config, is_refused_to_become_another));
}

static void staying_who_one_is_needs_no_privilege(void **state)
{
    struct lc_config config = {.user = geteuid(), .group = getegid()};

    assert_int_equal(lc_privileges_drop(&config, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_worker_loses_root_and_its_groups, only_as_root),
        cmocka_unit_test_setup(user_0_and_group_0_change_nothing, only_as_root),
        cmocka_unit_test_setup(who_is_not_root_cannot_become_somebody_else, only_as_root),
        cmocka_unit_test(staying_who_one_is_needs_no_privilege),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
