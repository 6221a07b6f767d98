"""What becomes of a connection: kept, closed, half-closed, refused, drained."""
import os
import random
import select
import signal
import socket
import time

import pytest

from client import BadResponse, Client
from licorne import WORKERS

MIB = 1 << 20


def get(target, *fields, version="1.1"):
    return "\r\n".join([f"GET {target} HTTP/{version}", "Host: t", *fields, "", ""]).encode()


# --- who wants it kept ----------------------------------------------------------------------------

@pytest.mark.parametrize("version, fields, is_kept", [
    ("1.1", [], True),
    ("1.1", ["Connection: keep-alive"], True),
    ("1.1", ["Connection: close"], False),
    ("1.1", ["Connection: Close"], False),
    ("1.1", ["connection:close"], False),
    ("1.1", ["Connection: close, TE"], False),
    ("1.1", ["Connection: TE,\t close"], False),
    ("1.1", ["Connection: ,close,"], False),
    ("1.1", ["Connection: TE", "Connection: close"], False),
    ("1.1", ["Connection: keep-alive, close"], False),
    ("1.1", ["Connection: closed"], True),
    ("1.1", ["Connection: X-Close"], True),
    ("1.1", ["Connection:"], True),
    ("1.0", [], False),
    ("1.0", ["Connection: keep-alive"], True),
    ("1.0", ["Connection: Keep-Alive, TE"], True),
    ("1.0", ["Connection: TE", "Connection: keep-alive"], True),
    ("1.0", ["Connection: keep-alive, close"], False),
    ("1.0", ["Connection: TE"], False),
])
def test_the_connection_field_is_a_list_of_words(serve, version, fields, is_kept):
    server = serve("--keep-alive", "20")
    with server.client() as client:
        client.send(get("/", *fields, version=version))
        response = client.response()
        assert response.body == b"Hello, world!\n"
        assert response.field("Connection") == ("keep-alive" if is_kept else "close")
        if is_kept:
            assert client.get("/target?again").body == b"again"
        else:
            assert client.is_closed()


def test_keepalive_0_closes_after_each_answer(serve):
    with serve("--keep-alive", "0").client() as client:
        assert client.get("/").is_last
        assert client.is_closed()


@pytest.mark.parametrize("worker", WORKERS)
def test_a_request_that_comes_while_its_time_runs_out_is_answered(serve, worker):
    """Nobody has looked before the deadline of the idle connection, but the bytes are there."""
    server = serve(*WORKERS[worker], "--keep-alive", "1")
    pid = server.wait_for_workers(1)[0]
    with server.client() as client:
        for n in range(3):
            assert client.get(f"/target?{n}").body == b"%d" % n
            os.kill(pid, signal.SIGSTOP)
            time.sleep(1.3)
            client.send(get(f"/target?late{n}"))
            time.sleep(0.05)
            os.kill(pid, signal.SIGCONT)
            assert client.response().body == b"late%d" % n


# --- pipelining -----------------------------------------------------------------------------------

