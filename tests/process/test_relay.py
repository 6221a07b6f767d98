"""No request on an encrypted connection waits behind another while a sibling worker is idle, though
what was agreed on for that connection cannot leave its worker."""
import ast
import contextlib
import functools
import hashlib
import os
import pathlib
import random
import re
import signal
import ssl
import threading
import time

import pytest

from client import BadResponse
from licorne import native_module
from sharing import (Mixed, accepted_by, ask_at_once, busy, connections_of_one_worker, held,
                     lines_of, other_pid, pid_of)
from tls import Records, TLSClient
from waiting import wait_until


@pytest.fixture
def share(share_both):
    """share(*arguments) serves clients that encrypt."""
    return functools.partial(share_both, is_encrypted=True)


# --- there and back ------------------------------------------------------------------------------

def test_quick_requests_do_not_wait_behind_slow_ones(share):
    server = share()
    clients = [server.client() for _ in range(64)]
    pids = {client: pid_of(client.get("/")) for client in clients}
    assert len(set(pids.values())) == 2
    dice, waits, stop = random.Random(1), [], threading.Event()

    def keep_one_busy():
        while not stop.is_set():
            slow.get("/?0.1&slow")
    slow = clients.pop()
    thread = threading.Thread(target=keep_one_busy)
    thread.start()
    for n in range(400):
        client = dice.choice(clients)
        began = time.monotonic()
        assert client.get(f"/?0.001&{n}").body == b"%d" % n
        waits.append(time.monotonic() - began)
    stop.set()
    thread.join()
    # About half of them would wait, for 50 ms on the average.
    assert sum(wait > 0.05 for wait in waits) < 30, sorted(waits)[-40:]


def test_a_connection_goes_back_to_its_worker(share):
    server = share(access_log=True)
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    for n in range(3):
        with busy(slow, pid, 1):
            for m in range(4):
                answer = relayed.get(f"/?0&there-{n}-{m}")
                assert answer.body == b"there-%d-%d" % (n, m)
                assert pid_of(answer) != pid
        for m in range(4):
            answer = relayed.get(f"/?0&back-{n}-{m}")
            assert (answer.body, pid_of(answer)) == (b"back-%d-%d" % (n, m), pid)
    server.stop()
    for word in ("there-", "back-"):
        assert len(lines_of(server, word)) == len(set(lines_of(server, word))) == 12


def test_a_worker_that_has_nobody_to_help_it_keeps_its_connections(share):
    server = share(workers=1)
    [one, other], pid = connections_of_one_worker(server, 2)
    answers, seconds = ask_at_once([one, other])
    assert seconds >= 2
    assert list(map(pid_of, answers)) == [pid, pid]


# --- what the taker knows ------------------------------------------------------------------------

def test_the_application_is_told_the_same_of_a_relayed_connection(share, authority):
    certificate = authority.issue("client", name="A client")
    server = share("--ca-certs", authority.pem, "--cert-reqs", "2", certificate=certificate)
    server.context.set_alpn_protocols(["http/1.1"])
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    here = relayed.get("/facts")
    for _ in range(3):  # its socket object is closed there each time, the connection is not
        with busy(slow, pid):
            for n in range(5):
                there = relayed.get("/facts")
                assert relayed.get(f"/?0&{n}").body == b"%d" % n
    assert pid_of(here) == pid != pid_of(there)
    assert here.body == there.body
    (scheme, address, port, _, _, client, own, version, cipher, alpn, _,
     peer) = ast.literal_eval(there.body.decode())
    assert (scheme, address, int(port)) == ("https", *relayed.socket.getsockname())
    assert (client, own) == (relayed.socket.getsockname(), server.address)
    assert (version, cipher) == (relayed.socket.version(), relayed.socket.cipher())
    assert alpn == "http/1.1"
    assert ((("commonName", "A client"),),) == peer["subject"]


