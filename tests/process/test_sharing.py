"""No request waits behind another while a sibling worker is idle."""
import functools
import os
import signal
import socket
import struct
import threading
import time

import pytest

from client import Client
from sharing import (SOON, Mixed, accepted_by, ask_at_once, connections_of_one_worker, held,
                     other_pid, pid_of)
from waiting import wait_until


@pytest.fixture
def share(share_as):
    """share(*arguments) serves plain HTTP by sync workers, or by those that the arguments name."""
    return functools.partial(share_as, "sync")


# --- two long requests at once -------------------------------------------------------------------

def test_two_long_requests_on_fresh_connections_are_served_side_by_side(share_both):
    server = share_both()
    for _ in range(4):
        with server.client() as one, server.client() as other:
            answers, seconds = ask_at_once([one, other])
        assert seconds < SOON
        assert len(set(map(pid_of, answers))) == 2


def test_two_long_requests_on_kept_connections_are_served_side_by_side(share_both):
    server = share_both()
    with server.client() as one, server.client() as other:
        for _ in range(4):
            answers, seconds = ask_at_once([one, other])
            assert seconds < SOON
            assert len(set(map(pid_of, answers))) == 2


def test_two_kept_connections_of_the_same_worker_are_served_side_by_side(share_all):
    server = share_all()
    for _ in range(4):
        clients, pid = connections_of_one_worker(server, 2)
        answers, seconds = ask_at_once(clients)
        assert seconds < SOON
        assert pid in map(pid_of, answers)
        assert len(set(map(pid_of, answers))) == 2
        for client in clients:
            client.close()


def test_the_requests_of_one_workers_connections_are_spread_over_all_workers(share_all):
    server = share_all(workers=4)
    clients, _ = connections_of_one_worker(server, 8)
    answers, seconds = ask_at_once(clients, "?0.5")
    assert seconds < 3  # four seconds of work
    assert len(set(map(pid_of, answers))) == 4


