"""How responses are made: what leaves, byte by byte, and what happens to applications that break
the rules. The applications are in tests/wsgi/responses.py, one for each rule."""
import re
import socket
import sys

import pytest

from client import BadResponse
from licorne import APPS, WORKERS, Licorne
from waiting import wait_until

sys.path.insert(0, str(APPS))
import responses  # noqa: E402 (the path comes first)

PAGE = (b"<html>\n  <head>\n    <title>Internal Server Error</title>\n  </head>\n"
        b"  <body>\n    <h1><p>Internal Server Error</p></h1>\n    \n  </body>\n</html>\n")
HEAD_500 = (b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n"
            b"Content-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(PAGE))


class Observed(Licorne):
    """Tells what its logs have got since a moment ago."""

    marks = 0

    def mark(self):
        """What was asked before is in the logs now: they keep the order."""
        self.marks += 1
        self.get(f"/plain?mark={self.marks}")
        wait_until(lambda: any(line.startswith(f"GET /plain?mark={self.marks} ")
                               for line in self.access_lines()[-3:]), 10, "the mark's line")
        self.error_at = self.stderr_path.stat().st_size
        self.access_at = self.access_path.stat().st_size

    def wait_for(self, text):
        def new():
            return self.stderr_path.read_bytes()[self.error_at:].decode()
        wait_until(lambda: text in new(), 10, f"{text!r} in the error log")
        return new()

    def wait_for_access_line(self):
        """The one line that was written since; more would be a mistake."""
        def new():
            return self.access_path.read_bytes()[self.access_at:].decode().splitlines()
        wait_until(new, 10, "an access line")
        [line] = new()
        return line


@pytest.fixture(scope="module", params=WORKERS.values(), ids=WORKERS)
def running(request, tmp_path_factory):
    server = Observed(*request.param, "--chdir", APPS, "--keep-alive", "20", "--access-logformat",
                      "%(r)s %(s)s %(b)s", "responses", access_log=True,
                      folder=tmp_path_factory.mktemp("server"))
    try:
        yield server.wait_until_listening()
        server.stop()
    finally:
        server.kill()


@pytest.fixture
def server(running):
    running.mark()
    return running


@pytest.fixture(scope="module", autouse=True)
def nothing_ends_the_worker(running):
    before = running.wait_for_workers(1)
    yield
    assert running.workers() == before


def raw(server, request, half_close=True):
    """All that comes back for these bytes."""
    with server.client() as client:
        client.send(request)
        if half_close:
            client.socket.shutdown(socket.SHUT_WR)
        return client.rest()


def get(name, *fields, method="GET", version="1.1"):
    return "\r\n".join([f"{method} /{name} HTTP/{version}", "Host: t", *fields, "", ""]).encode()


def head_and_body(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


# --- the head -----------------------------------------------------------------------------------

def test_the_head_is_in_order(server):
    head, body = head_and_body(raw(server, get("plain") + get("plain")))
    assert head[0] == b"HTTP/1.1 200 OK"
    assert head[1] == b"Server: licorne"
    assert re.fullmatch(rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", head[2])
    assert head[3:] == [b"Connection: keep-alive", b"Content-Type: text/plain",
                        b"Content-Length: 2"]
    assert body.startswith(b"okHTTP/1.1 200 OK\r\n")


def test_framing_stands_before_the_applications_fields(server):
    head, _ = head_and_body(raw(server, get("cookies", "Connection: close")))
    head, streamed = head, head_and_body(raw(server, get("late_start")))[0]
    assert head[3:] == [b"Connection: close", b"Set-Cookie: b=2", b"x-lower: 1",
                        b"Set-Cookie: a=1", b"X-UPPER: 2", b"Content-Length: 2"]
    assert streamed[4:] == [b"Transfer-Encoding: chunked", b"X-Late: 1"]


def test_values_are_latin_1_without_blanks_around(server):
    assert b"\r\nX-Latin: caf\xe9\t and more\r\n" in raw(server, get("latin"))


def test_a_status_may_have_any_reason_or_none(server):
    assert raw(server, get("reason")).startswith(b"HTTP/1.1 299 Caf\xe9  of our own\r\n")
    assert raw(server, get("no_reason")).startswith(b"HTTP/1.1 200\r\n")


def test_what_is_the_servers_to_say_is_dropped(server):
    head, body = head_and_body(raw(server, get("hop_by_hop", "Connection: close")))
    assert [line for line in head if line.lower().endswith(b": x")] == []
    assert [line.split(b":")[0] for line in head[1:]] == [b"Server", b"Date", b"Connection",
                                                          b"X-Kept", b"Content-Length"]
    assert body == b"ok"


def test_an_application_cannot_close_a_kept_connection(server):
    with server.client() as client:
        for _ in range(2):
            response = client.get("/closing")
            assert (response.field("Connection"), response.body) == ("keep-alive", b"ok")


# --- framing ------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, body", [
    ("pieces", b"3\r\none\r\n20\r\n0123456789abcdef0123456789abcdef\r\n3\r\nend\r\n0\r\n\r\n"),
    ("two", b"3\r\ntwo\r\n7\r\n pieces\r\n0\r\n\r\n"),
    ("writes", b"5\r\none, \r\n5\r\ntwo, \r\n5\r\nthree\r\n0\r\n\r\n"),
    ("late_start", b"C\r\nstarted late\r\n0\r\n\r\n"),
])
def test_a_body_of_unknown_length_is_sent_in_chunks(server, name, body):
    head, got = head_and_body(raw(server, get(name)))
    assert b"Transfer-Encoding: chunked" in head
    assert not any(line.startswith(b"Content-Length") for line in head)
    assert got == body


@pytest.mark.parametrize("name, body", [
    ("plain", b"ok"), ("pieces_length", b"fourteen bytes"), ("cookies", b"ok"), ("empty", b""),
    ("nothing", b""), ("empty_pieces", b"")])
def test_a_body_of_known_length_is_sent_as_it_is(server, name, body):
    head, got = head_and_body(raw(server, get(name)))
    assert b"Content-Length: %d" % len(body) in head
    assert b"Transfer-Encoding: chunked" not in head
    assert got == body


@pytest.mark.parametrize("name, body, is_kept", [
    ("pieces", b"one0123456789abcdef0123456789abcdefend", False),
    ("two", b"two pieces", False), ("writes", b"one, two, three", False),
    ("plain", b"ok", True), ("pieces_length", b"fourteen bytes", True), ("empty", b"", True)])
def test_http_1_0_has_no_chunks(server, name, body, is_kept):
    with server.client() as client:
        client.send(get(name, "Connection: keep-alive", version="1.0"))
        response = client.response()
        assert (response.version, response.body) == ("HTTP/1.0", body)
        assert response.field("Connection") == ("keep-alive" if is_kept else "close")
        assert response.field("Transfer-Encoding") is None
        if is_kept:
            assert client.get("/plain").body == b"ok"
        else:
            assert client.is_closed()


# --- answers without a body -------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["plain", "pieces_length", "cookies", "pieces", "two",
                                  "late_start", "writes"])