def encrypt_behind(proxy_line, server, client):
    client.socket = server.context.wrap_socket(client.socket, server_hostname="localhost",
                                               suppress_ragged_eofs=False)
    client.send(proxy_line)
    return client


def test_what_a_proxy_announced_holds_good(share):
    server = share("--proxy-protocol", "auto")
    slow, early, late = accepted_by(server, server.workers()[0], 3, connect=server.connect)
    for n, client in enumerate([slow, early]):
        encrypt_behind(b"PROXY TCP4 192.0.2.%d 198.51.100.1 1234 80\r\n" % n, server, client)
        pid = pid_of(client.get("/"))
    encrypt_behind(b"", server, late)
    time.sleep(0.1)
    with busy(slow, pid):
        answer = early.get("/")
        assert (answer.field("X-Ends").split()[0], answer.field("X-Port")) == ("192.0.2.1", "1234")
        assert not answer.is_last
        # Nobody here has heard what this one announces, so nobody can recall it afterwards.
        late.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 1234 80\r\n")
        answer = late.get("/")
        assert (answer.field("X-Ends").split()[0], answer.field("X-Port")) == ("192.0.2.7", "1234")
        assert answer.is_last
        assert late.is_closed(within=1)
    assert early.get("/").field("X-Ends").split()[0] == "192.0.2.1"


# --- bytes ---------------------------------------------------------------------------------------

def test_large_bodies_arrive_byte_for_byte(share):
    server = share("--timeout", "60")
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    dice = random.Random(2)
    with busy(slow, pid, 8):
        for _ in range(6):
            body = dice.randbytes(dice.randrange(1, 5_000_000))
            answer = relayed.get("/echo", method="POST", body=body)
            assert pid_of(answer) != pid
            assert answer.body == body
    assert relayed.get("/?0&after").body == b"after"


def test_a_body_that_comes_in_chunks(share):
    server = share()
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    with busy(slow, pid):
        relayed.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        for n in range(10):
            relayed.send(b"2710\r\n" + bytes([n]) * 10000 + b"\r\n")
            time.sleep(0.01)
        relayed.send(b"0\r\n\r\n")
        answer = relayed.response()
        assert pid_of(answer) != pid
        assert answer.body == b"".join(bytes([n]) * 10000 for n in range(10))


def test_files_are_sent_whole(share):
    server = share()
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    with busy(slow, pid, 4):
        for size in (0, 1, 16384, 100_000, 3_000_001):
            answer = relayed.get(f"/file?{size}")
            assert pid_of(answer) != pid
            assert answer.body == random.Random(size).randbytes(size)


def test_pipelined_requests_are_answered_in_order(share):
    server = share(access_log=True)
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    for _ in range(3):
        with busy(slow, pid, 1):
            relayed.send(b"".join(b"GET /?0.00%d&piped-%d HTTP/1.1\r\nHost: t\r\n\r\n" % (n, n)
                                  for n in range(10)))
            answers = [relayed.response() for _ in range(10)]
        assert [answer.body for answer in answers] == [b"piped-%d" % n for n in range(10)]
        assert pid not in map(pid_of, answers)
    server.stop()
    assert len(lines_of(server, "piped-")) == 30


def test_requests_that_overtake_the_way_back_are_answered(share):
    """The next one is sent before its connection can be back, in pieces that are cut anywhere."""
    server = share()
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    dice, count = random.Random(3), 200
    text = b"".join(b"GET /?0&number-%d HTTP/1.1\r\nHost: t\r\n\r\n" % n for n in range(count))

    slow.send(b"GET /?0.3&busy HTTP/1.1\r\nHost: t\r\n\r\n")
    time.sleep(0.05)
    at = 0
    while at < len(text):
        step = dice.randrange(1, 120)
        relayed.send(text[at:at + step])
        at += step
        time.sleep(0.001)
    answers = [relayed.response() for _ in range(count)]
    assert [answer.body for answer in answers] == [b"number-%d" % n for n in range(count)]
    assert slow.response().body == b"busy"
    wait_until(lambda: pid_of(relayed.get("/")) == pid, 5, "the connection's way back")


