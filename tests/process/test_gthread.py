"""Workers with threads: what they do at the same time, and what they keep apart."""
import concurrent.futures
import contextlib
import os
import re
import signal
import time

import pytest

from client import Client
from licorne import APPS, HELLO_MODULE, PACKAGES, is_licorne, need, rss_kib
from load import Load
from waiting import wait_until

MIB = 1 << 20


@pytest.fixture
def threaded(start):
    """threaded(4, ...) serves tests/wsgi/threaded.py with four threads, from its return on."""
    def threaded(threads, *arguments, **options):
        server = start("--threads", threads, "--chdir", APPS, *arguments, "threaded", **options)
        assert server.get("/").status == 200
        return server

    return threaded


def all_at_once(server, paths):
    """The bodies of the answers, each on a connection of its own."""
    with concurrent.futures.ThreadPoolExecutor(len(paths)) as pool:
        return [response.body for response in pool.map(server.get, paths)]


def ask(client, path):
    client.send(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())


# --- the worker's kind -------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, kind, multithread", [
    ([], "sync", b"False"),
    (["--threads", "2"], "gthread", b"True"),
    (["-k", "gthread"], "gthread", b"True"),
    (["-k", "gthread", "--threads", "3"], "gthread", b"True"),
])
def test_more_threads_than_one_mean_gthread(start, arguments, kind, multithread):
    server = start("--chdir", APPS, *arguments, "threaded")
    assert server.get("/multithread").body == multithread
    assert f"Using worker: {kind}\n" in server.stderr


def test_native_modules_are_called_by_the_loop_and_the_log_says_so(start):
    server = start(HELLO_MODULE, "--threads", "4")
    assert server.get("/").status == 200
    server.wait_for_log("The application is a native module, which needs no threads")
    [worker] = server.wait_for_workers(1)
    assert len(os.listdir(f"/proc/{worker}/task")) == 1


# --- at the same time --------------------------------------------------------------------------

def test_as_many_requests_run_at_once_as_there_are_threads(threaded):
    server = threaded(4)
    started = time.monotonic()
    all_at_once(server, ["/sleep?1"] * 4)
    assert time.monotonic() - started < 1.8
    assert max(map(int, all_at_once(server, ["/crowd"] * 16))) == 4


def test_a_request_behind_a_slow_one_does_not_wait_for_it(threaded):
    server = threaded(2)
    for _ in range(300):  # quick ones, so that none is expected to be slow
        server.get("/")
    with server.client() as slow, server.client() as quick:
        ask(slow, "/sleep?3")
        started = time.monotonic()
        assert quick.get("/").status == 200
        assert time.monotonic() - started < 1


def test_each_thread_has_its_own_threading_local(threaded):
    answers = [answer.split() for answer in all_at_once(threaded(3), ["/counter"] * 30)]
    threads = {thread for thread, _ in answers}
    assert len(threads) == 3
    for mine in threads:
        counts = sorted(int(count) for thread, count in answers if thread == mine)
        assert counts == list(range(1, len(counts) + 1))


def test_contextvars_belong_to_the_request(threaded):
    answers = all_at_once(threaded(3), [f"/context?{n}" for n in range(20)])
    assert set(answers) == {b"unset"}


def test_a_line_of_wsgi_errors_stays_together(threaded):
    server = threaded(4)
    all_at_once(server, [f"/complain?{n}" for n in range(12)])
    for n in range(12):
        server.wait_for_log(f"<{n}-{n}>\n")


def test_requests_are_never_taken_for_one_another(threaded):
    """The parts of environ that are kept from request to request are not of another one."""
    server = threaded(4)

    def talk(number):
        with server.client() as client:
            port = client.socket.getsockname()[1]
            for turn in range(100):
                path, name = f"/who?{number}.{turn}", f"n{number}-{turn % 7}"
                body = b"b%d" % turn if turn % 2 else b""
                answer = client.get(path, [("X-Name", name)], "POST" if body else "GET", body)
                assert answer.body.decode() == f"{port} {path} {name} {body.decode()}"

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        list(pool.map(talk, range(12)))


def test_programs_can_be_started_from_any_thread(threaded):
    answers = all_at_once(threaded(3), [f"/command?{n}" for n in range(9)])
    assert answers == [b"%d\n" % n for n in range(9)]


