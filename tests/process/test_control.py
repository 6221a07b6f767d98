"""The control socket: what a running server answers, and what it puts up with."""
import contextlib
import os
import pathlib
import signal
import stat
import struct
import subprocess
import threading
import time

import pytest

from control import Control, Refused
from licorne import APPS, HELLO_MODULE, RUN_DIR
from load import Load
from waiting import wait_until

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="changes users")


@pytest.fixture
def server(start):
    """Two workers."""
    running = start("-w", "2", HELLO_MODULE)
    running.wait_for_log("Booting worker", count=2)
    assert running.get("/").status == 200
    with Control(running.control_path) as control:
        wait_until(lambda: all(w["booted"] for w in control.ask("show workers")["workers"]))
    return running


@pytest.fixture
def control(server):
    with Control(server.control_path) as control:
        yield control


@pytest.fixture
def slow_next(start, tmp_path):
    """slow_next(seconds) is a server whose next worker takes so long to load its application."""
    def slow_next(seconds):
        (tmp_path / "late.py").write_text("import time, os\n"
                                          f"if os.path.exists('slow'): time.sleep({seconds})\n"
                                          "from served import application\n")
        server = start("--chdir", tmp_path, "--pythonpath", APPS, "late:application")
        server.get("/")
        (tmp_path / "slow").touch()
        return server
    return slow_next


# --- questions -----------------------------------------------------------------------------------

def test_show_workers_names_each(server, control):
    data = control.ask("show workers")
    assert data["count"] == 2
    assert [w["pid"] for w in data["workers"]] == server.workers()
    for age, worker in enumerate(data["workers"], 1):
        assert worker["age"] == age
        assert worker["booted"] is True and worker["aborted"] is False
        assert 0 <= worker["last_heartbeat"] < 5


def test_a_worker_that_still_imports_has_not_booted(start, tmp_path):
    (tmp_path / "late.py").write_text("import time\ntime.sleep(1.5)\n"
                                      "from served import application\n")
    server = start("--chdir", tmp_path, "--pythonpath", APPS, "late:application")
    with Control(server.control_path) as control:
        assert [w["booted"] for w in control.ask("show workers")["workers"]] == [False]
        wait_until(lambda: control.ask("show workers")["workers"][0]["booted"])


def test_show_all_has_the_master_and_the_workers(server, control):
    data = control.ask("show all")
    assert data["arbiter"] == {"pid": server.pid, "type": "arbiter", "role": "master"}
    assert data["web_worker_count"] == 2
    assert {w["type"] for w in data["web_workers"]} == {"web"}
    assert (data["dirty_arbiter"], data["dirty_workers"], data["dirty_worker_count"]) == \
        (None, [], 0)


def test_show_stats_counts_answers_and_their_times(server, control):
    for path in "/", "/", "/nowhere":
        server.get(path)

    def counted():
        stats = control.ask("show stats")
        return stats if stats["requests"] == 4 else None  # one was asked by the fixture
    stats = wait_until(counted)
    assert stats["pid"] == server.pid and stats["uptime"] > 0
    assert (stats["workers_current"], stats["workers_target"]) == (2, 2)
    assert (stats["workers_spawned"], stats["workers_killed"], stats["reloads"]) == (2, 0, 0)
    assert stats["dirty_arbiter_pid"] is None
    assert stats["responses"] == {"none": 0, "1xx": 0, "2xx": 3, "3xx": 0, "4xx": 1, "5xx": 0}
    assert stats["connections_accepted"] == 4
    assert 0 < stats["latency_ms"]["p50"] <= stats["latency_ms"]["max"] < 10000


def test_counters_survive_the_workers_that_counted(server, control):
    server.get("/")
    control.ask("reload --wait")
    wait_until(lambda: control.ask("show stats")["reload_state"] == "idle")
    stats = control.ask("show stats")
    assert stats["requests"] == 2 and stats["responses"]["2xx"] == 2
    assert sum(w["requests"] for w in control.ask("show metrics")["workers"]) == 0


def test_show_metrics_has_every_worker_and_a_histogram(server, control):
    data = control.ask("show metrics")
    assert len(data["workers"]) == 2
    assert sum(w["requests"] for w in data["workers"]) == data["requests"] == 1
    assert sum(count for _, count in data["latency_us"]) == 1
    assert f":{server.port}" in data["listeners"]


