"""What an administrator does to a busy server: no request fails, and each answer has one line in
the access log. `./dev soak` does the same for longer."""
import signal
import time

import pytest

import trials
from trials import start_kind, under_load
from waiting import wait_until

PYTHON_KINDS = ["sync", "gthread"]


@pytest.mark.parametrize("kind", PYTHON_KINDS)
def test_reloads_one_after_another(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind)
    with under_load(server) as load:
        trials.reloads(server, 5)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("kind", trials.KINDS)
def test_a_burst_of_reloads(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind)
    with under_load(server) as load:
        trials.burst_of_reloads(server, 20)
    server.stop()
    load.assert_written_once(server.access_path)


def test_reloads_of_an_application_that_is_slow_to_import(start, tmp_path):
    server = start_kind(start, tmp_path, "sync")
    trials.write_app(tmp_path, import_seconds=2)
    with under_load(server) as load:
        trials.reloads(server, 3)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("kind", PYTHON_KINDS)
def test_more_and_fewer_workers(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind)
    with under_load(server) as load:
        trials.more_and_fewer(server, load)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("kind", trials.KINDS)
def test_rotated_logs(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind)
    with under_load(server) as load:
        paths = trials.rotations(server, 10)
    server.stop()
    load.assert_written_once(*paths)


@pytest.mark.parametrize("kind", PYTHON_KINDS)
@pytest.mark.parametrize("how", ["WINCH, QUIT", "TERM"])
def test_an_upgrade(start, tmp_path, kind, how):
    server = start_kind(start, tmp_path, kind)
    with under_load(server) as load:
        new = trials.upgrade(server, load, how)
    new.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("kind", trials.KINDS)
def test_workers_that_are_recycled_all_the_time(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind, "--max-requests", "10")
    with under_load(server) as load:
        trials.wait_for_recycled(server, load, requests=2000, workers=20)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("kind", trials.KINDS)
@pytest.mark.parametrize("cause", ["HUP", "TTOU", "max_requests"])
def test_an_idle_connection_outlives_its_worker(start, tmp_path, kind, cause):
    recycle = ["--max-requests", "4"] if cause == "max_requests" else []
    server = start_kind(start, tmp_path, kind, "--keep-alive", "30", *recycle)
    before = server.wait_for_workers(2)
    clients = [server.client() for _ in range(6)]
    for client in clients:
        assert client.get().status == 200
    time.sleep(0.5)  # so that nobody takes them for busy
    if cause == "HUP":
        server.send_signal(signal.SIGHUP)
        server.wait_for_workers(2, without=before)
    elif cause == "TTOU":
        server.send_signal(signal.SIGTTOU)
        server.wait_for_workers(1)
    else:
        with under_load(server):
            wait_until(lambda: not set(before) & set(server.workers()), 20, "other workers")
    for client in clients:
        assert client.get().status == 200
        client.close()


def test_a_connection_that_went_to_another_worker_has_its_keepalive_there(start, tmp_path):
    server = start_kind(start, tmp_path, "sync", "--keep-alive", "1")
    before = server.wait_for_workers(2)
    with server.client() as client:
        assert client.get().status == 200
        server.send_signal(signal.SIGHUP)
        server.wait_for_workers(2, without=before)
        assert client.is_closed(within=5)


# --- bad news meanwhile --------------------------------------------------------------------------

BROKEN = "import a_module_that_is_nowhere\n"


@pytest.mark.parametrize("kind", PYTHON_KINDS)
@pytest.mark.parametrize("cause", ["HUP", "TTIN", "max_requests", "a worker that dies"])
def test_an_application_that_went_bad(start, tmp_path, kind, cause):
    recycle = ["--max-requests", "40"] if cause == "max_requests" else []
    server = start_kind(start, tmp_path, kind, *recycle)
    before = [] if recycle else trials.wait_until_all_serve(server, 2)
    with under_load(server) as load:
        (tmp_path / "mine.py").write_text(BROKEN)
        if cause == "HUP":
            server.send_signal(signal.SIGHUP)
        elif cause == "TTIN":
            server.send_signal(signal.SIGTTIN)
        elif cause == "a worker that dies":
            trials.end_worker(before[0])
        server.wait_for_log("No module named 'a_module_that_is_nowhere'")
        load.wait_for_answers(50)
        assert server.process.poll() is None
        if cause in ("HUP", "TTIN"):
            wait_until(lambda: server.workers() == before, 10, "the workers of before, alone")
        # Mended, it is served again without a restart.
        trials.write_app(tmp_path, word="mended")
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: server.get("/?probe").body == b"mended", 20, "the mended application")
    assert server.stop() == 0


@pytest.mark.parametrize("kind", PYTHON_KINDS)
def test_a_configuration_that_went_bad(start, tmp_path, kind):
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text("")
    server = start_kind(start, tmp_path, kind, "-c", conf)
    before = trials.wait_until_all_serve(server, 2)
    with under_load(server) as load:
        for text, why in (("timeout = 'long'", "timeout"), ("1 / 0", "ZeroDivisionError"),
                          ("worker_class = 'gevent'", "worker_class")):
            conf.write_text(f"{text}\n")
            server.send_signal(signal.SIGHUP)
            server.wait_for_log(f"Not reloaded: {conf}:1: {why}")
            load.wait_for_answers(20)
        assert server.workers() == before
    assert server.stop() == 0
