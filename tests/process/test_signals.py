"""Signals to the master, and processes that die: nobody's request fails."""
import os
import signal
import time

import pytest

from control import Control
from licorne import APPS, HELLO_MODULE
from load import Load
from waiting import slack, wait_until


@pytest.fixture(params=["kept", "fresh"])
def fresh(request):
    """Whether each request comes on a connection of its own."""
    return request.param == "fresh"


def write_app(folder, text):
    (folder / "mine.py").write_text(f"""
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "{len(text)}"), ("X-Pid", str(os.getpid()))])
    return [b"{text}"]
""")


def wait_until_all_serve(server, count):
    """Until so many workers have answered; their pids, oldest first."""
    answered = set()

    def have_answered():
        answered.add(int(server.get("/").field("X-Pid")))
        return len(answered) == count
    wait_until(have_answered, 10, f"{count} workers that answer")
    assert answered == set(server.workers())
    return server.workers()


# --- stopping ------------------------------------------------------------------------------------

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_ends_with_0_and_leaves_nothing(serve, number):
    server = serve("-w", "2")
    assert server.get("/").status == 200
    server.wait_for_workers(2)
    assert server.stop(number, seconds=5) == 0
    assert "Shutting down: Master" in server.stderr


def wait_for_request(server):
    """Until a worker has one in hand: a worker that never served has nothing to finish."""
    with Control(server.control_path) as control:
        wait_until(lambda: control.ask("show requests")["count"] == 1)


def test_a_graceful_stop_finishes_the_request_in_hand(serve):
    server = serve()
    assert server.get("/").status == 200  # somebody is there
    with server.client() as client:
        client.send(b"GET /slow?1 HTTP/1.1\r\nHost: t\r\n\r\n")
        wait_for_request(server)
        server.send_signal(signal.SIGTERM)
        assert client.response().status == 200
    assert server.process.wait(5) == 0


def test_a_graceful_stop_does_not_wait_for_idle_connections(serve):
    server = serve()
    with server.client() as client:
        assert client.get("/").status == 200
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 4  # not the 30 s of graceful_timeout


def test_a_request_that_takes_too_long_is_cut_at_graceful_timeout(serve):
    server = serve("--graceful-timeout", "1")
    with server.client() as client:
        client.send(b"GET /slow?30 HTTP/1.1\r\nHost: t\r\n\r\n")
        wait_for_request(server)
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 5


# --- reloading -----------------------------------------------------------------------------------

def test_twenty_reloads_under_load_fail_no_request(start, fresh):
    server = start(HELLO_MODULE, "-w", "2", access_log=True)
    with Load(server, connections=8, fresh=fresh) as load:
        load.wait_for_answers(50)
        for _ in range(20):
            before = server.wait_for_workers(2)
            server.send_signal(signal.SIGHUP)
            server.wait_for_workers(2, without=before)
        load.wait_for_answers(50)
    assert load.failures == []
    assert server.stop() == 0
    assert len(server.access_lines()) == load.answered


def test_a_reload_under_load_of_a_python_application_fails_no_request(serve, fresh):
    server = serve("-w", "2", access_log=True)
    with Load(server, connections=8, fresh=fresh) as load:
        for _ in range(3):
            load.wait_for_answers(50)
            before = server.wait_for_workers(2)
            server.send_signal(signal.SIGHUP)
            server.wait_for_workers(2, without=before)
    assert load.failures == []
    server.stop()
    assert len(server.access_lines()) == load.answered


def test_a_reload_serves_the_new_code(start, tmp_path):
    write_app(tmp_path, "old")
    server = start("--chdir", tmp_path, "mine")
    assert server.get("/").body == b"old"
    before = server.workers()
    write_app(tmp_path, "new one")
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(1, without=before)
    assert server.get("/").body == b"new one"