def test_show_requests_names_what_workers_have_in_hand(serve):
    server = serve()
    with Control(server.control_path) as control:
        assert control.ask("show requests") == {"count": 0, "requests": []}
        thread = threading.Thread(target=server.get, args=("/slow?2",))
        thread.start()
        data = wait_until(lambda: (d := control.ask("show requests"))["count"] and d)
        request = data["requests"][0]
        assert request["pid"] == server.workers()[0]
        assert request["method"] == "GET" and request["target"] == "/slow?2"
        assert request["client"] == "127.0.0.1" and 0 <= request["seconds"] < 5
        assert control.ask("show stats")["in_flight"] == 1
        thread.join()


def test_show_listeners_config_and_dirty(start, tmp_path):
    server = start("-b", f"unix:{tmp_path}/s", "-b", "[::1]:0", "-t", "77", HELLO_MODULE)
    with Control(server.control_path) as control:
        listeners = control.ask("show listeners")
        assert listeners["count"] == 3
        assert [x["type"] for x in listeners["listeners"]] == ["tcp", "unix", "tcp6"]
        assert listeners["listeners"][1]["address"] == f"unix:{tmp_path}/s"
        assert listeners["listeners"][0]["address"] == f"http://127.0.0.1:{server.port}"
        config = control.ask("show config")
        assert list(config) == [
            "bind", "workers", "worker_class", "threads", "timeout", "graceful_timeout",
            "keepalive", "max_requests", "max_requests_jitter", "worker_connections",
            "preload_app", "daemon", "pidfile", "proc_name", "reload", "dirty_workers",
            "dirty_apps", "dirty_timeout", "control_socket", "control_socket_disable"]
        assert config["timeout"] == 77 and config["pidfile"] is None
        assert config["control_socket"] == server.control_path
        assert control.ask("show dirty") == {"enabled": False, "pid": None, "workers": [],
                                             "apps": []}


def test_words_have_any_case_and_come_in_command_or_args(control):
    assert control.ask("SHOW Workers")["count"] == 2
    assert control.ask("show", "workers")["count"] == 2
    assert control.ask("", "show", "workers")["count"] == 2
    assert control.ask("'show' \"workers\"")["count"] == 2


@pytest.mark.parametrize("command, error", [
    ("", "Empty command"),
    ("frobnicate", "Invalid argument: Unknown command: frobnicate"),
    ("show", "Invalid argument: Missing show target (all|workers|dirty|config|stats|listeners)"),
    ("show me", "Invalid argument: Unknown show target: me"),
    ("worker", "Invalid argument: Missing worker action (add|remove|kill)"),
    ("worker kill", "Invalid argument: Missing PID for worker kill"),
    ("worker kill me", "Invalid argument: invalid literal for int() with base 10: 'me'"),
    ("worker add me", "Invalid argument: invalid literal for int() with base 10: 'me'"),
    ("show workers now", "Invalid argument: Too many words: now"),
    ("show workers --wait", "Invalid argument: nothing to wait for: show workers"),
    ("shutdown now", "Invalid argument: Unknown shutdown mode: now"),
])
def test_what_is_not_understood_is_said_and_the_connection_stays(control, command, error):
    with pytest.raises(Refused) as refused:
        control.ask(command)
    assert str(refused.value) == error
    assert control.ask("show workers")["count"] == 2


# --- orders --------------------------------------------------------------------------------------

def test_workers_are_added_removed_and_killed(server, control):
    assert control.ask("worker add") == {"added": 1, "previous": 2, "total": 3}
    assert control.ask("worker add 2 --wait") == {"added": 2, "previous": 3, "total": 5}
    assert len(server.workers()) == 5
    assert control.ask("worker remove 9 --wait") == {"removed": 4, "previous": 5, "total": 1}
    pid, = server.workers()
    assert control.ask("worker kill", str(pid)) == {"success": True, "killed": pid}
    server.wait_for_workers(1, without=[pid])
    assert control.ask(f"worker kill {pid}") == {"success": False,
                                                 "error": f"Worker {pid} not found"}
    assert control.ask("worker kill 1")["success"] is False


def test_there_are_no_dirty_workers(control):
    for command in "dirty add", "dirty remove 2":
        assert control.ask(command) == {"success": False, "error": "Dirty arbiter not running"}


def test_who_gave_an_order_stands_in_the_log_and_questions_do_not(server, control):
    control.ask("show workers")
    control.ask("reopen")
    server.wait_for_log(f"Control: reopen (by pid:{os.getpid()}, uid:{os.getuid()})")
    assert "Control: show" not in server.stderr


