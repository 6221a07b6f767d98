/* licorne/log.h — lines for the server's error log.
 *
 * Every line goes to the logger process, which writes it as Gunicorn does:
 * "[2026-11-21 07:48:31 +0000] [PID] [INFO] text". No call here blocks or fails; what had to be
 * dropped because the log cannot keep up is counted and reported. Any thread may call. */
#pragma once
#include <licorne/api.h>
#include <licorne/slice.h>
#include <stdbool.h>

LC_C_BEGIN

enum lc_level { LC_DEBUG, LC_INFO, LC_WARN, LC_ERROR, LC_CRITICAL };

/* One record. A text of several lines (a traceback) stays together. Below the `loglevel`
 * setting nothing is formatted. Control bytes other than tab and newline are escaped (\x1b). */
LC_API void lc_log(enum lc_level level, const char *format, ...) LC_PRINTF(2, 3);

/* The same for text that is at hand; no format, any length. */
LC_API void lc_log_text(enum lc_level level, struct lc_slice text);

/* Bytes for the error log exactly as they are, without time, pid or level (wsgi.errors). */
LC_API void lc_log_raw(struct lc_slice text);

/* A line for the access log, whatever the application has to say there. */
LC_API void lc_log_access(struct lc_slice line);

/* Whether a record of this level would be written. */
LC_API bool lc_log_enabled(enum lc_level level);

LC_C_END
