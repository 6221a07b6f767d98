/* app/field.h — the fields that a controller may put into a head. */
#pragma once
#include <licorne/slice.h>

#include <stdbool.h>

struct lc_error;

/* -1 and `err` when name or value must not go on the wire (RFC 9110, 5.1 and 5.5). */
int lc_field_check(struct lc_slice name, struct lc_slice value, struct lc_error *err);

/* What belongs to the connection, or is the server's own to say (RFC 9110, 7.6.1). */
bool lc_field_is_the_servers(struct lc_slice name);

/* "Name: value\r\n", the value without blanks around it. */
size_t lc_field_len(struct lc_slice name, struct lc_slice value);
char *lc_field_put(char *at, struct lc_slice name, struct lc_slice value);

/* Without blanks around it. */
struct lc_slice lc_field_trim(struct lc_slice text);
