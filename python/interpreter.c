#include "python/interpreter.h"

#include "python/bridge.h"

#include <licorne/app.h>
#include <licorne/error.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX = 16384, ANSWER_LIMIT_MS = 15000, OLDEST_MINOR = 8 };

/* Runs on any Python, also on those that are then refused by name. Without `site` and the
 * environment's PYTHON* it is quick, and nothing of the user's can get in between; the current
 * folder is taken from the path because it may hold a sysconfig.py. */
static const char question[] =
    "import sys\n"
    "sys.path[:] = [p for p in sys.path if p]\n"
    "import sysconfig\n"
    "v = sysconfig.get_config_var\n"
    "implementation = getattr(sys, 'implementation', None)\n"
    "base = getattr(sys, 'base_prefix', sys.prefix)\n"
    "out = [('executable', sys.executable), ('version', '%d.%d.%d' % "
    "sys.version_info[:3]),\n"
    "       ('implementation', getattr(implementation, 'name', '')), ('base_prefix', "
    "base),\n"
    "       ('library', v('INSTSONAME')), ('libdir', v('LIBDIR')), ('libpl', "
    "v('LIBPL')),\n"
    "       ('multiarch', v('MULTIARCH')), ('free_threaded', v('Py_GIL_DISABLED') or "
    "'')]\n"
    "sys.stdout.write(''.join('licorne %s=%s\\n' % (k, '' if x is None else x)\n"
    "                         for k, x in out))\n";

/* Where the interpreter was looked for, in the administrator's words. */
struct wish {
    char path[PATH_MAX];
    char from[PATH_MAX + 64]; /* "python = /srv/venv", "VIRTUAL_ENV = /srv/venv" */
};

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_runnable(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool join(char *path, size_t size, const char *folder, const char *name)
{
    int len = snprintf(path, size, "%s/%s", folder, name);

    return len >= 0 && (size_t)len < size;
}

static int find_in_folder(struct wish *wish, const char *folder, struct lc_error *err)
{
    static const char *const names[] = {"bin/python3", "bin/python"};

    if (access(folder, F_OK) < 0)
        return lc_error_set(err, LC_E_BOOT, "%s: no such virtual environment (%s)",
                            wish->from, strerror(errno));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (join(wish->path, sizeof(wish->path), folder, names[i]) &&
            is_runnable(wish->path))
            return 0;
    return lc_error_set(err, LC_E_BOOT,
                        "%s: not a virtual environment: there is no %s/bin/python3 that "
                        "can be run",
                        wish->from, folder);
}

static int find_on_path(struct wish *wish, const char *name, struct lc_error *err)
{
    const char *folders = getenv("PATH");

    if (folders == NULL || folders[0] == '\0')
        folders = "/usr/local/bin:/usr/bin:/bin";
    for (const char *at = folders; *at != '\0';) {
        size_t len = strcspn(at, ":");
        char folder[PATH_MAX];

        /* An empty entry would mean the current folder: never run what lies there. */
        if (len > 0 && len < sizeof(folder)) {
            memcpy(folder, at, len);
            folder[len] = '\0';
            if (join(wish->path, sizeof(wish->path), folder, name) &&
                is_runnable(wish->path))
                return 0;
        }
        at += len + (at[len] == ':');
    }
    return lc_error_set(err, LC_E_BOOT,
                        "%s: there is no %s on PATH (%s); install Python 3.%d or newer, "
                        "or say which one to serve with `python`",
                        wish->from, name, folders, OLDEST_MINOR);
}

static int find(const struct lc_app_options *options, struct wish *wish,
                struct lc_error *err)
{
    const char *python = options->python;
    const char *environment = getenv("VIRTUAL_ENV");

    if (python != NULL && python[0] != '\0') {
        snprintf(wish->from, sizeof(wish->from), "python = %s", python);
        if (strchr(python, '/') == NULL && !is_folder(python))
            return find_on_path(wish, python, err);
        if (is_folder(python))
            return find_in_folder(wish, python, err);
        if (access(python, F_OK) < 0)
            return lc_error_set(err, LC_E_BOOT,
                                "%s: no such interpreter or virtual environment (%s)",
                                wish->from, strerror(errno));
        snprintf(wish->path, sizeof(wish->path), "%s", python);
        return 0;
    }
    if (environment != NULL && environment[0] != '\0') {
        snprintf(wish->from, sizeof(wish->from), "VIRTUAL_ENV = %s", environment);
        return find_in_folder(wish, environment, err);
    }
    snprintf(wish->from, sizeof(wish->from), "no `python` is set and no VIRTUAL_ENV");
    return find_on_path(wish, "python3", err);
}

/* Starts the interpreter with both outputs going to `out`. Returns an errno value. */
static int spawn(const char *path, int out, pid_t *pid)
{
    char *const argv[] = {(char *)path, (char *)"-E",     (char *)"-s", (char *)"-S",
                          (char *)"-c", (char *)question, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, all;

    /* A group of its own: a version manager's shim is a shell with children. The worker's
     * signal mask and ignored signals are none of the interpreter's business. */
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&how);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                       POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDERR_FILENO);

    int sys = posix_spawn(pid, path, &files, &how, argv, environ);

    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    return sys;
}