def test_a_broken_application_keeps_the_old_workers(start, tmp_path):
    write_app(tmp_path, "old")
    server = start("-w", "2", "--chdir", tmp_path, "mine")
    before = wait_until_all_serve(server, 2)

    with Load(server, connections=4) as load:
        load.wait_for_answers(20)
        (tmp_path / "mine.py").write_text("import a_module_that_is_nowhere\n")
        server.send_signal(signal.SIGHUP)
        server.wait_for_log("a_module_that_is_nowhere")
        server.wait_for_workers(2)
        load.wait_for_answers(20)
        assert server.workers() == before

        write_app(tmp_path, "mended")
        server.send_signal(signal.SIGHUP)
        server.wait_for_workers(2, without=before)
        load.wait_for_answers(20)
    assert load.failures == []
    assert server.get("/").body == b"mended"


def test_an_application_that_hangs_while_it_is_imported_does_not_hold_up_the_next_reload(
        start, tmp_path):
    write_app(tmp_path, "old")
    server = start("--timeout", "2", "--chdir", tmp_path, "mine")
    assert server.get("/").body == b"old"
    before = server.workers()
    (tmp_path / "mine.py").write_text("import time; open('begun', 'w'); time.sleep(60)\n")
    server.send_signal(signal.SIGHUP)
    wait_until((tmp_path / "begun").exists, 10, "a worker that hangs")

    write_app(tmp_path, "mended")
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(1, without=before)
    assert server.get("/").body == b"mended"
    assert "not ready after 2 s, and another reload was asked for" in server.stderr


def test_a_relative_log_follows_chdir_when_a_reload_enters_another_folder(start, tmp_path):
    for release in ("first", "second"):
        (tmp_path / release).mkdir()
        write_app(tmp_path / release, release)
    current = tmp_path / "current"
    current.symlink_to("first")
    server = start("--chdir", current, "--access-logfile", "access.log", "mine")
    assert server.get("/").body == b"first"
    before = server.workers()

    current.unlink()
    current.symlink_to("second")
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(1, without=before)
    assert server.get("/").body == b"second"
    server.stop()
    for release in ("first", "second"):
        assert len((tmp_path / release / "access.log").read_text().splitlines()) == 1