def test_head_has_the_fields_of_get_and_no_body(server, name):
    with server.client() as client:
        full = client.get(f"/{name}")
        client.send(get(name, method="HEAD") + get("plain"))
        head = client.response("HEAD")
        assert (head.status, head.field("Connection")) == (full.status, "keep-alive")
        assert head.field("Content-Length") == full.field("Content-Length")
        assert client.response().body == b"ok"  # nothing stood between the two


def test_204_and_304_have_no_body_and_no_false_length(server):
    with server.client() as client:
        client.send(get("no_content") + get("not_modified") + get("not_modified_unknown")
                    + get("plain"))
        response = client.response()
        assert (response.status, response.field("X-A")) == (204, "1")
        assert response.field("Content-Length") is response.field("Transfer-Encoding") is None
        response = client.response()
        assert (response.status, response.field("ETag")) == (304, '"x"')
        assert response.field("Content-Length") == "5"  # of what has not changed
        response = client.response()
        assert response.status == 304
        assert response.field("Content-Length") is response.field("Transfer-Encoding") is None
        assert client.response().body == b"ok"
    log = server.wait_for("GET /not_modified: ")
    assert "[WARNING] GET /no_content: the application's body was dropped: a 204 has none\n" in log
    assert "not_modified_unknown" not in log


def test_an_answer_to_head_may_have_a_body_that_nobody_sees(server):
    assert server.get("/pieces", method="HEAD").body == b""
    server.wait_for("closed /pieces\n")
    assert "WARNING" not in server.wait_for("closed")


# --- Content-Length that is not true ------------------------------------------------------------------

@pytest.mark.parametrize("name, body", [("too_long", b"0123456789an"), ("too_long_at_once", b"ok")])
def test_what_is_longer_than_its_length_is_cut(server, name, body):
    with server.client() as client:
        assert client.get(f"/{name}").body == body
        assert client.get("/plain").body == b"ok"
    log = server.wait_for("bytes and was cut")
    assert f"[WARNING] GET /{name}: the application's body is longer than its Content-Length" in log


@pytest.mark.parametrize("name", ["too_short", "too_short_at_once"])
def test_what_is_shorter_than_its_length_closes_the_connection(server, name):
    head, body = head_and_body(raw(server, get(name) + get("plain"), half_close=False))
    assert b"Content-Length: 100" in head
    assert body == b"begun"
    log = server.wait_for("the connection is closed")
    assert f"[ERROR] GET /{name}: the application's body is shorter than its Content-Length" in log
    assert server.wait_for_access_line() == f"GET /{name} HTTP/1.1 200 5"


# --- start_response -----------------------------------------------------------------------------------

def test_exc_info_replaces_what_has_not_left(server):
    response = server.get("/exc_info_in_time")
    assert (response.status, response.reason, response.body) == (503, "Sorry", b"sorry")
    assert response.field("X-Second") == "2" and response.field("X-First") is None
    assert response.field("Content-Length") == "5"


def test_an_application_may_recover_from_a_refused_field(server):
    response = server.get("/recovers")
    assert (response.status, response.body) == (503, b"sorry")


