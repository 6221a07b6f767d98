"""Workers that hang, crash, eat memory or are slow: what the log says, and that others serve."""
import os
import resource
import signal
import time

import pytest

from control import Control
from waiting import wait_until

APP = """
import ctypes, os, signal, threading, time
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/hang":
        hang_here()
    elif path == "/gil":
        ctypes.PyDLL(None).sleep(60)
    elif path == "/segv":
        ctypes.string_at(8)
    elif path == "/exit":
        os._exit(7)
    elif path == "/slow":
        time.sleep(2.5)
    elif path == "/eat":
        eaten.append(b"x" * 280_000_000)
    start_response("200 OK", [("Content-Length", "2"), ("X-Pid", str(os.getpid()))])
    return [b"ok"]
eaten = []
def hang_here():
    while True:
        time.sleep(1)
"""


@pytest.fixture(params=["sync", "gthread", "preloaded"])
def threads(request):
    return {"sync": [], "gthread": ["--threads", "1", "-k", "gthread"],
            "preloaded": ["--preload"]}[request.param]


@pytest.fixture
def serve(start, tmp_path):
    (tmp_path / "wild.py").write_text(APP)
    return lambda *arguments, **options: start("--chdir", tmp_path, *arguments, "wild",
                                               access_log=True, **options)


def send(server, path):
    client = server.client(timeout=20)
    client.send(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
    return client


def wait_for_access(server, text):
    return wait_until(lambda: next((line for line in server.access_lines() if text in line), None),
                      10, f"an access line with {text!r}")


def test_a_hung_worker_is_replaced_and_the_log_says_where_it_was(serve, threads):
    server = serve("--timeout", "2", *threads)
    first = server.wait_for_workers(1)
    started = time.monotonic()
    with send(server, "/hang?q=1"):
        server.wait_for_workers(1, without=first)
        assert time.monotonic() - started < 2 + 1.5 + 2  # a loaded machine gets 2 s more
        server.wait_for_log("WORKER TIMEOUT (pid:%d) while handling GET /hang?q=1 for 127.0.0.1"
                            % first[0])
        server.wait_for_log("in hang_here")
        assert 'wild.py", line' in server.stderr
        assert '"GET /hang?q=1 HTTP/1.1" 504 0' in wait_for_access(server, "/hang")
    assert server.get("/").status == 200


def test_a_worker_with_many_short_enough_requests_does_not_hang(serve):
    """All of them have come when it looks for the next ones."""
    server = serve("--timeout", "4", "--keep-alive", "20")
    clients = [server.client(timeout=20) for _ in range(3)]
    pids = {client.get("/").field("X-Pid") for client in clients}
    for client in clients:
        client.send(b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n")
    assert {client.response().field("X-Pid") for client in clients} == pids
    assert "WORKER TIMEOUT" not in server.stderr


def test_a_worker_that_holds_the_gil_is_replaced_and_the_log_says_where_it_was(serve):
    server = serve("--timeout", "2")
    first = server.wait_for_workers(1)
    with send(server, "/gil"):
        server.wait_for_workers(1, without=first)
    server.wait_for_log("in application")
    assert "while handling GET /gil" in server.stderr


def test_a_stopped_worker_is_killed_and_its_request_named(serve):
    server = serve("--timeout", "2")
    first = server.wait_for_workers(1)
    with send(server, "/slow"):
        time.sleep(0.5)
        os.kill(first[0], signal.SIGSTOP)
        started = time.monotonic()
        server.wait_for_workers(1, without=first)
        assert 1 < time.monotonic() - started < 2 + 1.5 + 2  # ABRT has a second to work
        server.wait_for_log("while handling GET /slow")
        assert " 504 " in wait_for_access(server, "/slow")
    assert server.get("/").status == 200


def test_a_crash_names_signal_memory_and_request_and_shows_the_stack(serve):
    # The application crashes here, so a build with sanitizers leaves the signal to the server.
    options = os.environ.get("ASAN_OPTIONS", "") + ":handle_segv=0"
    server = serve(env={"ASAN_OPTIONS": options.lstrip(":")})
    first = server.wait_for_workers(1)
    with send(server, "/segv"):
        server.wait_for_workers(1, without=first)
    server.wait_for_log("was sent SIGSEGV! while handling GET /segv")
    server.wait_for_log("in application")
    assert " 500 " in wait_for_access(server, "/segv")


def test_an_application_that_exits_is_replaced(serve):
    server = serve()
    first = server.wait_for_workers(1)
    with send(server, "/exit"):
        server.wait_for_workers(1, without=first)
    server.wait_for_log(f"Worker (pid:{first[0]}) exited with code 7.")
    assert " 500 " in wait_for_access(server, "/exit")


def test_a_slow_request_is_shown_and_goes_on(serve, threads, tmp_path):
    log = tmp_path / "error.log"
    server = serve("--slow-request", "1", *threads, "--error-logfile", log, wait=False)
    wait_until(lambda: log.exists() and "Booting worker" in log.read_text(), 15)
    wait_until(server.workers)
    answer = server.get("/slow")
    assert answer.status == 200
    text = log.read_text()
    assert text.count("SLOW REQUEST (pid:") == 1
    assert "thread 1: GET /slow from 127.0.0.1 runs for 1 s; its stack:" in text
    assert 'wild.py", line' in wait_until(lambda: "in application" in log.read_text()
                                          and log.read_text())


def test_a_worker_that_cannot_be_started_is_tried_again_soon(serve):
    server = serve()
    [worker] = server.wait_for_workers(1)
    assert server.get("/").status == 200
    limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    os.kill(worker, signal.SIGKILL)
    server.wait_for_log("No new worker could be started: ", count=3)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)
    server.wait_for_workers(1, without=[worker])
    assert server.get("/").status == 200


def restarts(server):
    """How often, by cause, as the control socket tells."""
    with Control(server.control_path) as control:
        return {cause: count for cause, count in control.ask("show metrics")["restarts"].items()
                if count}


def test_a_worker_that_grew_is_replaced_after_its_requests(serve):
    server = serve("--max-worker-memory", "250M")
    first = server.wait_for_workers(1)
    assert server.get("/eat").status == 200
    server.wait_for_workers(1, without=first)
    server.wait_for_log("more than max_worker_memory = 250 MB: it is replaced")
    assert "SIGKILL" not in server.stderr
    wait_until(lambda: restarts(server) == {"memory": 1}, 10, "its cause among the restarts")


def test_a_worker_beyond_the_hard_limit_is_killed(serve):
    server = serve("--max-worker-memory-hard", "250M")
    first = server.wait_for_workers(1)
    with send(server, "/eat"):  # which may be answered or cut off
        server.wait_for_workers(1, without=first)
    server.wait_for_log("more than max_worker_memory_hard = 250 MB: SIGKILL")
    wait_until(lambda: restarts(server) == {"memory": 1}, 10, "its cause among the restarts")