@pytest.mark.parametrize("worker", WORKERS)
def test_a_mixed_pipeline_is_answered_in_order(serve, worker):
    """Short and long answers, of known and unknown length, and bodies, sent with one write."""
    server = serve(*WORKERS[worker], "--keep-alive", "20")
    requests, answers, dice = [], [], random.Random(1)
    for n in range(300):
        kind = n % 5
        size = dice.choice([0, 1, 50, 5_000, 200_000 if n % 50 == 2 else 20_000])
        if kind == 0:
            requests.append(get(f"/target?{n}"))
            answers.append(b"%d" % n)
        elif kind == 1:
            requests.append(get("/chunks"))
            answers.append(b"one two three")
        elif kind == 2:
            requests.append(get(f"/stream?{size}"))
            answers.append(b"x" * size)
        elif kind == 3:
            body = dice.randbytes(size)
            requests.append(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n%s"
                            % (size, body))
            answers.append(body)
        else:
            body = dice.randbytes(max(size, 1))
            requests.append(b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                            b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            answers.append(body)
    with server.client(timeout=30) as client:
        send_while_reading(client, b"".join(requests))
        for n, answer in enumerate(answers):
            response = client.response()
            assert response.status == 200 and response.body == answer, f"request {n}"


def send_while_reading(client, data):
    """Both sides would wait for ever if nobody read."""
    client.socket.setblocking(False)
    while data:
        readable, writable, _ = select.select([client.socket], [client.socket], [], 20)
        assert readable or writable
        if readable:
            client._receive()
        if writable:
            data = data[client.socket.send(data[:MIB]):]
    client.socket.settimeout(30)


def test_nothing_behind_a_last_request_is_answered(serve):
    with serve().client() as client:
        client.send(get("/target?1") + get("/target?2", "Connection: close") + get("/target?3"))
        assert [client.response().body for _ in range(2)] == [b"1", b"2"]
        assert client.is_closed()


def test_a_request_may_come_together_with_the_end_of_the_one_before(serve):
    with serve().client() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n01234")
        time.sleep(0.1)
        client.send(b"56789GET /target?next HTT")
        assert client.response().body == b"0123456789"
        time.sleep(0.1)
        client.send(b"P/1.1\r\nHost: t\r\n\r\n")
        assert client.response().body == b"next"


# --- clients that have said all they have to say ----------------------------------------------------

@pytest.mark.parametrize("target, size", [
    ("/target?x", 1), ("/slow?0.5", None), ("/chunks", 13), ("/stream?3000000", 3_000_000)])
def test_a_client_that_sends_no_more_gets_its_answer(serve, target, size):
    with serve("--keep-alive", "20").client() as client:
        client.send(get(target))
        client.socket.shutdown(socket.SHUT_WR)
        response = client.response()
        assert response.status == 200 and size in (None, len(response.body))
        assert client.is_closed()


def test_a_client_that_stops_in_the_middle_gets_nothing(serve):
    server = serve(access_log=True)
    for part in (b"GET", b"GET / HTTP/1.1\r\nHo", b"POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nx",
                 b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"):
        with server.client() as client:
            client.send(part)
            client.socket.shutdown(socket.SHUT_WR)
            assert client.is_closed()
    server.stop()
    assert server.access_lines() == []


# --- answers before the request was read ------------------------------------------------------------

REFUSED = {
    "line": (b"GET / HTTP/9.9\r\n\r\n", 400),
    "field": (b"POST /echo HTTP/1.1\r\nHost : t\r\nContent-Length: 50000000\r\n\r\n", 400),
    "coding": (b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: x\r\n\r\n", 501),
    "expectation": (b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 50000000\r\n"
                    b"Expect: wonders\r\n\r\n", 417),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refused_client_that_goes_on_sending_can_still_read_why(serve, what):
    """Closing at once would reset the connection, and that takes the answer with it."""
    head, status = REFUSED[what]
    with serve().client() as client:
        client.send(head)
        for _ in range(50):  # as a client does that looks for an answer only at the end
            client.send(b"x" * 100_000)
        response = client.response()
        assert response.status == status and response.is_last
        assert client.is_closed()


def test_a_client_that_does_not_close_its_end_holds_nobody_up(serve):
    server = serve()
    clients = [server.client() for _ in range(20)]
    for client in clients:
        client.send(b"nonsense\r\n\r\n")
        assert client.response().status == 400
    began = time.monotonic()
    assert server.get("/").status == 200
    assert time.monotonic() - began < 1
    time.sleep(3)  # and in the end they are let go themselves
    for client in clients:
        with client:
            assert client.rest() == b""
            assert is_forgotten(client)


def is_forgotten(client):
    """Whether the server answers that it knows of no such connection."""
    try:
        for _ in range(20):
            client.send(b"x")
            time.sleep(0.01)
        return False
    except OSError:
        return True


# --- reuse ------------------------------------------------------------------------------------------

def test_a_request_that_came_before_the_connection_was_closed_is_answered(serve):
    """The worker is busy while keepalive ends, and finds the request when it looks again."""
    server = serve("--keep-alive", "1")
    with server.client() as kept, server.client() as busy:
        kept.get("/")
        time.sleep(0.5)
        busy.send(get("/slow?1.5"))
        time.sleep(0.2)  # before keepalive has ended
        kept.send(get("/target?in+time"))
        assert kept.response().body == b"in+time"
        assert busy.response().status == 200


def test_clients_that_reuse_connections_around_keepalive_are_not_reset(serve):
    """200 connections are used again after about as long as they are kept. One that the server has
    closed is seen to be so before it is used. That both act within the same few microseconds
    cannot be told from here, and no server can help it: one such case is let pass."""
    server = serve("--keep-alive", "1")
    dice, lost = random.Random(), []
    due = []
    for n in range(200):
        client = server.client()
        client.get("/")
        due.append((time.monotonic() + dice.uniform(0.9, 1.1), n, client))
    counts = {"kept": 0, "closed": 0}
    for when, n, client in sorted(due, key=lambda entry: entry[:2]):
        time.sleep(max(0, when - time.monotonic()))
        with client:
            if select.select([client.socket], [], [], 0)[0]:
                assert client.socket.recv(1) == b""
                counts["closed"] += 1
                continue
            try:
                client.send(get(f"/target?{n}"))
                assert client.response().body == b"%d" % n
                counts["kept"] += 1
            except (OSError, BadResponse) as error:
                lost.append(error)
    assert len(lost) <= 1, lost
    assert min(counts.values()) > 10, counts


HINT = "Hint: requests come through a proxy that keeps its connections open, and keepalive is"
FORWARDED = ("X-Forwarded-For", "192.0.2.7")


def test_a_proxy_that_keeps_connections_longer_is_hinted_at_once(serve):
    server = serve("--workers", "2")
    server.wait_for_workers(2)
    for n in range(10):
        with server.client() as client:
            client.get("/", [FORWARDED])
    server.wait_for_log(f"[INFO] {HINT} 2 s.")
    with server.client() as client:
        client.get("/", [FORWARDED])
    server.stop()
    assert server.stderr.count("Hint:") == 1


@pytest.mark.parametrize("keepalive, fields", [
    ("75", [FORWARDED]), ("0", [FORWARDED]), ("2", [("X-Forward", "x")]),
    ("2", [FORWARDED, ("Connection", "close")])])
def test_there_is_no_hint_where_nothing_can_be_lost(serve, keepalive, fields):
    server = serve("--keep-alive", keepalive)
    with server.client() as client:
        client.get("/", fields)
    server.stop()
    assert "Hint:" not in server.stderr


# --- stopping ---------------------------------------------------------------------------------------

def test_idle_connections_do_not_delay_a_stop(serve):
    server = serve("--keep-alive", "75", "--header-timeout", "60")
    kept = [server.client() for _ in range(50)]
    for client in kept:
        client.get("/")
    unused = [server.client() for _ in range(50)]
    time.sleep(0.6)
    began = time.monotonic()
    server.send_signal(signal.SIGTERM)
    server.process.wait(10)
    assert time.monotonic() - began < 1
    for client in kept + unused:
        assert client.is_closed()
        client.close()


def test_half_a_head_does_not_delay_a_stop_for_long(serve):
    server = serve("--header-timeout", "60")
    assert server.get("/").status == 200
    with server.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: ")
        time.sleep(0.3)
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert client.response().status == 408
        server.process.wait(10)
        assert time.monotonic() - began < 3


def test_a_draining_worker_finishes_requests_and_says_close(serve):
    server = serve("--keep-alive", "75")
    assert server.get("/").status == 200  # it is no longer starting
    with server.client() as slow, server.client() as upload, server.client() as active:
        slow.send(get("/slow?1"))
        time.sleep(0.2)
        upload.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n01234")
        server.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        active.send(get("/target?late"))  # connected before, and asks while the worker is busy
        first = slow.response()
        assert first.status == 200 and first.is_last
        late = active.response()
        assert late.body == b"late" and late.is_last
        upload.send(b"56789")
        whole = upload.response()
        assert whole.body == b"0123456789" and whole.is_last
    began = time.monotonic()
    server.process.wait(10)
    assert time.monotonic() - began < 1.5


def test_a_stream_that_promised_to_keep_the_connection_does_not_delay_the_stop(serve, tmp_path):
    """Its head left before the stop was asked for, and cannot be taken back."""
    server = serve("--keep-alive", "75")
    with Client(server.address, buffer=4096) as client:
        client.send(get("/stream?8000000"))
        client._receive()
        server.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert len(client.response().body) == 8_000_000
        began = time.monotonic()
        assert client.is_closed()
        assert time.monotonic() - began < 0.8
    assert server.stop() == 0
