#include "master/certificates.h"

#include "base/clock.h"
#include "base/credentials.h"
#include "base/fd.h"
#include "base/inherit.h"
#include "base/mem.h"
#include "base/path.h"
#include "config/config.h"
#include "master/state.h"

#include <licorne/error.h>
#include <licorne/log.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
    LOOK_EVERY_MS = 2000,
    TICKETS_LAST_MS = 12 * 3600 * 1000, /* longer than a ticket: two hours */
    SOON_S = 14 * 24 * 3600,
    FILES_MAX = 3,
};

/* What tells one content of a path from another, however it got there: written in place, renamed
 * into place, or behind a symbolic link that was switched. */
struct look {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec written, changed;
};

struct lc_certificates {
    const struct lc_config *config;
    const struct lc_role *worker;
    struct lc_credentials *credentials;
    struct lc_certificate_facts facts;
    struct lc_pem_file files[FILES_MAX]; /* absolute paths */
    struct look seen[FILES_MAX];
    size_t count;
    struct lc_error doubt; /* why the files as they were last seen are not used */
    bool is_doubted;
    bool is_undelivered; /* a worker has not got the latest yet */
};

/* --- reading --------------------------------------------------------------------------------- */

static void look_at(const char *path, struct look *look)
{
    struct stat info;

    memset(look, 0, sizeof(*look)); /* they are compared as bytes */
    if (stat(path, &info) < 0)
        return;
    look->device = info.st_dev;
    look->inode = info.st_ino;
    look->size = info.st_size;
    look->written = info.st_mtim;
    look->changed = info.st_ctim;
}

/* Whether something is not as it was the last time. */
static bool look_again(struct lc_certificates *certificates)
{
    struct look now[FILES_MAX] = {{0}};

    for (size_t i = 0; i < certificates->count; i++)
        look_at(certificates->files[i].path, &now[i]);
    if (memcmp(now, certificates->seen, certificates->count * sizeof(now[0])) == 0)
        return false;
    memcpy(certificates->seen, now, certificates->count * sizeof(now[0]));
    return true;
}

/* Credentials that a worker could serve with, or NULL. */
static struct lc_credentials *read_files(const struct lc_certificates *certificates,
                                         struct lc_certificate_facts *facts,
                                         struct lc_error *err)
{
    struct lc_credentials *fresh = lc_credentials_read(certificates->files,
                                                       certificates->count, err);

    if (fresh != NULL &&
        certificates->worker->vet(certificates->config, fresh, facts, err) < 0) {
        lc_credentials_destroy(fresh);
        return NULL;
    }
    return fresh;
}

static void add_file(struct lc_certificates *certificates, enum lc_pem_kind kind,
                     const char *setting, const char *path)
{
    if (path != NULL)
        certificates->files[certificates->count++] = (struct lc_pem_file){
            .kind = kind, .setting = setting, .path = lc_path_absolute(path)};
}

int lc_certificates_read(struct lc_certificates **certificates,
                         const struct lc_config *config, const struct lc_role *worker,
                         struct lc_error *err)
{
    struct lc_certificates *made;

    *certificates = NULL;
    if (config->certfile == NULL)
        return 0;
    made = lc_new(struct lc_certificates);
    made->config = config;
    made->worker = worker;
    add_file(made, LC_PEM_CERTIFICATE, "certfile", config->certfile);
    if (config->keyfile != NULL)
        add_file(made, LC_PEM_KEY, "keyfile", config->keyfile);
    else
        add_file(made, LC_PEM_KEY, "certfile", config->certfile);
    add_file(made, LC_PEM_AUTHORITIES, "ca_certs", config->ca_certs);
    look_again(made); /* before reading: what changes meanwhile is read again */
    made->credentials = read_files(made, &made->facts, err);
    if (made->credentials == NULL) {
        lc_certificates_destroy(made);
        return -1;
    }
    *certificates = made;
    return 0;
}

void lc_certificates_destroy(struct lc_certificates *certificates)
{
    if (certificates == NULL)
        return;
    for (size_t i = 0; i < certificates->count; i++)
        free((char *)certificates->files[i].path);
    lc_credentials_destroy(certificates->credentials);
    free(certificates);
}

struct lc_credentials *lc_certificates_credentials(struct lc_certificates *certificates)
{
    return certificates == NULL ? NULL : certificates->credentials;
}

/* --- what the log says ------------------------------------------------------------------------ */

/* "2027-01-31 12:00:00 UTC" */
static const char *until_text(const struct lc_certificates *certificates)
{
    static char text[64];
    time_t until = (time_t)certificates->facts.until_s;
    struct tm parts;

    if (gmtime_r(&until, &parts) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts) == 0)
        strcpy(text, "at an unknown time");
    return text;
}

