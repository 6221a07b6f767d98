#include "master/control/commands.h"

#include "base/identity.h"
#include "base/mem.h"
#include "config/config.h"
#include "master/control/show.h"
#include "master/control/wait.h"
#include "master/logs.h"
#include "master/reload.h"
#include "master/state.h"
#include "master/upgrade.h"
#include "master/workers.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* A command, its words in hand. */
struct call {
    struct lc_master *m;
    char **args; /* after the command's own words */
    size_t count;
    bool waits; /* --wait was among them */
    const struct ucred *peer;
    struct lc_wait *wait;
    struct lc_error *err;
};

struct command {
    const char *words; /* one or two */
    size_t most_args;
    unsigned kind;
    json_t *(*run)(struct call *call);
    const char *usage, *text;
};

static json_t *refuse(struct call *call, const char *what, const char *word)
{
    lc_error_set(call->err, LC_E_CONFIG, "Invalid argument: %s%s", what, word);
    return NULL;
}

/* At once, or when it has come true. */
static json_t *answer(struct call *call, enum lc_wait_for what, json_t *data)
{
    if (!call->waits)
        return data;
    *call->wait = lc_wait_begin(call->m, what, data);
    return NULL;
}

/* What Python's int() takes, in int()'s words where it does not. */
static bool parse_number(struct call *call, const char *text, long *number)
{
    char *end;

    errno = 0;
    *number = strtol(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0 && *number <= INT_MAX &&
        *number >= INT_MIN)
        return true;
    lc_error_set(call->err, LC_E_CONFIG,
                 "Invalid argument: invalid literal for int() with base 10: '%s'", text);
    return false;
}

/* ---- questions ---- */

static json_t *show_workers(struct call *call)
{
    return lc_show_workers(call->m);
}
static json_t *show_all(struct call *call)
{
    return lc_show_all(call->m);
}
static json_t *show_stats(struct call *call)
{
    return lc_show_stats(call->m);
}
static json_t *show_listeners(struct call *call)
{
    return lc_show_listeners(call->m);
}
static json_t *show_config(struct call *call)
{
    return lc_show_config(call->m);
}
static json_t *show_dirty(struct call *call)
{
    return lc_show_dirty(call->m);
}
static json_t *show_requests(struct call *call)
{
    return lc_show_requests(call->m);
}
static json_t *show_metrics(struct call *call)
{
    return lc_show_metrics(call->m);
}

static json_t *metrics(struct call *call)
{
    return lc_show_exposition(call->m);
}

static json_t *ping(struct call *call)
{
    return json_pack("{s:i, s:s}", "pid", (int)getpid(), "version",
                     lc_identity_version());
}

/* ---- workers ---- */

/* By how many: one, or what the argument says; not less than one. */
static bool parse_count(struct call *call, long *count)
{
    *count = 1;
    if (call->count == 0)
        return true;
    if (!parse_number(call, call->args[0], count))
        return false;
    if (*count < 1)
        *count = 1;
    if (*count > LC_WORKERS_MAX)
        *count = LC_WORKERS_MAX;
    return true;
}

static json_t *want_workers(struct call *call, int step, const char *name)
{
    struct lc_generation *serving = call->m->serving;
    unsigned previous = serving->wanted;
    long count;

    if (!parse_count(call, &count))
        return NULL;
    for (long i = 0; i < count; i++)
        lc_workers_want(call->m, step);

    int change = (int)serving->wanted - (int)previous;
    return answer(call, LC_WAIT_WORKERS,
                  json_pack("{s:i, s:i, s:i}", name, abs(change), "previous",
                            (int)previous, "total", (int)serving->wanted));
}

static json_t *worker_add(struct call *call)
{
    return want_workers(call, +1, "added");
}

static json_t *worker_remove(struct call *call)
{
    return want_workers(call, -1, "removed");
}