static long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reads until end of file. Returns the length, or -1 when the time is over. */
static ssize_t read_answer(int fd, char *answer, size_t size)
{
    long until = now_ms() + ANSWER_LIMIT_MS;
    size_t len = 0;

    for (;;) {
        char beyond[512];
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        long left = until - now_ms();

        if (left <= 0)
            return -1;
        if (poll(&ready, 1, (int)left) <= 0)
            continue;

        /* What does not fit is read all the same, so that the child can end. */
        bool is_full = len == size - 1;
        ssize_t n = is_full ? read(fd, beyond, sizeof(beyond))
                            : read(fd, answer + len, size - 1 - len);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            break;
        if (!is_full)
            len += (size_t)n;
    }
    answer[len] = '\0';
    return (ssize_t)len;
}

/* The last line that is not empty: where Python and shells put what matters. */
static const char *last_line(char *text)
{
    char *end = text + strlen(text);

    while (end > text && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' '))
        *--end = '\0';
    char *newline = strrchr(text, '\n');
    return newline == NULL ? text : newline + 1;
}

static int reap(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 0; /* somebody else reaped it: its answer will tell */
    return status;
}

static int complain(const struct wish *wish, int status, char *answer,
                    struct lc_error *err)
{
    const char *said = last_line(answer);

    if (WIFSIGNALED(status))
        return lc_error_set(err, LC_E_BOOT, "%s: %s died of signal %d (%s)", wish->from,
                            wish->path, WTERMSIG(status), strsignal(WTERMSIG(status)));
    return lc_error_set(err, LC_E_BOOT, "%s: %s cannot be run as a Python: %s",
                        wish->from, wish->path,
                        said[0] == '\0' ? "it says nothing" : said);
}

/* Runs the interpreter once; `answer` gets what it says. */
static int ask(const struct wish *wish, char *answer, size_t size, struct lc_error *err)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return lc_error_sys(err, "pipe");

    int sys = spawn(wish->path, ends[1], &pid);
    close(ends[1]);
    if (sys != 0) {
        close(ends[0]);
        return lc_error_set(err, LC_E_BOOT, "%s: cannot run %s: %s", wish->from,
                            wish->path, strerror(sys));
    }

    ssize_t len = read_answer(ends[0], answer, size);
    close(ends[0]);
    if (len < 0)
        kill(-pid, SIGKILL);

    int status = reap(pid);
    if (len < 0)
        return lc_error_set(err, LC_E_BOOT, "%s: %s did not say its version within %d s",
                            wish->from, wish->path, ANSWER_LIMIT_MS / 1000);
    if (status != 0)
        return complain(wish, status, answer, err);
    return 0;
}

/* The value of "licorne key=value", copied; "" when there is no such line. */
static char *answered(const char *answer, const char *key)
{
    char line[64];
    const char *at = answer;

    snprintf(line, sizeof(line), "licorne %s=", key);
    while ((at = strstr(at, line)) != NULL && at != answer && at[-1] != '\n')
        at++;
    if (at == NULL)
        return strdup("");
    at += strlen(line);
    return strndup(at, strcspn(at, "\n"));
}

static struct lc_interpreter *understand(const char *answer)
{
    struct lc_interpreter *i = calloc(1, sizeof(*i));

    if (i == NULL)
        return NULL;

    char *implementation = answered(answer, "implementation");
    char *free_threaded = answered(answer, "free_threaded");

    i->executable = answered(answer, "executable");
    i->version = answered(answer, "version");
    i->base_prefix = answered(answer, "base_prefix");
    i->library = answered(answer, "library");
    i->libdir = answered(answer, "libdir");
    i->libpl = answered(answer, "libpl");
    i->multiarch = answered(answer, "multiarch");
    i->is_cpython = implementation != NULL && strcmp(implementation, "cpython") == 0;
    i->is_free_threaded = free_threaded != NULL && strcmp(free_threaded, "1") == 0;
    free(implementation);
    free(free_threaded);

