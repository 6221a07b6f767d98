#include "master/monitor/pages.h"

#include "base/mem.h"
#include "master/exposition.h"
#include "master/state.h"
#include "master/workers.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define PLAIN "text/plain; charset=utf-8"

/* ---- a response ---- */

/* English names whatever the locale (RFC 9110, 5.6.7). */
static void put_date(FILE *out)
{
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    fprintf(out, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday],
            tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
            tm.tm_sec);
}

struct page {
    const char *status; /* "200 OK" */
    const char *type, *fields;
    const char *body;
    size_t body_len;
    bool is_head_only;
};

static char *compose(const struct page *page, size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);

    lc_assert(out != NULL);
    fprintf(out, "HTTP/1.1 %s\r\n", page->status);
    put_date(out);
    fprintf(out,
            "Connection: close\r\nCache-Control: no-store\r\n%s"
            "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
            page->fields, page->type, page->body_len);
    if (!page->is_head_only)
        fwrite(page->body, 1, page->body_len, out);
    lc_assert(fclose(out) == 0);
    return text;
}

static char *say(const char *status, const char *fields, const char *text,
                 bool is_head_only, size_t *len)
{
    const struct page page = {status, PLAIN, fields, text, strlen(text), is_head_only};

    return compose(&page, len);
}

/* ---- what can be asked ---- */

static char *metrics(const struct lc_master *m, bool is_head_only, size_t *len)
{
    struct page page = {"200 OK", LC_EXPOSITION_TYPE, "", NULL, 0, is_head_only};
    LC_AUTOFREE char *text = lc_exposition_text(m, &page.body_len);

    page.body = text;
    return compose(&page, len);
}

/* That there is an answer is the answer. */
static char *live(const struct lc_master *m, bool is_head_only, size_t *len)
{
    return say("200 OK", "", "live\n", is_head_only, len);
}

static const char *why_not_ready(const struct lc_master *m)
{
    if (m->phase != LC_MASTER_RUNNING)
        return "not ready: the server stops\n";
    if (lc_workers_ready(m, m->serving) == 0)
        return "not ready: no worker serves\n";
    return NULL;
}

static char *ready(const struct lc_master *m, bool is_head_only, size_t *len)
{
    const char *why_not = why_not_ready(m);

    if (why_not != NULL)
        return say("503 Service Unavailable", "", why_not, is_head_only, len);
    return say("200 OK", "", "ready\n", is_head_only, len);
}

static const struct {
    const char *path;
    char *(*make)(const struct lc_master *m, bool is_head_only, size_t *len);
} pages[] = {
    {"/metrics", metrics},
    {"/livez", live},
    {"/healthz", live},
    {"/readyz", ready},
};

/* "/readyz?verbose" is "/readyz". */
static struct lc_slice path_of(struct lc_slice target)
{
    const char *query = memchr(target.at, '?', target.len);

    if (query != NULL)
        target.len = (size_t)(query - target.at);
    return target;
}

char *lc_page_make(const struct lc_master *m, llhttp_method_t method,
                   struct lc_slice target, size_t *len)
{
    struct lc_slice path = path_of(target);
    bool is_head_only = method == HTTP_HEAD;

    for (size_t i = 0; i < LC_COUNT(pages); i++) {
        if (!lc_slice_equals(path, lc_slice(pages[i].path)))
            continue;
        if (method != HTTP_GET && method != HTTP_HEAD)
            return say("405 Method Not Allowed", "Allow: GET, HEAD\r\n",
                       "only GET and HEAD\n", false, len);
        return pages[i].make(m, is_head_only, len);
    }
    return say("404 Not Found", "", "there are /metrics, /livez and /readyz\n",
               is_head_only, len);
}

char *lc_page_refusal(enum lc_page_refusal why, size_t *len)
{
    switch (why) {
    case LC_PAGE_TARGET_TOO_LONG:
        return say("414 URI Too Long", "", "the target is too long\n", false, len);
    case LC_PAGE_HEAD_TOO_LONG:
        return say("431 Request Header Fields Too Large", "", "the head is too long\n",
                   false, len);
    case LC_PAGE_BAD_REQUEST: break;
    }
    return say("400 Bad Request", "", "this is no request of HTTP/1\n", false, len);
}
