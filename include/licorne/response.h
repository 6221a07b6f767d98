/* licorne/response.h — how a controller answers.
 *
 * Either whole:      lc_response_status, lc_response_header ..., lc_response_send
 * or piece by piece: lc_response_status, lc_response_header ..., lc_response_write ...,
 *                    lc_response_end (or lc_response_abort when it cannot be finished).
 *
 * The server adds Server, Date, Connection and the framing (Content-Length, chunked), and drops
 * hop-by-hop fields that a controller sets, except Connection: upgrade and Upgrade: websocket.
 * For HEAD, 1xx, 204 and 304 no body leaves, whatever the controller wrote.
 *
 * All calls belong on the thread that called the controller, and all texts that they take are
 * copied unless they say otherwise. */
#pragma once
#include <licorne/api.h>
#include <licorne/app.h>
#include <licorne/request.h>
#include <licorne/slice.h>
#include <stdbool.h>
#include <stdint.h>

LC_C_BEGIN

struct lc_error;

/* What a controller should do after it wrote a piece. */
enum lc_flow {
    LC_FLOW_GO, /* go on                                                                  */
    LC_FLOW_WAIT, /* the client reads slowly: return LC_LATER, `resume` is called once it
                   * has caught up. What was written is safe; writing more is still allowed,
                   * and costs memory                                                       */
    LC_FLOW_GONE, /* the client has gone or what was written cannot be sent: end at once    */
};

/* Status code from 100 to 999 (another one ends the process: it is a mistake in the program), 200
 * by default, with its standard reason phrase. Nothing happens once the head has left. */
LC_API void lc_response_status(struct lc_request *request, int code);

/* The status as WSGI has it, code and phrase: "404 Not Found". 0; -1 with `err` when it does not
 * begin with three digits or holds control bytes. */
LC_API int lc_response_status_line(struct lc_request *request, struct lc_slice status,
                                   struct lc_error *err);

/* Adds a field. 0; -1 with `err`, and nothing added, when the name is no
 * token, the value holds CR, LF, NUL or another control byte than tab, or the value of
 * Content-Length is no number. */
LC_API int lc_response_header(struct lc_request *request, struct lc_slice name,
                              struct lc_slice value, struct lc_error *err);

/* An answer before the answer (RFC 9110, 15.2): 103 with the Link fields of what the client will
 * need. Leaves at once, and any number may be sent until the head leaves. Nothing happens
 * afterwards, or for HTTP/1.0. -1 with `err`, and nothing sent, when `code` is no such status or
 * a field is one that lc_response_header refuses. */
LC_API int lc_response_interim(struct lc_request *request, int code,
                               const struct lc_header *fields, size_t count,
                               struct lc_error *err);

/* Forgets status and fields, as long as nothing was sent (WSGI's exc_info). */
LC_API void lc_response_reset(struct lc_request *request);

/* Whether the head has left or is about to: status and fields can no longer change. */
LC_API bool lc_response_is_started(const struct lc_request *request);

/* The whole answer: `body` is copied if it is small and written at once if it is large, so the
 * caller may free it when the call returns. Ends the response. */
LC_API void lc_response_send(struct lc_request *request, struct lc_slice body);

/* The same for a body that is not copied: it must stay until `release(owner)` was called,
 * which may be before this call returns. `release` is called exactly once. */
LC_API void lc_response_send_owned(struct lc_request *request, struct lc_slice body,
                                   void (*release)(void *owner), void *owner);

/* The body, or the rest of it, out of a regular file: `length` bytes from `offset` on, framed as
 * one piece. Ends the response. The file's position is neither used nor moved; the descriptor stays
 * the caller's, who may close it when the call returns. A file that turns out to be shorter
 * is logged, and the connection closes. -1 with errno, and nothing was done, when the descriptor is
 * no regular file's. */
LC_API int lc_response_send_file(struct lc_request *request, int fd, uint64_t offset,
                                 uint64_t length);

/* Sugar: status, Content-Type and a body in one call; always returns LC_DONE (see app.h). The
 * text is UTF-8 and sent as text/plain. */
LC_API enum lc_step lc_response_text(struct lc_request *request, int code,
                                     const char *text);
/* The same for a body of any type; `content_type` is trusted to be a value of a field. */
LC_API enum lc_step lc_response_bytes(struct lc_request *request, int code,
                                      const char *content_type, struct lc_slice body);

/* One piece of the body; the bytes are copied if they cannot be sent at once. The first piece
 * takes the head along. Pieces may be held back until lc_response_flush, the end of the
 * response or of the loop's turn. Bytes beyond the Content-Length are cut (and logged). */
LC_API enum lc_flow lc_response_write(struct lc_request *request, struct lc_slice piece);

/* Lets everything leave that was written so far. Needed before the controller does something
 * slow while the response is unfinished. */
LC_API enum lc_flow lc_response_flush(struct lc_request *request);

/* For a controller that cannot return in the middle: waits until the client has caught up, at
 * most `write_timeout`. The worker serves nobody else meanwhile. */
LC_API enum lc_flow lc_response_wait(struct lc_request *request);

/* Bytes that still fit under the response's Content-Length; UINT64_MAX without one. 0 tells
 * that the response is complete but for lc_response_end. */
LC_API uint64_t lc_response_left(const struct lc_request *request);

/* The body is complete. Fewer bytes than the Content-Length: logged, the connection closes. */
LC_API void lc_response_end(struct lc_request *request);

/* The answer cannot be finished. Before the head: a 500 page. After: the connection closes
 * without the last chunk, so that the client sees that something is missing. */
LC_API void lc_response_abort(struct lc_request *request);

/* The request is not one that can be answered: sends the server's own page, which says `reason` and
 * `message` (escaped here), with `reason` as the status line's phrase; the connection closes.
 * Nothing but lc_response_abort once the head has left. */
LC_API void lc_response_refuse(struct lc_request *request, int code, const char *reason,
                               struct lc_slice message);

LC_C_END
