"""real_ip_header: the client's address as trusted proxies tell it, request by request."""
import json
import time

import pytest

from client import Client
from control import Control
from licorne import WORKERS, run
from waiting import wait_until

KINDS = pytest.mark.parametrize("kind", WORKERS.values(), ids=WORKERS)


@pytest.fixture
def named(serve):
    """named(header, *arguments) trusts 127.0.0.1 and 10/8, and writes who asked into access lines."""
    def named(header, *arguments, trusted="127.0.0.1,10.0.0.0/8", **options):
        return serve("--real-ip-header", header, "--forwarded-allow-ips", trusted,
                     "--access-logformat", "%(h)s %({REMOTE_PORT}e)s %({licorne.peer_addr}e)s",
                     *arguments, access_log=True, **options)
    return named


def environ(client, *fields):
    response = client.get("/environ", fields)
    assert response.status == 200
    return json.loads(response.body)


def ends(environ):
    return (environ["REMOTE_ADDR"], environ.get("REMOTE_PORT"),
            environ.get("licorne.peer_addr"))


@KINDS
def test_a_proxys_word_is_that_of_one_request_only(named, kind):
    server = named("X-Forwarded-For", *kind)
    with server.client() as client:
        own = str(client.socket.getsockname()[1])
        assert ends(environ(client, ("X-Forwarded-For", "203.0.113.9"))) == \
            ("203.0.113.9", None, "127.0.0.1")
        assert ends(environ(client)) == ("127.0.0.1", own, None)
        seen = environ(client, ("X-Forwarded-For", "198.51.100.1, [2001:DB8::7]:99, 10.1.1.1"))
        assert ends(seen) == ("2001:db8::7", "99", "127.0.0.1")
        assert seen["licorne.peer_port"] == own
        assert seen["HTTP_X_FORWARDED_FOR"] == "198.51.100.1, [2001:DB8::7]:99, 10.1.1.1"
        assert ends(environ(client)) == ("127.0.0.1", own, None)
    wait_until(lambda: len(server.access_lines()) == 4)
    assert server.access_lines() == [
        "203.0.113.9 - 127.0.0.1", f"127.0.0.1 {own} -", "2001:db8::7 99 127.0.0.1",
        f"127.0.0.1 {own} -"]


def test_nothing_changes_by_default(serve):
    server = serve()
    with server.client() as client:
        seen = environ(client, ("X-Forwarded-For", "203.0.113.9"), ("X-Real-IP", "203.0.113.9"))
        assert ends(seen) == ("127.0.0.1", str(client.socket.getsockname()[1]), None)


def test_a_stranger_is_not_believed(named):
    server = named("X-Forwarded-For", trusted="10.0.0.0/8")
    with server.client() as client:
        seen = environ(client, ("X-Forwarded-For", "203.0.113.9"))
        assert ends(seen) == ("127.0.0.1", str(client.socket.getsockname()[1]), None)


@pytest.mark.parametrize("header, value, address", [
    ("X-Real-IP", "203.0.113.9", "203.0.113.9"),
    ("x-real-ip", "::ffff:203.0.113.9", "203.0.113.9"),
    ("Forwarded", 'for="[2001:db8::1]:80";proto=https, for=10.2.2.2', "2001:db8::1"),
    ("CF-Connecting-IP", "2001:db8::5", "2001:db8::5"),
])
def test_other_headers_name_the_client_too(named, header, value, address):
    server = named(header)
    with server.client() as client:
        assert environ(client, (header, value))["REMOTE_ADDR"] == address
        assert environ(client, ("X-Forwarded-For", "192.0.2.99"))["REMOTE_ADDR"] == "127.0.0.1"


def test_nonsense_leaves_the_peer_and_is_told_once(named):
    server = named("X-Forwarded-For")
    with server.client() as client:
        for value in "evil.example\t<b>", "010.1.1.1", "203.0.113.9, \xe9\xe9":
            assert environ(client, ("X-Forwarded-For", value))["REMOTE_ADDR"] == "127.0.0.1"
        assert environ(client, ("X-Forwarded-For", "unknown"))["REMOTE_ADDR"] == "127.0.0.1"
    assert server.stderr.count("is no address") == 1
    assert "X-Forwarded-For of 127.0.0.1: 'evil.example?<b>' is no address" in server.stderr


