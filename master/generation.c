#include "master/generation.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "config/config.h"
#include "master/certificates.h"
#include "master/pidfile.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <string.h>
#include <unistd.h>

struct lc_generation *lc_generation_create(struct lc_master *m, struct lc_config *config)
{
    struct lc_generation *generation = lc_new(struct lc_generation);

    generation->number = ++m->last_generation;
    generation->config = config;
    generation->wanted = (unsigned)config->workers;
    generation->since_ms = lc_clock_ms();
    return generation;
}

void lc_generation_destroy(struct lc_generation *generation,
                           const struct lc_generation *survivor)
{
    if (generation == NULL)
        return;
    lc_generation_close(generation, survivor);
    lc_certificates_destroy(generation->certificates);
    lc_config_destroy(generation->config);
    free(generation);
}

static bool has_pidfile(const struct lc_generation *generation, const char *path)
{
    return generation != NULL && generation->pidfile != NULL &&
           strcmp(generation->pidfile, path) == 0;
}

int lc_generation_check_pidfile(const struct lc_generation *generation,
                                struct lc_error *err)
{
    if (generation->config->pidfile == NULL)
        return 0;
    LC_AUTOFREE char *path = lc_path_absolute(generation->config->pidfile);
    return lc_pidfile_check(path, getpid(), err);
}

/* Sets the path only when the file is there: closing removes no stranger's. */
int lc_generation_open_pidfile(struct lc_generation *generation,
                               const struct lc_generation *running, bool is_second,
                               struct lc_error *err)
{
    if (generation->config->pidfile == NULL)
        return 0;

    LC_AUTOFREE char *plain = lc_path_absolute(generation->config->pidfile);
    LC_AUTOFREE char *path = lc_printf("%s%s", plain, is_second ? ".2" : "");
    if (!has_pidfile(running, path) && lc_pidfile_create(path, getpid(), err) < 0)
        return -1;
    generation->pidfile = lc_take(&path);
    return 0;
}

int lc_generation_promote_pidfile(struct lc_generation *generation, struct lc_error *err)
{
    if (generation->pidfile == NULL)
        return 0;

    size_t len = strlen(generation->pidfile) - strlen(".2");
    LC_AUTOFREE char *path = lc_strndup(generation->pidfile, len);
    /* Whoever stands in there is the old master, perhaps not buried yet. */
    if (lc_pidfile_write(path, getpid(), err) < 0)
        return -1;
    lc_pidfile_remove(generation->pidfile, getpid());
    free(generation->pidfile);
    generation->pidfile = lc_take(&path);
    return 0;
}

int lc_generation_listen(struct lc_generation *generation,
                         const struct lc_generation *running, struct lc_handed *handed,
                         struct lc_error *err)
{
    return lc_listeners_open(&generation->listeners, generation->config,
                             running == NULL ? NULL : &running->listeners, handed, err);
}

void lc_generation_close(struct lc_generation *generation,
                         const struct lc_generation *survivor)
{
    if (generation->pidfile != NULL && !has_pidfile(survivor, generation->pidfile))
        lc_pidfile_remove(generation->pidfile, getpid());
    free(generation->pidfile);
    generation->pidfile = NULL;
    lc_listeners_close(&generation->listeners,
                       survivor == NULL ? NULL : &survivor->listeners);
}

int lc_generation_take_on(const struct lc_generation *to,
                          const struct lc_generation *from, struct lc_error *err)
{
    if (to == from)
        return 0;
    if (from != NULL) {
        lc_config_unapply(from->config);
        if (chdir(from->config->start_dir) < 0)
            return lc_error_sys(err, "chdir to '%s'", from->config->start_dir);
    }
    return to == NULL ? 0 : lc_config_apply(to->config, err);
}