def test_reload_answers_at_once_and_with_wait_when_the_new_workers_serve(server, control):
    before = server.workers()
    assert control.ask("reload --wait") == {"status": "reloaded"}
    assert not set(before) & {w["pid"] for w in control.ask("show workers")["workers"]
                              if w["state"] == "serving"}
    assert control.ask("show stats")["generation"] == 2
    assert control.ask("reload") == {"status": "reloading"}
    wait_until(lambda: control.ask("show stats")["generation"] == 3)


def test_a_reload_that_is_withdrawn_says_why_and_those_who_wait_learn_it(start, tmp_path):
    app = tmp_path / "deployed.py"
    app.write_text("from served import application\n")
    server = start("--chdir", tmp_path, "--pythonpath", APPS, "deployed:application",
                   env={"PYTHONDONTWRITEBYTECODE": "1"})
    server.get("/")
    with Control(server.control_path) as control:
        app.write_text("raise RuntimeError('no database')\n")
        with pytest.raises(Refused, match=r"^Not reloaded: the new workers cannot boot: .*deployed:app"):
            control.ask("reload --wait")
        assert control.ask("show stats")["last_reload"]["committed"] is False
        with pytest.raises(Refused, match=r"^A worker cannot boot: .*deployed:app"):
            control.ask("worker add --wait")
    assert server.get("/").status == 200


def test_a_bad_configuration_is_named_to_those_who_wait(start, tmp_path):
    config = tmp_path / "licorne.ini"
    config.write_text("[server]\nworkers = 1\n")
    server = start("-c", config, HELLO_MODULE)
    config.write_text("[server]\nworkers = none\n")
    with Control(server.control_path) as control:
        with pytest.raises(Refused, match=r"^Not reloaded: .*licorne.ini:2"):
            control.ask("reload --wait")


@pytest.mark.parametrize("command, mode", [
    ("shutdown", "graceful"), ("shutdown graceful", "graceful"), ("shutdown QUICK", "quick")])
def test_shutdown_ends_the_server_and_its_file(server, control, command, mode):
    assert control.ask(command) == {"status": "shutting_down", "mode": mode}
    assert server.process.wait(10) == 0
    assert not os.path.exists(server.control_path)


