"""Clients at their worst: slow, gone, half-closed, too early, too late."""
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

from licorne import ROOT, rss_kib
from waiting import wait_until

MIB = 1 << 20


@pytest.fixture(scope="session")
def edges(tmp_path_factory):
    """tests/process/modules/edges.c as a module."""
    built = tmp_path_factory.mktemp("modules") / "edges.so"
    source = pathlib.Path(__file__).parent / "modules" / "edges.c"
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-I", ROOT / "include",
                    "-o", built, source], check=True)
    return built


@pytest.fixture
def serve_edges(start, edges):
    return lambda *arguments, **options: start(*arguments, edges, access_log=True, **options)


def small_client(server):
    """A connection that takes little before it reads, and learns nothing on the way."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect(server.address)
    return client


def get(target, *fields):
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: t", *fields, "", ""]).encode()


def read_all(client):
    data = b""
    while piece := client.recv(65536):
        data += piece
    return data


# --- the worker's time -------------------------------------------------------------------------

def test_a_slow_answer_does_not_cost_the_connection(serve_edges):
    """keepalive begins with the answer, not with the call that made it."""
    server = serve_edges("--keep-alive", "1")
    with server.client() as client:
        assert not client.get("/sleep?2000").is_last
        time.sleep(0.4)
        assert client.get("/target?again").body == b"/target?again"


def test_a_large_answer_after_a_slow_call_is_complete(serve_edges):
    """write_timeout begins when the client is to take something."""
    server = serve_edges("--write-timeout", "2")
    with server.client() as client:
        client.send(get("/slow?30000000"))
        time.sleep(3.8)  # less than write_timeout after the answer began
        assert len(client.response().body) == 30_000_000


def test_a_steady_reader_may_take_longer_than_write_timeout(serve_edges):
    server = serve_edges("--write-timeout", "1")
    client = small_client(server)
    size = 12 * MIB
    client.sendall(get(f"/patient?{size}", "Connection: close"))
    got, began = 0, time.monotonic()
    while piece := client.recv(65536):
        got += len(piece)
        if time.monotonic() - began < 2.5:
            time.sleep(0.005)
    assert got >= size


def test_requests_that_came_during_a_slow_call_are_not_late(serve_edges):
    server = serve_edges("--header-timeout", "1", "--body-timeout", "1")
    with server.client() as slow, server.client() as early, server.client() as half:
        half.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nha")
        time.sleep(0.2)
        slow.send(get("/sleep?2500"))
        time.sleep(0.2)
        early.send(get("/target?early"))
        half.send(b"lf")
        assert slow.response().status == 200
        assert early.response().body == b"/target?early"
        assert half.response().body == b"half"


# --- what the log says ---------------------------------------------------------------------------

def test_a_head_that_stays_incomplete_is_logged_as_it_came(serve_edges):
    server = serve_edges("--header-timeout", "1", "--access-logformat", "%(r)s %(s)s")
    with server.client() as late, server.client() as other:
        late.send(b"GET /mine HTTP/1.1\r\nHost: t\r\n")
        time.sleep(0.2)
        for _ in range(3):
            assert other.get("/target?" + "secret" * 20).status == 200
        assert late.response().status == 408
    server.stop()
    assert "GET /mine HTTP/1.1 408" in server.access_lines()


# --- framing -------------------------------------------------------------------------------------

@pytest.mark.parametrize("chunks", [
    b"5\r\nhelloXX0\r\n\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"5\rXhello\r\n0\r\n\r\n",
    b"5;a=b\rXhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\rX\r\n",
    b"5\r\nhello\r\n0\r\n\n",
    b"5\r\nhello\r\n0\r\n X: y\r\n\r\n",
    b"5\r\nhello\r\n0\r\nno field\r\n\r\n",
    b"5\r\nhello\r\n0\r\nX: y\rz\r\n\r\n",
    b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
    b"5\r\nhello\r\n0\r\ntransfer-encoding: chunked\r\n\r\n",
])
@pytest.mark.parametrize("is_cut", [False, True])
def test_wrong_chunks_are_refused_wherever_they_are_cut(serve_edges, chunks, is_cut):
    head = b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    with serve_edges().client() as client:
        client.send(head)
        for piece in [bytes([byte]) for byte in chunks] if is_cut else [chunks]:
            try:
                client.send(piece)
            except OSError:  # refused already
                break
            time.sleep(0.002 if is_cut else 0)
        assert client.response().status == 400


def test_trailers_are_read_over(serve_edges):
    with serve_edges().client() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b"5\r\nhello\r\n0\r\nDigest: x=y\r\nEmpty:\r\n\r\n" + get("/target?next"))
        assert client.response().body == b"hello"
        assert client.response().body == b"/target?next"


# --- memory --------------------------------------------------------------------------------------

def test_a_head_without_end_does_not_fill_the_memory(serve_edges):
    server = serve_edges()
    worker = server.wait_for_workers(1)[0]
    assert server.get("/target").status == 200
    before = rss_kib(worker)
    with server.client() as client:
        try:
            client.send(b"GET / HTTP/1.1\r\n")
            for _ in range(6):
                client.send((b"X_Y: " + b"y" * 8000 + b"\r\n") * 1000)
        except OSError:
            pass
        assert rss_kib(worker) - before < 8 * 1024


def test_a_handler_keeps_what_it_was_given_until_its_response_ends(serve_edges):
    server = serve_edges()
    with server.client() as client, server.client() as other:
        client.send(get("/stream?20000000&" + "mine" * 5, "Connection: close"))
        time.sleep(0.3)
        for _ in range(3):
            assert other.get("/target?" + "other" * 20).status == 200
        assert client.response().body.endswith(b"s20000000&" + b"mine" * 5)


# --- order, half-closed and parked connections ---------------------------------------------------

def test_pipelined_requests_are_answered_after_the_client_has_stopped_sending(serve_edges):
    server = serve_edges()
    client = small_client(server)
    client.sendall(b"".join(get(f"/whole?{16000 + n}") for n in range(300)))
    client.shutdown(socket.SHUT_WR)
    time.sleep(0.5)
    assert len(read_all(client)) > 300 * 16150


def test_requests_behind_a_streamed_one_are_answered_after_a_half_close(serve_edges):
    server = serve_edges()
    client = small_client(server)
    client.sendall(get("/stream?3000000"))
    time.sleep(0.3)
    client.sendall(get("/target?two") + get("/target?three"))
    client.shutdown(socket.SHUT_WR)
    time.sleep(0.3)
    answer = read_all(client)
    assert b"/target?two" in answer and answer.endswith(b"/target?three")


def test_requests_behind_a_parked_one_are_answered_when_it_is(serve_edges):
    server = serve_edges()
    with server.client() as client, server.client() as other:
        client.send(get("/park") + get("/target?two") + get("/target?three"))
        time.sleep(0.2)
        assert other.get("/release").body == b"one\n"
        assert client.response().body == b"released\n"
        assert client.response().body == b"/target?two"
        assert client.response().body == b"/target?three"


@pytest.mark.parametrize("fields", [(), ("Connection: close",)])
def test_a_half_closed_client_gets_all_answers_behind_a_parked_one(serve_edges, fields):
    server = serve_edges()
    with server.client() as client, server.client() as other:
        client.send(get("/park") + get("/target?two") + get("/target?three", *fields))
        client.socket.shutdown(socket.SHUT_WR)
        time.sleep(0.2)
        assert other.get("/release").body == b"one\n"
        assert client.response().body == b"released\n"
        assert client.response().body == b"/target?two"
        assert client.response().body == b"/target?three"
        assert client.is_closed(1)


# --- what a response is ------------------------------------------------------------------------

def test_a_304_does_not_say_that_the_resource_is_empty(serve_edges):
    with serve_edges().client() as client:
        assert client.get("/not-modified").field("Content-Length") is None


def test_an_empty_answer_says_that_it_is_empty(serve_edges):
    with serve_edges().client() as client:
        response = client.get("/nothing")
        assert (response.field("Content-Length"), response.body) == ("0", b"")


# --- the end of the worker -----------------------------------------------------------------------

def test_a_stream_that_ends_during_the_drain_does_not_hold_it_up(serve_edges):
    server = serve_edges("--keep-alive", "20")
    client = small_client(server)
    client.sendall(get("/stream?8000000"))
    time.sleep(0.3)
    server.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    got = b""
    while not got.endswith(b"0\r\n\r\n"):
        got += client.recv(65536)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 4
    assert read_all(client) == b""


# --- clients that do not read --------------------------------------------------------------------

PAGES = get("/whole?16000") * 3  # their answers leave with one write
PAGES_SIZE = 3 * 16100


def ask_until_it_jams(server, client, at_most=500):
    """Asks and reads nothing, until a request is not answered any more, because some of the
    answers before it have not left. How often it was answered."""
    before = len(server.access_lines())
    for count in range(at_most):
        client.sendall(PAGES)
        for _ in range(30):
            if len(server.access_lines()) >= before + 3 * (count + 1):
                break
            time.sleep(0.01)
        else:
            return count
    raise AssertionError(f"{at_most} × 48 kB went into one socket")


def clients_with_unsent_answers(server):
    """A few clients of which one at least has answers of which a part has not left."""
    with small_client(server) as probe:
        count = ask_until_it_jams(server, probe)
    clients = []
    for asked in range(count - 1, count + 1):
        before = len(server.access_lines())
        client = small_client(server)
        for n in range(asked):
            client.sendall(PAGES)
            wait_until(lambda: len(server.access_lines()) >= before + 3 * (n + 1), 5, "lines")
        clients.append((client, asked * PAGES_SIZE))
    return clients


def test_a_refused_request_behind_an_unsent_answer_does_not_end_the_worker(serve_edges):
    server = serve_edges("--header-timeout", "1", "--keep-alive", "20")
    worker = server.wait_for_workers(1)
    for client, _ in clients_with_unsent_answers(server):
        client.sendall(b"B")
        time.sleep(0.05)
        client.sendall(b"AD\r\n\r\n")
    time.sleep(2.5)
    assert server.get("/target").status == 200
    assert server.workers() == worker


def test_unsent_answers_leave_before_a_drained_worker(serve_edges):
    server = serve_edges("--keep-alive", "20")
    clients = clients_with_unsent_answers(server)
    time.sleep(0.5)
    server.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    for client, size in clients:
        assert len(read_all(client)) >= size
    server.stop()


def test_unsent_answers_leave_after_a_half_close(serve_edges):
    server = serve_edges("--keep-alive", "20")
    for client, size in clients_with_unsent_answers(server):
        client.shutdown(socket.SHUT_WR)
        time.sleep(0.2)
        assert len(read_all(client)) >= size


def test_a_client_that_never_reads_is_given_up_after_write_timeout(serve_edges):
    server = serve_edges("--write-timeout", "1", "--keep-alive", "20")
    with small_client(server) as client:
        ask_until_it_jams(server, client)
        time.sleep(3)
        with open(f"/proc/{server.pid}/net/tcp", encoding="ascii") as table:
            mine = f":{client.getsockname()[1]:04X}"
            states = [line.split()[3] for line in table if line.split()[2].endswith(mine)]
    assert "01" not in states  # established, on the server's side


def test_a_reader_slower_than_the_sockets_buffer_is_not_given_up(serve_edges):
    server = serve_edges("--write-timeout", "1")
    client = small_client(server)
    client.sendall(get("/whole?8000000", "Connection: close"))
    got, began = 0, time.monotonic()
    while piece := client.recv(2048):
        got += len(piece)
        if time.monotonic() - began < 4:
            time.sleep(0.02)
    assert got >= 8_000_000
