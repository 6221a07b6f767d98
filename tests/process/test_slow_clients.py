"""Slow and idle clients cost their own connection and nothing else: one worker, whose application
handles one request at a time, serves the others meanwhile."""
import threading
import time

import pytest

import sanitizers
from client import Client, drip
from crowd import Crowd, allow_files
from licorne import rss_kib

QUICKLY = 1.0  # seconds; generous, because the machine may be busy with other things


@pytest.fixture(scope="module", autouse=True)
def many_files():
    allow_files(4096)


def seconds_of(call):
    began = time.monotonic()
    assert call().status == 200
    return time.monotonic() - began


# --- heads --------------------------------------------------------------------------------------

def test_a_thousand_slow_and_idle_clients_do_not_disturb_the_others(serve):
    server = serve("--keep-alive", "75", "--worker-connections", "2000", "--timeout", "4")
    worker = server.wait_for_workers(1)
    with Crowd(server.address, idle=500, slow=500), server.client() as kept:
        kept.get("/")
        slowest, until = 0, time.monotonic() + 6
        while time.monotonic() < until:
            slowest = max(slowest, seconds_of(server.get), seconds_of(kept.get))
            time.sleep(0.02)
    assert slowest < QUICKLY
    assert "WORKER TIMEOUT" not in server.stderr
    assert server.workers() == worker


def test_a_head_that_does_not_arrive_in_time_is_answered_with_408(serve):
    server = serve("--header-timeout", "2")
    with Crowd(server.address, slow=20) as crowd:
        for s in crowd.slow:
            answer = b""
            while piece := s.recv(4096):
                answer += piece
            assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n")
            assert b"The request head did not arrive in time" in answer
        assert server.get("/").status == 200


def test_a_connection_that_sent_nothing_is_closed_without_a_byte(serve):
    server = serve("--header-timeout", "1")
    with Crowd(server.address, idle=20) as crowd:
        assert [s.recv(4096) for s in crowd.idle] == [b""] * 20
    assert "Invalid request" not in server.stderr


def test_a_kept_connection_that_stays_idle_is_closed_without_a_byte(serve):
    server = serve("--keep-alive", "1")
    with server.client() as client:
        assert not client.get("/").is_last
        assert client.is_closed()


def test_the_next_head_of_a_kept_connection_has_header_timeout_too(serve):
    server = serve("--header-timeout", "1", "--keep-alive", "75")
    with server.client() as client:
        client.get("/")
        time.sleep(1.3)  # idle, for which there is more time
        client.send(b"GET / HTTP/1.1\r\n")
        assert client.response().status == 408
        assert client.is_closed()


def test_another_byte_of_a_head_gives_it_no_more_time(serve):
    """Not even one that comes just before the end, while the worker is busy."""
    server = serve("--header-timeout", "2")
    with server.client() as slow, server.client() as busy:
        slow.send(b"GET / HTTP/1.1\r\n")
        time.sleep(1.5)
        busy.send(b"GET /slow?1 HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.2)
        slow.send(b"H")
        began = time.monotonic()
        assert slow.response().status == 408
        assert time.monotonic() - began < 1.8


@pytest.mark.skipif(sanitizers.BUILT_IN, reason="sanitizers add memory of their own")
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: www.example.org\r\nUser-Ag",
                                  b"GET / HTTP/1.1\r\n" + b"A: %s\r\n" % (b"x" * 100) * 38],
                         ids=["nothing", "half a head", "half a long head"])
def test_a_waiting_connection_costs_little_memory(serve, sent):
    """What it sent and 2 KiB, and what malloc adds."""
    server = serve("--worker-connections", "3000")
    worker = server.wait_for_workers(1)[0]
    server.get("/")
    with Crowd(server.address, idle=100):
        server.get("/")
        before = rss_kib(worker)
        with Crowd(server.address, idle=2000) as crowd:
            for s in crowd.idle:
                s.send(sent)
            for _ in range(5):
                server.get("/")
            grown = rss_kib(worker) - before
    assert grown < 2000 * (3 + len(sent) / 1024)