def test_shutdown_with_wait_answers_when_the_last_worker_has_gone(serve):
    server = serve()
    with server.client() as client, Control(server.control_path) as control:
        client.send(b"GET /slow?1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        wait_until(lambda: control.ask("show requests")["count"] == 1)
        assert control.ask("shutdown --wait") == {"status": "stopped", "mode": "graceful"}
        assert server.workers() == []
        client.socket.settimeout(1)
        assert client.socket.recv(100).startswith(b"HTTP/1.1 200")
    assert server.process.wait(5) == 0


def test_who_waits_for_workers_learns_that_the_server_stops(slow_next):
    server = slow_next(30)
    with Control(server.control_path) as control:
        control.send_command("worker add --wait")
        server.wait_for_workers(2)
        server.send_signal(signal.SIGTERM)
        assert control.receive()["error"] == "The server stops"


def test_a_client_that_waits_and_goes_is_forgotten(slow_next):
    server = slow_next(2)
    with Control(server.control_path) as control:
        control.send_command("reload --wait")
        control.send_command("show workers")  # answered behind the first
        server.wait_for_workers(2)
    with Control(server.control_path) as control:
        wait_until(lambda: control.ask("show stats")["generation"] == 2)


def test_connections_outlive_forks(server, control):
    for _ in range(3):
        assert control.ask("reload --wait") == {"status": "reloaded"}
        control.ask("worker add --wait")
        control.ask("worker remove --wait")
    os.kill(server.children("logger")[0], signal.SIGKILL)
    wait_until(lambda: server.children("logger"))
    assert control.ask("show workers")["count"] >= 2


def test_no_child_holds_the_socket_or_a_connection(server, control):
    def sockets(pid):
        found = set()
        with contextlib.suppress(OSError):  # an old worker may be leaving
            for name in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
        return found
    listening = {f"socket:[{line.split()[6]}]" for line in open("/proc/net/unix")
                 if server.control_path in line}
    control.ask("worker add --wait")  # forked while this connection is open
    control.ask("reload --wait")
    assert listening & sockets(server.pid)
    for pid in server.workers() + server.children("logger"):
        assert not listening & sockets(pid)


# --- the file ------------------------------------------------------------------------------------

def test_the_default_file_is_private_and_in_the_run_time_folder(server):
    path = pathlib.Path(server.control_path)
    assert path.parent == pathlib.Path(RUN_DIR) / "licorne"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_two_servers_have_two_sockets(start):
    first, second = start(HELLO_MODULE), start(HELLO_MODULE)
    assert first.control_path != second.control_path
    for server in first, second:
        with Control(server.control_path) as control:
            assert control.ask("show stats")["pid"] == server.pid


def test_no_home_and_no_place_is_no_error(start, tmp_path):
    nowhere = tmp_path / "file"
    nowhere.touch()
    server = start("--control-socket", nowhere / "a.ctl", HELLO_MODULE,
                   env={"HOME": str(tmp_path / "home")})
    server.wait_for_log("Booting worker")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("Booting worker", count=2)
    warnings = [line for line in server.stderr.splitlines() if "control socket" in line.lower()]
    assert len(warnings) == 1 and "[WARNING] No control socket: " in warnings[0]
    assert "[ERROR]" not in server.stderr
    assert not (tmp_path / "home").exists()
    assert server.get("/").status == 200


def test_the_named_socket_has_its_mode_and_its_folder_is_made(start, tmp_path):
    path = tmp_path / "run" / "a.ctl"
    server = start("--control-socket", "run/a.ctl", "--control-socket-mode", "0660",
                   HELLO_MODULE, cwd=tmp_path)
    assert server.control_path == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    server.stop()
    assert not path.exists()


def test_a_living_socket_is_not_stolen(start, tmp_path):
    path = tmp_path / "a.ctl"
    first = start("--control-socket", path, HELLO_MODULE)
    second = start("--control-socket", path, HELLO_MODULE)
    second.wait_for_log("[WARNING] No control socket: ")
    second.stop()
    with Control(str(path)) as control:
        assert control.ask("show stats")["pid"] == first.pid


def test_the_socket_of_a_killed_server_is_replaced(start, tmp_path):
    path = tmp_path / "a.ctl"
    first = start("--control-socket", path, HELLO_MODULE)
    first.send_signal(signal.SIGKILL)
    first.process.wait(10)
    assert path.is_socket()
    second = start("--control-socket", path, HELLO_MODULE)
    with Control(str(path)) as control:
        assert control.ask("show stats")["pid"] == second.pid


def test_it_can_be_left_out(start):
    server = start("--no-control-socket", HELLO_MODULE)
    server.wait_for_log("Booting worker")
    assert "ontrol socket" not in server.stderr


def test_a_reload_keeps_the_socket(start, tmp_path):
    config = tmp_path / "licorne.ini"
    config.write_text(f"[server]\ncontrol_socket = {tmp_path}/a.ctl\n")
    server = start("-c", config, HELLO_MODULE)
    config.write_text(f"[server]\ncontrol_socket = {tmp_path}/b.ctl\n")
    with Control(str(tmp_path / "a.ctl")) as control:
        control.ask("reload --wait")
    server.wait_for_log("control_socket = ")
    with Control(str(tmp_path / "a.ctl")) as control:
        assert control.ask("show stats")["generation"] == 2
    assert not (tmp_path / "b.ctl").exists()


def pid_behind(path):
    """The process that answers there; None when nobody does, or no longer."""
    try:
        with Control(str(path)) as control:
            control.send_command("show stats")
            answer = control.receive()
            return answer and answer["data"]["pid"]
    except OSError:
        return None


@pytest.fixture
def upgraded(start, tmp_path):
    """An old and a new master, and where their sockets are."""
    path = tmp_path / "a.ctl"
    old = start("--control-socket", path, HELLO_MODULE)
    old.wait_for_log("Booting worker")
    with Control(str(path)) as control:
        new = control.ask("upgrade")
        assert new["status"] == "upgrading"
        with pytest.raises(Refused, match="^Not upgraded: an upgrade is under way"):
            control.ask("upgrade")
    second = pathlib.Path(f"{path}.2")
    wait_until(lambda: pid_behind(second) == new["pid"], what="the new master's socket")
    old.seen.add(new["pid"])
    yield old, new["pid"], path, second
    for pid in new["pid"], old.pid:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
    wait_until(lambda: not os.path.exists(f"/proc/{new['pid']}") or
               pathlib.Path(f"/proc/{new['pid']}/stat").read_text().split()[2] == "Z")


def test_a_new_master_takes_the_place_of_the_old_ones_socket(upgraded):
    old, new, path, second = upgraded
    assert pid_behind(path) == old.pid
    with Control(str(path)) as control:
        control.ask("shutdown --wait")
    wait_until(lambda: pid_behind(path) == new)
    assert not second.exists()
    os.kill(new, signal.SIGTERM)
    wait_until(lambda: not path.exists())


def test_a_rollback_leaves_the_old_socket(upgraded):
    old, new, path, second = upgraded
    with Control(str(second)) as control:
        control.ask("shutdown --wait")
    wait_until(lambda: not second.exists())
    assert pid_behind(path) == old.pid


# --- hostile clients -----------------------------------------------------------------------------

@pytest.mark.parametrize("data", [
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    struct.pack(">I", 65537),
    struct.pack(">I", 4) + b"nope",
    struct.pack(">I", 2) + b"[]",
    struct.pack(">I", 2) + b"\xff\xfe",
    struct.pack(">I", 40000) + b"[" * 40000,
    b"GET / HTTP/1.1\r\n\r\n",
], ids=["4 GiB", "empty", "64 KiB + 1", "no JSON", "a list", "no UTF-8", "deep", "HTTP"])
def test_what_is_no_request_closes_the_connection(server, control, data):
    with Control(server.control_path) as hostile:
        hostile.socket.sendall(data)
        assert hostile.receive() is None
    assert control.ask("show workers")["count"] == 2


def test_a_request_may_come_byte_by_byte_and_several_at_once(server):
    frame = struct.pack(">I", 27) + b'{"id":1,"command":"ping"}  '
    with Control(server.control_path) as slow:
        for byte in frame:
            slow.socket.sendall(bytes([byte]))
        assert slow.receive()["data"]["pid"] == server.pid
        slow.socket.sendall(frame * 50)
        assert [slow.receive()["status"] for _ in range(50)] == ["ok"] * 50


def test_the_largest_request_is_answered(server, control):
    with pytest.raises(Refused, match="Unknown command: xxx"):
        control.ask("x" * 60000)


def test_clients_that_read_nothing_hold_up_nobody(server):
    greedy = [Control(server.control_path) for _ in range(8)]
    frame = struct.pack(">I", 33) + b'{"id":1,"command":"show metrics"}'
    for client in greedy:
        client.socket.setblocking(False)
        try:
            for _ in range(10000):
                client.socket.sendall(frame)
        except BlockingIOError:
            pass
    with Control(server.control_path) as control:
        begin = time.monotonic()
        assert control.ask("show workers")["count"] == 2
        assert time.monotonic() - begin < 5
    for client in greedy:
        client.socket.close()
    assert server.get("/").status == 200


def test_who_only_holds_a_place_makes_way_for_who_comes(slow_next):
    server = slow_next(2)
    with Control(server.control_path) as waiting:
        waiting.send_command("reload --wait")
        server.wait_for_log("Hang up: Master")
        silent = [Control(server.control_path) for _ in range(80)]
        assert silent[0].receive() is None
        assert silent[79].ask("ping")["pid"] == server.pid
        crowd = [Control(server.control_path) for _ in range(1000)]
        assert crowd[-1].ask("ping")["pid"] == server.pid
        assert waiting.receive()["data"] == {"status": "reloaded"}


@ROOT_ONLY
@pytest.mark.parametrize("mode, is_answered", [("0600", False), ("0606", True)])
def test_strangers_are_answered_only_if_the_mode_lets_them_write(start, tmp_path, mode,
                                                                 is_answered):
    folder = pathlib.Path(RUN_DIR) / f"open{mode}"
    folder.mkdir()
    os.chmod(RUN_DIR, 0o711)
    os.chmod(folder, 0o755)
    path = folder / "a.ctl"
    server = start("--control-socket", path, "--control-socket-mode", mode, HELLO_MODULE)
    os.chmod(path, 0o666)  # however it came to be open
    client = ("import sys, socket\n"
              "s = socket.socket(socket.AF_UNIX)\n"
              f"s.connect({str(path)!r})\n"
              "try:\n"
              "    s.sendall(b'\\0\\0\\0\\x12{\"command\":\"ping\"}')\n"
              "    sys.stdout.write(str(len(s.recv(100))))\n"
              "except OSError:\n"
              "    sys.stdout.write('0')\n")
    done = subprocess.run(["/usr/bin/python3", "-c", client], user=65534, group=65534,
                          extra_groups=[], cwd="/", capture_output=True, text=True, check=True)
    assert (int(done.stdout) > 0) is is_answered
    assert server.get("/").status == 200


# --- under load ----------------------------------------------------------------------------------

def test_questions_and_reloads_under_load_fail_no_request(server, control):
    with Load(server, connections=4) as load:
        load.wait_for_answers(50)
        for _ in range(3):
            control.ask("reload --wait")
            control.ask("show metrics")
        load.wait_for_answers(50)
    assert load.failures == []
    wait_until(lambda: control.ask("show stats")["requests"] >= load.answered)
