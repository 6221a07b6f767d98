"""A worker that is in a long call goes on with everything but calling the application: what is half
sent is sent to its end, and so is what its client asks next. (What is half read: test_half_read.py.)"""
import contextlib
import random
import select
import socket
import time

import pytest

from client import BadResponse
from halves import READ, connection_of, digest, request, upload
from licorne import rss_kib
from sharing import connections_of_one_worker, held, lines_of, other_pid, pid_of
from waiting import wait_until

SIZE = 24_000_000  # more than sockets hold


@pytest.mark.parametrize("sibling", ["none", "idle", "busy"])
@pytest.mark.parametrize("target", ["/bytes", "/file"])
def test_a_download_goes_on(share_all, target, sibling):
    right = random.Random(SIZE).randbytes(SIZE)
    server = share_all(workers=1 if sibling == "none" else 2, access_log=True)
    [slow, loading], pid = connections_of_one_worker(server, 2)
    with contextlib.ExitStack() as calls:
        if sibling == "busy":
            calls.enter_context(held(connection_of(server, other_pid(server, pid)),
                                     other_pid(server, pid)))
        loading.send(request(f"{target}?{SIZE}"))
        wait_until(loading.is_readable, 5, "the first bytes")
        time.sleep(READ)
        calls.enter_context(held(slow, pid))
        answer = loading.response()
        assert pid_of(answer) == pid
        assert answer.body == right
        if sibling == "idle":
            assert pid_of(loading.get("/?0&during")) == other_pid(server, pid)
        elif sibling == "busy":
            loading.send(request("/?0&during"))  # which waits, and is not lost
    if sibling == "busy":
        assert loading.response().body == b"during"
    assert loading.get("/?0&after").body == b"after"
    server.stop()
    [line] = lines_of(server, f"{target}?{SIZE}")
    assert f'" 200 {SIZE} ' in line


def test_what_a_generator_has_yielded_arrives(share_all, tmp_path):
    """It cannot go on while another call runs on its thread."""
    told = tmp_path / "count"
    server = share_all(workers=1)
    [slow, loading], pid = connections_of_one_worker(server, 2)
    loading.send(request(f"/counted?{told}"))
    wait_until(loading.is_readable, 5, "the first bytes")

    def has_stopped():
        count = told.read_text()
        time.sleep(0.2)
        return count == told.read_text() and int(count)
    wait_until(has_stopped, 5, "a full socket")
    with loading, held(slow, pid):
        loading._until(b"\r\n\r\n")
        for n in range(int(told.read_text())):
            assert int(loading._until(b"\r\n"), 16) == 100_000
            assert loading._exactly(100_000) == bytes([n % 256]) * 100_000
            assert loading._exactly(2) == b"\r\n"


def test_a_download_costs_no_memory_meanwhile(share_all):
    server = share_all(workers=1)
    [slow, loading], pid = connections_of_one_worker(server, 2)
    loading.send(request(f"/file?{SIZE}"))
    wait_until(loading.is_readable, 5, "the first bytes")
    time.sleep(READ)
    before = rss_kib(pid)
    with held(slow, pid):
        loading.response()
        assert rss_kib(pid) - before < 8 << 10


def test_who_takes_slowly_meanwhile_is_not_late(share_all):
    server = share_all("--write-timeout", "1", workers=1)
    [slow, loading], pid = connections_of_one_worker(server, 2)
    loading.send(request(f"/bytes?{SIZE}"))
    with held(slow, pid):
        loading._until(b"\r\n\r\n")
        taken = []
        for _ in range(14):
            taken.append(loading._exactly(SIZE // 15))
            time.sleep(0.1)
    taken.append(loading._exactly(SIZE // 15))
    assert b"".join(taken) == random.Random(SIZE).randbytes(SIZE)


def test_who_takes_nothing_is_given_up(share_all):
    server = share_all("--write-timeout", "1", workers=1, access_log=True)
    [slow, loading], pid = connections_of_one_worker(server, 2)
    loading.send(request(f"/bytes?{SIZE}"))
    wait_until(loading.is_readable, 5, "the first bytes")
    time.sleep(READ)
    with held(slow, pid):
        time.sleep(1.5)
    wait_until(lambda: lines_of(server, "/bytes"), 5, "the end of the answer")
    with pytest.raises((OSError, BadResponse)):
        loading.response()
    assert slow.get("/?0&after").body == b"after"


# --- requests behind an answer -------------------------------------------------------------------

def send_while_it_is_taken(client, data, seconds):
    """How much of this the server has taken after so long."""
    client.socket.settimeout(seconds)
    view, deadline = memoryview(data), time.monotonic() + seconds
    with contextlib.suppress(TimeoutError):
        while view and time.monotonic() < deadline:
            view = view[client.socket.send(view[:65536]):]
    client.socket.settimeout(10)
    return len(data) - len(view)


def test_a_body_that_nobody_can_read_yet_stays_with_its_client(share_both):
    """Though its head is here, behind that of a download."""
    body = bytes(SIZE)
    server = share_both("--no-request-buffering", workers=1)
    [slow, half], pid = connections_of_one_worker(server, 2)
    half.send(request(f"/bytes?{SIZE}") + upload(body))
    wait_until(half.is_readable, 5, "the first bytes")
    time.sleep(READ)
    before = rss_kib(pid)
    with held(slow, pid):
        half.response()
        sent = send_while_it_is_taken(half, body, 1)
        assert rss_kib(pid) - before < 16 << 10
    half.send(body[sent:])
    assert half.response().body == digest(body)


def take_what_is_there(client):
    while select.select([client.socket], [], [], READ)[0]:
        client.socket.recv(1 << 20)


def test_a_half_closed_client_gets_the_answers_to_all_that_it_has_sent(share_both):
    """A stream, a download, and what was behind them."""
    server = share_both(workers=1)
    [slow, half], pid = connections_of_one_worker(server, 2)
    half.send(request("/stream?12"))
    wait_until(half.is_readable, 5, "the first bytes")
    time.sleep(READ)
    with held(slow, pid):  # all is sent that there is: more is read
        take_what_is_there(half)
        half.send(request(f"/bytes?{SIZE}") + request("/?0&half"))
        half.socket.shutdown(socket.SHUT_WR)
        time.sleep(READ)
    half._until(b"\r\n0\r\n\r\n")
    wait_until(half.is_readable, 5, "the first bytes")
    time.sleep(READ)
    with held(slow, pid):
        assert len(half.response().body) == SIZE
    assert half.response().body == b"half"
    assert half.is_closed()
