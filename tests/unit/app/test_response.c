/* What a controller says, and the bytes that follow from it. The host here keeps all bytes. */
#include "app/request.h"
#include "base/mem.h"

#include <licorne/error.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct host {
    struct lc_request request; /* first */
    char sent[8192];
    size_t len;
    bool has_ended, is_broken, keeps, loses_files;
    int released;
    _Alignas(16) char block[4096];
};

static void keep_bytes(struct host *host, struct lc_slice bytes)
{
    assert_true(host->len + bytes.len < sizeof(host->sent));
    if (bytes.len > 0)
        memcpy(host->sent + host->len, bytes.at, bytes.len);
    host->len += bytes.len;
}

static enum lc_flow on_send(struct lc_request *request, struct lc_slice text,
                            struct lc_slice body, void (*release)(void *), void *owner)
{
    struct host *host = (struct host *)(void *)request;

    keep_bytes(host, text);
    keep_bytes(host, body);
    if (release != NULL)
        release(owner);
    return LC_FLOW_GO;
}

static enum lc_flow on_flush(struct lc_request *request)
{
    return LC_FLOW_GO;
}

static void on_end(struct lc_request *request, bool is_broken)
{
    struct host *host = (struct host *)(void *)request;

    assert_false(host->has_ended);
    host->has_ended = true;
    host->is_broken = is_broken;
}

static bool may_keep(const struct lc_request *request)
{
    return ((const struct host *)(const void *)request)->keeps;
}

static struct lc_slice date_line(const struct lc_request *request)
{
    return LC_SLICE("Date: now\r\n");
}

static enum lc_flow on_send_file(struct lc_request *request, struct lc_slice text,
                                 int file, uint64_t offset, uint64_t length)
{
    struct host *host = (struct host *)(void *)request;

    keep_bytes(host, text);
    if (host->loses_files) { /* the client has gone, or the file has shrunk */
        request->response.written -= length;
        return LC_FLOW_GONE;
    }
    assert_true(host->len + length < sizeof(host->sent));
    assert_int_equal(pread(file, host->sent + host->len, length, (off_t)offset), length);
    host->len += length;
    return LC_FLOW_GO;
}

static const struct lc_host_ops ops = {
    .send = on_send,
    .send_file = on_send_file,
    .flush = on_flush,
    .wait = on_flush,
    .end = on_end,
    .may_keep = may_keep,
    .date_line = date_line,
};

static struct host *given_request(const char *method, int version)
{
    static struct host host;

    memset(&host, 0, sizeof(host));
    host.keeps = true;
    host.request.method = lc_slice(method);
    host.request.target = LC_SLICE("/x");
    host.request.version = (uint8_t)version;
    host.request.host = &ops;
    lc_arena_init(&host.request.arena, host.block, sizeof(host.block));
    return &host;
}

static int given_file(const char *bytes)
{
    int fd = memfd_create("file", MFD_CLOEXEC);

    assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
    return fd;
}

static void sends(struct host *host, const char *expected)
{
    host->sent[host->len] = '\0';
    assert_string_equal(host->sent, expected);
    assert_true(host->has_ended);
    lc_arena_deinit(&host->request.arena);
}

static int field(struct host *host, const char *name, const char *value)
{
    return lc_response_header(&host->request, lc_slice(name), lc_slice(value), NULL);
}

#define HEAD(status, connection)                                                     \
    "HTTP/1.1 " status "\r\nServer: licorne\r\nDate: now\r\nConnection: " connection \
    "\r\n"

static void a_whole_answer_has_its_length(void **state)
{
    struct host *host = given_request("GET", 11);

    lc_response_text(&host->request, 200, "hello");
    sends(host, HEAD("200 OK", "keep-alive") "Content-Type: text/plain; charset=utf-8\r\n"
                                             "Content-Length: 5\r\n\r\nhello");
}

static void an_answer_without_length_is_chunked(void **state)
{
    struct host *host = given_request("GET", 11);

    lc_response_write(&host->request, LC_SLICE("hello, chunk"));
    lc_response_write(&host->request, LC_SLICE(""));
    lc_response_write(&host->request, LC_SLICE("!"));
    lc_response_end(&host->request);
    sends(host, HEAD("200 OK", "keep-alive") "Transfer-Encoding: chunked\r\n\r\n"
                                             "C\r\nhello, chunk\r\n1\r\n!\r\n0\r\n\r\n");
}

static void http_1_0_is_ended_by_closing(void **state)
{
    struct host *host = given_request("GET", 10);

    lc_response_write(&host->request, LC_SLICE("hello"));
    lc_response_end(&host->request);
    assert_false(host->request.response.keeps);
    sends(host,
          "HTTP/1.0 200 OK\r\nServer: licorne\r\nDate: now\r\nConnection: close\r\n\r\n"
          "hello");
}

