#include "app/error_page.h"

#include <licorne/arena.h>

#include <string.h>

static const char *escape_of(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#x27;";
    default: return NULL;
    }
}

static struct lc_slice escaped(struct lc_arena *arena, struct lc_slice text)
{
    char *out = lc_arena_alloc(arena, text.len * strlen("&quot;") + 1);
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        const char *escape = escape_of(text.at[i]);

        if (escape == NULL) {
            out[n++] = text.at[i];
        } else {
            size_t len = strlen(escape);
            memcpy(out + n, escape, len);
            n += len;
        }
    }
    return (struct lc_slice){out, n};
}

struct lc_slice lc_error_page(struct lc_arena *arena, const char *reason,
                              struct lc_slice message)
{
    struct lc_slice safe = escaped(arena, message);

    return lc_slice(lc_arena_printf(arena,
                                    "<html>\n"
                                    "  <head>\n"
                                    "    <title>%s</title>\n"
                                    "  </head>\n"
                                    "  <body>\n"
                                    "    <h1><p>%s</p></h1>\n"
                                    "    %.*s\n"
                                    "  </body>\n"
                                    "</html>\n",
                                    reason, reason, LC_ARG(safe)));
}

struct lc_slice lc_error_answer(struct lc_arena *arena, int status, const char *reason,
                                struct lc_slice message)
{
    struct lc_slice page = lc_error_page(arena, reason, message);

    return lc_slice(lc_arena_printf(arena,
                                    "HTTP/1.1 %d %s\r\n"
                                    "Connection: close\r\n"
                                    "Content-Type: text/html\r\n"
                                    "Content-Length: %zu\r\n"
                                    "\r\n"
                                    "%.*s",
                                    status, reason, page.len, LC_ARG(page)));
}

const char *lc_reason_phrase(int status)
{
    switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 102: return "Processing";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 451: return "Unavailable For Legal Reasons";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
    }
}