static json_t *worker_kill(struct call *call)
{
    long pid;

    if (call->count == 0)
        return refuse(call, "Missing PID for worker kill", "");
    if (!parse_number(call, call->args[0], &pid))
        return NULL;
    LC_LIST_EACH (at, &call->m->workers) {
        struct lc_worker *worker = LC_CONTAINER(at, struct lc_worker, link);

        if (worker->child->pid != pid)
            continue;
        lc_worker_dismiss(call->m, worker, LC_GRACEFULLY);
        return json_pack("{s:b, s:I}", "success", 1, "killed", (json_int_t)pid);
    }
    LC_AUTOFREE char *why = lc_printf("Worker %ld not found", pid);
    return json_pack("{s:b, s:s}", "success", 0, "error", why);
}

static json_t *dirty(struct call *call)
{
    return json_pack("{s:b, s:s}", "success", 0, "error", "Dirty arbiter not running");
}

/* ---- the server ---- */

static json_t *reload(struct call *call)
{
    lc_reload(call->m);
    return answer(call, LC_WAIT_RELOAD,
                  json_pack("{s:s}", "status", call->waits ? "reloaded" : "reloading"));
}

static json_t *reopen(struct call *call)
{
    lc_logs_reopen(call->m);
    return json_pack("{s:s}", "status", "reopening");
}

static json_t *stop(struct call *call)
{
    const char *mode = call->count == 0 ? "graceful" : call->args[0];
    bool is_quick = strcasecmp(mode, "quick") == 0;

    if (!is_quick && strcasecmp(mode, "graceful") != 0)
        return refuse(call, "Unknown shutdown mode: ", mode);
    lc_master_stop(call->m, is_quick ? LC_AT_ONCE : LC_GRACEFULLY);
    return answer(call, LC_WAIT_END,
                  json_pack("{s:s, s:s}", "status",
                            call->waits ? "stopped" : "shutting_down", "mode",
                            is_quick ? "quick" : "graceful"));
}

static json_t *upgrade(struct call *call)
{
    struct lc_master *m = call->m;
    pid_t before = m->successor;

    lc_upgrade(m);
    if (m->successor == before) {
        lc_error_set(call->err, LC_E_SYSTEM, "Not upgraded: %s",
                     m->phase != LC_MASTER_RUNNING ? "the server stops"
                     : lc_upgrade_is_under_way(m)  ? "an upgrade is under way"
                                                   : "the error log says why");
        return NULL;
    }
    return json_pack("{s:s, s:i}", "status", "upgrading", "pid", (int)m->successor);
}

/* ---- the list ---- */

static json_t *help(struct call *call);

enum { IS_QUESTION = 0, IS_ORDER = 1, MAY_WAIT = 2 };

static const struct command commands[] = {
    {"show all", 0, IS_QUESTION, show_all, "show all", "the master and all workers"},
    {"show workers", 0, IS_QUESTION, show_workers, "show workers", "the workers"},
    {"show requests", 0, IS_QUESTION, show_requests, "show requests",
     "the requests that workers have in hand"},
    {"show stats", 0, IS_QUESTION, show_stats, "show stats",
     "what the server has done so far"},
    {"show metrics", 0, IS_QUESTION, show_metrics, "show metrics",
     "every counter, of each worker and of all"},
    {"show listeners", 0, IS_QUESTION, show_listeners, "show listeners",
     "the sockets it listens on"},
    {"show config", 0, IS_QUESTION, show_config, "show config", "the settings in force"},
    {"show dirty", 0, IS_QUESTION, show_dirty, "show dirty",
     "dirty workers (there are none)"},
    {"worker add", 1, IS_ORDER | MAY_WAIT, worker_add, "worker add [N] [--wait]",
     "N more workers, or one"},
    {"worker remove", 1, IS_ORDER | MAY_WAIT, worker_remove, "worker remove [N] [--wait]",
     "N workers less, or one; the last one stays"},
    {"worker kill", 1, IS_ORDER, worker_kill, "worker kill PID",
     "let one worker finish and put another in its place"},
    {"dirty add", 1, IS_QUESTION, dirty, "dirty add [N]", "there are no dirty workers"},
    {"dirty remove", 1, IS_QUESTION, dirty, "dirty remove [N]",
     "there are no dirty workers"},
    {"reload", 0, IS_ORDER | MAY_WAIT, reload, "reload [--wait]",
     "read the configuration and start new workers"},
    {"reopen", 0, IS_ORDER, reopen, "reopen",
     "open the log files anew, after a rotation"},
    {"upgrade", 0, IS_ORDER, upgrade, "upgrade",
     "start a new master from the program on disk"},
    {"shutdown", 1, IS_ORDER | MAY_WAIT, stop, "shutdown [graceful|quick] [--wait]",
     "finish the requests in hand, then stop; quick: at once"},
    {"metrics", 0, IS_QUESTION, metrics, "metrics",
     "every counter, as Prometheus reads it"},
    {"ping", 0, IS_QUESTION, ping, "ping", "is the server there?"},
    {"help", 0, IS_QUESTION, help, "help", "these commands"},
};

