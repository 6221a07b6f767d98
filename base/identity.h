/* base/identity.h — under which name the program runs. Scripts that start `gunicorn` look for that
 * word and its version; so a program called gunicorn or licorne-gunicorn answers to it. */
#pragma once
#include <licorne/slice.h>

/* By the last part of argv[0]. Before that, and otherwise, the name is "licorne". */
void lc_identity_init(const char *program);

/* "licorne" or "gunicorn": in messages, titles and logs. */
const char *lc_identity_name(void);

/* The version that goes with the name: ours, or that of the Gunicorn whose behaviour it has. */
const char *lc_identity_version(void);

/* "Server: licorne\r\n". The name in it can be changed (Gunicorn's gunicorn.SERVER); one that is no
 * field value is left out. */
struct lc_slice lc_identity_server_field(void);
void lc_identity_set_server(const char *server);
