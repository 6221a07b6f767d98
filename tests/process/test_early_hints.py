"""wsgi.early_hints: 103 before the response (RFC 8297)."""
import time

import pytest

from licorne import APPS


@pytest.fixture(params=[["-k", "sync"], ["--threads", "4"]], ids=["sync", "gthread"])
def server(request, start):
    return start(*request.param, "--access-logformat", "%(r)s %(s)s %(b)s", "--chdir", APPS, "hints",
                 access_log=True)


def get(path, version="1.1"):
    return f"GET {path} HTTP/{version}\r\nHost: t\r\n\r\n".encode()


def test_hints_come_before_the_response(server):
    with server.client() as client:
        for _ in range(2):
            client.send(get("/two"))
            first, second, last = client.response(), client.response(), client.response()
            assert (first.version, first.status, first.reason) == ("HTTP/1.1", 103, "Early Hints")
            assert first.fields == [("Link", "</style.css>; rel=preload; as=style")]
            assert second.fields == [("Link", "</a.js>; rel=preload"), ("X-Other", "caf\xe9")]
            assert (last.status, last.body, last.field("Link")) == (200, b"ok", None)


def test_hints_leave_at_once(server):
    with server.client() as client:
        client.send(get("/slow"))
        began = time.monotonic()
        assert client.response().status == 103
        assert time.monotonic() - began < 0.7
        assert client.response().status == 200


def test_a_hint_that_outlives_its_request_reaches_nobody(server):
    with server.client() as client, server.client() as other:
        client.send(get("/outlived"))
        assert client.response().status == 200
        other.send(get("/sleeps"))
        assert other.response().status == 200
        client.send(get("/late"))
        assert client.response().body == b"here"


@pytest.mark.parametrize("late", ["pair", "fields"])
def test_headers_that_are_not_ready_in_time_reach_nobody(server, late):
    with server.client() as client:
        client.send(get(f"/started_late?{late}"))
        assert client.response().status == 200
        client.send(get("/sleeps"))
        slept = client.response()
        assert (slept.status, slept.field("X-Late")) == (200, None)
        client.send(get("/was_raised"))
        assert client.response().body == b"start_response was called after the response had ended"


def test_hints_may_follow_start_response_and_not_the_head(server):
    with server.client() as client:
        client.send(get("/behind_start_response"))
        assert [client.response().status for _ in range(2)] == [103, 200]
        client.send(get("/late"))
        assert client.response().body == b"here"
        client.send(get("/two"))
        assert client.response().status == 103


def test_http_1_0_gets_no_hints(server):
    with server.client() as client:
        client.send(get("/two", "1.0"))
        assert client.rest().startswith(b"HTTP/1.0 200 OK\r\n")


def test_hints_that_would_split_the_response_are_a_500(server):
    with server.client() as client:
        client.send(get("/split"))
        answer = client.rest()
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n") and b"Cookie" not in answer
    server.wait_for_log("ValueError: wsgi.early_hints: the value of header 'Link' holds a control")


def test_the_access_log_has_the_response_alone(server):
    server.get("/late")
    with server.client() as client:
        client.send(get("/two"))
        for _ in range(3):
            client.response()
    server.stop()
    assert server.access_lines() == ["GET /late HTTP/1.1 200 4", "GET /two HTTP/1.1 200 2"]


def test_hints_and_a_streamed_body_do_not_mix_up(start):
    server = start("--no-request-buffering", "--chdir", APPS, "hints")
    with server.client() as client:
        client.send(b"POST /reads HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n"
                    b"Expect: 100-continue\r\n\r\n")
        assert [client.response().status for _ in range(2)] == [103, 100]
        client.send(b"body")
        assert client.response().body == b"body"
