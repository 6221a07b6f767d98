"""gunicorn.socket: what an application learns about its connection, and cannot break."""
import ast
import socket
import ssl
import time

import pytest

from client import Client
from licorne import APPS, native_module
from tls import TLSClient


@pytest.fixture(params=["1", "4"], ids=["sync", "gthread"])
def serve_sockets(start, request):
    return lambda *arguments, **options: start("--chdir", APPS, "--threads", request.param,
                                               *arguments, "sockets", **options)


def ask(client, question):
    return ast.literal_eval(client.get(f"/{question}").body.decode())


def test_it_knows_both_ends(serve_sockets):
    server = serve_sockets()
    with server.client() as client:
        answer = client.get("/ends").body.decode()
        assert answer == repr((client.socket.getsockname(), server.address, socket.AF_INET,
                               socket.SOCK_STREAM, 0))
        assert ask(client, "descriptor") is True
        assert ask(client, "thread") is True


def test_a_unix_socket_is_one(serve_sockets, tmp_path):
    path = str(tmp_path / "socket")
    serve_sockets("-b", f"unix:{path}", bind=False)
    with Client(path) as client:
        assert client.get("/ends").body.decode() == repr(("", path, socket.AF_UNIX,
                                                          socket.SOCK_STREAM, 0))


def test_options_are_the_connections(serve_sockets):
    with serve_sockets().client() as client:
        assert ask(client, "options") == (0, (3,))
        assert ask(client, "options") == (3, (3,))


def test_the_server_is_never_blocked_by_it(serve_sockets):
    server = serve_sockets()
    with server.client() as client:
        assert ask(client, "blocking") == ((None, True), "nothing to read")
        assert ask(client, "absent") == (False, False)


def test_a_connection_has_one_for_all_its_requests(serve_sockets):
    with serve_sockets().client() as client:
        assert [ask(client, "same") for _ in range(3)] == [[True], [True] * 2, [True] * 3]


def test_a_thread_may_ask_while_its_request_ends(serve_sockets):
    server = serve_sockets()
    with server.client() as client:
        pid = ask(client, "outlives")
        time.sleep(0.6)
        peer = client.socket.getsockname()
        assert ask(client, "has_outlived") == (pid, [peer])


def test_a_thread_that_asks_too_slowly_meets_no_other_client(serve_sockets):
    server = serve_sockets()
    with server.client() as client:
        pid = ask(client, "outlives")
    with server.client() as other:
        assert other.get("/ends").status == 200
        time.sleep(0.6)
        assert ask(other, "has_outlived") == (pid, ["gone"])


def test_who_asks_when_the_request_is_over_is_told_so(serve_sockets):
    server = serve_sockets()
    with server.client() as client, server.client() as other:
        assert ask(client, "same") == [True]
        assert ask(other, "later") == "OSError"
        assert ask(client, "later") == client.socket.getsockname()  # a request is in hand again


def test_whoever_keeps_it_does_not_keep_the_connection(serve_sockets):
    server = serve_sockets()
    with server.client() as client:
        client.send(b"GET /keep HTTP/1.0\r\n\r\n")
        client.socket.settimeout(3)
        assert client.rest().endswith(b"'kept'")  # the end comes at once
    with server.client() as client:
        assert ask(client, "closed") == ["closed"]


def test_a_connection_whose_socket_is_known_stays_with_its_worker(serve_sockets):
    """A busy worker passes waiting connections to its siblings, but the application here has this
    one too."""
    server = serve_sockets("-w", "2")
    clients = [server.client() for _ in range(12)]
    try:
        at = {client: ask(client, "ends_at")[0] for client in clients}
        pid = max(set(at.values()), key=list(at.values()).count)
        busy, waiting, *_ = [client for client in clients if at[client] == pid]
        busy.send(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.1)
        assert ask(waiting, "ends_at") == (pid, waiting.socket.getsockname())
        assert ast.literal_eval(busy.response().body.decode()) == pid
    finally:
        for client in clients:
            client.close()


def test_to_close_it_ends_the_connection(serve_sockets):
    server = serve_sockets()
    with server.client() as client:
        client.send(b"GET /close HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.rest() == b""
    assert server.get("/same").status == 200


def test_it_tells_what_was_agreed_on(serve_sockets, authority, pair):
    server = serve_sockets("--certfile", pair[0], "--keyfile", pair[1])
    context = authority.context()
    context.set_alpn_protocols(["http/1.1"])
    with TLSClient(server.address, context) as client:
        assert ask(client, "tls") == (client.socket.version(), client.socket.cipher(),
                                      "http/1.1", True, False, None)
        assert ask(client, "certificate") is None and ask(client, "der") is None
        assert ask(client, "absent") == (True, False)
        assert ask(client, "scheme") == ("https", [])
        assert ask(client, "receive") == "OSError"
        session = client.socket.session
    with TLSClient(server.address, context, session=session) as client:
        assert ask(client, "tls")[4] is True


def test_it_shows_the_clients_certificate_as_ssl_does(serve_sockets, authority, pair):
    alice = authority.issue("alice", "alice", names=("email:alice@example.org", "DNS:a.example"))
    server = serve_sockets("--certfile", pair[0], "--keyfile", pair[1], "--cert-reqs", "2",
                           "--ca-certs", authority.pem)
    with TLSClient(server.address, authority.context(alice)) as client:
        der = ssl.PEM_cert_to_DER_cert(alice[0].read_text())
        assert ask(client, "der") == der
        shown = ask(client, "certificate")
        assert shown["subject"] == ((("commonName", "alice"),),)
        assert shown["issuer"] == ((("commonName", "Test CA"),),)
        assert shown["subjectAltName"] == (("email", "alice@example.org"), ("DNS", "a.example"))
        assert set(shown) == set(ssl_view(alice, authority))


def ssl_view(certificate, authority):
    """The same certificate as Python's own server side of a connection has it."""
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.pem)
    server_side.load_cert_chain(*certificate)
    server_side.verify_mode = ssl.CERT_REQUIRED
    client_side = authority.context(certificate, check_hostname=False)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    client = client_side.wrap_bio(to_client, to_server)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
    return server.getpeercert()


# --- native controllers ------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def peer_module(tmp_path_factory):
    return native_module(tmp_path_factory.mktemp("modules"), "peer")


def test_a_native_controller_learns_the_same(start, peer_module, authority, pair):
    assert start(peer_module).get("/").body == b"plain"
    alice = authority.issue("alice2", "alice")
    server = start("--certfile", pair[0], "--keyfile", pair[1], "--cert-reqs", "1", "--ca-certs",
                   authority.pem, peer_module)
    context = authority.context(alice)
    context.set_alpn_protocols(["http/1.1"])
    size = len(ssl.PEM_cert_to_DER_cert(alice[0].read_text()))
    with TLSClient(server.address, context) as client:
        assert client.get("/").body.decode() == f"TLSv1.3 http/1.1 localhost {size} new"
        session = client.socket.session
    with TLSClient(server.address, context, session=session) as client:
        assert client.get("/").body.decode() == f"TLSv1.3 http/1.1 localhost {size} again"
    with TLSClient(server.address, authority.context(check_hostname=False), None) as client:
        assert client.get("/").body.decode() == "TLSv1.3 - - 0 new"
