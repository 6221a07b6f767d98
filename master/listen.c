#include "master/listen.h"

#include "base/fd.h"
#include "base/mem.h"
#include "config/address.h"
#include "config/config.h"
#include "master/signal.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct lc_origin {
    struct lc_address address;
    char *file; /* a Unix socket that we made: its absolute path; else NULL */
    dev_t device;
    ino_t inode;
};

/* ---- TCP ---- */

static int resolve(const struct lc_address *address, struct addrinfo **found,
                   struct lc_error *err)
{
    LC_AUTOFREE char *port = lc_printf("%u", address->port);
    const char *host = *address->host == '\0' ? "0.0.0.0" : address->host;
    /* A name stands for IPv4, as with Gunicorn; IPv6 is given as a literal. */
    struct addrinfo hints = {
        .ai_family = strchr(host, ':') != NULL ? AF_INET6 : AF_INET,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
    };
    int rc = getaddrinfo(host, port, &hints, found);

    if (rc != 0)
        return lc_error_set(err, LC_E_CONFIG, "host '%s': %s", host,
                            rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
    return 0;
}

static int set_option(int fd, int level, int option, const char *name,
                      struct lc_error *err)
{
    int on = 1;

    if (setsockopt(fd, level, option, &on, sizeof(on)) < 0)
        return lc_error_sys(err, "setsockopt %s", name);
    return 0;
}

static int bind_tcp(const struct addrinfo *to, struct lc_error *err)
{
    LC_AUTOCLOSE int fd = socket(to->ai_family,
                                 SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return lc_error_sys(err, "socket");
    if (set_option(fd, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY", err) < 0 ||
        set_option(fd, SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR", err) < 0)
        return -1;
    if (bind(fd, to->ai_addr, to->ai_addrlen) < 0)
        return lc_error_sys(err, "bind");
    return lc_fd_take(&fd);
}

static int open_tcp(const struct lc_address *address, struct lc_error *err)
{
    struct addrinfo *found;

    if (resolve(address, &found, err) < 0)
        return -1;
    int fd = bind_tcp(found, err);
    freeaddrinfo(found);
    return fd;
}

/* ---- Unix sockets ---- */

static struct sockaddr_un unix_name(const struct lc_address *address)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    _Static_assert(sizeof(name.sun_path) >= sizeof(address->path), "a path must fit");
    memcpy(name.sun_path, address->path, sizeof(address->path));
    return name;
}

/* Makes way for a new socket at the path: 0 if nothing is in the way any more. */
static int remove_stale(const struct sockaddr_un *name, struct lc_error *err)
{
    struct stat about;

    if (lstat(name->sun_path, &about) < 0)
        return errno == ENOENT ? 0 : lc_error_sys(err, "'%s'", name->sun_path);
    if (!S_ISSOCK(about.st_mode))
        return lc_error_set(err, LC_E_CONFIG, "'%s' is not a socket", name->sun_path);

    LC_AUTOCLOSE int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                                    0);
    if (probe < 0)
        return lc_error_sys(err, "socket");
    /* Only a refusal proves that nobody listens. A full backlog (EAGAIN), say, is a sign of
     * life, and the socket of a living server must not be stolen. */
    if (connect(probe, (const struct sockaddr *)name, sizeof(*name)) == 0 ||
        (errno != ECONNREFUSED && errno != ENOENT)) {
        errno = EADDRINUSE;
        return lc_error_sys(err, "bind");
    }
    if (unlink(name->sun_path) < 0 && errno != ENOENT)
        return lc_error_sys(err, "'%s': unlink", name->sun_path);
    return 0;
}

static int give_to_user(const char *path, const struct lc_config *config,
                        struct lc_error *err)
{
    uid_t uid = (uid_t)config->user;
    gid_t gid = (gid_t)config->group;

    if (uid == geteuid() && gid == getegid())
        return 0;
    if (chown(path, uid, gid) < 0)
        return lc_error_sys(err, "'%s': chown to user %d, group %d", path, (int)uid,
                            (int)gid);
    return 0;
}

static int open_unix(struct lc_origin *origin, const struct lc_config *config,
                     struct lc_error *err)
{
    struct sockaddr_un name = unix_name(&origin->address);
    struct stat about;

    if (remove_stale(&name, err) < 0)
        return -1;
    LC_AUTOCLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return lc_error_sys(err, "socket");

    mode_t kept = umask((mode_t)config->umask);
    int rc = bind(fd, (const struct sockaddr *)&name, sizeof(name));
    umask(kept);
    if (rc < 0)
        return lc_error_sys(err, "bind");
    if (lstat(name.sun_path, &about) < 0)
        return lc_error_sys(err, "'%s'", name.sun_path);
    if (give_to_user(name.sun_path, config, err) < 0) {
        unlink(name.sun_path);
        return -1;
    }
    origin->device = about.st_dev;
    origin->inode = about.st_ino;
    return lc_fd_take(&fd);
}

static void unlink_own(const struct lc_origin *origin)
{
    struct stat about;

    if (origin->file != NULL && lstat(origin->file, &about) == 0 &&
        about.st_dev == origin->device && about.st_ino == origin->inode)
        unlink(origin->file);
}

/* ---- inherited descriptors ---- */

static bool has_option(int fd, int option, int wanted)
{
    int value = 0;
    socklen_t size = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

static int take_inherited(int fd, struct lc_error *err)
{
    int flags = fcntl(fd, F_GETFD);

    /* What the program opened itself is close-on-exec; what it was given cannot be. */
    if (flags < 0 || (flags & FD_CLOEXEC))
        return lc_error_set(err, LC_E_CONFIG, "descriptor %d was not handed over", fd);
    if (!has_option(fd, SO_TYPE, SOCK_STREAM) || !has_option(fd, SO_ACCEPTCONN, 1))
        return lc_error_set(err, LC_E_CONFIG,
                            "descriptor %d is not a listening stream socket", fd);
    if (lc_fd_set_nonblocking(fd) < 0 || lc_fd_set_cloexec(fd, 1) < 0)
        return lc_error_sys(err, "fcntl");
    return fd;
}

/* ---- one address ---- */

static char *absolute(const char *path)
{
    LC_AUTOFREE char *folder = NULL;

    if (*path == '/' || (folder = getcwd(NULL, 0)) == NULL)
        return lc_strdup(path);
    return lc_printf("%s/%s", folder, path);
}

static int parse(struct lc_origin *origin, const char *spec, struct lc_error *err)
{
    if (lc_address_parse(spec, &origin->address, err) < 0)
        return -1;
    if (origin->address.kind == LC_ADDRESS_UNIX)
        origin->file = absolute(origin->address.path);
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

static int open_socket(struct lc_listener *listener, struct lc_origin *origin,
                       const struct lc_config *config, struct lc_error *err)
{
    switch (origin->address.kind) {
    case LC_ADDRESS_TCP: listener->fd = open_tcp(&origin->address, err); break;
    case LC_ADDRESS_UNIX: listener->fd = open_unix(origin, config, err); break;
    case LC_ADDRESS_FD: listener->fd = take_inherited(origin->address.fd, err); break;
    }
    if (listener->fd < 0)
        return -1;
    if (origin->address.kind != LC_ADDRESS_FD &&
        listen(listener->fd, (int)config->backlog) < 0) {
        lc_error_sys(err, "listen");
        goto fail;
    }
    if (describe(listener, err) < 0)
        goto fail;
    return 0;
fail:
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

static int open_patiently(struct lc_listener *listener, struct lc_origin *origin,
                          const struct lc_config *config, unsigned attempts,
                          struct lc_error *err)
{
    LC_AUTOFREE char *words = in_gunicorns_words(&origin->address);

    for (unsigned tried = 1; open_socket(listener, origin, config, err) < 0; tried++) {
        /* Another server may be about to leave the address; nothing else heals by itself. */
        if (err->sys != EADDRINUSE || attempts == 1)
            return lc_error_wrap(err, "bind = %s", listener->spec);
        lc_log(LC_ERROR, "Connection in use: %s", words);
        lc_log(LC_ERROR, "connection to %s failed: %s", words, strerror(err->sys));
        if (tried == attempts)
            return lc_error_set(err, LC_E_CONFIG, "Can't connect to %s", words);
        lc_log(LC_DEBUG, "Retrying in 1 second.");
        if (lc_signals_pause(1000))
            return lc_error_set(err, LC_E_NONE, "stopped while waiting for %s", words);
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
               const struct lc_listeners *running, unsigned attempts,
               struct lc_error *err)
{
    struct lc_listener *listener = &set->items[set->count];
    struct lc_origin *origin = &set->origins[set->count];

    listener->fd = -1;
    listener->spec = lc_strdup(spec);
    int rc = parse(origin, spec, err);
    if (rc == 0 && !share(set, listener, origin, running))
        rc = open_patiently(listener, origin, config, attempts, err);
    set->count++; /* also a half-made one: closing the set cleans it up */
    return rc;
}

int lc_listeners_open(struct lc_listeners *set, const struct lc_config *config,
                      const struct lc_listeners *running, unsigned attempts,
                      struct lc_error *err)
{
    /* Whoever hands over sockets means those: other addresses are left alone, as Gunicorn
     * does, but not without a word. */
    bool only_descriptors = has_descriptors(&config->bind);

    *set = (struct lc_listeners){
        .items = lc_calloc(config->bind.count, sizeof(struct lc_listener)),
        .origins = lc_calloc(config->bind.count, sizeof(struct lc_origin)),
    };
    for (size_t i = 0; i < config->bind.count; i++) {
        const char *spec = config->bind.items[i];

        if (only_descriptors && !names_descriptor(spec)) {
            lc_log(LC_WARN, "bind = %s is not used: a socket was handed over (fd://)",
                   spec);
            continue;
        }
        if (add(set, spec, config, running, attempts, err) < 0) {
            lc_listeners_close(set, running);
            return -1;
        }
    }
    return 0;
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

void lc_listeners_drop(struct lc_listeners *set, const struct lc_listeners *own)
{
    for (unsigned i = 0; i < set->count; i++)
        if (!has_fd(own, set->items[i].fd))
            lc_fd_close(&set->items[i].fd);
}

bool lc_listeners_equal(const struct lc_listeners *a, const struct lc_listeners *b)
{
    if (a->count != b->count)
        return false;
    for (unsigned i = 0; i < a->count; i++)
        if (a->items[i].fd != b->items[i].fd)
            return false;
    return true;
}

char *lc_listeners_text(const struct lc_listeners *set)
{
    char *text = lc_strdup("");

    for (unsigned i = 0; i < set->count; i++) {
        const struct lc_listener *at = &set->items[i];
        const char *comma = i == 0 ? "" : ",";
        bool is_v6 = strchr(at->address, ':') != NULL;
        char *longer = at->is_unix
                           ? lc_printf("%s%sunix:%s", text, comma, at->address)
                           : lc_printf(is_v6 ? "%s%shttp://[%s]:%s" : "%s%shttp://%s:%s",
                                       text, comma, at->address, at->port);
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
