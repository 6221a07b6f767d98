"""Clients behind a proxy that speaks the PROXY protocol."""
import json
import socket
import struct
import time

import pytest

from licorne import APPS
from pages import page

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n"
KEYS = ("PROXY_PROTOCOL", "REMOTE_ADDR", "REMOTE_PORT", "PROXY_ADDR", "PROXY_PORT")
CLIENT = ("TCP4", "192.0.2.7", "51234", "198.51.100.1", "443")


def v2(command, family, payload):
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(payload)) + payload


def addresses(family, remote, local, remote_port, local_port, extra=b""):
    return (socket.inet_pton(family, remote) + socket.inet_pton(family, local)
            + struct.pack("!HH", remote_port, local_port) + extra)


V2 = v2(1, 0x11, addresses(socket.AF_INET, "192.0.2.7", "198.51.100.1", 51234, 443))
V2_IPV6 = v2(1, 0x21, addresses(socket.AF_INET6, "2001:db8::7", "::1", 7, 65535, b"\4\0\2zz"))


def ask(client, fields=b""):
    client.send(b"GET /environ HTTP/1.1\r\nHost: t\r\n" + fields + b"\r\n")
    environ = json.loads(client.response().body)
    return tuple(environ.get(key) for key in KEYS)


@pytest.mark.parametrize("mode, header, seen", [
    ("v1", V1, CLIENT),
    ("auto", V1, CLIENT),
    ("v2", V2, CLIENT),
    ("auto", V2, CLIENT),
    ("v2", V2_IPV6, ("TCP6", "2001:db8::7", "7", "::1", "65535")),
])
def test_the_application_sees_the_client(serve, mode, header, seen):
    server = serve(f"--proxy-protocol={mode}", access_log=True)
    with server.client() as client:
        client.send(header)
        for _ in range(3):  # for as long as the connection lasts
            assert ask(client) == seen
    server.stop()
    assert [line.split()[0] for line in server.access_lines()] == [seen[1]] * 3


@pytest.mark.parametrize("header, protocol", [
    (v2(0, 0x00, b""), "LOCAL"), (v2(0, 0x11, b"x" * 12), "LOCAL"), (v2(1, 0x01, b"xyz"), "UNSPEC")])
def test_a_proxy_that_speaks_for_itself_keeps_its_address(serve, header, protocol):
    with serve("--proxy-protocol").client() as client:
        client.send(header)
        port = str(client.socket.getsockname()[1])
        assert ask(client) == (protocol, "127.0.0.1", port, None, None)
        assert ask(client) == (protocol, "127.0.0.1", port, None, None)


@pytest.mark.parametrize("header", [V1, V2, V2_IPV6])
def test_a_header_may_come_byte_by_byte_and_with_the_request(serve, header):
    server = serve("--proxy-protocol")
    with server.client() as client:
        for byte in header:
            client.send(bytes([byte]))
            time.sleep(0.001)
        one_by_one = ask(client)
    with server.client() as client:
        client.send(header + b"GET /environ HTTP/1.1\r\n\r\nGET /target?next HTTP/1.1\r\n\r\n")
        environ = json.loads(client.response().body)
        assert tuple(environ.get(key) for key in KEYS) == one_by_one
        assert client.response().body == b"next"


def test_the_header_is_optional(serve):
    with serve("--proxy-protocol").client() as client:
        port = str(client.socket.getsockname()[1])
        assert ask(client) == (None, "127.0.0.1", port, None, None)


def test_a_second_header_is_no_request(serve):
    with serve("--proxy-protocol").client() as client:
        client.send(V1)
        assert ask(client) == CLIENT
        client.send(V1 + b"\r\n")
        assert client.response().status == 400


def test_a_client_that_was_announced_may_take_its_time(serve):
    """No request has begun, so nothing is answered that nobody asked for."""
    server = serve("--proxy-protocol", "--header-timeout", "1", "--keep-alive", "1")
    with server.client() as client:
        client.send(V1)
        assert client.rest() == b""
    with server.client() as client:
        client.send(V1)
        time.sleep(0.5)
        assert ask(client) == CLIENT


def test_a_header_that_stays_incomplete_is_late(serve):
    server = serve("--proxy-protocol", "--header-timeout", "1", access_log=True)
    with server.client() as client:
        client.send(V1[:20])
        assert client.response().status == 408
        assert client.is_closed()
    server.stop()
    assert server.access_lines() == []


@pytest.mark.parametrize("header, message", [
    (b"PROXY UNKNOWN\r\n", "'Invalid PROXY line: 'PROXY UNKNOWN''"),
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 51234\r\n",
     "'Invalid PROXY line: 'PROXY TCP4 192.0.2.7 198.51.100.1 51234''"),
    (b"PROXY " + b"x" * 200, "'Invalid PROXY line: 'PROXY " + "x" * 101 + "''"),
    (v2(2, 0x11, b""), "'Invalid PROXY header: unsupported command 2'"),
    (v2(1, 0x12, b"x" * 12), "'Invalid PROXY header: unsupported transport 2'"),
    (v2(1, 0x11, b"x" * 11), "'Invalid PROXY header: too short for its addresses: 11'"),
])
def test_a_wrong_header_is_refused(serve, header, message):
    server = serve("--proxy-protocol")
    with server.client() as client:
        client.send(header)
        assert client.rest() == page(400, "Bad Request", message)
    server.wait_for_log("[WARNING] Invalid request from ip=127.0.0.1: Invalid PROXY ")


@pytest.mark.parametrize("header", [V1, V2])
def test_who_may_not_announce_is_refused_but_may_speak_http(serve, header):
    server = serve("--proxy-protocol", "--proxy-allow-from", "192.0.2.0/24")
    with server.client() as client:
        client.send(header + b"GET / HTTP/1.1\r\n\r\n")
        assert client.rest() == page(403, "Forbidden", "Request forbidden")
    server.wait_for_log("Invalid request from ip=127.0.0.1: Proxy request from '127.0.0.1' not "
                        "allowed")
    assert server.get("/").status == 200


def test_without_the_setting_a_header_is_a_bad_request(serve):
    with serve().client() as client:
        client.send(V1 + b"GET / HTTP/1.1\r\n\r\n")
        assert client.response().status == 400


def test_trust_follows_the_socket_and_not_the_announcement(serve):
    server = serve("--proxy-protocol", "--forwarded-allow-ips", "127.0.0.1")
    with server.client() as client:
        client.send(V1 + b"GET /environ HTTP/1.1\r\nX-Forwarded-Proto: https\r\n\r\n")
        assert json.loads(client.response().body)["wsgi.url_scheme"] == "https"
    server = serve("--proxy-protocol", "--forwarded-allow-ips", "192.0.2.7")
    with server.client() as client:
        client.send(V1 + b"GET /environ HTTP/1.1\r\nX-Forwarded-Proto: https\r\n\r\n")
        assert json.loads(client.response().body)["wsgi.url_scheme"] == "http"


def test_a_unix_socket_may_announce_and_forgets_it_for_others(start, tmp_path):
    path = tmp_path / "socket"
    server = start("-b", f"unix:{path}", "--chdir", APPS, "--proxy-protocol",
                   "--proxy-allow-from", "", "served", bind=False)
    server.address = str(path)
    with server.client() as announced, server.client() as other:
        announced.send(V1)
        assert ask(announced) == CLIENT
        assert ask(other) == (None, "", None, None, None)
        assert ask(announced) == CLIENT