static void head_and_304_and_204_have_no_body(void **state)
{
    struct host *host = given_request("HEAD", 11);
    lc_response_text(&host->request, 200, "hello");
    sends(host, HEAD("200 OK", "keep-alive") "Content-Type: text/plain; charset=utf-8\r\n"
                                             "Content-Length: 5\r\n\r\n");

    host = given_request("GET", 11);
    lc_response_status(&host->request, 304);
    field(host, "Content-Length", "5");
    lc_response_write(&host->request, LC_SLICE("hello"));
    lc_response_end(&host->request);
    assert_false(host->is_broken);
    sends(host, HEAD("304 Not Modified", "keep-alive") "Content-Length: 5\r\n\r\n");

    host = given_request("GET", 11);
    lc_response_status(&host->request, 204);
    field(host, "X-A", "1");
    field(host, "Content-Length", "5");
    field(host, "X-B", "2");
    lc_response_end(&host->request);
    sends(host, HEAD("204 No Content", "keep-alive") "X-A: 1\r\nX-B: 2\r\n\r\n");
}

/* Answers `method` with 4 bytes of a file, and with a Content-Length if one is given. */
static struct host *sent_file(const char *method, int version, const char *length)
{
    struct host *host = given_request(method, version);
    int fd = given_file("0123456789");

    lseek(fd, 5, SEEK_SET);
    if (length != NULL)
        field(host, "Content-Length", length);
    assert_int_equal(lc_response_send_file(&host->request, fd, 3, 4), 0);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 5);
    close(fd);
    return host;
}

static void a_piece_of_a_file_is_framed_as_one(void **state)
{
    sends(sent_file("GET", 11, NULL),
          HEAD("200 OK", "keep-alive") "Transfer-Encoding: chunked\r\n\r\n"
                                       "4\r\n3456\r\n0\r\n\r\n");
    sends(sent_file("GET", 11, "4"),
          HEAD("200 OK", "keep-alive") "Content-Length: 4\r\n\r\n3456");
    sends(sent_file("GET", 11, "2"),
          HEAD("200 OK", "keep-alive") "Content-Length: 2\r\n\r\n34");
    sends(sent_file("HEAD", 11, "4"),
          HEAD("200 OK", "keep-alive") "Content-Length: 4\r\n\r\n");
    sends(sent_file("GET", 10, NULL),
          "HTTP/1.0 200 OK\r\nServer: licorne\r\nDate: now\r\nConnection: close\r\n\r\n"
          "3456");
}

static void a_file_may_be_the_rest_of_a_body(void **state)
{
    struct host *host = given_request("GET", 11);
    int fd = given_file("0123456789");

    lc_response_write(&host->request, LC_SLICE("head "));
    assert_int_equal(lc_response_send_file(&host->request, fd, 0, 10), 0);
    assert_int_equal(host->request.response.written, 15);
    sends(host,
          HEAD("200 OK", "keep-alive") "Transfer-Encoding: chunked\r\n\r\n"
                                       "5\r\nhead \r\nA\r\n0123456789\r\n0\r\n\r\n");
    close(fd);
}

static void a_file_that_cannot_be_sent_breaks_the_response_off(void **state)
{
    struct host *host = given_request("GET", 11);
    int fd = given_file("0123456789");

    host->loses_files = true;
    assert_int_equal(lc_response_send_file(&host->request, fd, 0, 10), 0);
    assert_true(host->has_ended && host->is_broken);
    assert_int_equal(host->request.response.written, 0);
    sends(host, HEAD("200 OK", "keep-alive") "Transfer-Encoding: chunked\r\n\r\nA\r\n");
    close(fd);
}

static void no_byte_of_a_file_is_an_empty_body(void **state)
{
    struct host *host = given_request("GET", 11);
    int fd = given_file("0123456789");

    assert_int_equal(lc_response_send_file(&host->request, fd, 10, 0), 0);
    sends(host, HEAD("200 OK", "keep-alive") "Content-Length: 0\r\n\r\n");
    close(fd);
}