# --- connections -------------------------------------------------------------------------------

def test_a_thousand_kept_connections_are_served(threaded):
    server = threaded(4, "--keep-alive", "30", "--worker-connections", "1100")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client(30)) for _ in range(1000)]
        for _ in range(2):
            for client in clients:
                ask(client, "/")
            assert all(client.response().body == b"Hello, world!\n" for client in clients)


def test_pipelined_requests_are_answered_in_order(threaded):
    server = threaded(4)
    with server.client() as client:
        for n in range(50):
            ask(client, f"/who?{n}")
        for n in range(50):
            assert f" /who?{n} " in client.response().body.decode()


def test_head_and_an_error_leave_the_connection_usable(threaded):
    with threaded(2).client() as client:
        assert client.get("/", method="HEAD").body == b""
        assert client.get("/").body == b"Hello, world!\n"


@pytest.mark.parametrize("path", ["/fail", "/leave"])
def test_an_exception_is_a_500_and_the_worker_lives(threaded, path):
    server = threaded(2)
    [worker] = server.wait_for_workers(1)
    for _ in range(5):
        assert server.get(path).status == 500
    assert server.get("/").status == 200
    assert server.workers() == [worker]
    server.wait_for_log("Error handling request GET " + path, count=5)


def test_an_answer_leaves_before_close_is_called(threaded):
    server = threaded(2)
    started = time.monotonic()
    with server.client() as client:
        assert client.get("/slow_close").body == b"before close()"
        assert time.monotonic() - started < 0.8


def test_large_bodies_come_back_as_they_were(threaded):
    server, body = threaded(2), os.urandom(MIB) * 100
    with server.client(60) as client:
        assert client.get("/echo", method="POST", body=body).body == body
        assert client.get("/").status == 200


# --- slow clients ------------------------------------------------------------------------------

def test_slow_readers_hold_no_thread(threaded):
    server = threaded(2)
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(server.client(30)) for _ in range(10)]
        for reader in readers:
            ask(reader, "/stream?50")
            assert reader.socket.recv(1000)
        [worker] = server.wait_for_workers(1)
        started = time.monotonic()
        for _ in range(20):
            assert server.get("/").status == 200
        assert time.monotonic() - started < 5
        assert rss_kib(worker) < 100 * 1024  # nobody has made all of their bodies
    for _ in readers:  # they have gone
        assert server.get("/was_closed").body == b"True"


def test_a_slow_reader_gets_all_of_it_in_the_end(threaded):
    server = threaded(2)
    with server.client(30) as client:
        ask(client, "/stream?20")
        time.sleep(1)
        assert client.response().body == b"x" * (20 * MIB)
        ask(client, "/written?20")
        time.sleep(1)
        assert client.response().body == b"w" * (20 * MIB)
        assert client.get("/").status == 200


@pytest.mark.parametrize("path", ["/drip", "/stream?500"])
def test_a_client_that_leaves_has_its_iterable_closed(threaded, path):
    server = threaded(2)
    with server.client() as client:
        ask(client, path)
        assert client.socket.recv(1000)
    assert server.get("/was_closed").body == b"True"


def test_a_client_that_never_reads_is_given_up_after_write_timeout(threaded):
    server = threaded(1, "--write-timeout", "1")
    with server.client(30) as client:
        ask(client, "/written?100")
        time.sleep(2.5)
        assert server.get("/").status == 200  # the one thread is free again
        with pytest.raises((OSError, AssertionError)):
            assert len(client.rest()) > 100 * MIB


# --- leaving -----------------------------------------------------------------------------------

def test_term_lets_all_finish_that_have_come(threaded):
    server = threaded(5)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.client(20)) for _ in range(10)]
        idle = stack.enter_context(server.client())
        assert idle.get("/").status == 200
        for client in clients:
            ask(client, "/sleep?1")
        time.sleep(0.4)
        server.send_signal(signal.SIGTERM)
        answers = [client.response() for client in clients]
        assert [answer.status for answer in answers] == [200] * 10
        assert all(answer.is_last for answer in answers)
        assert idle.is_closed()
    assert server.stop() == 0