def test_every_byte_of_a_long_head_may_come_alone(serve):
    head = b"GET /target?long HTTP/1.1\r\n" + b"A: %s\r\n" % (b"x" * 100) * 38 + b"\r\n"
    with serve().client() as client:
        for piece in [head[:-1], head[-1:] + head[:3000]] + [b"%c" % byte for byte in head[3000:]]:
            client.send(piece)
            time.sleep(0.0005)
        assert [client.response().body for _ in range(2)] == [b"long"] * 2


def test_an_incomplete_head_is_logged_as_it_came(serve):
    server = serve("--header-timeout", "1", "--access-logformat", "%(r)s %(s)s", access_log=True)
    with server.client() as short, server.client() as long:
        short.send(b"GET /short HTTP/1.1\r\nHost: t\r\n")
        long.send(b"GET /long HTTP/1.1\r\n" + b"X: y\r\n" * 50)
        time.sleep(0.3)
        long.send(b"X: y\r\n" * 40 + b"Z: " + b"z" * 5000)
        assert [client.response().status for client in (short, long)] == [408, 408]
    server.stop()
    assert sorted(server.access_lines()) == ["GET /long HTTP/1.1 408", "GET /short HTTP/1.1 408"]


@pytest.mark.parametrize("size", [10, 1023, 1024, 1025, 3000, 20_000])
def test_a_head_may_come_in_pieces_of_any_size(serve, size):
    """Short pieces are kept as bytes, long ones as they were read."""
    head = (b"GET /target?%d HTTP/1.1\r\nHost: t\r\n" % size
            + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 480) for n in range(40)) + b"\r\n")
    with serve().client() as client:
        for at in range(0, len(head), size):
            client.send(head[at:at + size])
            time.sleep(0.001)
        client.send(head[:100])
        assert client.response().body == b"%d" % size
        client.send(head[100:])
        assert client.response().body == b"%d" % size


# --- bodies -------------------------------------------------------------------------------------

def test_a_body_that_stops_arriving_is_answered_with_408(serve):
    server = serve("--body-timeout", "1")
    clients = [server.client() for _ in range(20)]
    for client in clients:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\nfirst")
    assert seconds_of(server.get) < QUICKLY
    for client in clients:
        response = client.response()
        assert response.status == 408 and response.is_last
        assert b"The request body did not arrive in time" in response.body
        client.close()
    assert server.get("/").status == 200


MEASURED = b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("head, piece", [
    (MEASURED, b"x"),
    (CHUNKED, b"1\r\nx\r\n"),
    (CHUNKED, b"1;" + b"x" * 200 + b"\r\nx\r\n"),  # many bytes, but not of the body
], ids=["measured", "chunked", "extended chunks"])
def test_a_body_that_comes_too_slowly_is_answered_with_408(serve, head, piece):
    server = serve("--body-timeout", "1", "--body-min-rate", "100", access_log=True)
    with server.client() as client, server.client() as other:
        client.send(head)
        assert 0.9 < drip(client, [piece] * 100, 0.1) < 6
        response = client.response()
        assert response.status == 408 and response.is_last
        assert b"The request body did not arrive in time" in response.body
        assert client.is_closed()
        assert other.get("/").status == 200
    server.stop()
    assert '"POST /echo HTTP/1.1" 408 ' in server.access_lines()[0]
    assert "ERROR" not in server.stderr


def test_a_body_that_comes_steadily_may_take_its_time(serve):
    server = serve("--body-timeout", "1", "--body-min-rate", "100")
    with server.client() as client, server.client() as other:
        client.send(MEASURED)
        other.send(CHUNKED)
        for _ in range(20):
            time.sleep(0.15)
            client.send(b"x" * 50)
            other.send(b"32\r\n" + b"x" * 50 + b"\r\n")
        other.send(b"0\r\n\r\n")
        assert len(client.response().body) == len(other.response().body) == 1000
        assert other.get("/").status == 200


