/* app/format.h — compiled access log formats.
 *
 * The language is Gunicorn's, which is Python's "%(name)s" with flags, width and precision:
 *
 *   %%        a percent sign
 *   h         the client's address, empty on a unix socket          l  always "-"
 *   u         the user of Basic credentials                         p  "<pid>"
 *   t         local time when the line is written: [21/Nov/2026:07:45:55 +0000]
 *   r         the request line;  m q H  its method, query, protocol;  U  the decoded path
 *   s         status code;  B  bytes of the body (a number), b  the same as text
 *   f a       Referer, User-Agent
 *   T M D L   how long it took: seconds, ms, µs (numbers), seconds with six decimals
 *   {x}i {x}o request header, response header (as the application set it); the last of several
 *   {x}e      from the WSGI environ what the server itself knows: REQUEST_METHOD, PATH_INFO,
 *             QUERY_STRING, RAW_URI, SERVER_PROTOCOL, SERVER_NAME, SERVER_PORT,
 *             SERVER_SOFTWARE, REMOTE_ADDR, REMOTE_PORT, PROXY_PROTOCOL, PROXY_ADDR, PROXY_PORT,
 *             SCRIPT_NAME, CONTENT_TYPE, CONTENT_LENGTH, wsgi.url_scheme and HTTP_*. Keys
 *             that an application or middleware adds are not seen.
 *
 * Names in braces are found in any case. What is unknown or was not sent is "-". In every text
 * a quote becomes \" and a control byte \xNN, so that a value can neither leave its quotes nor
 * its line. What Python would refuse for each request (%(h)d: h is text) is refused at once.
 *
 * One format serves one thread: the latest line's values are kept in it. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct lc_error;
struct lc_format;
struct lc_request;

/* NULL and `err` (LC_E_CONFIG), which names the offset, when `text` is no format. To be created
 * by the process that uses it, whose pid it keeps. */
struct lc_format *lc_format_create(const char *text, struct lc_error *err);
void lc_format_destroy(struct lc_format *format); /* NULL is fine */

/* Looks up the values for a line. Returns the most bytes that the line can have. */
size_t lc_format_prepare(struct lc_format *format, const struct lc_request *request,
                         uint64_t now_us);

/* Writes the line that was prepared last, while its request is still there; no NUL and no
 * newline. Returns its length. What does not fit into `room` is cut. */
size_t lc_format_write(struct lc_format *format, char *into, size_t room);
