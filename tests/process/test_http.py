"""HTTP/1.1 from socket to application and back."""
import hashlib
import os
import subprocess

import pytest

from licorne import HELLO_MODULE, peak_rss_kib, rss_kib

pytestmark = pytest.mark.usefixtures("both_kinds")

MIB = 1 << 20


def curl(*arguments):
    return subprocess.run(["curl", "-sS", "--max-time", "20", *arguments], capture_output=True,
                          check=True).stdout


@pytest.fixture
def server(serve):
    return serve()


def test_curl_gets_a_page(server):
    assert curl(f"http://127.0.0.1:{server.port}/") == b"Hello, world!\n"


def test_a_post_of_1_mb_comes_back_as_it_was(server, tmp_path):
    sent = os.urandom(MIB)
    (tmp_path / "body").write_bytes(sent)
    got = curl("--data-binary", f"@{tmp_path}/body", f"http://127.0.0.1:{server.port}/echo")
    assert hashlib.sha256(got).digest() == hashlib.sha256(sent).digest()


def test_a_chunked_upload_comes_back_as_it_was(server, tmp_path):
    sent = os.urandom(300_000)
    (tmp_path / "body").write_bytes(sent)
    got = curl("-H", "Transfer-Encoding: chunked", "--data-binary", f"@{tmp_path}/body",
               f"http://127.0.0.1:{server.port}/echo")
    assert got == sent


def test_chunks_may_arrive_byte_by_byte(server):
    with server.client() as client:
        for byte in (b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                     b"3;ext=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Trailer: y\r\n\r\n"):
            client.send(bytes([byte]))
        assert client.response().body == b"abc0123456789"


def test_a_client_that_expects_100_is_told_to_continue(server):
    with server.client() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n"
                    b"Expect: 100-continue\r\n\r\n")
        assert client.response().status == 100
        client.send(b"hello")
        response = client.response()
        assert (response.status, response.body) == (200, b"hello")


def test_another_expectation_is_refused(server):
    with server.client() as client:
        response = client.get("/", [("Expect", "wonders")])
        assert (response.status, response.reason) == (417, "Expectation Failed")


def test_three_pipelined_requests_are_answered_in_order(server):
    with server.client() as client:
        client.send(b"".join(b"GET /target?%d HTTP/1.1\r\nHost: t\r\n\r\n" % n
                             for n in (1, 2, 3)))
        assert [client.response().body for _ in range(3)] == [b"1", b"2", b"3"]