    if (i->executable == NULL || i->version == NULL || i->base_prefix == NULL ||
        i->library == NULL || i->libdir == NULL || i->libpl == NULL ||
        i->multiarch == NULL) {
        lc_interpreter_close(i);
        return NULL;
    }

    char *rest;
    i->major = (int)strtol(i->version, &rest, 10);
    i->minor = *rest == '.' ? (int)strtol(rest + 1, NULL, 10) : 0;
    return i;
}

/* Refuses what cannot be served, in one line that says what to do. */
static int judge(const struct lc_interpreter *i, const struct wish *wish,
                 struct lc_error *err)
{
    if (i->major == 0)
        return lc_error_set(err, LC_E_BOOT, "%s: %s does not behave like a Python",
                            wish->from, wish->path);
    if (i->major != 3 || i->minor < OLDEST_MINOR)
        return lc_error_set(err, LC_E_BOOT,
                            "%s: %s is Python %s; 3.%d or newer is needed", wish->from,
                            wish->path, i->version, OLDEST_MINOR);
    if (!i->is_cpython)
        return lc_error_set(err, LC_E_BOOT,
                            "%s: %s is not CPython, the only Python that can be served",
                            wish->from, wish->path);
    if (i->is_free_threaded)
        return lc_error_set(
            err, LC_E_BOOT,
            "%s: %s is a free-threaded build of Python %s, which cannot be "
            "served; use the ordinary build",
            wish->from, wish->path, i->version);
    return 0;
}

struct lc_interpreter *lc_interpreter_open(const struct lc_app_options *options,
                                           struct lc_error *err)
{
    struct wish wish;
    char answer[ANSWER_MAX];

    if (find(options, &wish, err) < 0 || ask(&wish, answer, sizeof(answer), err) < 0)
        return NULL;

    struct lc_interpreter *interpreter = understand(answer);
    if (interpreter == NULL) {
        lc_error_set(err, LC_E_BOOT, "out of memory");
        return NULL;
    }
    if (judge(interpreter, &wish, err) < 0) {
        lc_interpreter_close(interpreter);
        return NULL;
    }
    return interpreter;
}

void lc_interpreter_close(struct lc_interpreter *interpreter)
{
    if (interpreter == NULL)
        return;
    free(interpreter->executable);
    free(interpreter->version);
    free(interpreter->base_prefix);
    free(interpreter->library);
    free(interpreter->libdir);
    free(interpreter->libpl);
    free(interpreter->multiarch);
    free(interpreter);
}

/* 1 loaded, 0 not there, -1 there but broken. */
static int try_library(const char *path, struct lc_error *err)
{
    if (access(path, F_OK) < 0)
        return 0;
    if (dlopen(path, RTLD_NOW | RTLD_GLOBAL) != NULL)
        return 1;
    return lc_error_set(err, LC_E_BOOT, "cannot load Python's library: %s", dlerror());
}

static int lacks_library(const struct lc_interpreter *i, struct lc_error *err)
{
    return lc_error_set(
        err, LC_E_BOOT,
        "%s (Python %s) has no shared libpython%d.%d, which is needed to serve it: "
        "install "
        "the package libpython%d.%d (Debian, Ubuntu) or python3-libs (Fedora), or build "
        "this Python with --enable-shared",
        i->executable, i->version, i->major, i->minor, i->major, i->minor);
}

int lc_interpreter_load(const struct lc_interpreter *interpreter, struct lc_error *err)
{
    const struct lc_interpreter *i = interpreter;
    char paths[4][PATH_MAX];

    /* A static build names its archive here. */
    if (strstr(i->library, ".so") == NULL)
        return lacks_library(i, err);

    /* sysconfig tells where the library lay when Python was built; a Python that was moved
     * (conda, uv) has it under its own prefix. */
    snprintf(paths[0], PATH_MAX, "%s/lib/%s", i->base_prefix, i->library);
    snprintf(paths[1], PATH_MAX, "%s/%s", i->libdir, i->library);
    snprintf(paths[2], PATH_MAX, "%s/%s/%s", i->libdir, i->multiarch, i->library);
    snprintf(paths[3], PATH_MAX, "%s/%s", i->libpl, i->library);
    for (size_t n = 0; n < sizeof(paths) / sizeof(paths[0]); n++) {
        int loaded = try_library(paths[n], err);

        if (loaded != 0)
            return loaded < 0 ? -1 : 0;
    }
    /* Debian puts it where only the dynamic linker looks. */
    if (dlopen(i->library, RTLD_NOW | RTLD_GLOBAL) != NULL)
        return 0;
    return lacks_library(i, err);
}
