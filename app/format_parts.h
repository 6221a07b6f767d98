/* app/format_parts.h — what a compiled format is made of, for the files that make and use it:
 * format_read.c reads the text, format_value.c looks values up, format_dress.c gives them width,
 * precision and the rarer conversions, format.c makes lines of them. */
#pragma once
#include "base/arena.h"

#include <licorne/slice.h>

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct lc_error;
struct lc_request;

/* First what comes from outside and must be escaped, then what the server made itself, then
 * what is a number to Python. */
enum lc_atom {
    LC_ATOM_REMOTE_ADDR,
    LC_ATOM_REMOTE_PORT,
    LC_ATOM_PROXY_PROTOCOL,
    LC_ATOM_PROXY_ADDR,
    LC_ATOM_PROXY_PORT,
    LC_ATOM_PEER_ADDR,
    LC_ATOM_PEER_PORT,
    LC_ATOM_SERVER_NAME,
    LC_ATOM_SERVER_PORT,
    LC_ATOM_SCRIPT_NAME,
    LC_ATOM_USER,
    LC_ATOM_REQUEST_LINE,
    LC_ATOM_METHOD,
    LC_ATOM_TARGET,
    LC_ATOM_PATH,
    LC_ATOM_QUERY,
    LC_ATOM_REQUEST_FIELD,  /* the last of its name */
    LC_ATOM_ENVIRON_FIELD,  /* all of its name, joined; "-" and "_" are the same */
    LC_ATOM_RESPONSE_FIELD, /* the last of its name */
    LC_ATOM_LAST_FOREIGN = LC_ATOM_RESPONSE_FIELD,
    LC_ATOM_LITERAL,
    LC_ATOM_DASH,
    LC_ATOM_SERVER_SOFTWARE,
    LC_ATOM_SCHEME,
    LC_ATOM_TIME,
    LC_ATOM_PROTOCOL,
    LC_ATOM_STATUS,
    LC_ATOM_SENT_TEXT,
    LC_ATOM_DURATION_TEXT,
    LC_ATOM_PID,
    LC_ATOM_FIRST_NUMBER,
    LC_ATOM_SENT = LC_ATOM_FIRST_NUMBER,
    LC_ATOM_SECONDS,
    LC_ATOM_MILLISECONDS,
    LC_ATOM_MICROSECONDS,
    LC_ATOM_QUEUED,
};

/* What stands between a name and the end of its conversion: "%(D)-8.3d". */
struct lc_format_spec {
    bool is_left, is_signed, is_spaced, is_zero_filled, is_alternate;
    int width;       /* 0: none */
    int precision;   /* -1: none */
    char conversion; /* 's', 'd', 'x', ... */
};

struct lc_format_op {
    enum lc_atom atom;
    bool is_plain;        /* neither flags, width nor precision, and s or d */
    struct lc_slice text; /* LC_ATOM_LITERAL: itself; a field: its name */
    struct lc_format_spec spec;
};

enum { LC_FORMAT_ROOM = 32 };

/* What an op's part of the line will be. */
struct lc_format_value {
    struct lc_slice text;
    bool is_safe;              /* nothing to be escaped */
    char room[LC_FORMAT_ROOM]; /* `text` may be here */
};

struct lc_format {
    char *text; /* LITERALs are slices of it */
    struct lc_format_op *ops;
    struct lc_format_value *values; /* of the latest line, one for each op */
    size_t count;
    size_t literal_size; /* of all LITERALs */
    size_t size;         /* the most bytes of the latest line */

    char pid[16];
    char *software;
    char *script_name; /* from the environment, as the application sees it too */
    time_t second;     /* of `time_text` */
    char time_text[40];

    locale_t plain;        /* C's, for numbers with a decimal point */
    struct lc_arena arena; /* for the latest line */
    _Alignas(16) char first_block[2048];
};

/* Fills `ops` from `text`. 0, or -1 with `err`. */
int lc_format_read(struct lc_format *format, struct lc_error *err);

/* What stands for an op in the line of a request that took `us`; its memory is the request's,
 * the format's or the value's own. */
void lc_format_look_up(struct lc_format *format, const struct lc_format_op *op,
                       const struct lc_request *request, uint64_t us,
                       struct lc_format_value *value);

/* The number behind a value whose atom is LC_ATOM_FIRST_NUMBER or later. */
uint64_t lc_format_number(enum lc_atom atom, const struct lc_request *request,
                          uint64_t us);

/* Escapes the value, and gives it the form that `op->spec` asks for. */
void lc_format_dress(struct lc_format *format, const struct lc_format_op *op,
                     const struct lc_request *request, uint64_t us,
                     struct lc_format_value *value);
