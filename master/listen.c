#include "master/listen.h"

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "config/address.h"
#include "config/config.h"
#include "master/handed.h"
#include "master/signal.h"
#include "master/socket.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { ATTEMPTS = 5 }; /* a second apart, as Gunicorn */

struct lc_origin {
    struct lc_address address;
    char *file; /* a Unix socket that we made: its absolute path; else NULL */
    dev_t device;
    ino_t inode;
};

/* ---- one address ---- */

static void unlink_own(const struct lc_origin *origin)
{
    struct stat about;

    if (origin->file != NULL && lstat(origin->file, &about) == 0 &&
        about.st_dev == origin->device && about.st_ino == origin->inode)
        unlink(origin->file);
}

static int parse(struct lc_origin *origin, const char *spec, struct lc_error *err)
{
    if (lc_address_parse(spec, &origin->address, err) < 0)
        return -1;
    if (origin->address.kind == LC_ADDRESS_UNIX)
        origin->file = lc_path_absolute(origin->address.path);
    return 0;
}

static bool same_address(const struct lc_origin *a, const struct lc_origin *b)
{
    if (a->address.kind != b->address.kind)
        return false;
    switch (a->address.kind) {
    case LC_ADDRESS_TCP:
        return strcmp(a->address.host, b->address.host) == 0 &&
               a->address.port == b->address.port;
    case LC_ADDRESS_UNIX: return strcmp(a->file, b->file) == 0;
    case LC_ADDRESS_FD: return a->address.fd == b->address.fd;
    }
    return false;
}

