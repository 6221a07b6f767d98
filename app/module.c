#include "app/module.h"

#include "base/fd.h"
#include "base/mem.h"

#include <licorne/error.h>
#include <licorne/module.h>

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static const char *file_name(const char *path)
{
    return strrchr(path, '/') + 1;
}

/* The loader's own words for these are "invalid ELF header" and, for a missing file, the same
 * as for a missing library of a file that is there. */
static int check_file(const char *path, struct lc_error *err)
{
    char magic[SELFMAG] = {0};
    LC_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return lc_error_set(err, LC_E_APP_LOAD, "there is no file %s", path);
    if (fd < 0 || read(fd, magic, sizeof(magic)) < 0)
        return lc_error_set(err, LC_E_APP_LOAD, "%s: %s", path, strerror(errno));
    if (memcmp(magic, ELFMAG, SELFMAG) != 0)
        return lc_error_set(err, LC_E_APP_LOAD, "%s is not a shared object (ELF file)",
                            path);
    return 0;
}

static int check_module(const char *path, const struct lc_module *module,
                        struct lc_error *err)
{
    const char *file = file_name(path);

    /* The number is the first field for ever; no other may be looked at before it fits. */
    if (module->abi != LC_ABI)
        return lc_error_set(err, LC_E_APP_LOAD,
                            "%s was built for interface %u, this is %u: build it again",
                            file, module->abi, LC_ABI);
    if (module->name == NULL || module->name[0] == '\0')
        return lc_error_set(err, LC_E_APP_LOAD, "%s does not say its .name", file);
    if ((module->routes == NULL) == (module->app == NULL))
        return lc_error_set(err, LC_E_APP_LOAD,
                            "%s must bring either .routes or a kind of .app", file);
    return 0;
}

const struct lc_module *lc_module_load(const char *path, struct lc_error *err)
{
    if (check_file(path, err) < 0)
        return NULL;

    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (object == NULL) {
        lc_error_set(err, LC_E_APP_LOAD, "cannot load %s", dlerror());
        return NULL;
    }
    const struct lc_module *module = dlsym(object, LC_MODULE_SYMBOL);
    if (module == NULL) {
        lc_error_set(err, LC_E_APP_LOAD,
                     "%s does not export " LC_MODULE_SYMBOL ": it is no module",
                     file_name(path));
        goto refuse;
    }
    if (check_module(path, module, err) < 0)
        goto refuse;
    return module;
refuse:
    dlclose(object);
    return NULL;
}

/* "…/bin/licorne" → "…/bin/../lib/licorne/plugins/NAME"; NULL without /proc. */
static char *beside_program(const char *name)
{
    char program[4096];
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);

    if (len <= 0)
        return NULL;
    program[len] = '\0';
    *strrchr(program, '/') = '\0';
    return lc_printf("%s/../lib/licorne/plugins/%s", program, name);
}

const struct lc_module *lc_module_load_plugin(const char *name, const char *package,
                                              struct lc_error *err)
{
    LC_AUTOFREE char *beside = beside_program(name);
    LC_AUTOFREE char *installed = lc_printf("%s/%s", LICORNE_PLUGIN_DIR, name);

    /* One that is there but cannot be loaded is an error, no reason to look further. */
    if (beside != NULL && access(beside, F_OK) == 0)
        return lc_module_load(beside, err);
    if (access(installed, F_OK) == 0)
        return lc_module_load(installed, err);
    lc_error_set(err, LC_E_APP_LOAD,
                 "the plugin %s is neither in %.*s nor in %s: install the package %s",
                 name, beside == NULL ? 0 : (int)(file_name(beside) - beside - 1),
                 beside == NULL ? "" : beside, LICORNE_PLUGIN_DIR, package);
    return NULL;
}
