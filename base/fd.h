/* base/fd.h — file descriptors: closing, flags, whole writes. */
#pragma once
#include <stddef.h>
#include <sys/types.h>

/* `LC_AUTOCLOSE int fd = ...;` is closed at the end of its block unless taken. */
#define LC_AUTOCLOSE __attribute__((cleanup(lc_autoclose)))
void lc_autoclose(const int *fd);

/* The descriptor; the variable becomes -1. */
int lc_fd_take(int *fd);

/* Closes (a negative one is fine) and sets the variable to -1. Keeps errno. */
void lc_fd_close(int *fd);

/* 0, or -1 with errno. */
int lc_fd_set_nonblocking(int fd);
int lc_fd_set_cloexec(int fd, int on);

/* Opens /dev/null as those of stdin, stdout and stderr that are closed: the next file, or a
 * client's connection, would take their place. 0, or -1 with errno. */
int lc_fd_fill_standard(void);

/* Writes everything, also after EINTR; 0, or -1 with errno. For blocking descriptors. */
int lc_fd_write_all(int fd, const void *data, size_t len);

/* An empty file in `dir` (NULL: TMPDIR, else /tmp) that has no name: it is gone when closed.
 * -1 with errno. */
int lc_fd_tmpfile(const char *dir);

/* The folder that it would use for `dir`. */
const char *lc_fd_tmpdir(const char *dir);