/* What the socket itself says that it listens on. */
static int describe(struct lc_listener *listener, struct lc_error *err)
{
    struct sockaddr_storage name;
    socklen_t size = sizeof(name);
    char host[NI_MAXHOST], port[NI_MAXSERV];

    memset(&name, 0, sizeof(name));
    if (getsockname(listener->fd, (struct sockaddr *)&name, &size) < 0)
        return lc_error_sys(err, "getsockname");
    listener->is_unix = name.ss_family == AF_UNIX;
    if (listener->is_unix) {
        const struct sockaddr_un *at = (const struct sockaddr_un *)&name;
        listener->address = lc_strndup(at->sun_path, strnlen(at->sun_path, 108));
        return 0;
    }
    int rc = getnameinfo((struct sockaddr *)&name, size, host, sizeof(host), port,
                         sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
    if (rc != 0)
        return lc_error_set(err, LC_E_SYSTEM, "getnameinfo: %s", gai_strerror(rc));
    listener->address = lc_strdup(host);
    listener->port = lc_strdup(port);
    return 0;
}

/* Who it is, so that a stranger's socket that takes the path later is not removed. */
static void remember_file(struct lc_origin *origin)
{
    struct stat about;

    if (origin->file != NULL && lstat(origin->file, &about) == 0) {
        origin->device = about.st_dev;
        origin->inode = about.st_ino;
    }
}

static int open_bound(struct lc_origin *origin, const struct lc_config *config,
                      bool shares_port, struct lc_error *err)
{
    switch (origin->address.kind) {
    case LC_ADDRESS_TCP: return lc_socket_tcp(&origin->address, shares_port, err);
    case LC_ADDRESS_UNIX: return lc_socket_unix(&origin->address, config, err);
    case LC_ADDRESS_FD: return lc_socket_inherited(origin->address.fd, err);
    }
    return lc_error_set(err, LC_E_CONFIG, "an unknown kind of address");
}

static int open_socket(struct lc_listener *listener, struct lc_origin *origin,
                       const struct lc_config *config, bool shares_port,
                       struct lc_error *err)
{
    bool is_handed_over = origin->address.kind == LC_ADDRESS_FD;

    listener->fd = open_bound(origin, config, shares_port, err);
    if (listener->fd < 0)
        return -1;
    remember_file(origin);
    if (!is_handed_over && listen(listener->fd, (int)config->backlog) < 0)
        lc_error_sys(err, "listen");
    else if (describe(listener, err) == 0)
        return 0;
    unlink_own(origin);
    lc_fd_close(&listener->fd);
    return -1;
}

/* As Python prints an address: Gunicorn's users know these lines. */
static char *in_gunicorns_words(const struct lc_address *address)
{
    if (address->kind == LC_ADDRESS_TCP)
        return lc_printf("('%s', %u)", *address->host == '\0' ? "0.0.0.0" : address->host,
                         address->port);
    return lc_strdup(address->path);
}

/* At the start, another server may be about to leave the address. Nothing else heals by
 * itself. */
static int open_patiently(struct lc_listener *listener, struct lc_origin *origin,
                          const struct lc_config *config, struct lc_error *err)
{
    LC_AUTOFREE char *words = in_gunicorns_words(&origin->address);

    for (int tried = 1;
         open_socket(listener, origin, config, config->reuse_port, err) < 0; tried++) {
        if (err->sys != EADDRINUSE)
            return -1;
        lc_log(LC_ERROR, "Connection in use: %s", words);
        lc_log(LC_ERROR, "connection to %s failed: %s", words, strerror(err->sys));
        if (tried == ATTEMPTS)
            return lc_error_set(err, LC_E_CONFIG, "Can't connect to %s", words);
        lc_log(LC_DEBUG, "Retrying in 1 second.");
        if (lc_signals_pause(1000))
            return lc_error_set(err, LC_E_NONE, "told to stop");
    }
    return 0;
}

/* ---- the set ---- */

static bool has_fd(const struct lc_listeners *set, int fd)
{
    for (unsigned i = 0; set != NULL && i < set->count; i++)
        if (set->items[i].fd == fd)
            return true;
    return false;
}

/* The running socket of the same address that the new set does not hold yet. */
static bool share(struct lc_listeners *set, struct lc_listener *listener,
                  struct lc_origin *origin, const struct lc_listeners *running)
{
    for (unsigned i = 0; running != NULL && i < running->count; i++) {
        const struct lc_listener *old = &running->items[i];

        if (!same_address(origin, &running->origins[i]) || has_fd(set, old->fd))
            continue;
        listener->fd = old->fd;
        listener->is_unix = old->is_unix;
        listener->address = lc_strdup(old->address);
        listener->port = lc_strdup(old->port);
        origin->device = running->origins[i].device;
        origin->inode = running->origins[i].inode;
        return true;
    }
    return false;
}

/* The predecessor's socket of this address. */
static bool adopt(struct lc_listener *listener, struct lc_origin *origin,
                  struct lc_handed *handed)
{
    struct lc_error ignored;

    listener->fd = handed == NULL ? -1 : lc_handed_take(handed, &origin->address);
    if (listener->fd < 0)
        return false;
    if (describe(listener, &ignored) < 0) {
        lc_fd_close(&listener->fd);
        return false;
    }
    remember_file(origin);
    return true;
}

static bool names_descriptor(const char *spec)
{
    return strncmp(spec, "fd://", 5) == 0;
}

static bool has_descriptors(const struct lc_strings *bind)
{
    for (size_t i = 0; i < bind->count; i++)
        if (names_descriptor(bind->items[i]))
            return true;
    return false;
}

static int add(struct lc_listeners *set, const char *spec, const struct lc_config *config,
               const struct lc_listeners *running, struct lc_handed *handed,
               struct lc_error *err)
{
    struct lc_listener *listener = &set->items[set->count];
    struct lc_origin *origin = &set->origins[set->count];

    set->count++; /* also a half-made one: closing the set cleans it up */
    listener->fd = -1;
    listener->spec = lc_strdup(spec);

    int rc = parse(origin, spec, err);
    if (rc == 0 && !share(set, listener, origin, running) &&
        !adopt(listener, origin, handed))
        rc = running == NULL ? open_patiently(listener, origin, config, err)
                             : open_socket(listener, origin, config, true, err);
    return rc < 0 ? lc_error_wrap(err, "bind = %s", spec) : 0;
}

/* A service manager's sockets are the ones to serve, as with Gunicorn: `bind` has nothing to say. */
static int add_managed(struct lc_listeners *set, const struct lc_config *config,
                       const struct lc_listeners *running, struct lc_handed *handed,
                       struct lc_error *err)
{
    if (lc_config_has_bind(config))
        lc_log(LC_WARN, "bind is not used: the service manager handed over %u socket%s",
               handed->count, handed->count == 1 ? "" : "s");
    for (unsigned i = 0; i < handed->count; i++) {
        LC_AUTOFREE char *spec = lc_printf("fd://%d", handed->fds[i]);

        if (add(set, spec, config, running, NULL, err) < 0)
            return -1;
    }
    return 0;
}

static int add_all(struct lc_listeners *set, const struct lc_config *config,
                   const struct lc_listeners *running, struct lc_handed *handed,
                   struct lc_error *err)
{
    /* Whoever hands over sockets means those: other addresses are left alone, as Gunicorn
     * does, but not without a word. */
    bool only_descriptors = has_descriptors(&config->bind);

    for (size_t i = 0; i < config->bind.count; i++) {
        const char *spec = config->bind.items[i];

        if (only_descriptors && !names_descriptor(spec))
            lc_log(LC_WARN, "bind = %s is not used: a socket was handed over (fd://)",
                   spec);
        else if (add(set, spec, config, running, handed, err) < 0)
            return -1;
    }
    return 0;
}

/* While "127.0.0.1:8000" becomes "0.0.0.0:8000", both need the port for a moment. */
static void share_ports(const struct lc_listeners *set, bool is_shared)
{
    for (unsigned i = 0; set != NULL && i < set->count; i++)
        if (set->origins[i].address.kind == LC_ADDRESS_TCP && set->items[i].fd >= 0)
            lc_socket_share_port(set->items[i].fd, is_shared);
}

int lc_listeners_open(struct lc_listeners *set, const struct lc_config *config,
                      const struct lc_listeners *running, struct lc_handed *handed,
                      struct lc_error *err)
{
    bool is_managed = handed != NULL && handed->is_managed;
    size_t count = is_managed ? handed->count : config->bind.count;

    *set = (struct lc_listeners){
        .items = lc_calloc(count, sizeof(struct lc_listener)),
        .origins = lc_calloc(count, sizeof(struct lc_origin)),
        .is_tls = config->certfile != NULL,
    };
    share_ports(running, true);
    int rc = is_managed ? add_managed(set, config, running, handed, err)
                        : add_all(set, config, running, handed, err);
    share_ports(running, config->reuse_port);
    share_ports(set, config->reuse_port);
    if (rc < 0)
        lc_listeners_close(set, running);
    return rc;
}

void lc_listeners_close(struct lc_listeners *set, const struct lc_listeners *shared_with)
{
    for (unsigned i = 0; i < set->count; i++) {
        struct lc_listener *listener = &set->items[i];

        if (listener->fd >= 0 && !has_fd(shared_with, listener->fd)) {
            unlink_own(&set->origins[i]);
            lc_fd_close(&listener->fd);
        }
        free(listener->spec);
        free(listener->address);
        free(listener->port);
        free(set->origins[i].file);
    }
    free(set->items);
    free(set->origins);
    *set = (struct lc_listeners){0};
}

void lc_listeners_leave_files(struct lc_listeners *set)
{
    for (unsigned i = 0; i < set->count; i++) {
        free(set->origins[i].file);
        set->origins[i].file = NULL;
    }
}

void lc_listeners_drop(struct lc_listeners *set, const struct lc_listeners *own)
{
    for (unsigned i = 0; i < set->count; i++)
        if (!has_fd(own, set->items[i].fd))
            lc_fd_close(&set->items[i].fd);
}

bool lc_listeners_equal(const struct lc_listeners *a, const struct lc_listeners *b)
{
    if (a->count != b->count || a->is_tls != b->is_tls)
        return false;
    for (unsigned i = 0; i < a->count; i++)
        if (a->items[i].fd != b->items[i].fd)
            return false;
    return true;
}

char *lc_listeners_text(const struct lc_listeners *set)
{
    const char *scheme = set->is_tls ? "https" : "http";
    char *text = lc_strdup("");

    for (unsigned i = 0; i < set->count; i++) {
        const struct lc_listener *at = &set->items[i];
        const char *comma = i == 0 ? "" : ",";
        bool is_v6 = strchr(at->address, ':') != NULL;
        char *longer = at->is_unix
                           ? lc_printf("%s%sunix:%s", text, comma, at->address)
                           : lc_printf(is_v6 ? "%s%s%s://[%s]:%s" : "%s%s%s://%s:%s",
                                       text, comma, scheme, at->address, at->port);
        free(text);
        text = longer;
    }
    return text;
}

void lc_listeners_log(const struct lc_listeners *set)
{
    LC_AUTOFREE char *text = lc_listeners_text(set);

    lc_log(LC_INFO, "Listening at: %s (%d)", text, (int)getpid());
}
