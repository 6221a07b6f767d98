#include "worker/parcel.h"

#include "base/fd.h"
#include "base/mem.h"

#include <fcntl.h>
#include <string.h>

struct lc_parcel *lc_parcel_own(struct lc_slice bytes, void (*release)(void *),
                                void *owner)
{
    struct lc_parcel *parcel = lc_malloc(sizeof(*parcel));

    *parcel = (struct lc_parcel){
        .at = bytes.at, .len = bytes.len, .file = -1, .release = release, .owner = owner};
    return parcel;
}

void lc_parcel_destroy(struct lc_parcel *parcel)
{
    if (parcel->release != NULL)
        parcel->release(parcel->owner);
    lc_fd_close(&parcel->file);
    free(parcel);
}

void lc_parcels_init(struct lc_parcels *parcels)
{
    *parcels = (struct lc_parcels){.end = &parcels->first};
}

void lc_parcels_append(struct lc_parcels *parcels, struct lc_parcel *parcel)
{
    parcel->next = NULL;
    *parcels->end = parcel;
    parcels->end = &parcel->next;
    parcels->bytes += parcel->len;
}

void lc_parcels_add(struct lc_parcels *parcels, struct lc_slice bytes)
{
    if (bytes.len == 0)
        return;
    struct lc_parcel *parcel = lc_malloc(sizeof(*parcel) + bytes.len);

    *parcel = (struct lc_parcel){.at = parcel->bytes, .len = bytes.len, .file = -1};
    memcpy(parcel->bytes, bytes.at, bytes.len);
    lc_parcels_append(parcels, parcel);
}

void lc_parcels_move(struct lc_parcels *into, struct lc_parcels *from)
{
    *into = *from;
    if (into->first == NULL)
        into->end = &into->first;
    lc_parcels_init(from);
}

int lc_parcels_add_file(struct lc_parcels *parcels, int file, off_t offset, size_t len)
{
    int own = fcntl(file, F_DUPFD_CLOEXEC, 0);

    if (own < 0)
        return -1;
    struct lc_parcel *parcel = lc_malloc(sizeof(*parcel));

    *parcel = (struct lc_parcel){.len = len, .file = own, .offset = offset};
    lc_parcels_append(parcels, parcel);
    return 0;
}

struct lc_parcel *lc_parcels_take(struct lc_parcels *parcels)
{
    struct lc_parcel *parcel = parcels->first;

    if (parcel == NULL)
        return NULL;
    parcels->first = parcel->next;
    if (parcels->first == NULL)
        parcels->end = &parcels->first;
    parcels->bytes -= parcel->len;
    return parcel;
}

void lc_parcels_drop(struct lc_parcels *parcels)
{
    struct lc_parcel *parcel;

    while ((parcel = lc_parcels_take(parcels)) != NULL)
        lc_parcel_destroy(parcel);
}