def shapes():
    """Requests with their bodies, in the pieces that leave one after the other."""
    with_length = b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"
    in_chunks = b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    large = bytes(range(250)) * 12_000
    tens = [bytes([n]) * 10_000 for n in range(10)]
    return {
        "no body": ([b"GET /echo HTTP/1.1\r\nHost: t\r\n\r\n"], b""),
        "a small body": ([with_length % 5 + b"hello"], b"hello"),
        "a small body behind its head": ([with_length % 5, b"hello"], b"hello"),
        "a large body": ([with_length % len(large) + large], large),
        "a large body behind its head": ([with_length % len(large), large], large),
        "small chunks": ([in_chunks + b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"], b"hello"),
        "chunks one by one": ([in_chunks, *(b"2710\r\n%b\r\n" % ten for ten in tens),
                               b"0\r\n\r\n"], b"".join(tens)),
    }


@pytest.mark.parametrize("shape", shapes())
def test_a_request_of_any_shape_is_answered_by_the_sibling(share_both, shape):
    pieces, body = shapes()[shape]
    server = share_both()
    [slow, other], pid = connections_of_one_worker(server, 2)
    with held(slow, pid):
        for piece in pieces:
            other.send(piece)
            time.sleep(0.01)
        answer = other.response()
        assert pid_of(answer) == other_pid(server, pid)
        assert answer.body == body
    assert other.get("/?0&after").body == b"after"


def test_connections_on_a_unix_socket_are_shared_too(share_both, tmp_path):
    path = str(tmp_path / "socket")
    server = share_both("-b", f"unix:{path}")
    server.client = lambda: Client(path)
    clients, pid = connections_of_one_worker(server, 2)
    answers, seconds = ask_at_once(clients)
    assert seconds < SOON
    assert len(set(map(pid_of, answers))) == 2
    [passed] = [answer for answer in answers if pid_of(answer) != pid]
    assert passed.field("X-Port") == ""
    assert passed.field("X-Ends") == "test 80"  # no address


def test_a_passed_connection_keeps_its_ends(share_both):
    server = share_both()
    clients, pid = connections_of_one_worker(server, 2)
    before = [client.get("/") for client in clients]
    answers, _ = ask_at_once(clients)
    [passed] = [index for index in range(2) if pid_of(answers[index]) != pid]
    for field in ("X-Port", "X-Ends"):
        assert answers[passed].field(field) == before[passed].field(field)
    assert answers[passed].field("X-Port") == str(clients[passed].socket.getsockname()[1])
    # … and is an ordinary connection of its new worker.
    assert pid_of(clients[passed].get("/")) == pid_of(answers[passed])


def test_what_a_proxy_announced_holds_good_for_a_passed_connection(share_both):
    server = share_both("--proxy-protocol", "auto")
    clients, pid = [], None
    while len(clients) < 2:
        client = server.client()
        client.send(b"PROXY TCP4 192.0.2.%d 198.51.100.1 1234 80\r\n" % (len(clients) + 1))
        answered_by = pid_of(client.get("/"))
        if answered_by == (pid or answered_by):
            clients, pid = [*clients, client], answered_by
        else:
            client.close()
    answers, _ = ask_at_once(clients)
    [passed] = [index for index in range(2) if pid_of(answers[index]) != pid]
    for answer in (answers[passed], clients[passed].get("/")):
        assert answer.field("X-Ends").split()[0] == f"192.0.2.{passed + 1}"
        assert answer.field("X-Port") == "1234"


def test_accepted_connections_of_the_same_worker_are_served_side_by_side(share_both):
    server = share_both()
    clients = accepted_by(server, server.workers()[0], 2)
    answers, seconds = ask_at_once(clients)
    assert seconds < SOON
    assert set(map(pid_of, answers)) == set(server.workers())


def test_a_connection_can_be_passed_before_its_proxy_has_announced_anything(share_both):
    server = share_both("--proxy-protocol", "auto")
    clients = accepted_by(server, server.workers()[0], 2)
    for n, client in enumerate(clients):
        client.send(b"PROXY TCP4 192.0.2.%d 198.51.100.1 1234 80\r\n"
                    b"GET /?1 HTTP/1.1\r\nHost: t\r\n\r\n" % (n + 1))
    started = time.monotonic()
    answers = [client.response() for client in clients]
    assert time.monotonic() - started < SOON
    assert set(map(pid_of, answers)) == set(server.workers())
    assert [answer.field("X-Ends").split()[0] for answer in answers] == ["192.0.2.1", "192.0.2.2"]


def test_a_worker_added_later_helps_too(share_both):
    server = share_both(workers=1)
    clients, _ = connections_of_one_worker(server, 2)
    server.send_signal(signal.SIGTTIN)
    server.wait_for_workers(2)
    wait_until(lambda: ask_at_once(clients)[1] < SOON, 15, "two workers side by side")


def test_an_encrypted_connection_can_be_passed_before_its_handshake(share):
    def encrypt(client):
        client.socket = server.context.wrap_socket(client.socket, server_hostname="localhost")
        return client

    server = share(is_encrypted=True)
    pid = server.workers()[0]
    busy, new = accepted_by(server, pid, 2, connect=server.connect)
    encrypt(busy).send(b"GET /?1 HTTP/1.1\r\nHost: t\r\n\r\n")
    time.sleep(0.1)
    started = time.monotonic()
    assert pid_of(encrypt(new).get("/")) != pid
    assert time.monotonic() - started < 0.7
    assert pid_of(busy.response()) == pid


def test_new_connections_go_to_the_worker_that_has_fewer(share):
    server = share()
    pid, other = server.workers()
    clients = accepted_by(server, pid, 20)
    taken = []
    for _ in range(20):
        clients.append(server.client())
        taken.append(pid_of(clients[-1].get("/")))
    assert taken.count(other) >= 14  # a worker that is not scheduled in time misses its turn
    assert all(pid_of(client.get("/")) in (pid, other) for client in clients)


# --- what is not passed --------------------------------------------------------------------------

def test_a_request_whose_client_has_gone_keeps_its_name(share):
    server = share(access_log=True)
    [slow, gone], pid = connections_of_one_worker(server, 2)
    [taker] = set(server.workers()) - {pid}
    os.kill(taker, signal.SIGSTOP)
    slow.send(b"GET /?1 HTTP/1.1\r\nHost: t\r\n\r\n")
    time.sleep(0.2)
    gone.send(b"GET /?0&gone HTTP/1.1\r\nHost: t\r\n\r\n")
    time.sleep(0.2)  # it is passed
    gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone.close()
    os.kill(taker, signal.SIGCONT)
    assert pid_of(slow.response()) == pid
    wait_until(lambda: any("gone" in line for line in server.access_lines()), 5, "its line")
    assert all(line.startswith("127.0.0.1 ") for line in server.access_lines())


def test_a_client_that_leaves_meanwhile_is_nobodys_work(share_both):
    server = share_both(access_log=True)
    [busy, leaving], pid = connections_of_one_worker(server, 2)
    busy.send(b"GET /?1 HTTP/1.1\r\nHost: t\r\n\r\n")
    time.sleep(0.2)
    leaving.close()
    assert pid_of(busy.response()) == pid
    assert pid_of(busy.get("/")) == pid
    assert server.stop() == 0
    assert all('" 200 ' in line for line in server.access_lines())


def test_a_half_closed_client_gets_its_answer(share_both):
    server = share_both()
    [busy, half], pid = connections_of_one_worker(server, 2)
    busy.send(b"GET /?1 HTTP/1.1\r\nHost: t\r\n\r\n")
    time.sleep(0.2)
    started = time.monotonic()
    half.send(b"GET /?0&last HTTP/1.1\r\nHost: t\r\n\r\n")
    half.socket.shutdown(socket.SHUT_WR)
    assert half.response().body == b"last"
    assert half.is_closed(within=0.3)  # though its first worker is still busy
    assert time.monotonic() - started < 0.7
    assert pid_of(busy.response()) == pid


def test_a_worker_with_no_room_left_takes_no_connection(share):
    server = share("--worker-connections", "3")
    clients = [server.client() for _ in range(6)]  # three each
    by_pid = {}
    for client in clients:
        by_pid.setdefault(pid_of(client.get("/")), []).append(client)
    [(pid, mine), (_, others)] = by_pid.items()
    assert len(mine) == len(others) == 3

    answers, seconds = ask_at_once(mine[:2])
    assert [pid_of(answer) for answer in answers] == [pid, pid]
    assert seconds >= 2

    others[0].close()
    wait_until(lambda: ask_at_once(mine[:2])[1] < SOON, 15, "a connection that is passed")


def test_more_requests_than_threads_are_spread_over_all_workers(share):
    server = share("-k", "gthread", "--threads", "2")
    clients, _ = connections_of_one_worker(server, 4)
    answers, seconds = ask_at_once(clients)
    assert seconds < SOON
    pids = [pid_of(answer) for answer in answers]
    assert sorted(map(pids.count, set(pids))) == [2, 2]


def test_requests_that_were_read_already_go_to_workers_with_room(share):
    server = share("-k", "gthread", "--threads", "1", workers=3)
    clients, pid = connections_of_one_worker(server, 3)
    others = [other for other in server.workers() if other != pid]
    # All three are read by the same worker while nobody else could begin them.
    for n, client in enumerate(clients):
        body = b"x" * 100 if n == 1 else b""
        client.send(b"%s /?1&%d HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n%s"
                    % (b"POST" if body else b"GET", n, len(body), body))
    started = time.monotonic()
    answers = [client.response() for client in clients]
    assert time.monotonic() - started < SOON
    assert [answer.body for answer in answers] == [b"0", b"1", b"2"]
    assert set(map(pid_of, answers)) == {pid, *others}
    for n, client in enumerate(clients):
        assert client.get(f"/?0&again{n}").body == b"again%d" % n


def test_a_request_that_waits_for_a_thread_has_no_deadline(share):
    server = share("-k", "gthread", "--threads", "1", "--keep-alive", "1", workers=1)
    clients, _ = connections_of_one_worker(server, 3)
    answers, seconds = ask_at_once(clients, "?1.5")
    assert [answer.status for answer in answers] == [200] * 3
    assert seconds >= 4.5


# --- finished answers ------------------------------------------------------------------------------

def test_a_finished_answer_does_not_wait_behind_a_long_call(share):
    server = share()
    [quick, slow], pid = connections_of_one_worker(server, 2)
    os.kill(pid, signal.SIGSTOP)  # both requests are there when the worker's turn begins
    quick.send(b"GET /?0&quick HTTP/1.1\r\nHost: t\r\n\r\n")
    time.sleep(0.1)
    slow.send(b"GET /?2 HTTP/1.1\r\nHost: t\r\n\r\n")
    time.sleep(0.1)
    started = time.monotonic()
    os.kill(pid, signal.SIGCONT)
    assert quick.response().body == b"quick"
    assert time.monotonic() - started < 1
    assert pid_of(slow.response()) == pid


# --- nothing is lost, nothing comes twice ------------------------------------------------------------

def test_mixed_load_loses_and_doubles_nothing(share_both):
    server = share_both(access_log=True, workers=3)
    before = len(server.access_lines())
    with Mixed(server, connections=12) as load:
        load.wait_for_answers(1500)
    assert load.failures == []
    assert len(load.pids) == 3
    server.stop()
    lines = [line for line in server.access_lines() if "-" in line.split("&")[-1].split()[0]]
    assert len(lines) == load.answered
    assert len({line.split("&")[-1].split()[0] for line in lines}) == load.answered
    assert before <= len(server.access_lines()) - len(lines)


def test_mixed_load_survives_reloads(share_both):
    server = share_both(access_log=True)
    with Mixed(server) as load:
        for _ in range(5):
            load.wait_for_answers(100)
            old = server.wait_for_workers(2)
            server.send_signal(signal.SIGHUP)
            server.wait_for_workers(2, without=old)
        load.wait_for_answers(100)
    assert load.failures == []
    server.stop()
    assert sum("&" in line for line in server.access_lines()) == load.answered


def test_mixed_load_survives_workers_that_are_recycled(share_both):
    server = share_both("--max-requests", "100", access_log=True)
    with Mixed(server) as load:
        load.wait_for_answers(1200)
    assert load.failures == []
    server.stop()
    assert sum("&" in line for line in server.access_lines()) == load.answered


def test_a_stop_answers_what_was_sent(share_both):
    server = share_both(access_log=True)
    with Mixed(server) as load:
        load.wait_for_answers(200)
        load.is_ending = True
        server.send_signal(signal.SIGTERM)
        load.join()
    assert load.failures == []
    assert server.process.wait(5) == 0
    assert sum("&" in line for line in server.access_lines()) == load.answered


def test_a_killed_worker_takes_only_its_own_with_it(share_both):
    server = share_both(access_log=True, workers=3)
    with Mixed(server, connections=12) as load:
        for _ in range(3):
            load.wait_for_answers(100)
            before = server.wait_for_workers(3)
            os.kill(before[0], signal.SIGKILL)
            server.wait_for_workers(3, without=before[:1])
        load.wait_for_answers(30)
    assert all("in answer to" not in failure for failure in load.failures), load.failures
    server.stop()
    # The lines of answers that a killed one had just sent may be gone with it.
    assert sum("&" in line for line in server.access_lines()) >= load.answered - 3 * 12


def test_a_stop_in_the_middle_of_a_long_call_answers_the_requests_that_wait(share_both):
    server = share_both(workers=2)
    clients, _ = connections_of_one_worker(server, 4)
    threads = threading.Thread(target=lambda: (time.sleep(0.3),
                                               server.send_signal(signal.SIGTERM)))
    threads.start()
    answers, seconds = ask_at_once(clients)  # two wait for the first two
    threads.join()
    assert all(answer.status == 200 for answer in answers)
    assert seconds < 3.5
    assert server.process.wait(5) == 0


def test_connections_go_from_old_workers_to_new_ones(share):
    server = share()
    old = server.workers()
    clients, _ = connections_of_one_worker(server, 3)
    for busy in clients[:2]:  # one of them goes to the other worker
        busy.send(b"GET /?4 HTTP/1.1\r\nHost: t\r\n\r\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(4)
    time.sleep(1)  # the new ones are ready; the old ones hear of it when their calls are over
    started = time.monotonic()
    answer = clients[2].get("/?0&new")
    assert pid_of(answer) not in old
    assert time.monotonic() - started < 1
    assert {pid_of(busy.response()) for busy in clients[:2]} == set(old)
    server.wait_for_workers(2, without=old)
    assert pid_of(clients[2].get("/")) == pid_of(answer)


# --- the thread that helps ---------------------------------------------------------------------------

def threads_of(pid):
    return sorted(open(f"/proc/{pid}/task/{task}/comm").read().strip()
                  for task in os.listdir(f"/proc/{pid}/task"))


def test_a_single_worker_has_no_second_thread_without_need(share):
    server = share(workers=1)
    [pid] = server.workers()
    for _ in range(3):
        with server.client() as client:
            assert client.get("/").status == 200
    assert len(threads_of(pid)) == 1


def test_the_relief_threads_sleep_while_nothing_happens(share):
    def switches(pid):
        [task] = [task for task in os.listdir(f"/proc/{pid}/task")
                  if open(f"/proc/{pid}/task/{task}/comm").read() == "relief\n"]
        lines = open(f"/proc/{pid}/task/{task}/status").read().splitlines()
        return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)

    server = share()
    client = server.client()  # idle
    client.get("/")
    time.sleep(0.5)
    before = [switches(pid) for pid in server.workers()]
    time.sleep(2)
    after = [switches(pid) for pid in server.workers()]
    assert all(b - a <= 20 for a, b in zip(before, after)), (before, after)


def test_an_application_may_fork_and_run_programs_beside_it(start, tmp_path):
    (tmp_path / "forks.py").write_text("""
import os, subprocess
def application(environ, start_response):
    ran = subprocess.run(["echo", "ran"], capture_output=True, check=True).stdout
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    body = ran + b"%d" % code
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
""")
    server = start("-w", "2", "--chdir", tmp_path, "forks")
    for _ in range(20):
        assert server.get("/").body == b"ran\n7"