def test_time_that_was_not_used_cannot_be_saved(serve):
    """However much has come before, a pause is a pause."""
    server = serve("--body-timeout", "1", "--body-min-rate", "100")
    with server.client() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 300000\r\n\r\n")
        client.send(b"x" * 200_000)
        assert 0.9 < drip(client, [b"x"] * 100, 0.1) < 6
        assert client.response().status == 408


def test_a_slow_call_is_not_the_time_of_those_who_send_meanwhile(serve):
    server = serve("--body-timeout", "1", "--body-min-rate", "100K")
    size = 3_000_000
    with server.client(timeout=30) as client, server.client(timeout=30) as busy:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size)
        time.sleep(0.2)
        sender = threading.Thread(target=client.send, args=[b"x" * size])
        for i in range(3):
            busy.send(b"GET /slow?1.5 HTTP/1.1\r\nHost: t\r\n\r\n")
            time.sleep(0.1)
            if i == 0:
                sender.start()
            busy.response()
        sender.join()
        assert len(client.response().body) == size


def test_a_body_may_take_longer_than_body_timeout_as_long_as_it_comes(serve):
    server = serve("--body-timeout", "1", "--body-min-rate", "0")
    with server.client() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 8\r\n\r\n")
        for byte in b"patience":
            time.sleep(0.3)
            client.send(bytes([byte]))
            assert seconds_of(server.get) < QUICKLY
        assert client.response().body == b"patience"


def test_many_slow_uploads_hold_no_memory_that_did_not_arrive(serve):
    """A Content-Length is a promise of the client's; room is made for what it keeps."""
    server = serve()
    worker = server.wait_for_workers(1)[0]
    server.get("/")
    before = rss_kib(worker)
    clients = [server.client() for _ in range(100)]
    for client in clients:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 900000\r\n\r\n" + b"x" * 99)
    assert seconds_of(server.get) < QUICKLY
    grown = rss_kib(worker) - before
    for client in clients:
        client.close()
    assert grown < 100 * 64


# --- answers ------------------------------------------------------------------------------------

def test_clients_that_do_not_read_cost_only_their_own_connections(serve):
    server = serve("--write-timeout", "2")
    clients = [Client(server.address, buffer=4096) for _ in range(10)]
    for client in clients:
        client.send(b"GET /stream?20000000 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    for _ in range(10):
        assert seconds_of(server.get) < QUICKLY
    time.sleep(4)
    for client in clients:  # given up: there is an end, and it is not that of the answer
        received = 0
        try:
            while piece := client.socket.recv(65536):
                received += len(piece)
        except ConnectionResetError:
            pass
        assert received < 20_000_000
        client.close()
    assert server.get("/").status == 200


@pytest.mark.parametrize("rate, gets_all", [("0", True), ("200K", False)])
def test_a_client_that_takes_its_answer_too_slowly_is_given_up(serve, rate, gets_all):
    server = serve("--write-timeout", "1", "--write-min-rate", rate, access_log=True)
    size, received = 20_000_000, 0
    with Client(server.address, timeout=30, buffer=4096) as client:
        client.send(b"GET /stream?%d HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n" % size)
        until = time.monotonic() + (5 if gets_all else 30)
        while time.monotonic() < until and not server.access_lines():
            received += len(client.socket.recv(4096))
            time.sleep(0.05)
        try:
            while piece := client.socket.recv(65536):
                received += len(piece)
        except ConnectionResetError:
            pass
    assert (received > size) == gets_all
    assert server.get("/").status == 200


def test_slow_readers_get_all_of_their_answers(serve):
    server = serve("--write-timeout", "1")
    clients = [Client(server.address, buffer=4096) for _ in range(5)]
    for client in clients:
        client.send(b"GET /stream?3000000 HTTP/1.1\r\nHost: t\r\n\r\n")
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        for client in clients:
            client.left += client.socket.recv(4096)
        assert seconds_of(server.get) < QUICKLY
        time.sleep(0.02)
    for client in clients:
        assert len(client.response().body) == 3_000_000
        client.close()
