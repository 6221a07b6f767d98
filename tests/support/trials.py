"""What is done to a server while clients ask it all the time: nobody may notice, and each answer
has its line in the access log, once."""
import contextlib
import os
import pathlib
import signal
import time
from collections import Counter

from licorne import HELLO_MODULE, is_licorne, read_or_empty
from load import Load
from waiting import wait_until

# What may serve: (arguments, whether it is Python)
KINDS = {
    "native": ["-w", "2"],
    "sync": ["-w", "2"],
    "gthread": ["-w", "2", "--threads", "4"],
}


def write_app(folder, name="mine", import_seconds=0.0, word="old"):
    """An application that takes its time to import, and says which edition it is."""
    (folder / f"{name}.py").write_text(
        f"import os, time\ntime.sleep({import_seconds})\n"
        "def application(environ, start_response):\n"
        f"    start_response('200 OK', [('Content-Length', '{len(word)}'),\n"
        "                              ('X-Pid', str(os.getpid()))])\n"
        f"    return [b'{word}']\n")


def start_kind(start, folder, kind, *arguments, import_seconds=0.0):
    """A server of this kind with an access log that names each request."""
    if kind != "native":
        write_app(folder, import_seconds=import_seconds)
    app = [HELLO_MODULE] if kind == "native" else ["--chdir", folder, "mine"]
    return start(*KINDS[kind], "--access-logformat", "%(q)s", *arguments, *app, access_log=True)


def wait_until_all_serve(server, count):
    """Until so many workers have answered; their pids, oldest first."""
    answered = set()

    def have_answered():
        answered.add(int(server.get("/").field("X-Pid")))
        return len(answered) == count
    wait_until(have_answered, 20, f"{count} workers that answer")
    assert answered == set(server.workers())
    return server.workers()


@contextlib.contextmanager
def under_load(server, connections=4):
    """Clients with kept and with fresh connections. Afterwards none has failed."""
    with Load(server, connections=connections, numbered="kept") as kept, \
            Load(server, connections=connections, fresh=True, numbered="fresh") as fresh:
        kept.wait_for_answers(20), fresh.wait_for_answers(20)
        both = Both(kept, fresh)
        yield both
        both.wait_for_answers(20)
    failures = kept.failures + fresh.failures
    assert not failures, f"{len(failures)} requests failed: {failures[:5]}"


class Both:
    def __init__(self, *loads):
        self.loads = loads

    @property
    def answered(self):
        return sum(load.answered for load in self.loads)

    def wait_for_answers(self, count, seconds=60):
        for load in self.loads:
            load.wait_for_answers(count, seconds)

    def assert_written_once(self, *paths):
        """In the access logs, old and new ones."""
        written = Counter(line for path in paths
                          for line in pathlib.Path(path).read_text().splitlines())
        asked = Counter(name for load in self.loads for name in load.names)
        lost, doubled = asked - written, written - asked
        assert not lost and not doubled, \
            f"{sum(lost.values())} of {sum(asked.values())} are lost, {sum(doubled.values())} " \
            f"are doubled: {list(lost)[:3]} {list(doubled)[:3]}"


# --- disturbances --------------------------------------------------------------------------------

def reloads(server, count, seconds=30):
    """One after another, each waited for."""
    for _ in range(count):
        before = server.wait_for_workers(2, seconds=seconds)
        server.send_signal(signal.SIGHUP)
        server.wait_for_workers(2, without=before, seconds=seconds)


def burst_of_reloads(server, count, seconds=60):
    """Without waiting for any."""
    before = server.wait_for_workers(2)
    for _ in range(count):
        server.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    server.wait_for_workers(2, without=before, seconds=seconds)


def more_and_fewer(server, load, rounds=1):
    for _ in range(rounds):
        for number, wanted in ((signal.SIGTTIN, 3), (signal.SIGTTIN, 4), (signal.SIGTTOU, 3),
                               (signal.SIGTTOU, 2)):
            server.send_signal(number)
            server.wait_for_workers(wanted)
            load.wait_for_answers(20)


def rotate(server, name):
    """As logrotate does it; where the old lines are."""
    path = server.access_path.with_name(name)
    server.access_path.rename(path)
    server.send_signal(signal.SIGUSR1)
    wait_until(server.access_path.exists, 10, "another access log")
    return path


def rotations(server, count):
    """One after another; the paths of all logs."""
    paths = []
    for number in range(count):
        paths.append(rotate(server, f"access.log.{number}"))
        time.sleep(0.05)
    return [*paths, server.access_path]


class NewMaster:
    """What SIGUSR2 starts; it has the numbers and the talk of `server`'s successor."""

    def __init__(self, server):
        self.server = server
        server.send_signal(signal.SIGUSR2)
        self.pid = wait_until(self._find, 20, "a new master")
        server.seen.add(self.pid)
        wait_until(lambda: len(self.workers()) == 2, 30, "two new workers")

    def _children(self, pid, role):
        return [child for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children")
                for child in map(int, read_or_empty(task).split())
                if read_or_empty(f"/proc/{child}/cmdline").startswith(
                    f"licorne: {role}".encode())]

    def _find(self):
        return next(iter(self._children(self.server.pid, "master")), None)

    def workers(self):
        found = self._children(self.pid, "worker")
        self.server.seen.update(found + self._children(self.pid, "logger"))
        return found

    def stop(self):
        self.workers()
        os.kill(self.pid, signal.SIGTERM)
        wait_until(lambda: not is_licorne(self.pid), 20, "the new master has left")


def upgrade(server, load, how):
    """USR2, then the old one is sent away by "WINCH, QUIT" or by "TERM"; the new master."""
    new = NewMaster(server)
    load.wait_for_answers(20)
    if how == "WINCH, QUIT":
        server.send_signal(signal.SIGWINCH)
        wait_until(lambda: not server.workers(), 20, "no old workers")
        load.wait_for_answers(20)
        server.send_signal(signal.SIGQUIT)
    else:
        server.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    server.wait_for_log("Master has been promoted.")
    load.wait_for_answers(20)
    return new


def wait_for_recycled(server, load, requests, workers):
    """Until so many requests more have been answered, by so many workers in turn. Each goes on
    until the next one serves, so fast ones answer more than max_requests."""
    load.wait_for_answers(requests // len(load.loads), seconds=60 + requests / 20)
    server.wait_for_log("Autorestarting worker after current request.", count=workers,
                        seconds=60 + workers)


def end_worker(pid):
    """It finishes what it has; nobody told the master."""
    os.kill(pid, signal.SIGTERM)
