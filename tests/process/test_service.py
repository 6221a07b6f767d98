"""Life under a service manager: sd_notify, sockets that are handed over, upgrades, daemons."""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest

from client import Client
from licorne import (APPS, HELLO_MODULE, PROGRAM, PYTHON, environment, is_licorne,
                     read_or_empty, run)
from load import Load
from waiting import wait_until


# --- sd_notify -----------------------------------------------------------------------------------

class Manager:
    """The socket that a service manager listens on."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.heard = []

    def listen(self):
        self.socket.setblocking(False)
        while True:
            try:
                self.heard.append(dict(line.split("=", 1) for line in
                                       self.socket.recv(4096).decode().splitlines()))
            except BlockingIOError:
                return self.heard

    def wait_for(self, key, value=None, count=1):
        def came():
            found = [m for m in self.listen() if key in m and value in (None, m[key])]
            return found[-1] if len(found) >= count else None
        return wait_until(came, 15, f"{count} × {key}={value}")


@pytest.fixture(params=["file", "abstract"])
def manager(request, tmp_path):
    name = str(tmp_path / "notify") if request.param == "file" else f"\0licorne-{os.getpid()}"
    with_at = name.replace("\0", "@")
    manager = Manager(name)
    manager.address = with_at
    yield manager
    manager.socket.close()


@pytest.fixture
def serve(start):
    """serve(*arguments) serves the example module."""
    return lambda *arguments, **options: start(*arguments, HELLO_MODULE, **options)


def test_ready_is_said_when_a_worker_can_serve(start, manager, tmp_path):
    (tmp_path / "late.py").write_text("import time\ntime.sleep(1)\nfrom served import application\n")
    server = start("--chdir", tmp_path, "--pythonpath", APPS, "late:application",
                   env={"NOTIFY_SOCKET": manager.address})
    assert not any("READY" in m for m in manager.listen())
    ready = manager.wait_for("READY", "1")
    assert ready["MAINPID"] == str(server.pid)
    assert server.get("/").status == 200


def test_ready_is_said_when_all_workers_can_serve(start, manager, tmp_path):
    (tmp_path / "late.py").write_text(
        "import os, time\n"
        "try:\n"
        "    os.close(os.open('second', os.O_CREAT | os.O_EXCL))\n"
        "except FileExistsError:\n"
        "    time.sleep(1.5)\n"
        "from served import application\n")
    server = start("-w", "2", "--chdir", tmp_path, "--pythonpath", APPS, "late:application",
                   env={"NOTIFY_SOCKET": manager.address})
    assert server.get("/").status == 200  # the quick one's answer
    assert not any("READY" in m for m in manager.listen())
    assert manager.wait_for("READY")["STATUS"] == "2 of 2 workers serve"


def test_status_says_how_many_workers_serve_and_why_a_reload_did_not(serve, manager, tmp_path):
    config = tmp_path / "licorne.ini"
    config.write_text("[server]\nworkers = 1\n")
    server = serve("-c", config, env={"NOTIFY_SOCKET": manager.address})
    manager.wait_for("STATUS", "1 of 1 workers serve")
    server.send_signal(signal.SIGTTIN)
    manager.wait_for("STATUS", "2 of 2 workers serve")
    config.write_text("[server]\nworkers = none\n")
    server.send_signal(signal.SIGHUP)
    wait_until(lambda: any("; not reloaded: " in m.get("STATUS", "") for m in manager.listen()))
    assert "2 of 2 workers serve; not reloaded: " in manager.heard[-1]["STATUS"]


def test_a_reload_is_announced_and_its_end_too_also_when_it_fails(serve, manager, tmp_path):
    config = tmp_path / "licorne.ini"
    config.write_text("[server]\nworkers = 1\n")
    server = serve("-c", config, env={"NOTIFY_SOCKET": manager.address})
    manager.wait_for("READY")
    server.send_signal(signal.SIGHUP)
    assert int(manager.wait_for("RELOADING", "1")["MONOTONIC_USEC"]) > 0
    manager.wait_for("READY", count=2)
    config.write_text("[server]\nworkers = none\n")
    server.send_signal(signal.SIGHUP)
    manager.wait_for("RELOADING", count=2)
    manager.wait_for("READY", count=3)
    server.stop()
    manager.wait_for("STOPPING", "1")


def test_the_watchdog_hears_from_the_master(serve, manager):
    serve(env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"})
    manager.wait_for("WATCHDOG", "1", count=4)


def test_the_watchdog_hears_nothing_while_there_is_no_worker(start, manager, tmp_path):
    app = tmp_path / "deployed.py"
    app.write_text("from served import application\n")
    server = start("--chdir", tmp_path, "--pythonpath", APPS, "deployed:application",
                   env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"})
    manager.wait_for("READY")
    app.write_text("raise RuntimeError('no database')\n")
    os.kill(server.workers()[0], signal.SIGKILL)

    def is_silent():  # between two tries to boot one
        said = len(manager.listen())
        time.sleep(0.5)
        return len(manager.listen()) == said
    wait_until(is_silent, 15, "silence")
    app.write_text("from served import application\n")
    wait_until(lambda: manager.wait_for("STATUS", "1 of 1 workers serve", count=2))
    manager.wait_for("WATCHDOG", count=1 + sum("WATCHDOG" in m for m in manager.listen()))


def test_an_upgrade_keeps_the_service_and_names_its_new_process(serve, manager, tmp_path):
    """To a manager STOPPING=1, and the end of the process that it watches, end the service."""
    watched = tmp_path / "licorne"  # by its number, as systemd says it
    watched.write_text(f'#!/bin/sh\nWATCHDOG_PID=$$ exec {PROGRAM} "$@"\n')
    watched.chmod(0o755)
    server = serve(program=watched,
                   env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"})
    manager.wait_for("READY")

    dropped = new_master_of(server)
    wait_until(lambda: workers_of(dropped), 15, "a new worker")
    os.kill(dropped, signal.SIGTERM)
    server.wait_for_log(f"The new master (pid:{dropped}) exited with code 0")
    new = new_master_of(server)
    try:
        wait_until(lambda: workers_of(new), 15, "a new worker")
        manager.wait_for("WATCHDOG", count=2 + sum("WATCHDOG" in m for m in manager.listen()))
        assert {m["MAINPID"] for m in manager.heard if "MAINPID" in m} == {str(server.pid)}
        server.send_signal(signal.SIGTERM)
        assert server.process.wait(15) == 0
        manager.wait_for("READY", count=2)
        assert [m for m in manager.heard if "MAINPID" in m][1] == {"MAINPID": str(new)}
        assert not any("STOPPING" in m for m in manager.heard)
        manager.heard.clear()
        manager.wait_for("WATCHDOG", count=2)
    finally:
        os.kill(new, signal.SIGTERM)
        wait_until_gone(new)
    manager.wait_for("STOPPING", "1")


# --- sockets from outside ------------------------------------------------------------------------

def start_with_sockets(folder, sockets, *arguments):
    """As systemd does it: descriptors from 3 on, and who they are meant for."""
    program = ("import os, sys\n"
               "os.environ['LISTEN_PID'] = str(os.getpid())\n"
               f"os.environ['LISTEN_FDS'] = '{len(sockets)}'\n"
               "os.execv(sys.argv[1], sys.argv[1:])\n")
    numbers = range(3, 3 + len(sockets))
    spare = [os.dup2(s.fileno(), 200 + i) for i, s in enumerate(sockets)]

    def place():
        for fd, number in zip(spare, numbers):
            os.dup2(fd, number)
    err = open(folder / "stderr", "wb")
    process = subprocess.Popen([sys.executable, "-c", program, str(PROGRAM), *PYTHON,
                                *map(str, arguments)],
                               stdin=subprocess.DEVNULL, stderr=err, cwd=folder,
                               env=environment(), preexec_fn=place, close_fds=False)
    for fd in spare:
        os.close(fd)
    return process


def listening(address, family=socket.AF_INET):
    s = socket.socket(family)
    s.bind(address)
    s.listen(16)
    return s


def get(address):
    with Client(address) as client:
        return client.get("/", [("Connection", "close")])


def test_sockets_of_the_service_manager_are_served_instead_of_bind(tmp_path):
    one = listening(("127.0.0.1", 0))
    path = str(tmp_path / "s")
    two = listening(path, socket.AF_UNIX)
    process = start_with_sockets(tmp_path, [one, two], "-b", "127.0.0.1:1", HELLO_MODULE)
    try:
        assert get(one.getsockname()).status == 200
        assert get(path).status == 200
        log = (tmp_path / "stderr").read_text()
        assert "bind is not used: the service manager handed over 2 sockets" in log
        process.send_signal(signal.SIGHUP)
        wait_until(lambda: (tmp_path / "stderr").read_text().count("Booting worker") == 2)
        assert get(one.getsockname()).status == 200
    finally:
        process.terminate()
        assert process.wait(15) == 0
    assert pathlib.Path(path).exists()  # it is the manager's


def test_sockets_for_another_process_are_left_alone(serve):
    server = serve(env={"LISTEN_PID": "1", "LISTEN_FDS": "3"})
    assert server.get("/").status == 200


def test_what_is_no_socket_is_refused(tmp_path):
    with open(tmp_path / "f", "w") as file:
        process = start_with_sockets(tmp_path, [file], HELLO_MODULE)
        assert process.wait(15) == 1
    assert "descriptor 3 is not a listening stream socket" in (tmp_path / "stderr").read_text()


# --- upgrades ------------------------------------------------------------------------------------

def new_master_of(server):
    server.send_signal(signal.SIGUSR2)

    def find():
        for task in pathlib.Path(f"/proc/{server.pid}/task").glob("*/children"):
            for pid in map(int, task.read_text().split()):
                if read_or_empty(f"/proc/{pid}/cmdline").startswith(b"licorne: master"):
                    return pid
    pid = wait_until(find, 15, "a new master")
    server.seen.add(pid)
    return pid


def workers_of(master):
    found = []
    for task in pathlib.Path(f"/proc/{master}/task").glob("*/children"):
        for pid in map(int, task.read_text().split()):
            if read_or_empty(f"/proc/{pid}/cmdline").startswith(b"licorne: worker"):
                found.append(pid)
    return found


def wait_until_gone(pid):
    wait_until(lambda: not is_licorne(pid), 15, f"process {pid} has left")


def test_an_upgrade_loses_no_request_and_takes_over_the_pidfile(serve, tmp_path):
    pidfile = tmp_path / "pid"
    server = serve("-w", "2", "-p", pidfile, "--graceful-timeout", "5", access_log=True)
    with Load(server) as kept, Load(server, fresh=True) as fresh:
        kept.wait_for_answers(50), fresh.wait_for_answers(50)
        new = new_master_of(server)
        wait_until(lambda: len(workers_of(new)) == 2, 15, "two new workers")
        assert pidfile.read_text() == f"{server.pid}\n"
        assert (tmp_path / "pid.2").read_text() == f"{new}\n"
        assert b"hello.so.2]" in read_or_empty(f"/proc/{new}/cmdline")
        server.send_signal(signal.SIGTERM)
        server.process.wait(15)
        server.wait_for_log("Master has been promoted.")
        kept.wait_for_answers(50), fresh.wait_for_answers(50)
    try:
        assert kept.failures == [] and fresh.failures == []
        wait_until(lambda: pidfile.read_text() == f"{new}\n", 5, "the new pid in the pidfile")
        assert not (tmp_path / "pid.2").exists()
        assert b"hello.so]" in read_or_empty(f"/proc/{new}/cmdline")
        assert server.get("/").status == 200
    finally:
        os.kill(new, signal.SIGTERM)
        wait_until_gone(new)
    assert not pidfile.exists()


def test_a_reload_that_the_promotion_overtakes_keeps_the_pidfile(start, tmp_path):
    (tmp_path / "late.py").write_text("import os, time\n"
                                      "if os.path.exists('slow'): time.sleep(2)\n"
                                      "from served import application\n")
    pidfile = tmp_path / "pid"
    server = start("-p", pidfile, "--chdir", tmp_path, "--pythonpath", APPS, "late:application")
    new = new_master_of(server)
    try:
        wait_until(lambda: workers_of(new), 15, "a new worker")
        before = workers_of(new)
        (tmp_path / "slow").touch()
        os.kill(new, signal.SIGHUP)
        server.wait_for_log("Hang up: Master.2")
        server.send_signal(signal.SIGTERM)
        server.wait_for_log("Master has been promoted.")
        wait_until(lambda: workers_of(new) and not set(before) & set(workers_of(new)), 15)
        assert pidfile.read_text() == f"{new}\n"
        assert not (tmp_path / "pid.2").exists()
    finally:
        os.kill(new, signal.SIGTERM)
        wait_until_gone(new)
    assert not pidfile.exists()


def test_an_upgrade_can_be_rolled_back(serve, tmp_path):
    path = tmp_path / "s"
    server = serve("-b", f"unix:{path}", bind=False)
    new = new_master_of(server)
    wait_until(lambda: workers_of(new), 15, "a new worker")
    server.send_signal(signal.SIGUSR2)
    server.wait_for_log("USR2 signal ignored. Child exists.")
    os.kill(new, signal.SIGUSR2)
    server.wait_for_log("USR2 signal ignored. Parent exists.")
    os.kill(new, signal.SIGTERM)
    server.wait_for_log(f"The new master (pid:{new}) exited with code 0")
    assert "Shutting down: Master.2" in server.stderr
    assert get(str(path)).status == 200  # the socket's file is still there
    newer = new_master_of(server)
    wait_until(lambda: workers_of(newer), 15, "a new worker")
    assert server.process.poll() is None
    server.send_signal(signal.SIGTERM)
    server.process.wait(15)
    assert get(str(path)).status == 200
    os.kill(newer, signal.SIGTERM)
    wait_until_gone(newer)
    assert not path.exists()


def test_an_upgrade_to_nothing_leaves_the_old_one_serving(serve, tmp_path):
    link = tmp_path / "licorne"
    link.symlink_to(PROGRAM)
    server = serve(program=link)
    link.unlink()
    server.send_signal(signal.SIGUSR2)
    server.wait_for_log(f"Not upgraded: {link} cannot be executed")
    assert server.get("/").status == 200


def test_an_upgrade_may_bring_another_address(serve, tmp_path):
    config = tmp_path / "licorne.ini"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    config.write_text("[server]\nbind = 127.0.0.1:0\n")
    server = serve("-c", config, bind=False)
    config.write_text(f"[server]\nbind = 127.0.0.1:{port}\n")
    new = new_master_of(server)
    wait_until(lambda: workers_of(new), 15, "a new worker")
    assert get(("127.0.0.1", port)).status == 200
    server.send_signal(signal.SIGTERM)
    server.process.wait(15)
    assert get(("127.0.0.1", port)).status == 200
    os.kill(new, signal.SIGTERM)
    wait_until_gone(new)


def test_winch_sends_the_old_workers_away_and_hup_brings_them_back(serve):
    server = serve("-w", "2")
    server.wait_for_workers(2)
    server.send_signal(signal.SIGWINCH)  # a terminal's size has changed
    server.wait_for_log("Handling signal: winch")
    new = new_master_of(server)
    wait_until(lambda: len(workers_of(new)) == 2, 15, "two new workers")
    assert len(server.workers()) == 2
    server.send_signal(signal.SIGWINCH)
    server.wait_for_log("graceful stop of workers")
    wait_until(lambda: not server.workers(), 15, "no old workers")
    assert server.get("/").status == 200
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(2)
    os.kill(new, signal.SIGQUIT)
    wait_until_gone(new)
    assert server.get("/").status == 200


# --- daemons -------------------------------------------------------------------------------------

def test_a_daemon_leaves_its_starter_and_its_terminal(tmp_path):
    pidfile, path, log = tmp_path / "pid", tmp_path / "s", tmp_path / "log"
    done = subprocess.run([str(PROGRAM), "-D", "-p", pidfile, "-b", f"unix:{path}",
                           "--error-logfile", log, str(HELLO_MODULE)], cwd=tmp_path,
                          env=environment(), capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    pid = int(wait_until(lambda: pidfile.exists() and pidfile.read_text(), 15, "a pidfile"))
    try:
        wait_until(lambda: log.exists() and "Booting worker" in log.read_text(), 15)
        assert os.getsid(pid) != pid  # it leads no session, so it gets no terminal
        assert os.getsid(pid) != os.getsid(0)
        assert [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in range(3)] == ["/dev/null"] * 3
        assert get(str(path)).status == 200
        os.kill(pid, signal.SIGWINCH)
        wait_until(lambda: not workers_of(pid), 15, "no workers")
        os.kill(pid, signal.SIGHUP)
        wait_until(lambda: workers_of(pid), 15, "a worker")
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until_gone(pid)
    assert not pidfile.exists() and not path.exists()


@pytest.mark.parametrize("arguments, complaint", [
    ([], "No application module specified."),
    (["--certfile", "nowhere.pem", "--keyfile", "nowhere.pem", HELLO_MODULE], "nowhere.pem"),
    (["-p", "nowhere/pid", HELLO_MODULE], "nowhere doesn't exist. Can't create pidfile."),
    (["-p", "taken", HELLO_MODULE], "Already running on PID 1 "),
])
def test_a_daemon_says_what_is_wrong_before_it_leaves(tmp_path, arguments, complaint):
    (tmp_path / "taken").write_text("1\n")
    done = run("-D", "-b", "127.0.0.1:0", *arguments, folder=tmp_path)
    assert done.returncode == 1 and done.stderr.startswith("\nError: ")
    assert complaint in done.stderr


def test_what_is_wrong_later_a_daemon_logs(tmp_path):
    (tmp_path / "hooks.py").write_text("def on_starting(server): raise RuntimeError('too late')\n")
    done = run("-D", "-c", "hooks.py", "-b", "127.0.0.1:0", "--error-logfile", "log", HELLO_MODULE,
               folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    wait_until(lambda: (tmp_path / "log").exists() and
               "too late" in (tmp_path / "log").read_text(), 15)


def test_a_daemon_may_keep_its_output(tmp_path):
    pidfile = tmp_path / "pid"
    with open(tmp_path / "out", "wb") as out:
        done = subprocess.run([str(PROGRAM), "-D", "-R", "-p", pidfile, "-b", "127.0.0.1:0",
                               str(HELLO_MODULE)], cwd=tmp_path, env=environment(),
                              stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=20,
                              check=False)
    assert done.returncode == 0
    pid = int(wait_until(lambda: pidfile.exists() and pidfile.read_text(), 15, "a pidfile"))
    wait_until(lambda: "Listening at: " in (tmp_path / "out").read_text(), 15)
    os.kill(pid, signal.SIGTERM)
    wait_until_gone(pid)


# --- reuse_port ----------------------------------------------------------------------------------

def test_with_reuse_port_two_servers_share_an_address(serve):
    first = serve("--reuse-port")
    second = serve("--reuse-port", "-b", f"127.0.0.1:{first.port}", bind=False)
    assert second.process.poll() is None
    first.stop()
    assert get(("127.0.0.1", first.port)).status == 200