void lc_certificates_warn(const struct lc_certificates *certificates)
{
    if (certificates == NULL)
        return;

    int64_t left = certificates->facts.until_s - (int64_t)time(NULL);
    const char *path = certificates->files[0].path;
    const char *subject = certificates->facts.subject;
    if (left <= 0)
        lc_log(LC_WARN, "The certificate %s (%s) has expired: %s", path, subject,
               until_text(certificates));
    else if (left < SOON_S)
        lc_log(LC_WARN, "The certificate %s (%s) expires soon: %s", path, subject,
               until_text(certificates));
}

/* --- renewal ---------------------------------------------------------------------------------- */

/* The same message for new certificates and new ticket keys: a worker takes both anew. */
static void deliver(struct lc_master *m, const struct lc_generation *generation)
{
    struct lc_certificates *certificates = generation->certificates;
    struct lc_error err = {0};
    LC_AUTOCLOSE int fd = lc_credentials_export(certificates->credentials, &err);

    certificates->is_undelivered = fd < 0;
    if (fd < 0)
        lc_log(LC_ERROR, "Certificates cannot be handed to the workers: %s", err.text);
    LC_LIST_EACH (at, &m->workers) {
        const struct lc_worker *worker = LC_CONTAINER(at, struct lc_worker, link);

        if (fd < 0 || worker->generation != generation)
            continue;
        if (lc_channel_send_fd(worker->child->channel, LC_MSG_CREDENTIALS,
                               generation->number, &m->tickets, sizeof(m->tickets),
                               fd) < 0 &&
            errno == EAGAIN) /* else it is about to be reaped */
            certificates->is_undelivered = true;
    }
}

/* Between two renames a new certificate stands beside an old key: that is worth a word only if
 * it stays so. */
static void doubt(struct lc_certificates *certificates)
{
    if (!certificates->is_doubted)
        return;
    certificates->is_doubted = false;
    lc_log(LC_WARN, "Changed certificates are not used: %s", certificates->doubt.text);
    lc_log(LC_WARN, "New connections go on with those that were there before.");
}

static void renew(struct lc_master *m, struct lc_generation *generation)
{
    struct lc_certificates *certificates = generation->certificates;
    struct lc_certificate_facts facts = {0};
    struct lc_credentials *fresh = read_files(certificates, &facts, &certificates->doubt);

    certificates->is_doubted = fresh == NULL;
    if (fresh == NULL)
        return;
    if (lc_credentials_equal(fresh, certificates->credentials)) {
        lc_credentials_destroy(fresh);
        return;
    }
    lc_credentials_destroy(certificates->credentials);
    certificates->credentials = fresh;
    certificates->facts = facts;
    deliver(m, generation);
    lc_log(LC_INFO, "The certificate %s (%s) was re-read, expires %s",
           certificates->files[0].path, facts.subject, until_text(certificates));
    lc_certificates_warn(certificates);
}

static void look_after(struct lc_master *m, struct lc_generation *generation)
{
    if (generation == NULL || generation->certificates == NULL)
        return;
    if (look_again(generation->certificates))
        renew(m, generation);
    else
        doubt(generation->certificates);
    if (generation->certificates->is_undelivered)
        deliver(m, generation);
}

static bool has_certificates(const struct lc_generation *generation)
{
    return generation != NULL && generation->certificates != NULL;
}

static void change_tickets(struct lc_master *m)
{
    struct lc_error err = {0};

    m->tickets_due_ms = lc_clock_ms() + TICKETS_LAST_MS;
    if (lc_tickets_rotate(&m->tickets, &err) < 0) {
        lc_log(LC_ERROR, "Session tickets keep their keys: %s", err.text);
        return;
    }
    if (has_certificates(m->serving))
        deliver(m, m->serving);
    if (has_certificates(m->next))
        deliver(m, m->next);
}

int lc_certificates_start(struct lc_master *m, struct lc_error *err)
{
    m->tickets_due_ms = lc_clock_ms() + TICKETS_LAST_MS;
    return lc_tickets_init(&m->tickets, err);
}

void lc_certificates_step(struct lc_master *m)
{
    uint64_t now = lc_clock_ms();

    if (m->phase != LC_MASTER_RUNNING ||
        (!has_certificates(m->serving) && !has_certificates(m->next)))
        return;
    if (now >= m->certificates_due_ms) {
        m->certificates_due_ms = now + LOOK_EVERY_MS;
        look_after(m, m->serving);
        look_after(m, m->next);
    }
    if (now >= m->tickets_due_ms)
        change_tickets(m);
    lc_master_wake_at(m, m->certificates_due_ms);
}
