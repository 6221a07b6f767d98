"""What is done to a server while clients ask it all the time: nobody may notice, and each answer
has its line in the access log, once."""
import contextlib
import functools
import os
import pathlib
import resource
import signal
import tempfile
import time
from collections import Counter

from licorne import HELLO_MODULE, RUN_DIR, is_licorne, read_or_empty
from load import Load
from tls import Authority, TLSClient
from waiting import wait_until

# What may serve, named by words: "gthread tls preload". What is not named is TCP without
# encryption, and an application that each worker imports by itself.
KINDS = {
    "native": ["-w", "2"],
    "sync": ["-w", "2"],
    "gthread": ["-w", "2", "--threads", "4"],
}
SETUPS = [
    "native", "native unix", "native tls",
    "sync", "sync unix", "sync tls", "sync preload", "sync unix preload",
    "gthread", "gthread unix", "gthread tls", "gthread preload", "gthread tls preload",
]

# A client that thinks for so long, at most, must find its connection as it was.
PAUSE, KEEPALIVE = 1.5, 30
REST = 0.004  # others have work to do on this machine too


def write_app(folder, name="mine", import_seconds=0.0, word="old"):
    """An application that takes its time to import, says which edition it is, and repeats the
    query."""
    (folder / f"{name}.py").write_text(
        f"import os, time\ntime.sleep({import_seconds})\n"
        "def application(environ, start_response):\n"
        f"    body = '{word} ' + environ['QUERY_STRING']\n"
        "    start_response('200 OK', [('Content-Length', str(len(body))),\n"
        "                              ('X-Pid', str(os.getpid()))])\n"
        "    return [body.encode()]\n")


def start_kind(start, folder, setup, *arguments, import_seconds=0.0):
    """A server of this kind with an access log that names each request."""
    kind, *ways = setup.split()
    options, command = {}, [*KINDS[kind], "--access-logformat", "%(q)s",
                            "--keep-alive", str(KEEPALIVE)]
    connect = context = None
    if "unix" in ways:
        path = f"{tempfile.mkdtemp(dir=RUN_DIR)}/socket"
        command += ["-b", f"unix:{path}"]
        options["bind"] = False
    if "tls" in ways:
        authority = Authority(folder / "certificates")
        pem, key = authority.issue("server")
        command += ["--certfile", str(pem), "--keyfile", str(key)]
        context = authority.context()
        connect = functools.partial(TLSClient, context=context, timeout=30)
    if "preload" in ways:
        command += ["--preload"]
    if kind == "native":
        app = [HELLO_MODULE]
    else:
        write_app(folder, import_seconds=import_seconds)
        app = ["--chdir", folder, "mine"]
    server = start(*command, *arguments, *app, access_log=True, **options)
    if "unix" in ways:
        server.address = path
    server.connect = (lambda: connect(server.address)) if connect else server.client
    server.context = context
    server.is_portable = connect is None
    return server


def wait_until_all_serve(server, count):
    """Until so many workers have answered; their pids, oldest first."""
    answered = set()

    def have_answered():
        answered.add(int(server.get("/").field("X-Pid")))
        return len(answered) == count
    wait_until(have_answered, 20, f"{count} workers that answer")
    assert answered == set(server.workers())
    return server.workers()


def connections_of(server, pid, count):
    """So many kept connections of this worker."""
    found = []
    while len(found) < count:
        client = server.client()
        if int(client.get("/").field("X-Pid")) == pid:
            found.append(client)
        else:
            client.close()
    return found


@contextlib.contextmanager
def under_load(server, connections=3, loses=False):
    """Clients of every manner. Afterwards none has failed, and no idle connection was closed that
    could have gone to another worker; unless the server `loses` some."""
    def load(manner, count=connections, **options):
        return Load(server, "/hello/{name}?{name}", count, numbered=manner,
                    connect=server.connect, rest=REST, **options)
    loads = [load("kept"), load("fresh", fresh=True), load("brief", 1, brief=True),
             load("calm", 2 * connections, pause=PAUSE)]
    with contextlib.ExitStack() as stack:
        for each in loads:
            stack.enter_context(each)
        both = Loads(loads)
        both.wait_for_answers(10)
        yield both
        both.wait_for_answers(10)
    print(f"{both.answered} answers, {len(both.failures)} failures, "
          f"{both.closed_idle} idle connections closed")
    if not loses:
        assert not both.failures, f"{len(both.failures)} requests failed: {both.failures[:5]}"
        assert not (server.is_portable and both.closed_idle), \
            f"{both.closed_idle} idle connections were closed"


