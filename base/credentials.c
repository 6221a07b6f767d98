#include "base/credentials.h"

#include "base/fd.h"
#include "base/mem.h"
#include "base/permission.h"

#include <licorne/error.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the block, before the name (which ends in NUL) and the text of each item. */
struct item_head {
    uint32_t kind, name_size, text_size;
};

enum { BLOCK_MAX = LC_PEM_FILES * (LC_PEM_FILE_MAX + 8192) };

/* --- the block ---------------------------------------------------------------------------- */

static struct lc_credentials *create(size_t size, struct lc_error *err)
{
    struct lc_credentials *credentials = lc_new(struct lc_credentials);

    credentials->block = mmap(NULL, size, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (credentials->block == MAP_FAILED) {
        lc_error_sys(err, "memory for certificates");
        free(credentials);
        return NULL;
    }
    credentials->size = credentials->room = size;
    mlock(credentials->block, size); /* as far as RLIMIT_MEMLOCK goes */
    madvise(credentials->block, size, MADV_DONTDUMP);
    return credentials;
}

void lc_credentials_wipe(struct lc_credentials *credentials)
{
    if (credentials == NULL || credentials->block == NULL)
        return;
    explicit_bzero(credentials->block, credentials->room);
    munmap(credentials->block, credentials->room);
    credentials->block = NULL;
    credentials->room = credentials->size = credentials->count = 0;
}

void lc_credentials_destroy(struct lc_credentials *credentials)
{
    lc_credentials_wipe(credentials);
    free(credentials);
}

bool lc_credentials_equal(const struct lc_credentials *a, const struct lc_credentials *b)
{
    return a->size == b->size && memcmp(a->block, b->block, a->size) == 0;
}

/* Finds the items in a block that came from elsewhere. False: that is none. */
static bool find_items(struct lc_credentials *credentials)
{
    const char *at = credentials->block, *end = at + credentials->size;
    struct item_head head;

    for (credentials->count = 0; at < end; credentials->count++) {
        if ((size_t)(end - at) < sizeof(head) || credentials->count == LC_PEM_FILES)
            return false;
        memcpy(&head, at, sizeof(head));
        at += sizeof(head);
        if (head.kind > LC_PEM_AUTHORITIES || head.name_size == 0 ||
            head.name_size > (size_t)(end - at) || at[head.name_size - 1] != '\0' ||
            head.text_size > (size_t)(end - at) - head.name_size)
            return false;
        credentials->items[credentials->count] = (struct lc_pem){
            .kind = (enum lc_pem_kind)head.kind,
            .name = at,
            .text = {at + head.name_size, head.text_size},
        };
        at += head.name_size + head.text_size;
    }
    return true;
}

/* --- from files ----------------------------------------------------------------------------- */

struct source {
    int fd;
    char *name; /* "certfile = /etc/ssl/shop.pem" */
    size_t size;
};

static int open_source(struct source *source, const struct lc_pem_file *file,
                       struct lc_error *err)
{
    struct stat info;

    source->name = lc_printf("%s = %s", file->setting, file->path);
    /* O_NONBLOCK: a FIFO would wait for its writer. */
    source->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (source->fd < 0 || fstat(source->fd, &info) < 0) {
        lc_error_sys(err, "%s", source->name);
        lc_error_blame(err, file->path, LC_RIGHT_READ);
        if (err != NULL)
            err->code = LC_E_CONFIG;
        return -1;
    }
    if (!S_ISREG(info.st_mode))
        return lc_error_set(err, LC_E_CONFIG, "%s: is not a regular file", source->name);
    if (info.st_size > LC_PEM_FILE_MAX)
        return lc_error_set(err, LC_E_CONFIG, "%s: is larger than %d KiB: no PEM file",
                            source->name, LC_PEM_FILE_MAX / 1024);
    source->size = (size_t)info.st_size;
    return 0;
}

/* A file that shrinks meanwhile is no error here: what is missing then makes no sense. */
static char *copy_source(char *at, const struct source *source, enum lc_pem_kind kind)
{
    struct item_head head = {kind, (uint32_t)strlen(source->name) + 1, 0};
    char *text = at + sizeof(head) + head.name_size;

    while (head.text_size < source->size) {
        ssize_t n = read(source->fd, text + head.text_size,
                         source->size - head.text_size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        head.text_size += (uint32_t)n;
    }
    memcpy(at, &head, sizeof(head));
    memcpy(at + sizeof(head), source->name, head.name_size);
    return text + head.text_size;
}

struct lc_credentials *lc_credentials_read(const struct lc_pem_file *files, size_t count,
                                           struct lc_error *err)
{
    struct source sources[LC_PEM_FILES] = {{0}};
    struct lc_credentials *credentials = NULL;
    size_t size = 0, opened = 0;

    lc_assert(count <= LC_PEM_FILES);
    for (; opened < count; opened++) {
        sources[opened].fd = -1;
        if (open_source(&sources[opened], &files[opened], err) < 0)
            goto done;
        size += sizeof(struct item_head) + strlen(sources[opened].name) + 1 +
                sources[opened].size;
    }
    credentials = create(size, err);
    if (credentials == NULL)
        goto done;
    char *at = credentials->block;
    for (size_t i = 0; i < count; i++)
        at = copy_source(at, &sources[i], files[i].kind);
    credentials->size = (size_t)(at - credentials->block);
    lc_assert(find_items(credentials));
done:
    for (size_t i = 0; i <= opened && i < count; i++) {
        lc_fd_close(&sources[i].fd);
        free(sources[i].name);
    }
    return credentials;
}

/* --- to another process --------------------------------------------------------------------- */

int lc_credentials_export(const struct lc_credentials *credentials, struct lc_error *err)
{
    LC_AUTOCLOSE int fd = memfd_create("licorne-credentials", MFD_CLOEXEC);

    if (fd < 0 || lc_fd_write_all(fd, credentials->block, credentials->size) < 0)
        return lc_error_sys(err, "a file in memory for certificates");
    return lc_fd_take(&fd);
}

struct lc_credentials *lc_credentials_import(int fd, struct lc_error *err)
{
    struct stat info;

    if (fstat(fd, &info) < 0 || info.st_size <= 0 || info.st_size > BLOCK_MAX) {
        lc_error_set(err, LC_E_PROTOCOL, "these are no certificates");
        return NULL;
    }
    struct lc_credentials *credentials = create((size_t)info.st_size, err);
    if (credentials == NULL)
        return NULL;
    if (pread(fd, credentials->block, credentials->size, 0) !=
            (ssize_t)credentials->size ||
        !find_items(credentials)) {
        lc_error_set(err, LC_E_PROTOCOL, "certificates that are not well formed");
        lc_credentials_destroy(credentials);
        return NULL;
    }
    return credentials;
}