# --- applications that fail before anything has left ----------------------------------------------------

FAILURES = {
    **{f"bad_status_{n}": "Error: " for n in range(responses.BAD_STATUSES)},
    **{f"bad_header_{n}": "Error: " for n in range(responses.BAD_HEADERS)},
    "bad_status_0": r"ValueError: invalid status '200 OK\r\nX-Admin: 1'",
    "bad_header_0": r"ValueError: header 'X\r\nX-Admin': ",
    "bad_header_10": "ValueError: header 'X-A': the value of header 'X-A' holds a control byte",
    "two_lengths": "ValueError: header 'content-length': Content-Length is set twice",
    "headers_none": "TypeError: 'NoneType' object is not iterable",
    "str_item": "TypeError: 'text' is not a byte",
    "int_item": "TypeError: 65 is not a byte",
    "none_item": "TypeError: None is not a byte",
    "body_none": "TypeError: 'NoneType' object is not iterable",
    "body_number": "TypeError: 'int' object is not iterable",
    "body_str": "TypeError: 't' is not a byte",
    "str_first": "TypeError: 'text' is not a byte",
    "bytearray_first": "TypeError: bytearray(b'mutable') is not a byte",
    "raises_first": "ZeroDivisionError: before the first piece",
    "exits_first": "SystemExit: 3",
    "starts_twice": "AssertionError: Response headers already set!",
    "never_starts": "the application did not call start_response",
    "never_starts_pieces": "the application did not call start_response",
    "never_starts_nothing": "the application did not call start_response",
    "raises": "ZeroDivisionError: at once",
    "raises_after_start": "ZeroDivisionError: after start_response",
    "exits": "SystemExit: 3",
    "interrupts": "KeyboardInterrupt",
    "writes_text": "TypeError: 'text' is not a byte",
    "wrong_arguments": "TypeError: start_response(status, headers, exc_info=None)",
    "returns_nothing": "TypeError: 'NoneType' object is not iterable",
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_answered_with_500_and_logged(server, name):
    """Nothing of what the application had prepared reaches the client."""
    assert raw(server, get(name), half_close=False) == HEAD_500 + PAGE
    log = server.wait_for(FAILURES[name])
    assert f"[ERROR] Error handling request GET /{name}" in log
    assert server.wait_for_access_line() == f"GET /{name} HTTP/1.1 500 {len(PAGE)}"


@pytest.mark.parametrize("name", ["str_first", "raises_first", "exits_first",
                                  "never_starts_pieces"])
def test_a_body_is_closed_after_a_failure(server, name):
    server.get(f"/{name}")
    server.wait_for(f"closed /{name}\n")


# --- applications that fail later -------------------------------------------------------------------------

@pytest.mark.parametrize("name, error", [
    ("raises_later", "ZeroDivisionError: in the middle"),
    ("raises_later_length", "ZeroDivisionError: in the middle"),
    ("exits_later", "SystemExit: 3"),
    ("str_later", "TypeError: 'text' is not a byte"),
    ("writes_then_raises", "ZeroDivisionError: after write"),
    ("exc_info_too_late", "ZeroDivisionError: when all is too late"),
])
def test_a_failure_in_the_middle_breaks_the_response_off(server, name, error):
    """The client must not take it for a complete one."""
    with server.client() as client:
        client.send(get(name) + get("plain"))
        with pytest.raises(BadResponse, match="closed after"):
            client.response()
        assert client.left in (b"", b"begun")
    log = server.wait_for(error)
    assert f"[ERROR] Error handling request GET /{name}\n" in log
    assert server.wait_for_access_line() == f"GET /{name} HTTP/1.1 200 5"


def test_a_close_that_fails_costs_nobody_his_answer(server):
    with server.client() as client:
        assert client.get("/close_raises").body == b"ok"
        assert client.get("/plain").body == b"ok"
    log = server.wait_for("ZeroDivisionError: in close")
    assert log.count("closed /close_raises\n") == 1


# --- close() ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["pieces", "nothing", "pieces_length", "too_long", "too_short",
                                  "raises_later", "exits_later", "str_later"])
def test_close_is_called_once(server, name):
    with server.client() as client:
        client.send(get(name))
        client.socket.shutdown(socket.SHUT_WR)
        client.rest()
    server.get("/plain")
    assert server.wait_for(f"closed /{name}\n").count("closed /") == 1


def test_a_client_that_goes_away_ends_the_iteration(server):
    with server.client() as client:
        client.send(get("endless"))
        while len(client.left) < 100_000:
            assert client._receive()
    server.wait_for("closed /endless\n")
    assert server.wait_for_access_line().startswith("GET /endless HTTP/1.1 200 ")
    assert "Traceback" not in server.wait_for("closed")


def test_a_client_that_goes_away_is_an_error_to_write(server):
    with server.client() as client:
        client.send(get("endless_write"))
        while len(client.left) < 100_000:
            assert client._receive()
    server.wait_for("write raised ConnectionResetError\n")
    assert server.wait_for_access_line().startswith("GET /endless_write HTTP/1.1 200 ")
    assert "Traceback" not in server.wait_for("write raised")