static void what_is_no_regular_file_is_not_sent(void **state)
{
    struct host *host = given_request("GET", 11);
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(lc_response_send_file(&host->request, ends[0], 0, 4), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(lc_response_send_file(&host->request, -1, 0, 4), -1);
    assert_int_equal(errno, EBADF);
    close(ends[0]);
    close(ends[1]);
    lc_response_text(&host->request, 404, "");
    sends(host, HEAD("404 Not Found",
                     "keep-alive") "Content-Type: text/plain; charset=utf-8\r\n"
                                   "Content-Length: 0\r\n\r\n");
}

static void too_long_a_body_is_cut(void **state)
{
    struct host *host = given_request("GET", 11);

    field(host, "Content-Length", "5");
    lc_response_write(&host->request, LC_SLICE("hel"));
    assert_int_equal(lc_response_left(&host->request), 2);
    lc_response_write(&host->request, LC_SLICE("lo, world"));
    assert_int_equal(lc_response_left(&host->request), 0);
    lc_response_end(&host->request);
    assert_false(host->is_broken);
    sends(host, HEAD("200 OK", "keep-alive") "Content-Length: 5\r\n\r\nhello");
}

static void too_short_a_body_breaks_the_connection(void **state)
{
    struct host *host = given_request("GET", 11);

    field(host, "Content-Length", "5");
    lc_response_write(&host->request, LC_SLICE("hel"));
    lc_response_end(&host->request);
    assert_true(host->is_broken);
    sends(host, HEAD("200 OK", "keep-alive") "Content-Length: 5\r\n\r\nhel");
}

static void what_belongs_to_the_connection_is_the_servers(void **state)
{
    struct host *host = given_request("GET", 11);

    field(host, "connection", "close");
    field(host, "Transfer-Encoding", "chunked");
    field(host, "Server", "other");
    field(host, "Date", "never");
    field(host, "X-Kept", " yes ");
    lc_response_send(&host->request, LC_SLICE(""));
    sends(host, HEAD("200 OK", "keep-alive") "X-Kept: yes\r\nContent-Length: 0\r\n\r\n");
}

static void an_application_may_ask_to_leave_http(void **state)
{
    struct host *host = given_request("GET", 11);

    lc_response_status(&host->request, 101);
    field(host, "Connection", "Upgrade");
    field(host, "Upgrade", "WebSocket");
    field(host, "Upgrade", "h2c");
    lc_response_end(&host->request);
    assert_false(host->request.response.keeps); /* whatever comes now is no request */
    sends(host, HEAD("101 Switching Protocols", "upgrade") "Upgrade: WebSocket\r\n\r\n");

    host = given_request("GET", 11);
    field(host, "Connection", "keep-alive, Upgrade");
    lc_response_end(&host->request);
    sends(host, HEAD("200 OK", "keep-alive") "Content-Length: 0\r\n\r\n");
}

static int hint(struct host *host, const char *name, const char *value)
{
    struct lc_header field = {lc_slice(name), lc_slice(value)};
    struct lc_error err;

    return lc_response_interim(&host->request, 103, &field, 1, &err);
}

static void interim_answers_come_before_the_head(void **state)
{
    struct host *host = given_request("GET", 11);

    assert_int_equal(hint(host, "Link", " </a.css> "), 0);
    assert_int_equal(hint(host, "Content-Length", "5"), 0);
    assert_int_equal(hint(host, "Link", "a\r\nb"), -1);
    assert_int_equal(hint(host, "Li nk", "a"), -1);
    lc_response_text(&host->request, 204, "");
    assert_int_equal(hint(host, "Link", "late"), 0);
    assert_int_equal(host->request.response.written, 0);
    sends(host, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
                "HTTP/1.1 103 Early Hints\r\n\r\n" HEAD(
                    "204 No Content",
                    "keep-alive") "Content-Type: text/plain; charset=utf-8\r\n\r\n");
}

static void http_1_0_knows_no_interim_answers(void **state)
{
    struct host *host = given_request("GET", 10);

    assert_int_equal(hint(host, "Link", "</a.css>"), 0);
    assert_int_equal(hint(host, "Link", "a\nb"), -1);
    assert_int_equal(host->len, 0);
    lc_arena_deinit(&host->request.arena);
}

static void nothing_can_be_smuggled_into_the_head(void **state)
{
    struct host *host = given_request("GET", 11);
    struct lc_error err;

    assert_int_equal(field(host, "X-A", "1\r\nX-B: 2"), -1);
    assert_int_equal(field(host, "X-A\r\nX-B", "1"), -1);
    assert_int_equal(field(host, "X A", "1"), -1);
    assert_int_equal(field(host, "", "1"), -1);
    assert_int_equal(field(host, "Content-Length", "1x"), -1);
    assert_int_equal(
        lc_response_status_line(&host->request, LC_SLICE("200 OK\r\nX: 1"), &err), -1);
    assert_int_equal(lc_response_status_line(&host->request, LC_SLICE("OK"), &err), -1);
    assert_non_null(strstr(err.text, "status 'OK'"));
    assert_int_equal(lc_response_status_line(&host->request, LC_SLICE("299 Odd"), &err),
                     0);
    lc_response_send(&host->request, LC_SLICE(""));
    sends(host, HEAD("299 Odd", "keep-alive") "Content-Length: 0\r\n\r\n");
}

static void an_aborted_answer_is_a_500_page_or_a_broken_connection(void **state)
{
    struct host *host = given_request("GET", 11);

    field(host, "X-A", "1");
    lc_response_abort(&host->request);
    assert_false(host->is_broken);
    assert_int_equal(host->request.response.status, 500);
    sends(host, "HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n"
                "Content-Type: text/html\r\nContent-Length: 141\r\n\r\n"
                "<html>\n  <head>\n    <title>Internal Server Error</title>\n  </head>\n"
                "  <body>\n    <h1><p>Internal Server Error</p></h1>\n    \n  </body>\n"
                "</html>\n");

    host = given_request("GET", 11);
    lc_response_write(&host->request, LC_SLICE("a"));
    lc_response_abort(&host->request);
    assert_true(host->is_broken);
    sends(host,
          HEAD("200 OK", "keep-alive") "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
}

static void a_refused_request_gets_a_page_in_its_own_words(void **state)
{
    struct host *host = given_request("GET", 11);

    field(host, "X-A", "1");
    lc_response_refuse(&host->request, 500, "Bad Request", LC_SLICE("a <b>"));
    assert_false(host->is_broken);
    assert_int_equal(host->request.response.status, 500);
    sends(host, "HTTP/1.1 500 Bad Request\r\nConnection: close\r\n"
                "Content-Type: text/html\r\nContent-Length: 132\r\n\r\n"
                "<html>\n  <head>\n    <title>Bad Request</title>\n  </head>\n"
                "  <body>\n    <h1><p>Bad Request</p></h1>\n    a &lt;b&gt;\n  </body>\n"
                "</html>\n");

    host = given_request("GET", 11);
    lc_response_write(&host->request, LC_SLICE("a"));
    lc_response_refuse(&host->request, 500, "Bad Request", LC_SLICE("too late"));
    assert_true(host->is_broken);
}

static void a_draining_server_promises_nothing(void **state)
{
    struct host *host = given_request("GET", 11);

    host->keeps = false;
    lc_response_send(&host->request, LC_SLICE(""));
    sends(host, HEAD("200 OK", "close") "Content-Length: 0\r\n\r\n");
}

static void count_release(void *owner)
{
    ++*(int *)owner;
}

static void an_owned_body_is_released_once(void **state)
{
    struct host *host = given_request("GET", 11);
    int released = 0;

    lc_response_send_owned(&host->request, LC_SLICE("abc"), count_release, &released);
    assert_int_equal(released, 1);
    sends(host, HEAD("200 OK", "keep-alive") "Content-Length: 3\r\n\r\nabc");

    host = given_request("HEAD", 11);
    lc_response_send_owned(&host->request, LC_SLICE("abc"), count_release, &released);
    assert_int_equal(released, 2);
    lc_response_send_owned(&host->request, LC_SLICE("again"), count_release, &released);
    assert_int_equal(released, 3);
    sends(host, HEAD("200 OK", "keep-alive") "Content-Length: 3\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_answer_has_its_length),
        cmocka_unit_test(an_answer_without_length_is_chunked),
        cmocka_unit_test(http_1_0_is_ended_by_closing),
        cmocka_unit_test(head_and_304_and_204_have_no_body),
        cmocka_unit_test(a_piece_of_a_file_is_framed_as_one),
        cmocka_unit_test(a_file_may_be_the_rest_of_a_body),
        cmocka_unit_test(a_file_that_cannot_be_sent_breaks_the_response_off),
        cmocka_unit_test(no_byte_of_a_file_is_an_empty_body),
        cmocka_unit_test(what_is_no_regular_file_is_not_sent),
        cmocka_unit_test(too_long_a_body_is_cut),
        cmocka_unit_test(too_short_a_body_breaks_the_connection),
        cmocka_unit_test(what_belongs_to_the_connection_is_the_servers),
        cmocka_unit_test(an_application_may_ask_to_leave_http),
        cmocka_unit_test(interim_answers_come_before_the_head),
        cmocka_unit_test(http_1_0_knows_no_interim_answers),
        cmocka_unit_test(nothing_can_be_smuggled_into_the_head),
        cmocka_unit_test(an_aborted_answer_is_a_500_page_or_a_broken_connection),
        cmocka_unit_test(a_refused_request_gets_a_page_in_its_own_words),
        cmocka_unit_test(a_draining_server_promises_nothing),
        cmocka_unit_test(an_owned_body_is_released_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