def test_a_pipelined_body_is_not_taken_for_the_next_request(server):
    with server.client() as client:
        client.send(b"POST /hello HTTP/1.1\r\nHost: t\r\nContent-Length: 18\r\n\r\n"
                    b"GET /fail HTTP/1.1" b"GET /target?next HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.response().body == b"Hello, world!\n"
        assert client.response().body == b"next"


def test_a_connection_is_kept_for_the_next_request(server):
    with server.client() as client:
        for _ in range(3):
            response = client.get("/")
            assert response.status == 200 and not response.is_last


def test_a_client_may_ask_for_the_connection_to_be_closed(server):
    with server.client() as client:
        assert client.get("/", [("Connection", "close")]).is_last
        assert client.is_closed()


def test_head_has_the_fields_of_get_and_no_body(server):
    with server.client() as client:
        head = client.get("/", method="HEAD")
        get = client.get("/")
    assert (head.status, head.field("Content-Length"), head.body) == (200, "14", b"")
    assert get.field("Content-Length") == "14" and len(get.body) == 14


def test_http_1_0_closes_unless_asked_to_keep(server):
    with server.client() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        response = client.response()
        assert response.status == 200 and client.is_closed()
    with server.client() as client:
        for _ in range(2):
            client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert client.response().body == b"Hello, world!\n"


def test_an_answer_of_unknown_length_is_chunked(server):
    with server.client() as client:
        response = client.get("/chunks")
        assert response.field("Transfer-Encoding") == "chunked"
        assert response.body == b"one two three"


def test_an_answer_of_unknown_length_ends_with_the_connection_in_http_1_0(server):
    with server.client() as client:
        client.send(b"GET /chunks HTTP/1.0\r\n\r\n")
        response = client.response()
        assert response.field("Transfer-Encoding") is None
        assert response.body == b"one two three"


def test_a_failing_application_gets_a_500_and_a_traceback_in_the_log(server):
    response = server.get("/fail")
    assert (response.status, response.reason) == (500, "Internal Server Error")
    assert b"always fails" not in response.body
    server.wait_for_log("RuntimeError: this one always fails")
    assert "Error handling request" in server.stderr
    assert server.get("/").status == 200


def test_wsgi_errors_go_to_the_error_log(server):
    assert server.get("/complain").status == 200
    server.wait_for_log("a word for the log\n")


@pytest.mark.parametrize("request_head, text", [
    (b"get / HTTP/1.1\r\n", "Invalid HTTP method: 'get'"),
    (b"GET / HTTP/3.0\r\n", "Invalid HTTP Version: (3, 0)"),
    (b"GET /\r\n", "Invalid HTTP request line: 'GET /'"),
    (b"GET / HTTP/1.1\r\nTransfer-Encoding: rot13\r\n", "Unsupported transfer coding: 'rot13'"),
    (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n", "limit request headers fields size"),
], ids=["method", "version", "line", "coding", "size"])
def test_the_log_says_who_sent_a_malformed_request(server, request_head, text):
    with server.client() as client:
        client.send(request_head + b"\r\n")
        assert client.response().is_last
    server.wait_for_log(f"[WARNING] Invalid request from ip=127.0.0.1: {text}\n")


def test_a_thread_writes_to_wsgi_errors_without_waiting_for_another_request(serve):
    server = serve()
    assert server.get("/complain_later").status == 200
    server.wait_for_log("a late word for the log", seconds=5)


@pytest.mark.parametrize("request_head, status, text", [
    (b"GET / HTTP/2.0\r\n", 400,
     b"Invalid HTTP Version &#x27;Invalid HTTP Version: (2, 0)&#x27;"),
    (b"get / HTTP/1.1\r\n", 400, b"Invalid Method &#x27;Invalid HTTP method: &#x27;get&#x27;&#x27;"),
    (b"GET /\r\n", 400, b"Invalid Request Line"),
    (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n", 400, b"Request Line is too large"),
    (b"GET / HTTP/1.1\r\nHost : t\r\n", 400, b"Invalid HTTP header name"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400, b"Invalid HTTP Header: &#x27;HOST&#x27;"),
    (b"GET / HTTP/1.1\r\nContent-Length: +1\r\n", 400, b"CONTENT-LENGTH"),
    (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400, b"Invalid"),
    (b"GET / HTTP/1.1\r\nTransfer-Encoding: rot13\r\n", 501, b"Unsupported transfer coding"),
    (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n", 431, b"limit request headers fields size"),
    (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101, 431, b"limit request headers fields"),
])
def test_a_malformed_request_is_refused_and_the_connection_closed(server, request_head, status,
                                                                  text):
    with server.client() as client:
        client.send(request_head + b"\r\n")
        response = client.response()
        assert response.status == status
        assert text in response.body
        assert response.is_last and client.is_closed()
    assert server.get("/").status == 200


def test_a_file_of_100_mb_is_sent_with_flat_memory(serve, tmp_path):
    path = tmp_path / "large"
    with open(path, "wb") as out:
        out.truncate(100 * MIB)
    server = serve(env={"SERVED_FILE": str(path)})
    assert server.get("/").status == 200
    worker = server.wait_for_workers(1)[0]
    before = rss_kib(worker)

    with server.client() as client:
        client.send(b"GET /file HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        assert len(client.response().body) == 100 * MIB

    assert server.workers() == [worker]
    assert peak_rss_kib(worker) - before < 8 * 1024


def test_a_slow_reader_does_not_fill_the_servers_memory(serve):
    server = serve()
    assert server.get("/").status == 200
    worker = server.wait_for_workers(1)[0]
    before = rss_kib(worker)

    with server.client() as client, server.client() as other:
        client.send(b"GET /stream?%d HTTP/1.1\r\nHost: t\r\n\r\n" % (100 * MIB))
        client.socket.recv(1000)
        assert other.get("/").status == 200  # others are served meanwhile
        assert rss_kib(worker) - before < 16 * 1024


def test_a_native_module_answers_through_the_same_pipeline(start):
    server = start(HELLO_MODULE, access_log=True)
    with server.client() as client:
        assert client.get("/").body == b"Hello, world!\n"
        assert client.get("/hello/Ada%20L").body == b"Hello, Ada L!\n"
        assert client.get("/echo", method="POST", body=b"x" * 100_000).body == b"x" * 100_000
        assert client.get("/nowhere").status == 404
        assert client.get("/echo").status == 405
    server.stop()
    assert len(server.access_lines()) == 5
