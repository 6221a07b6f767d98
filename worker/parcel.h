/* worker/parcel.h — bytes that a thread has for a client, until they have left. */
#pragma once
#include <licorne/slice.h>

#include <sys/types.h>

struct lc_lender;

struct lc_parcel {
    struct lc_parcel *next;
    struct lc_lender *lender; /* whose threads release it, once the loop has it */
    const char *at;           /* NULL: `len` bytes of a file */
    size_t len;
    int file; /* this structure's own, or -1 */
    off_t offset;
    void (*release)(void *owner); /* NULL: the bytes are behind this structure */
    void *owner;
    char bytes[];
};

/* Refers to bytes that stay until `release(owner)`; or is nothing but that promise. */
struct lc_parcel *lc_parcel_own(struct lc_slice bytes, void (*release)(void *),
                                void *owner);
void lc_parcel_destroy(struct lc_parcel *parcel);

/* Several, in order. */
struct lc_parcels {
    struct lc_parcel *first, **end;
    size_t bytes;
};

void lc_parcels_init(struct lc_parcels *parcels);

/* Copies; nothing is added for an empty slice. */
void lc_parcels_add(struct lc_parcels *parcels, struct lc_slice bytes);

void lc_parcels_append(struct lc_parcels *parcels, struct lc_parcel *parcel);

/* Empties `from`; `into` is an uninitialised place. */
void lc_parcels_move(struct lc_parcels *into, struct lc_parcels *from);

/* By a duplicate of the descriptor; -1 with errno when there is none. */
int lc_parcels_add_file(struct lc_parcels *parcels, int file, off_t offset, size_t len);

/* The first one, which is the caller's now; NULL when there is none. */
struct lc_parcel *lc_parcels_take(struct lc_parcels *parcels);

/* Everything; each is released where the caller is. */
void lc_parcels_drop(struct lc_parcels *parcels);