def test_quit_does_not_wait_for_a_long_request(threaded):
    server = threaded(2)
    with server.client() as client:
        ask(client, "/sleep?20")
        time.sleep(0.3)
        started = time.monotonic()
        assert server.stop(signal.SIGQUIT) == 0
        assert time.monotonic() - started < 5
    assert "Worker exiting" in server.stderr and "SIGKILL" not in server.stderr


def test_a_long_request_is_cut_at_graceful_timeout(threaded):
    server = threaded(2, "--graceful-timeout", "1")
    with server.client() as client:
        ask(client, "/sleep?20")
        time.sleep(0.3)
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 5
    assert "while handling GET /sleep?20 for 127.0.0.1" in server.stderr


def test_workers_without_a_master_leave_after_graceful_timeout(threaded):
    server = threaded(2, "--graceful-timeout", "1")
    [worker] = server.wait_for_workers(1)
    server.children("logger")
    with server.client() as slow, server.client() as quick:
        ask(slow, "/sleep?20")
        ask(quick, "/sleep?1")
        time.sleep(0.3)
        os.kill(server.pid, signal.SIGKILL)
        assert quick.response().status == 200
        wait_until(lambda: not is_licorne(worker), 5, "the worker has left")


def test_a_killed_worker_is_replaced(threaded):
    server = threaded(3)
    [worker] = server.wait_for_workers(1)
    with server.client() as client:
        ask(client, "/sleep?20")
        time.sleep(0.3)
        os.kill(worker, signal.SIGKILL)
        server.wait_for_workers(1, without=[worker])
    assert server.get("/").status == 200


def test_max_requests_loses_no_request(threaded):
    server = threaded(3, "--max-requests", "200")
    [first] = server.wait_for_workers(1)
    with Load(server, connections=8) as load:
        load.wait_for_answers(2000)
    assert load.failures == []
    wait_until(lambda: first not in server.workers(), 10, "the first worker has left")


def test_a_reload_loses_no_request(threaded):
    server = threaded(3, "-w", "2")
    before = server.wait_for_workers(2)
    with Load(server, connections=8) as load:
        load.wait_for_answers(200)
        server.send_signal(signal.SIGHUP)
        server.wait_for_workers(2, without=before)
        load.wait_for_answers(200)
    assert load.failures == []


# --- timeouts ----------------------------------------------------------------------------------

def test_a_request_that_takes_too_long_is_reported_once_and_goes_on(threaded):
    server = threaded(3, "--timeout", "1")
    [worker] = server.wait_for_workers(1)
    with server.client() as client:
        ask(client, "/sleep?4.5")
        server.wait_for_log(f"REQUEST TIMEOUT (pid:{worker}) thread ", seconds=4)
        assert re.search(r"thread \d: GET /sleep\?4\.5 from 127\.0\.0\.1 runs for [12] s\n",
                         server.stderr)
        assert client.response().status == 200
    assert server.stderr.count("REQUEST TIMEOUT") == 1
    assert server.workers() == [worker] and "WORKER TIMEOUT" not in server.stderr


def test_a_worker_whose_threads_are_all_stuck_is_replaced(threaded):
    server = threaded(2, "--timeout", "1")
    [worker] = server.wait_for_workers(1)
    with server.client() as one, server.client() as other:
        ask(one, "/sleep?30")
        ask(other, "/sleep?31")
        started = time.monotonic()
        server.wait_for_log(f"WORKER TIMEOUT (pid:{worker}) while handling GET /sleep?3",
                            seconds=6)
        server.wait_for_workers(1, without=[worker])
        assert time.monotonic() - started < 8
    [line] = re.findall(r"WORKER TIMEOUT.*", server.stderr)
    assert "GET /sleep?30 for 127.0.0.1" in line and "GET /sleep?31 for 127.0.0.1" in line
    assert server.stderr.count("REQUEST TIMEOUT") == 2
    assert server.get("/").status == 200


# --- counting ----------------------------------------------------------------------------------

def test_each_answer_has_its_access_line(start):
    need("flask")
    server = start("--threads", "4", "--pythonpath", PACKAGES, "--chdir",
                   APPS.parents[1] / "examples" / "flask", "page:app", access_log=True)
    with Load(server, connections=12) as load:
        load.wait_for_answers(500)
    assert load.failures == []
    assert server.stop() == 0
    assert len(server.access_lines()) == load.answered