class Loads:
    def __init__(self, loads):
        self.loads = loads

    @property
    def answered(self):
        return sum(load.answered for load in self.loads)

    @property
    def closed_idle(self):
        return sum(load.closed_idle for load in self.loads)

    @property
    def failures(self):
        return [failure for load in self.loads for failure in load.failures]

    @property
    def failed_at(self):
        return [moment for load in self.loads for moment in load.failed_at]

    def wait_for_answers(self, count, seconds=60):
        """Of each load; of the calm ones a few."""
        for load in self.loads:
            load.wait_for_answers(min(count, 3) if load.pause else count, seconds)

    @property
    def connections(self):
        """So many requests can be under way at a time."""
        return sum(load.connections for load in self.loads)

    def assert_lost_only_at(self, moments):
        """Of each connection at most one request at each of these moments."""
        assert len(self.failures) <= len(moments) * self.connections, self.failures[:5]
        late = [moment for moment in self.failed_at
                if not any(begun <= moment < begun + 5 for begun in moments)]
        assert not late, self.failures

    def assert_written_once(self, *paths, lost_at_most=0):
        """In the access logs, old and new ones. A request that failed has a line or none."""
        written = Counter(line for path in paths
                          for line in pathlib.Path(path).read_text().splitlines())
        asked = Counter(name for load in self.loads for name in load.names)
        failed = Counter(name for load in self.loads for name in load.failed)
        lost, doubled = asked - written, written - asked - failed
        assert sum(lost.values()) <= lost_at_most and not doubled, \
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
    """What SIGUSR2 to the master `pid` starts."""

    def __init__(self, server, pid=None):
        self.server, self.old = server, pid or server.pid
        os.kill(self.old, signal.SIGUSR2)
        self.pid = wait_until(self._find, 20, "a new master")
        server.seen.add(self.pid)

    def _find(self):
        return next(iter(children(self.old, "master")), None)

    def wait_for_workers(self):
        wait_until(lambda: len(self.workers()) == 2, 30, "two new workers")

    def workers(self):
        found = children(self.pid, "worker")
        self.server.seen.update(found + children(self.pid, "logger"))
        return found

    def stop(self):
        self.workers()
        os.kill(self.pid, signal.SIGTERM)
        wait_until(lambda: not is_licorne(self.pid), 20, "the new master has left")


def children(pid, role):
    return [child for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children")
            for child in map(int, read_or_empty(task).split())
            if read_or_empty(f"/proc/{child}/cmdline").startswith(f"licorne: {role}".encode())]


def has_left(pid):
    """A master that the test did not start itself is a zombie until init looks."""
    return not is_licorne(pid)


def upgrade(server, load, how, pid=None):
    """USR2, then one of the two is sent away: the old one by "WINCH, QUIT" or by "TERM", perhaps
    "at once", before the new one has begun to serve; the new one by "rollback" or, after its predecessor's workers had left, by "WINCH, rollback". The
    master that stays, or None for the old one."""
    promotions = server.stderr.count("Master has been promoted.")
    new = NewMaster(server, pid)
    old = new.old
    if how != "TERM at once":
        new.wait_for_workers()
        load.wait_for_answers(20)
    if "WINCH" in how:
        os.kill(old, signal.SIGWINCH)
        wait_until(lambda: not children(old, "worker"), 20, "no old workers")
        load.wait_for_answers(20)
    if "rollback" in how:
        if "WINCH" in how:
            os.kill(old, signal.SIGHUP)
            wait_until(lambda: len(children(old, "worker")) == 2, 20, "the old workers again")
            load.wait_for_answers(20)
        new.stop()
        load.wait_for_answers(20)
        return None
    os.kill(old, signal.SIGQUIT if "QUIT" in how else signal.SIGTERM)
    if old == server.pid:
        assert server.process.wait(20) == 0
    wait_until(lambda: has_left(old), 20, "the old master has left")
    server.wait_for_log("Master has been promoted.", count=promotions + 1)
    new.wait_for_workers()
    load.wait_for_answers(20)
    return new


def wait_for_recycled(server, load, requests, workers):
    """Until so many requests more have been answered, by so many workers in turn. Each goes on
    until the next one serves, so fast ones answer more than max_requests."""
    goal = load.answered + requests
    wait_until(lambda: load.answered >= goal, 60 + requests / 20, f"{requests} answers")
    server.wait_for_log("Autorestarting worker after current request.", count=workers,
                        seconds=60 + workers)


def end_worker(pid):
    """It finishes what it has; nobody told the master."""
    os.kill(pid, signal.SIGTERM)


def kill_workers(server, load, count):
    """One after another, each with whatever it has in hand. When that was."""
    moments = []
    for number in range(count):
        before = server.wait_for_workers(2, seconds=30)
        load.wait_for_answers(20)
        moments.append(time.monotonic())
        os.kill(before[number % 2], signal.SIGKILL)
        wait_until(lambda: len(set(server.workers()) - {before[number % 2]}) == 2, 30,
                   "another worker")
    return moments


def kill_loggers(server, load, count):
    for _ in range(count):
        [before] = wait_until(lambda: server.children("logger"), 10, "a logger")
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: set(server.children("logger")) - {before}, 10, "another logger")
        load.wait_for_answers(20)


@contextlib.contextmanager
def full_disk(pid, path, seconds):
    """For so long the file cannot grow, as if its disk were full."""
    unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (path.stat().st_size, unlimited[1]))
    try:
        yield
        time.sleep(seconds)
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)


@contextlib.contextmanager
def paused(pid, seconds):
    """It stands still for so long."""
    os.kill(pid, signal.SIGSTOP)
    try:
        end = time.monotonic() + seconds
        yield
        time.sleep(max(0, end - time.monotonic()))
    finally:
        os.kill(pid, signal.SIGCONT)
