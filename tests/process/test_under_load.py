"""What an administrator does to a busy server: no request fails, and each answer has one line in
the access log. `./dev soak` does the same for longer."""
import signal
import time

import pytest

import trials
from licorne import APPS, is_licorne
from trials import start_kind, under_load
from waiting import wait_until

PYTHON_KINDS = ["sync", "gthread"]


@pytest.mark.parametrize("setup", ["sync", "gthread unix", "sync tls preload"])
def test_reloads_one_after_another(start, tmp_path, setup):
    server = start_kind(start, tmp_path, setup)
    with under_load(server) as load:
        trials.reloads(server, 3)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("setup", ["native", "sync unix", "gthread tls"])
def test_a_burst_of_reloads(start, tmp_path, setup):
    server = start_kind(start, tmp_path, setup)
    with under_load(server) as load:
        trials.burst_of_reloads(server, 20)
    server.stop()
    load.assert_written_once(server.access_path)


def test_reloads_of_an_application_that_is_slow_to_import(start, tmp_path):
    server = start_kind(start, tmp_path, "sync")
    trials.write_app(tmp_path, import_seconds=1)
    with under_load(server) as load:
        trials.reloads(server, 2)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("setup", ["sync preload", "gthread unix"])
def test_more_and_fewer_workers(start, tmp_path, setup):
    server = start_kind(start, tmp_path, setup)
    with under_load(server) as load:
        trials.more_and_fewer(server, load)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("setup", ["native", "gthread unix"])
def test_rotated_logs(start, tmp_path, setup):
    server = start_kind(start, tmp_path, setup)
    with under_load(server) as load:
        paths = trials.rotations(server, 10)
    server.stop()
    load.assert_written_once(*paths)


@pytest.mark.parametrize("setup, how", [
    ("native", "rollback"), ("sync", "TERM"), ("sync unix", "TERM at once"),
    ("gthread tls", "WINCH, QUIT"), ("gthread unix", "WINCH, rollback"),
])
def test_an_upgrade(start, tmp_path, setup, how):
    server = start_kind(start, tmp_path, setup)
    server.is_portable = False
    with under_load(server) as load:
        new = trials.upgrade(server, load, how)
    (new or server).stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("setup", ["native", "sync unix", "gthread"])
def test_workers_that_are_recycled_all_the_time(start, tmp_path, setup):
    server = start_kind(start, tmp_path, setup, "--max-requests", "10")
    with under_load(server) as load:
        trials.wait_for_recycled(server, load, requests=1000, workers=20)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("setup", ["sync", "gthread unix"])
def test_a_killed_worker_takes_with_it_only_what_it_had_in_hand(start, tmp_path, setup):
    server = start_kind(start, tmp_path, setup)
    with under_load(server, loses=True) as load:
        kills = trials.kill_workers(server, load, 2)
    server.stop()
    load.assert_lost_only_at(kills)
    load.assert_written_once(server.access_path, lost_at_most=2 * load.connections)


def test_a_killed_logger_takes_nothing_with_it(start, tmp_path):
    server = start_kind(start, tmp_path, "sync")
    with under_load(server) as load:
        trials.kill_loggers(server, load, 3)
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


def test_an_idle_connection_outlives_its_worker_though_the_others_are_busy(start):
    server = start("-w", "2", "--keep-alive", "30", "--chdir", APPS, "shared")
    trials.wait_until_all_serve(server, 2)
    leaving, staying = server.workers()  # the oldest goes first
    clients = trials.connections_of(server, leaving, 3)
    [busy] = trials.connections_of(server, staying, 1)
    time.sleep(0.6)  # so that nobody takes them for busy
    busy.send(b"GET /?3 HTTP/1.1\r\nHost: t\r\n\r\n")
    time.sleep(0.2)
    server.send_signal(signal.SIGTTOU)
    server.wait_for_workers(1)
    for client in clients:
        assert int(client.get("/").field("X-Pid")) == staying
    assert busy.response().status == 200


@pytest.mark.parametrize("kind", PYTHON_KINDS)
def test_hundreds_of_idle_connections_outlive_their_workers(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind)
    before = server.wait_for_workers(2)
    clients = [server.client() for _ in range(600)]
    for client in clients:
        assert client.get().status == 200
    time.sleep(0.6)
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(2, without=before)
    assert sum(client.is_readable() for client in clients) == 0
    for client in clients:
        assert client.get().status == 200
        client.close()


def test_a_connection_that_is_not_encrypted_yet_outlives_its_worker(start, tmp_path):
    server = start_kind(start, tmp_path, "sync tls")
    before = server.wait_for_workers(2)
    clients = [server.client() for _ in range(4)]
    time.sleep(0.6)
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(2, without=before)
    for client in clients:
        client.socket = server.context.wrap_socket(client.socket, server_hostname="localhost")
        with client:
            assert int(client.get("/").field("X-Pid")) not in before


@pytest.mark.parametrize("cause, kind", [
    ("an upgrade", "sync"), ("an upgrade", "gthread"), ("a reload with TLS", "native"),
    ("a reload with TLS", "gthread"),
])
def test_an_idle_connection_that_nobody_takes_is_told_when_it_ends(start, tmp_path, kind, cause):
    tls = "TLS" in cause
    server = start_kind(start, tmp_path, f"{kind} tls" if tls else kind)
    before = server.wait_for_workers(2)
    clients = [server.connect() for _ in range(4)]
    for client in clients:
        assert client.get().status == 200
    time.sleep(0.7)
    if tls:
        server.send_signal(signal.SIGHUP)
    else:
        new = trials.NewMaster(server)
        new.wait_for_workers()
        server.send_signal(signal.SIGTERM)
    while clients:
        time.sleep(0.7)  # nobody takes it for busy
        clients = [client for client in clients if not client.get().is_last]
    wait_until(lambda: not any(map(is_licorne, before)), 10, "the old workers have left")
    if not tls:
        new.stop()


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
        wait_until(lambda: server.get("/?probe").body == b"mended probe", 20, "the mended application")
    assert server.stop() == 0


def test_a_configuration_that_went_bad(start, tmp_path):
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text("")
    server = start_kind(start, tmp_path, "sync", "-c", conf)
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
