#include "config/check.h"

#include "base/mem.h"
#include "base/scoreboard.h"
#include "base/token.h"
#include "config/address.h"
#include "config/choices.h"
#include "config/networks.h"
#include "config/origins.h"
#include "config/problems.h"
#include "config/remote.h"
#include "config/scheme_headers.h"
#include "config/strings.h"
#include "config/suggest.h"
#include "config/value.h"

#include <licorne/error.h>
#include <licorne/log.h>
#include <licorne/slice.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    REQUEST_LINE_MAX = 8190,
    REQUEST_FIELDS_MAX = 32768,
    REQUEST_FIELD_SIZE = 8190,
    WORKERS_MAX = LC_SLOTS_MAX / 2, /* a reload has two generations */
};

/* `wrong(config, err, worker_class, "…", …)`: an error about one setting. */
#define wrong(config, err, name, ...)                                                    \
    lc_setting_wrong(&lc_settings[LC_SET_##name], &(config)->origins->of[LC_SET_##name], \
                     err, __VA_ARGS__)

static int refuse_what_is_missing(struct lc_config *config, struct lc_error *err)
{
    struct lc_error problems = {.code = LC_E_NONE}, why;

    for (size_t i = 0; i < LC_SETTING_COUNT; i++) {
        const struct lc_setting *setting = &lc_settings[i];

        if (setting->refused == NULL ||
            lc_value_equal(setting, config, config->origins->defaults))
            continue;
        lc_setting_wrong(setting, &config->origins->of[i], &why,
                         "not available in this version of Licorne: %s",
                         setting->refused);
        lc_problems_add(&problems, &why);
    }
    return lc_problems_tell(&problems, err);
}

static void bring_into_bounds(struct lc_config *config)
{
    /* As Gunicorn: 0 is no limit for the line, and the most for the others. */
    if (config->limit_request_line > REQUEST_LINE_MAX)
        config->limit_request_line = REQUEST_LINE_MAX;
    if (config->limit_request_fields == 0 ||
        config->limit_request_fields > REQUEST_FIELDS_MAX)
        config->limit_request_fields = REQUEST_FIELDS_MAX;
    if (config->limit_request_field_size == 0)
        config->limit_request_field_size = REQUEST_FIELD_SIZE;
}

/* Sockets belong to whom the workers become, unless somebody else is named. */
static void choose_owner_of_sockets(struct lc_config *config)
{
    if (config->origins->of[LC_SET_socket_user].kind == LC_FROM_DEFAULT)
        config->socket_user = config->user;
    if (config->origins->of[LC_SET_socket_group].kind == LC_FROM_DEFAULT)
        config->socket_group = config->group;
}

/* As Gunicorn: an empty name is none. */
static void forget_empty_names(struct lc_config *config)
{
    char **const names[] = {&config->certfile, &config->keyfile, &config->ca_certs,
                            &config->ciphers};

    for (size_t i = 0; i < LC_COUNT(names); i++)
        if (*names[i] != NULL && **names[i] == '\0') {
            free(*names[i]);
            *names[i] = NULL;
        }
}

static char *absolute(const char *dir, const char *path)
{
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    if (*path == '\0' || strcmp(path, ".") == 0)
        return lc_strdup(dir);
    if (*path == '/')
        return lc_strdup(path);
    return lc_printf("%s/%s", strcmp(dir, "/") == 0 ? "" : dir, path);
}

static bool is_directory(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Symbolic links stay: a reload then enters what "current" points to by that time. */
static int check_chdir(struct lc_config *config, struct lc_error *err)
{
    LC_AUTOFREE char *path = absolute(config->start_dir,
                                      config->chdir == NULL ? "." : config->chdir);

    if (!is_directory(path))
        return wrong(config, err, chdir, "there is no directory '%s'", path);
    free(config->chdir);
    config->chdir = lc_take(&path);
    return 0;
}

static int check_directories(struct lc_config *config, struct lc_error *err)
{
    if (config->worker_tmp_dir != NULL) {
        LC_AUTOFREE char *path = absolute(config->chdir, config->worker_tmp_dir);

        if (!is_directory(path))
            return wrong(config, err, worker_tmp_dir, "there is no directory '%s'", path);
    }
    if (config->tmp_upload_dir != NULL) {
        LC_AUTOFREE char *path = absolute(config->chdir, config->tmp_upload_dir);

        if (!is_directory(path))
            return wrong(config, err, tmp_upload_dir, "there is no directory '%s'", path);
    }
    return 0;
}

static int check_bind(struct lc_config *config, struct lc_error *err)
{
    struct lc_address address;
    struct lc_error why;

    if (config->bind.count == 0)
        return wrong(config, err, bind, "at least one address is needed");
    for (size_t i = 0; i < config->bind.count; i++)
        if (lc_address_parse(config->bind.items[i], &address, &why) < 0)
            return wrong(config, err, bind, "'%s': %s", config->bind.items[i], why.text);
    return 0;
}

static int check_metrics_bind(struct lc_config *config, struct lc_error *err)
{
    const char *spec = config->metrics_bind;
    struct lc_address address;
    struct lc_error why;

    if (spec == NULL || *spec == '\0')
        return 0;
    if (lc_address_parse(spec, &address, &why) < 0)
        return wrong(config, err, metrics_bind, "'%s': %s", spec, why.text);
    if (address.kind == LC_ADDRESS_FD || strchr(spec, ':') == NULL)
        return wrong(config, err, metrics_bind, "'%s': write HOST:PORT or unix:PATH",
                     spec);
    for (size_t i = 0; i < config->bind.count; i++)
        if (strcmp(config->bind.items[i], spec) == 0)
            return wrong(config, err, metrics_bind,
                         "'%s' is one of bind: it needs an address of its own", spec);
    return 0;
}

/* Several texts may mean the same word, which then stands for all of them. */
static bool choose(char **field, enum lc_setting_id id)
{
    const char *word = lc_choice(&lc_settings[id], *field);

    if (word == NULL)
        return false;
    free(*field);
    *field = lc_strdup(word);
    return true;
}

static int check_choices(struct lc_config *config, struct lc_error *err)
{
    if (!choose(&config->http_parser, LC_SET_http_parser))
        return wrong(config, err, http_parser, "'%s' is none of auto, fast, python",
                     config->http_parser);
    if (!choose(&config->header_map, LC_SET_header_map))
        return wrong(config, err, header_map, "'%s' is none of drop, refuse, dangerous",
                     config->header_map);
    if (!choose(&config->proxy_protocol, LC_SET_proxy_protocol))
        return wrong(config, err, proxy_protocol, "'%s' is none of off, v1, v2, auto",
                     config->proxy_protocol);
    if (!choose(&config->reload_engine, LC_SET_reload_engine))
        return wrong(config, err, reload_engine, "'%s' is none of auto, poll, inotify",
                     config->reload_engine);
    return 0;
}

/* Whom and what a proxy may speak for. */
static int check_trust(struct lc_config *config, struct lc_error *err)
{
    struct lc_networks networks;
    struct lc_scheme_headers headers;
    struct lc_error why;

    if (lc_networks_parse(config->forwarded_allow_ips, &networks, &why) < 0)
        return wrong(config, err, forwarded_allow_ips, "%s", why.text);
    lc_networks_clear(&networks);
    if (lc_networks_parse(config->proxy_allow_ips, &networks, &why) < 0)
        return wrong(config, err, proxy_allow_ips, "%s", why.text);
    lc_networks_clear(&networks);
    if (lc_scheme_headers_parse(config->secure_scheme_headers, &headers, &why) < 0)
        return wrong(config, err, secure_scheme_headers, "%s", why.text);
    lc_scheme_headers_clear(&headers);
    return 0;
}

static int check_forwarder_headers(struct lc_config *config, struct lc_error *err)
{
    struct lc_strings names = {0};
    int result = 0;

    lc_strings_split(&names, config->forwarder_headers);
    for (size_t i = 0; i < names.count && result == 0; i++)
        if (!lc_is_token(lc_slice(names.items[i])))
            result = wrong(config, err, forwarder_headers,
                           "'%s' is no name of a header field", names.items[i]);
    lc_strings_clear(&names);
    return result;
}

static int check_real_ip_header(struct lc_config *config, struct lc_error *err)
{
    const char *name = config->real_ip_header;

    if (name != NULL && *name != '\0' && !lc_is_token(lc_slice(name)))
        return wrong(config, err, real_ip_header, "'%s' is no name of a header field",
                     name);
    return 0;
}

static bool has_loggers(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[256];
    bool is_found = false;

    while (file != NULL && !is_found && fgets(line, sizeof(line), file) != NULL)
        is_found = strncmp(line, "[loggers]", strlen("[loggers]")) == 0;
    if (file != NULL)
        fclose(file);
    return is_found;
}

/* "shop.ini#main": the file must be there; it is named by its absolute path from here on. */
static int check_paste(struct lc_config *config, struct lc_error *err)
{
    if (config->paste == NULL)
        return 0;

    const char *name = config->paste + strcspn(config->paste, "#");
    LC_AUTOFREE char *given = lc_strndup(config->paste, (size_t)(name - config->paste));
    LC_AUTOFREE char *path = absolute(config->start_dir, given);
    if (access(path, R_OK) < 0)
        return wrong(config, err, paste, "%s: %s", path, strerror(errno));
    for (size_t i = 0; i < config->raw_paste_global_conf.count; i++)
        if (strchr(config->raw_paste_global_conf.items[i], '=') == NULL)
            return wrong(config, err, raw_paste_global_conf, "'%s' is not NAME=VALUE",
                         config->raw_paste_global_conf.items[i]);

    char *full = lc_printf("%s%s", path, name);
    free(config->paste);
    config->paste = full;
    if (config->logconfig == NULL && has_loggers(path))
        config->logconfig = lc_take(&path);
    return 0;
}

static int check_raw_env(struct lc_config *config, struct lc_error *err)
{
    for (size_t i = 0; i < config->raw_env.count; i++) {
        const char *entry = config->raw_env.items[i];

        if (*entry == '=' || strchr(entry, '=') == NULL)
            return wrong(config, err, raw_env, "'%s' is not NAME=VALUE", entry);
    }
    return 0;
}

/* Gunicorn's names of the same kinds, as its documentation has them. */
static const struct {
    const char *alias, *name;
} worker_classes[] = {
    {"sync", "sync"},
    {"egg:gunicorn#sync", "sync"},
    {"gunicorn.workers.sync.SyncWorker", "sync"},
    {"gthread", "gthread"},
    {"egg:gunicorn#gthread", "gthread"},
    {"gunicorn.workers.gthread.ThreadWorker", "gthread"},
};

/* What to do instead, or "". */
static void hint_for_worker_class(const char *name, char *out, size_t size)
{
    struct lc_suggestion suggestion;

    if (strstr(name, "gevent") != NULL || strstr(name, "eventlet") != NULL ||
        strstr(name, "tornado") != NULL) {
        snprintf(out, size,
                 ", of which gthread with threads = N serves N requests at a time");
        return;
    }
    if (strcmp(name, "asgi") == 0 || strstr(name, "vicorn") != NULL) {
        snprintf(out, size, ", which serve WSGI applications and no ASGI ones");
        return;
    }
    lc_suggestion_init(&suggestion, name);
    lc_suggestion_offer(&suggestion, "sync");
    lc_suggestion_offer(&suggestion, "gthread");
    lc_suggestion_text(&suggestion, out, size);
}

static int check_worker_class(struct lc_config *config, struct lc_error *err)
{
    char hint[128];

    for (size_t i = 0; i < LC_COUNT(worker_classes); i++)
        if (strcmp(config->worker_class, worker_classes[i].alias) == 0) {
            free(config->worker_class);
            config->worker_class = lc_strdup(worker_classes[i].name);
            return 0;
        }
    hint_for_worker_class(config->worker_class, hint, sizeof(hint));
    return wrong(
        config, err, worker_class,
        "'%s' is not available in this version of Licorne: only sync and gthread "
        "are%s",
        config->worker_class, hint);
}

static int check_workers(struct lc_config *config, struct lc_error *err)
{
    if (config->workers > WORKERS_MAX)
        return wrong(config, err, workers, "%lld are too many: at most %d",
                     (long long)config->workers, WORKERS_MAX);
    if (config->threads == 0 && strcmp(config->worker_class, "gthread") == 0)
        return wrong(config, err, threads, "0: a gthread worker needs at least one");
    if (config->threads == 0)
        config->threads = 1; /* as Gunicorn: sync takes no notice of it */
    if (config->threads > LC_HANDS_MAX)
        return wrong(config, err, threads, "%lld are too many: at most %d",
                     (long long)config->threads, LC_HANDS_MAX);
    if (config->worker_connections == 0)
        return wrong(config, err, worker_connections,
                     "0: a worker must be allowed at least one connection");
    return 0;
}

static int check_words(struct lc_config *config, struct lc_error *err)
{
    if (*config->errorlog == '\0')
        return wrong(config, err, errorlog, "a file, or - for stderr, is needed");
    return 0;
}

static int check_daemons(struct lc_config *config, struct lc_error *err)
{
    struct lc_remote remote;
    struct lc_error why;

    if (config->syslog &&
        (config->syslog_addr == NULL ||
         lc_remote_parse_syslog(config->syslog_addr, &remote, &why) < 0))
        return wrong(config, err, syslog_addr, "%s",
                     config->syslog_addr == NULL ? "an address is needed" : why.text);
    if (lc_syslog_facility(config->syslog_facility) < 0)
        return wrong(config, err, syslog_facility,
                     "'%s' is none of auth authpriv cron daemon ftp kern lpr mail news "
                     "security syslog user uucp local0 to local7",
                     config->syslog_facility == NULL ? "" : config->syslog_facility);
    if (config->statsd_host != NULL &&
        lc_remote_parse_statsd(config->statsd_host, &remote, &why) < 0)
        return wrong(config, err, statsd_host, "%s", why.text);
    return 0;
}

/* What the files hold is for whoever reads them to judge. */
static int check_tls(struct lc_config *config, struct lc_error *err)
{
    if (config->keyfile != NULL && config->certfile == NULL)
        return wrong(config, err, keyfile,
                     "a key needs its certificate: certfile is not set");
    if (config->cert_reqs > 2)
        return wrong(config, err, cert_reqs, "%lld is none of 0, 1, 2",
                     (long long)config->cert_reqs);
    if (config->certfile != NULL && config->cert_reqs == 2 && config->ca_certs == NULL)
        return wrong(config, err, cert_reqs,
                     "2 needs ca_certs: without authorities no client could be let in");
    if (config->certfile != NULL && config->cert_reqs == 1 && config->ca_certs == NULL)
        lc_log(LC_WARN, "cert_reqs = 1 without ca_certs: clients that show a certificate "
                        "are refused, because there is nobody to check it by");
    if (strcmp(config->ssl_version, "2") != 0)
        lc_log(LC_WARN, "ssl_version is ignored: TLS 1.2 and later are spoken");
    return 0;
}

typedef int (*check_fn)(struct lc_config *config, struct lc_error *err);

static const check_fn checks[] = {
    refuse_what_is_missing, check_chdir,   check_directories,  check_bind,
    check_metrics_bind,     check_raw_env, check_worker_class, check_paste,
    check_workers,          check_choices, check_trust,        check_forwarder_headers,
    check_real_ip_header,   check_daemons, check_tls,          check_words,
};

int lc_config_check(struct lc_config *config, struct lc_error *err)
{
    struct lc_error problems = {.code = LC_E_NONE}, why;

    bring_into_bounds(config);
    choose_owner_of_sockets(config);
    forget_empty_names(config);
    for (size_t i = 0; i < LC_COUNT(checks); i++)
        if (checks[i](config, &why) < 0)
            lc_problems_add(&problems, &why);
    return lc_problems_tell(&problems, err);
}
