#include "master/actions.h"

#include "base/fork.h"
#include "base/identity.h"
#include "base/inherit.h"
#include "base/scoreboard.h"
#include "config/config.h"
#include "master/certificates.h"
#include "master/master.h"
#include "master/workers.h"

#include <licorne/error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int lc_refuse(const struct lc_error *err)
{
    fflush(stdout);
    if (err->code == LC_E_USAGE) {
        lc_config_usage(stderr);
        fprintf(stderr, "%s: error: %s\n", lc_identity_name(), err->text);
        return 2;
    }
    fprintf(stderr, "\nError: %s\n", err->text);
    return 1;
}

int lc_config_require(const struct lc_config *config, struct lc_error *err)
{
    if (config->app == NULL)
        return lc_error_set(err, LC_E_CONFIG, "No application module specified.");
    if (config->workers > LC_WORKERS_MAX)
        return lc_error_set(err, LC_E_CONFIG, "workers = %lld: there can be at most %d",
                            (long long)config->workers, LC_WORKERS_MAX);
    return 0;
}

/* In a process of its own: the application's code must not run in this one. */
static int check_application(const struct lc_config *config, const struct lc_role *worker)
{
    int status;

    if (worker->check == NULL)
        return 0;
    fflush(NULL);
    pid_t pid = lc_fork();
    if (pid == 0)
        exit(worker->check(config) == 0 ? 0 : 1);
    if (pid < 0) {
        perror("licorne: fork");
        return 1;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(status))
        fprintf(stderr, "\nError: the application ended by signal %d while loading\n",
                WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

static int check_certificates(const struct lc_config *config,
                              const struct lc_role *worker, struct lc_error *err)
{
    struct lc_certificates *certificates;

    if (lc_certificates_read(&certificates, config, worker, err) < 0)
        return -1;
    lc_certificates_warn(certificates);
    lc_certificates_destroy(certificates);
    return 0;
}

static int check(const struct lc_config *config, const struct lc_roles *roles,
                 bool is_printed)
{
    struct lc_error err = {0};

    if (lc_config_require(config, &err) < 0)
        return lc_refuse(&err);
    if (is_printed)
        lc_config_print(config, stdout);
    if (lc_config_apply(config, &err) < 0 ||
        check_certificates(config, roles->worker, &err) < 0)
        return lc_refuse(&err);
    return check_application(config, roles->worker);
}

static int print_version(void)
{
    printf("%s (version %s)\n", lc_identity_name(), lc_identity_version());
    return 0;
}

int lc_action_run(const struct lc_config *config, const struct lc_roles *roles)
{
    switch (config->action) {
    case LC_ACTION_HELP: lc_config_help(stdout); return 0;
    case LC_ACTION_VERSION: return print_version();
    case LC_ACTION_CHECK: return check(config, roles, false);
    case LC_ACTION_PRINT: return check(config, roles, true);
    case LC_ACTION_SERVE: break;
    }
    return 0;
}