def test_an_answer_of_unknown_length_arrives_as_it_is_made(share):
    server = share()
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    with busy(slow, pid, 3):
        began = time.monotonic()
        relayed.send(b"GET /ticks?8 HTTP/1.1\r\nHost: t\r\n\r\n")
        head = relayed._until(b"\r\n\r\n")
        assert b"%d" % pid not in head
        relayed._until(b"0\n")
        assert time.monotonic() - began < 0.5
        relayed._until(b"7\n")
        assert time.monotonic() - began > 0.6


def test_early_hints_and_100_continue_go_through(share):
    server = share("--no-request-buffering")
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    with busy(slow, pid):
        assert relayed.get("/hints").status == 103
        answer = relayed.response()
        assert (answer.body, pid_of(answer)) == (b"hinted", other_pid(server, pid))
        relayed.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n"
                     b"Expect: 100-continue\r\n\r\n")
        assert relayed.response().status == 100
        relayed.send(b"yes")
        assert relayed.response().body == b"yes"


def test_a_body_is_streamed_to_the_application(share):
    server = share("--no-request-buffering")
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    body = random.Random(4).randbytes(3_000_000)
    with busy(slow, pid, 4):
        answer = relayed.get("/digest", method="POST", body=body)
        assert pid_of(answer) != pid
        assert answer.body.decode() == hashlib.sha256(body).hexdigest()