def test_a_broken_configuration_keeps_the_old_workers(start, tmp_path):
    settings = tmp_path / "licorne.ini"
    settings.write_text("[server]\nworkers = 2\n")
    server = start("-c", settings, HELLO_MODULE)
    before = server.wait_for_workers(2)
    settings.write_text("[server]\nworkers = some\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("licorne.ini:2")
    assert server.get("/").status == 200
    assert server.workers() == before

    settings.write_text("[server]\nworkers = 3\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(3, without=before)
    assert server.get("/").status == 200


# --- more and fewer workers ----------------------------------------------------------------------

def test_ttin_and_ttou_change_the_number_of_workers_and_fail_no_request(start, fresh):
    server = start(HELLO_MODULE, access_log=True)
    with Load(server, connections=8, fresh=fresh) as load:
        server.wait_for_workers(1)
        for wanted in (2, 3):
            server.send_signal(signal.SIGTTIN)
            server.wait_for_workers(wanted)
            load.wait_for_answers(50)
        for wanted in (2, 1):
            server.send_signal(signal.SIGTTOU)
            server.wait_for_workers(wanted)
            load.wait_for_answers(50)
        server.send_signal(signal.SIGTTOU)  # never below one
        load.wait_for_answers(50)
        server.wait_for_workers(1)
    assert load.failures == []
    server.stop()
    assert len(server.access_lines()) == load.answered


def test_a_worker_that_reached_max_requests_is_replaced_and_fails_no_request(start, fresh):
    server = start(HELLO_MODULE, "-w", "2", "--max-requests", "100", access_log=True)
    first = server.wait_for_workers(2)
    with Load(server, connections=4, fresh=fresh) as load:
        server.wait_for_log("Autorestarting worker after current request.", count=6)
        load.wait_for_answers(50)
    assert load.failures == []
    assert not set(first) & set(server.wait_for_workers(2))
    server.stop()
    assert len(server.access_lines()) == load.answered


@pytest.mark.parametrize("worker", [[], ["--threads", "4"]], ids=["sync", "gthread"])
def test_a_worker_whose_replacement_serves_takes_no_more(start, tmp_path, fresh, worker):
    """However many it has answered while the new one was booting."""
    (tmp_path / "mine.py").write_text("""
import os, time
time.sleep(0.3)
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "0"), ("X-Pid", str(os.getpid()))])
    return [b""]
""")
    server = start("--max-requests", "5", *worker, "--chdir", tmp_path, "mine")
    first, last, client = {}, {}, None
    while len(first) < 4:
        client = client or server.client()
        response = client.get(fields=[("Connection", "close")] if fresh else [])
        pid = response.field("X-Pid")
        last[pid] = time.monotonic()
        first.setdefault(pid, last[pid])
        if response.is_last:
            client.close()
            client = None
    if client:
        client.close()
    pids = list(first)
    for old, new in zip(pids, pids[1:]):
        assert last[old] < first[new] + 1 + slack()


def test_a_resized_terminal_is_no_reason_to_warn(serve):
    server = serve("--log-level", "debug")
    server.send_signal(signal.SIGWINCH)
    server.wait_for_log("[DEBUG] SIGWINCH ignored. Not daemonized")
    assert "[WARNING]" not in server.stderr


# --- processes that die --------------------------------------------------------------------------

def test_a_killed_logger_is_replaced_and_no_line_is_lost(start):
    server = start(HELLO_MODULE, "-w", "2", access_log=True)
    with Load(server, connections=4) as load:
        for _ in range(3):
            load.wait_for_answers(100)
            [logger] = wait_until(lambda: server.children("logger"), 5, "a logger")
            os.kill(logger, signal.SIGKILL)
            wait_until(lambda: server.children("logger") not in ([], [logger]), 5,
                       "another logger")
        load.wait_for_answers(100)
    assert load.failures == []
    server.stop()
    # What the killed process held in its hands may be written twice or not at all: at most the
    # records of the message that it was writing. None of those that waited may be lost.
    assert len(server.access_lines()) == load.answered


def test_a_killed_worker_is_replaced_at_once(start):
    server = start(HELLO_MODULE, "-w", "2")
    before = server.wait_for_workers(2)
    with Load(server, connections=8) as load:
        load.wait_for_answers(100)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: len(server.workers()) == 2 and before[0] not in server.workers(), 3,
                   "a new worker in the place of the killed one")
        load.wait_for_answers(100)
    assert len(load.failures) <= 8  # what the killed one had in hand, one a connection
    server.wait_for_log(f"Worker (pid:{before[0]}) was sent SIGKILL!")


def test_a_worker_that_hangs_is_aborted_and_replaced(serve):
    server = serve("--timeout", "1")
    assert server.get("/").status == 200
    [hanging] = server.wait_for_workers(1)
    with server.client() as client:
        client.send(b"GET /slow?30 HTTP/1.1\r\nHost: t\r\n\r\n")
        server.wait_for_log(f"WORKER TIMEOUT (pid:{hanging})", seconds=6)
        server.wait_for_workers(1, without=[hanging])
    assert server.get("/").status == 200


def test_children_end_when_the_master_is_killed(serve):
    server = serve("-w", "2", "--chdir", APPS)
    assert server.get("/").status == 200
    server.wait_for_workers(2), server.children("logger")
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait(5)
    server.stop()  # fails if a child is still there after five seconds


def test_process_titles_tell_who_is_who(serve):
    server = serve("-n", "shop")
    assert server.get("/").status == 200
    titles = {pid: open(f"/proc/{pid}/cmdline", "rb").read().rstrip(b"\0").decode()
              for pid in [server.pid, *server.workers(), *server.children("logger")]}
    assert sorted(titles.values()) == ["licorne: logger", "licorne: master [shop]",
                                       "licorne: worker [shop]"]
