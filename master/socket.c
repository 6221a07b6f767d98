#include "master/socket.h"

#include "base/fd.h"
#include "base/mem.h"
#include "base/permission.h"
#include "config/address.h"
#include "config/config.h"

#include <licorne/error.h>

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
        return lc_error_set(err, LC_E_CONFIG, "host '%s': %s%s%s", host,
                            rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc),
                            *host == '/' ? "; a unix socket is unix:" : "",
                            *host == '/' ? host : "");
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

void lc_socket_share_port(int fd, bool is_shared)
{
    int on = is_shared;

    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
}

static int bind_tcp(const struct addrinfo *to, bool shares_port, struct lc_error *err)
{
    LC_AUTOCLOSE int fd = socket(to->ai_family,
                                 SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return lc_error_sys(err, "socket");
    if (set_option(fd, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY", err) < 0 ||
        set_option(fd, SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR", err) < 0)
        return -1;
    lc_socket_share_port(fd, shares_port);
    if (bind(fd, to->ai_addr, to->ai_addrlen) < 0)
        return lc_error_sys(err, "bind");
    return lc_fd_take(&fd);
}

static bool is_number(const char *text)
{
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

/* What the kernel's word for it leaves out. */
static void explain(const struct lc_address *address, struct lc_error *err)
{
    if (err->sys == EADDRNOTAVAIL && is_number(address->host))
        lc_error_set(err, LC_E_CONFIG,
                     "bind: %s; %s is taken for a host; the port %s of all addresses is "
                     ":%s",
                     strerror(EADDRNOTAVAIL), address->host, address->host,
                     address->host);
    else if (err->sys == EACCES)
        lc_error_set(err, LC_E_CONFIG,
                     "bind: %s: user id %d may not listen on port %u; that takes root, "
                     "CAP_NET_BIND_SERVICE or a higher port",
                     strerror(EACCES), (int)geteuid(), address->port);
}

int lc_socket_tcp(const struct lc_address *address, bool shares_port,
                  struct lc_error *err)
{
    struct addrinfo *found;

    if (resolve(address, &found, err) < 0)
        return -1;
    int fd = bind_tcp(found, shares_port, err);
    if (fd < 0)
        explain(address, err);
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

static int cannot_look(const char *path, struct lc_error *err)
{
    lc_error_sys(err, "'%s'", path);
    return lc_error_blame(err, path, LC_RIGHT_MAKE);
}

/* Makes way for a new socket at the path: 0 if nothing is in the way any more. */
static int remove_stale(const struct sockaddr_un *name, struct lc_error *err)
{
    struct stat about;

    if (lstat(name->sun_path, &about) < 0)
        return errno == ENOENT ? 0 : cannot_look(name->sun_path, err);
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
    if (unlink(name->sun_path) < 0 && errno != ENOENT) {
        lc_error_sys(err, "'%s': unlink", name->sun_path);
        return lc_error_blame(err, name->sun_path, LC_RIGHT_MAKE);
    }
    return 0;
}

int lc_socket_make_way(const char *path, struct lc_error *err)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(name.sun_path))
        return lc_error_set(err, LC_E_CONFIG, "'%s': longer than %zu bytes", path,
                            sizeof(name.sun_path) - 1);
    memcpy(name.sun_path, path, strlen(path));
    return remove_stale(&name, err);
}

static int cannot_bind(const struct sockaddr_un *name, struct lc_error *err)
{
    const char *slash = strrchr(name->sun_path, '/');

    if (errno == ENOENT && slash != NULL && slash != name->sun_path)
        return lc_error_set(err, LC_E_CONFIG, "there is no directory %.*s",
                            (int)(slash - name->sun_path), name->sun_path);
    lc_error_sys(err, "bind");
    return lc_error_blame(err, name->sun_path, LC_RIGHT_MAKE);
}

/* Before anybody can connect: nothing listens yet. */
static int give_rights(const char *path, const struct lc_config *config,
                       struct lc_error *err)
{
    uid_t uid = (uid_t)config->socket_user;
    gid_t gid = (gid_t)config->socket_group;

    if ((uid != geteuid() || gid != getegid()) && chown(path, uid, gid) < 0)
        return lc_error_sys(err, "'%s': uid %d may not give it to user %d, group %d",
                            path, (int)geteuid(), (int)uid, (int)gid);
    if (config->socket_mode != 0 && chmod(path, (mode_t)config->socket_mode) < 0)
        return lc_error_sys(err, "'%s': chmod 0%03o", path,
                            (unsigned)config->socket_mode);
    return 0;
}

int lc_socket_unix(const struct lc_address *address, const struct lc_config *config,
                   struct lc_error *err)
{
    struct sockaddr_un name = unix_name(address);

    if (remove_stale(&name, err) < 0)
        return -1;
    LC_AUTOCLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return lc_error_sys(err, "socket");

    mode_t kept = umask((mode_t)config->umask);
    int rc = bind(fd, (const struct sockaddr *)&name, sizeof(name));
    umask(kept);
    if (rc < 0)
        return cannot_bind(&name, err);
    if (give_rights(name.sun_path, config, err) < 0) {
        unlink(name.sun_path);
        return -1;
    }
    return lc_fd_take(&fd);
}

/* ---- inherited descriptors ---- */

static bool has_option(int fd, int option, int wanted)
{
    int value = 0;
    socklen_t size = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

int lc_socket_inherited(int fd, struct lc_error *err)
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

static bool is_at_tcp(const struct sockaddr_storage *name, socklen_t size,
                      const struct lc_address *address)
{
    struct addrinfo *found;
    bool is_same = false;

    if (resolve(address, &found, NULL) < 0)
        return false;
    if (name->ss_family != found->ai_addr->sa_family || size != found->ai_addrlen) {
        is_same = false;
    } else if (name->ss_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)name;
        const struct sockaddr_in *b = (const struct sockaddr_in *)found->ai_addr;

        is_same = a->sin_port == b->sin_port && a->sin_addr.s_addr == b->sin_addr.s_addr;
    } else {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)name;
        const struct sockaddr_in6 *b = (const struct sockaddr_in6 *)found->ai_addr;

        is_same = a->sin6_port == b->sin6_port && a->sin6_scope_id == b->sin6_scope_id &&
                  memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr)) == 0;
    }
    freeaddrinfo(found);
    return is_same;
}

bool lc_socket_is_at(int fd, const struct lc_address *address)
{
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof(name);

    if (getsockname(fd, (struct sockaddr *)&name, &size) < 0)
        return false;
    switch (address->kind) {
    case LC_ADDRESS_TCP:
        return (name.ss_family == AF_INET || name.ss_family == AF_INET6) &&
               is_at_tcp(&name, size, address);
    case LC_ADDRESS_UNIX: {
        const struct sockaddr_un *at = (const struct sockaddr_un *)&name;

        return name.ss_family == AF_UNIX &&
               strncmp(at->sun_path, address->path, sizeof(at->sun_path)) == 0;
    }
    case LC_ADDRESS_FD: return false;
    }
    return false;
}