static json_t *help(struct call *call)
{
    json_t *usages = json_object();

    for (size_t i = 0; i < LC_COUNT(commands); i++)
        json_object_set_new(usages, commands[i].usage, json_string(commands[i].text));
    return json_pack("{s:o}", "commands", usages);
}

/* ---- from words to a command ---- */

/* How many words of the request are the command's; 0: it is another one. */
static size_t matches(const struct command *command, char **words, size_t count)
{
    const char *rest = command->words;
    size_t used = 0;

    for (; *rest != '\0'; used++) {
        size_t len = strcspn(rest, " ");

        if (used == count || strlen(words[used]) != len ||
            strncasecmp(words[used], rest, len) != 0)
            return 0;
        rest += len + strspn(rest + len, " ");
    }
    return used;
}

static json_t *not_understood(struct call *call, char **words, size_t count)
{
    const char *second = count > 1 ? words[1] : NULL;

    if (strcasecmp(words[0], "show") == 0)
        return second != NULL ? refuse(call, "Unknown show target: ", second)
                              : refuse(call, "Missing show target ",
                                       "(all|workers|dirty|config|stats|listeners)");
    if (strcasecmp(words[0], "worker") == 0)
        return second != NULL
                   ? refuse(call, "Unknown worker action: ", second)
                   : refuse(call, "Missing worker action (add|remove|kill)", "");
    if (strcasecmp(words[0], "dirty") == 0)
        return second != NULL ? refuse(call, "Unknown dirty action: ", second)
                              : refuse(call, "Missing dirty action (add|remove)", "");
    return refuse(call, "Unknown command: ", words[0]);
}

static json_t *run(const struct command *command, struct call *call)
{
    if (call->waits && !(command->kind & MAY_WAIT))
        return refuse(call, "nothing to wait for: ", command->words);
    if (call->count > command->most_args)
        return refuse(call, "Too many words: ", call->args[command->most_args]);
    if (command->kind & IS_ORDER)
        lc_log(LC_INFO, "Control: %s%s%.100s (by pid:%d, uid:%u)", command->words,
               call->count > 0 ? " " : "", call->count > 0 ? call->args[0] : "",
               (int)call->peer->pid, (unsigned)call->peer->uid);
    return command->run(call);
}

/* Takes --wait out of the words, which may stand anywhere. */
static size_t take_wait(char **words, size_t count, bool *waits)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(words[i], "--wait") == 0)
            *waits = true;
        else
            words[kept++] = words[i];
    }
    return kept;
}

json_t *lc_command_run(struct lc_master *m, const struct lc_strings *asked,
                       const struct ucred *peer, struct lc_wait *wait,
                       struct lc_error *err)
{
    LC_AUTOFREE char **words = lc_calloc(asked->count, sizeof(*words));
    struct call call = {.m = m, .peer = peer, .wait = wait, .err = err};

    memcpy(words, asked->items, asked->count * sizeof(*words));
    size_t count = take_wait(words, asked->count, &call.waits);
    if (count == 0)
        return refuse(&call, "Unknown command: ", "--wait");
    for (size_t i = 0; i < LC_COUNT(commands); i++) {
        size_t used = matches(&commands[i], words, count);

        if (used == 0)
            continue;
        call.args = words + used;
        call.count = count - used;
        return run(&commands[i], &call);
    }
    return not_understood(&call, words, count);
}