def test_the_peer_of_a_unix_socket_is_believed(named, tmp_path):
    path = str(tmp_path / "s")
    server = named("X-Forwarded-For", "-b", f"unix:{path}", trusted="10.0.0.0/8")
    with Client(path) as client:
        assert ends(environ(client, ("X-Forwarded-For", "203.0.113.9"))) == \
            ("203.0.113.9", None, "")
        assert ends(environ(client, ("X-Forwarded-For", "203.0.113.9:7"))) == \
            ("203.0.113.9", "7", "")
        assert environ(client)["REMOTE_ADDR"] == ""
    wait_until(lambda: len(server.access_lines()) == 3)


def test_whom_the_proxy_protocol_announces_is_the_peer(named):
    server = named("X-Forwarded-For", "--proxy-protocol", "auto")
    with server.client() as client:  # another trusted proxy is behind it
        client.send(b"PROXY TCP4 10.3.3.3 10.0.0.9 1234 80\r\n")
        assert ends(environ(client, ("X-Forwarded-For", "203.0.113.9"))) == \
            ("203.0.113.9", None, "10.3.3.3")
        assert ends(environ(client)) == ("10.3.3.3", "1234", None)
    with server.client() as client:  # the client itself is: its fields are nobody's word
        client.send(b"PROXY TCP4 198.51.100.7 10.0.0.9 1234 80\r\n")
        assert ends(environ(client, ("X-Forwarded-For", "203.0.113.9"))) == \
            ("198.51.100.7", "1234", None)
    with server.client() as client:  # a health check of the proxy's own
        client.send(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")  # version 2, LOCAL
        assert environ(client, ("X-Forwarded-For", "203.0.113.9"))["REMOTE_ADDR"] == "203.0.113.9"


@KINDS
def test_the_scoreboard_and_the_log_name_the_client(named, kind):
    server = named("X-Forwarded-For", "--slow-request", "1", *kind)
    with server.client() as client, Control(server.control_path) as control:
        client.send(b"GET /slow?3 HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
        wait_until(lambda: [r["client"] for r in control.ask("show requests")["requests"]]
                   == ["203.0.113.9"])
        server.wait_for_log("GET /slow?3 from 203.0.113.9 ")
        assert client.response().status == 200


def test_a_connection_that_is_passed_on_keeps_its_peer(named):
    """A worker passes what waits behind a slow call to a sibling, unread."""
    server = named("X-Forwarded-For", "-w", "2", "--keep-alive", "10")
    with Control(server.control_path) as control:
        wait_until(lambda: control.ask("show stats")["workers_idle"] == 2)
    clients = [server.client() for _ in range(6)]
    try:
        for client in clients:
            assert environ(client)["REMOTE_ADDR"] == "127.0.0.1"
        clients[0].send(b"GET /slow?2 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        for number, client in enumerate(clients[1:]):
            named_one = environ(client, ("X-Forwarded-For", f"203.0.113.{number}"))
            assert named_one["REMOTE_ADDR"] == f"203.0.113.{number}"
            assert environ(client)["REMOTE_ADDR"] == "127.0.0.1"
        assert clients[0].response().status == 200
    finally:
        for client in clients:
            client.close()


def test_pipelined_requests_have_a_client_each(named):
    server = named("X-Forwarded-For")
    with server.client() as client:
        client.send(b"".join(b"GET /environ HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.%d"
                             b"\r\n\r\n" % number for number in range(5)))
        for number in range(5):
            assert json.loads(client.response().body)["REMOTE_ADDR"] == f"203.0.113.{number}"


def test_what_is_no_name_of_a_field_is_refused():
    done = run("--check-config", "--real-ip-header", "X Real", "m:app")
    assert done.returncode == 1
    assert "'X Real' is no name of a header field" in done.stderr
