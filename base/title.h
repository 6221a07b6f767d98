/* base/title.h — what ps shows for a process. */
#pragma once

/* Once, first thing in main: moves the environment away so that its room, behind the arguments,
 * can hold a longer title. */
void lc_title_init(int argc, char **argv);

/* "licorne: worker [shop.wsgi]"; cut to the room there is. */
void lc_title_set(const char *format, ...) __attribute__((format(printf, 1, 2)));
