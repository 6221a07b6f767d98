"""Signals that the application wants to hear of as well, and what they do to its calls and to the
processes that it starts."""
import os
import signal
import time

import pytest

from waiting import wait_until

ANSWER = """
import os, signal, sys, time
def say(*words):
    sys.stderr.write(" ".join(map(str, words)) + "\\n")  # in one piece
def answer(start_response, body=b"ok"):
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
PLAIN = """
def application(environ, start_response):
    return answer(start_response)
"""


@pytest.fixture
def site(start, tmp_path):
    """site(code, conf, *arguments) serves what `code` defines."""
    def site(code, *arguments, conf="", **options):
        (tmp_path / "app.py").write_text(ANSWER + code)
        (tmp_path / "gunicorn.conf.py").write_text(conf)
        return start(*arguments, "--graceful-timeout", "10", "app", cwd=tmp_path, **options)
    return site


def busy(server):
    """A request in hand, on a connection that stays open."""
    client = server.client(20)
    client.send(b"GET /busy HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    server.wait_for_log("it has begun")
    return client


SETS_A_HANDLER = """
def on_term(number, frame):
    say("the application hears of", number)
    if LEAVES:
        sys.exit(3)
"""
AT_IMPORT = "signal.signal(signal.SIGTERM, on_term)\n" + PLAIN
IN_A_REQUEST = """
def application(environ, start_response):
    signal.signal(signal.SIGTERM, on_term)
    return answer(start_response)
"""


@pytest.mark.parametrize("leaves", [True, False])
@pytest.mark.parametrize("threads, sets", [(1, AT_IMPORT), (3, AT_IMPORT), (1, IN_A_REQUEST)])
def test_a_handler_of_the_applications_does_not_take_sigterm_from_the_server(
        site, threads, sets, leaves):
    server = site(f"LEAVES = {leaves}\n" + SETS_A_HANDLER + sets, "--threads", threads)
    assert server.get("/").body == b"ok"
    time.sleep(1.2)  # what is set later than at the import is seen within a second
    assert server.stop() == 0
    assert server.stderr.count("the application hears of 15") == 1
    assert "SIGKILL" not in server.stderr and "Worker exiting" in server.stderr


def test_handlers_run_while_the_worker_waits_for_clients(site):
    server = site("""
def on_alarm(number, frame):
    say("it rang")
signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.1)
""" + PLAIN)
    server.wait_for_log("it rang")


def test_a_handler_that_exits_lets_the_worker_leave_in_peace(site):
    server = site("""
def on_usr2(number, frame):
    sys.exit(0)
signal.signal(signal.SIGUSR2, on_usr2)
""" + PLAIN)
    [worker] = server.wait_for_workers(1)
    assert server.get("/").body == b"ok"
    os.kill(worker, signal.SIGUSR2)
    server.wait_for_workers(1, without=[worker])
    server.wait_for_log(f"Worker exiting (pid: {worker})")
    assert server.get("/").body == b"ok" and "Traceback" not in server.stderr


def test_an_alarm_ends_the_call_that_it_was_meant_for(site):
    server = site("""
class Late(Exception):
    pass
def on_alarm(number, frame):
    raise Late("it takes too long")
signal.signal(signal.SIGALRM, on_alarm)
def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        time.sleep(20)
    return answer(start_response)
""")
    for _ in range(2):
        assert server.get("/slow").status == 500
        assert server.get("/").body == b"ok"
    wait_until(lambda: server.stderr.count("app.Late: it takes too long") == 2, 15)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_during_a_long_import_is_quick_and_quiet(site, number):
    server = site("say('it has begun')\ntime.sleep(60)\n" + PLAIN)
    server.wait_for_log("it has begun")
    before = time.monotonic()
    assert server.stop(number) == 0
    assert time.monotonic() - before < 5
    assert "SIGKILL" not in server.stderr and "[ERROR]" not in server.stderr


@pytest.mark.parametrize("threads", [1, 3])
def test_processes_of_the_application_can_be_terminated(site, threads):
    server = site("""
import multiprocessing
fork = multiprocessing.get_context("fork")
def wait(is_running):
    is_running.set()
    time.sleep(60)
def application(environ, start_response):
    number = getattr(signal, environ["QUERY_STRING"])
    is_running = fork.Event()
    child = fork.Process(target=wait, args=(is_running,))
    child.start()
    is_running.wait()
    os.kill(child.pid, number)
    child.join(10)
    return answer(start_response, str(child.exitcode).encode())
""", "--threads", threads)
    workers = server.wait_for_workers(1)
    for name in ("SIGTERM", "SIGINT", "SIGQUIT"):
        assert server.get(f"/?{name}").body.decode() == str(-getattr(signal, name))
    time.sleep(0.5)
    assert server.workers() == workers and "Autorestarting" not in server.stderr


CLEANS_UP = """
import atexit
atexit.register(say, "at exit")
def application(environ, start_response):
    try:
        say("it has begun")
        while True:
            time.sleep(60)
    finally:
        say("cleaned up")
"""
TAKES_NOTES = """
import sys
def worker_int(worker):
    code = sys._getframe(0)
    while code is not None and code.f_code.co_name != "application":
        code = code.f_back
    sys.stderr.write("worker_int %s\\n" % ("in the call" if code else "between calls"))
def worker_exit(server, worker):
    sys.stderr.write("worker_exit\\n")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_quick_stop_ends_the_running_call_as_gunicorn_does(site, number):
    server = site(CLEANS_UP, conf=TAKES_NOTES)
    with busy(server) as client:
        assert server.stop(number) == 0
        assert client.response().status == 500
    text = server.stderr
    order = [text.index(words) for words in ("worker_int in the call", "cleaned up", "worker_exit",
                                             "at exit")]
    assert order == sorted(order) and text.count("worker_int") == 1
    assert "GET /busy: its worker was told to leave at once" in text
    assert "Traceback" not in text and "SIGKILL" not in text


def test_a_shells_background_command_ends_no_other_way(site):
    """It begins with SIGINT and SIGQUIT ignored."""
    before = [signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)]
    try:
        server = site(CLEANS_UP, conf=TAKES_NOTES)
    finally:
        for number, handler in zip((signal.SIGINT, signal.SIGQUIT), before):
            signal.signal(number, handler)
    with busy(server) as client:
        assert server.stop(signal.SIGINT) == 0
        assert client.response().status == 500
    assert "SIGKILL" not in server.stderr


def test_a_quick_stop_between_calls_tells_the_hook_once(site):
    server = site(PLAIN, conf=TAKES_NOTES)
    assert server.get("/").body == b"ok"
    assert server.stop(signal.SIGINT) == 0
    assert server.stderr.count("worker_int between calls") == 1
    assert server.stderr.count("worker_exit") == 1


def test_a_worker_alone_that_is_interrupted_is_replaced(site):
    server = site(CLEANS_UP, conf=TAKES_NOTES)
    [worker] = server.wait_for_workers(1)
    with busy(server):
        os.kill(worker, signal.SIGQUIT)
        server.wait_for_workers(1, without=[worker])
    wait_until(lambda: "cleaned up" in server.stderr, 10, "the call's own end")