def memory_of(pid):
    """Bytes."""
    fields = open(f"/proc/{pid}/statm").read().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_client_that_is_slow_costs_no_memory(share):
    server = share("--timeout", "60")
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    before = {pid: memory_of(pid) for pid in server.workers()}
    with busy(slow, pid, 8):
        relayed.send(b"GET /stream?40 HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(1)  # for as much of it as the sockets hold
        for pid, size in before.items():
            assert memory_of(pid) - size < 16 << 20
        body = relayed.response().body
        assert body == b"".join(bytes([n]) * (1 << 20) for n in range(40))


def test_a_client_that_takes_nothing_is_given_up(share):
    server = share("--write-timeout", "1", access_log=True)
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    with busy(slow, pid):
        relayed.send(b"GET /stream?40 HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.2)
    wait_until(lambda: lines_of(server, "/stream"), 10, "the end of the answer")
    with pytest.raises((OSError, BadResponse)):
        relayed.response()


# --- ends ----------------------------------------------------------------------------------------

def connect_by_hand(server, pid):
    """A kept connection of that worker, whose records are in the test's hand."""
    while True:
        records = Records(server.address, server.context).handshake()
        records.tls.write(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        records.send()
        if b"X-Pid: %d\r\n" % pid in records.read_until(b"\r\n\r\n"):
            return records
        records.socket.close()


@pytest.mark.parametrize("pause", [0, 0.1], ids=["at once", "after a while"])
def test_a_half_closed_client_gets_its_answer_and_a_proper_end(share, pause):
    server = share()
    [slow, other], pid = connections_of_one_worker(server, 2)
    clients = [connect_by_hand(server, pid) for _ in range(4)]
    with busy(slow, pid, 6):
        for half in clients:
            half.tls.write(b"GET /?0.2&half HTTP/1.1\r\nHost: t\r\n\r\n")
            if pause:
                half.send()
                time.sleep(pause)
            with contextlib.suppress(ssl.SSLWantReadError):
                half.tls.unwrap()  # says that nothing more will come
            half.send()
            assert half.read_until(b"half").endswith(b"half")
            with pytest.raises(ssl.SSLZeroReturnError):  # a proper end
                half.read()
            half.socket.close()
    other.close()


def test_the_end_of_an_answer_is_told_at_once(share):
    server = share()
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    with busy(slow, pid):
        relayed.send(b"GET /ticks?3 HTTP/1.0\r\n\r\n")
        assert relayed.response().body == b"0\n1\n2\n"  # a proper end, else this raises


def test_a_client_that_goes_is_noticed_by_the_application(share):
    server = share(access_log=True)
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    with busy(slow, pid, 2.5):
        relayed.send(b"GET /ticks?100 HTTP/1.1\r\nHost: t\r\n\r\n")
        relayed._until(b"0\n")
        relayed.close()
        server.wait_for_log("the client of the ticks has gone", 2)
    wait_until(lambda: lines_of(server, "/ticks"), 5, "its line")
    assert len(lines_of(server, "/ticks")) == 1


def test_an_answer_whose_worker_is_killed_is_not_taken_for_a_whole_one(share):
    for victim in ("origin", "taker"):
        server = share()
        [slow, relayed], pid = connections_of_one_worker(server, 2)
        taker = other_pid(server, pid)
        slow.send(b"GET /?1.5&slow HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.15)
        relayed.send(b"GET /ticks?30 HTTP/1.0\r\n\r\n")
        assert b"X-Pid: %d\r\n" % taker in relayed._until(b"\r\n\r\n")
        relayed._until(b"1\n")
        os.kill(pid if victim == "origin" else taker, signal.SIGKILL)
        began = time.monotonic()
        with pytest.raises(OSError):  # SSLEOFError among them
            relayed.rest()
        assert time.monotonic() - began < 1
        if victim == "taker":
            assert pid_of(slow.response()) == pid
        server.wait_for_workers(2, without=[pid if victim == "origin" else taker])
        with server.client() as client:
            assert client.get("/?0&next").body == b"next"
        server.stop()


# --- workers that leave ----------------------------------------------------------------------------

def test_a_worker_that_leaves_stays_for_what_is_relayed(share):
    server = share()
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    taker = other_pid(server, pid)
    slow.send(b"GET /?0.5&slow HTTP/1.1\r\nHost: t\r\n\r\n")
    time.sleep(0.15)
    relayed.send(b"GET /?3&long HTTP/1.1\r\nHost: t\r\n\r\n")
    time.sleep(0.15)
    os.kill(pid, signal.SIGTERM)
    assert slow.response().body == b"slow"
    answer = relayed.response()
    assert answer.body == b"long"
    assert pid_of(answer) == taker
    server.wait_for_workers(2, without=[pid])


def test_a_stop_lets_relayed_answers_come_to_their_end(share):
    server = share(access_log=True)
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    slow.send(b"GET /?1&slow HTTP/1.1\r\nHost: t\r\n\r\n")
    time.sleep(0.15)
    relayed.send(b"GET /ticks?20 HTTP/1.1\r\nHost: t\r\n\r\n")
    relayed._until(b"0\n")
    server.send_signal(signal.SIGTERM)
    assert slow.response().body == b"slow"
    relayed._until(b"19\n\r\n0\r\n\r\n")
    assert relayed.is_closed(within=2)
    assert server.process.wait(5) == 0
    assert len(lines_of(server, "/ticks")) == 1


class Retrying(Mixed):
    """An idle connection that a leaving worker closes is no loss: nothing of an answer had come, and
    the client asks again on another one."""

    retried = 0

    def _exchange(self, client, target):
        try:
            return super()._exchange(client, target)
        except (OSError, BadResponse):
            if client.left:
                raise
            with self._lock:
                self.retried += 1
            with self.server.client(timeout=20) as other:
                return super()._exchange(other, target)


def test_mixed_load_loses_and_doubles_nothing(share):
    server = share(access_log=True, workers=3)
    with Mixed(server, connections=12) as load:
        load.wait_for_answers(1200)
    assert load.failures == []
    assert len(load.pids) == 3
    server.stop()
    lines = [line.split("&")[-1].split()[0] for line in server.access_lines() if "&" in line]
    assert len(lines) == len(set(lines)) == load.answered


def has_answered_all(server, load):
    server.stop()
    lines = sum("&" in line for line in server.access_lines())
    return not load.failures and load.retried <= 4 and lines == load.answered


def test_mixed_load_survives_reloads(share):
    server = share(access_log=True)
    with Retrying(server) as load:
        for _ in range(4):
            load.wait_for_answers(100)
            old = server.wait_for_workers(2)
            server.send_signal(signal.SIGHUP)
            server.wait_for_workers(2, without=old)
        load.wait_for_answers(100)
    assert has_answered_all(server, load), load.failures


def test_mixed_load_survives_workers_that_are_recycled(share):
    server = share("--max-requests", "100", access_log=True)
    with Retrying(server) as load:
        load.wait_for_answers(1000)
    assert has_answered_all(server, load), load.failures


def test_a_killed_worker_takes_only_its_own_with_it(share):
    server = share(workers=3)
    with Mixed(server, connections=12) as load:
        for _ in range(2):  # with all that are connected to them
            load.wait_for_answers(100)
            before = server.wait_for_workers(3)
            os.kill(before[0], signal.SIGKILL)
            server.wait_for_workers(3, without=before[:1])
        load.wait_for_answers(30)
    assert all("in answer to" not in failure for failure in load.failures), load.failures


TELL = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"
NAP = b"GET /nap HTTP/1.1\r\nHost: t\r\n\r\n"


@pytest.fixture(scope="module")
def releases_module(tmp_path_factory):
    return native_module(tmp_path_factory.mktemp("modules"), "releases")


def test_what_was_kept_with_a_connection_is_released_by_its_own_thread(start, releases_module,
                                                                       authority, pair):
    """Also when the connection goes back during a long call."""
    server = start("-w", "2", "--certfile", pair[0], "--keyfile", pair[1], releases_module)
    server.wait_for_workers(2)
    context = authority.context()

    def told(client):
        return list(map(int, client.response().body.split()))

    by_pid = {}
    while len(by_pid) < 2 or max(map(len, by_pid.values())) < 2:
        client = TLSClient(server.address, context)
        client.send(TELL)
        by_pid.setdefault(told(client)[0], []).append(client)
    [slow, large, *_], [other, *_] = sorted(by_pid.values(), key=len, reverse=True)
    slow.send(NAP)
    time.sleep(0.1)
    large.send(b"GET /large HTTP/1.1\r\nHost: t\r\n\r\n")  # goes to the other worker
    wait_until(large.is_readable, 5, "the first bytes")
    told(slow)
    other.send(NAP)
    time.sleep(0.1)
    assert len(large.response().body) == 20_000_000
    told(other)
    other.send(TELL)
    assert told(other)[1:] == [1, 0]


def looks_of_relief(pid, seconds):
    """How often the thread has slept meanwhile."""
    def slept():
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            if (task / "comm").read_text() == "relief\n":
                return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)",
                                     (task / "status").read_text(), re.MULTILINE)[1])
        raise AssertionError("no relief thread")
    before = slept()
    time.sleep(seconds)
    return slept() - before


def test_connections_that_have_come_back_cost_nothing(share_as):
    server = share_as("sync", is_encrypted=True)
    [slow, *relayed], pid = connections_of_one_worker(server, 30)
    with held(slow, pid):
        for client in relayed:
            client.send(TELL)
        for client in relayed:
            assert pid_of(client.response()) == other_pid(server, pid)
        time.sleep(0.1)
        assert looks_of_relief(pid, 0.5) < 100  # it would be a thousand


def test_no_descriptor_is_left_behind(share):
    def descriptors():
        return {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in server.workers()}

    server = share()
    [slow, relayed], pid = connections_of_one_worker(server, 2)
    with busy(slow, pid, 1):
        relayed.get("/")
    relayed.get("/")
    time.sleep(0.2)
    before = descriptors()
    for _ in range(3):
        with busy(slow, pid, 1):
            for _ in range(20):
                assert pid_of(relayed.get("/")) != pid
    relayed.get("/")
    after = descriptors()
    assert all(after[pid] <= before[pid] for pid in before), (before, after)
