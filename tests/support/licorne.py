"""The real server as a process under test."""
import atexit
import functools
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import pytest

import sanitizers
from client import Client
from waiting import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LICORNE_BUILD", ROOT / "build")).resolve()
PROGRAM = BUILD / "bin" / "licorne"
HELLO_MODULE = BUILD / "examples" / "hello.so"
APPS = ROOT / "tests" / "wsgi"

# The interpreter of the applications, and where another one than that of this process finds the
# packages which were installed for the tests.
INTERPRETER = os.environ.get("LICORNE_TEST_PYTHON") or sys.executable
PYTHON = ("--python", INTERPRETER)
PACKAGES = pathlib.Path(pytest.__file__).resolve().parents[1]

# Arguments of every server, for tests that run with each kind of worker.
DEFAULTS = []

# The ways to run an application that must make no difference to it.
WORKERS = {
    "sync": [],
    "gthread": ["-k", "gthread", "--threads", "4"],
    "unbuffered": ["-k", "gthread", "--threads", "4", "--no-request-buffering"],
}

# Where servers put their control sockets; a short path, because that of a socket has to be.
RUN_DIR = tempfile.mkdtemp(prefix="licorne-", dir="/tmp")
atexit.register(shutil.rmtree, RUN_DIR, ignore_errors=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def environment(changes=None):
    """The tests' environment without what would change the server's settings."""
    clean = {name: value for name, value in os.environ.items()
             if name not in ("PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS", "VIRTUAL_ENV",
                             "GUNICORN_CMD_ARGS", "LICORNE_CMD_ARGS", "PYTHONPATH",
                             "RUNTIME_DIRECTORY", "PYTHONUNBUFFERED")}
    clean["XDG_RUNTIME_DIR"] = RUN_DIR
    clean["PYTHONDONTWRITEBYTECODE"] = "1"
    for name, value in (changes or {}).items():
        if value is None:
            clean.pop(name, None)
        else:
            clean[name] = value
    return clean


@functools.lru_cache(None)
def can_import(module):
    done = subprocess.run([INTERPRETER, "-c", f"import {module}"], capture_output=True,
                          env=environment({"PYTHONPATH": str(PACKAGES)}), check=False)
    return done.returncode == 0


def need(module):
    """Skips the test where applications cannot import this from PACKAGES, which was installed for
    one version of Python."""
    if not can_import(module):
        pytest.skip(f"{INTERPRETER} cannot import {module}")


def run(*arguments, program=PROGRAM, folder=None, env=None, seconds=20):
    """A program of ours as a command that ends by itself."""
    assert program.exists(), f"{program} is missing: ./dev build"
    done = subprocess.run([str(program), *map(str, arguments)], cwd=folder,
                          env=environment(env), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=seconds, check=False)
    assert not sanitizers.REPORT.search(done.stderr), done.stderr
    return done


class Licorne:
    """A server on a free port, or with the binds that `arguments` name. Its standard output and
    error are files in `folder`; `access_log` is one too."""

    def __init__(self, *arguments, folder, cwd=None, env=None, bind=True, access_log=False,
                 program=PROGRAM):
        assert PROGRAM.exists(), f"{PROGRAM} is missing: ./dev build"
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.stdout_path, self.stderr_path = folder / "stdout", folder / "stderr"
        self.access_path = folder / "access.log"
        command = [str(program), *PYTHON]
        if bind:
            self.port = free_port()
            self.address = ("127.0.0.1", self.port)
            command += ["-b", f"127.0.0.1:{self.port}"]
        if access_log:
            command += ["--access-logfile", str(self.access_path)]
        command += DEFAULTS
        with open(self.stdout_path, "wb") as out, open(self.stderr_path, "wb") as err:
            self.process = subprocess.Popen([*command, *map(str, arguments)],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                            cwd=cwd or folder, env=environment(env))
        self.pid = self.process.pid
        self.seen = {self.pid}  # every process of this server that anybody asked about

    def wait_until_listening(self, seconds=20):
        def is_listening():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n"
                                     f"{self.stderr}")
            return "Listening at: " in self.stderr
        wait_until(is_listening, seconds, "Listening at: …")
        return self

    # --- what it says -----------------------------------------------------------------------

    @property
    def stdout(self):
        return self.stdout_path.read_text(errors="replace")

    @property
    def stderr(self):
        """Where the error log goes by default."""
        return self.stderr_path.read_text(errors="replace")

    def access_lines(self):
        return self.access_path.read_text(errors="replace").splitlines()

    def wait_for_log(self, text, seconds=15, count=1):
        wait_until(lambda: self.stderr.count(text) >= count, seconds,
                   f"{count} × {text!r} in the error log")

    @property
    def control_path(self):
        """Where it says that its control socket is."""
        found = re.findall(r"Control socket listening at (\S+)", self.stderr)
        assert found, f"it has no control socket:\n{self.stderr}"
        return found[-1]

    # --- its processes ----------------------------------------------------------------------

    def children(self, role):
        """The pids of its workers ("worker") or of its logger ("logger"), oldest first."""
        found = []
        for task in pathlib.Path(f"/proc/{self.pid}/task").glob("*/children"):
            for pid in map(int, task.read_text().split()):
                title = read_or_empty(f"/proc/{pid}/cmdline")
                if title.startswith((f"licorne: {role}".encode(), f"gunicorn: {role}".encode())):
                    found.append(pid)
        self.seen.update(found)
        return sorted(found, key=start_time)

    def workers(self):
        return self.children("worker")

    def wait_for_workers(self, count, without=(), seconds=15):
        """Until there are exactly so many, none of them in `without`; their pids."""
        def are_there():
            pids = self.workers()
            return pids if len(pids) == count and not set(pids) & set(without) else None
        return wait_until(are_there, seconds, f"{count} workers without {list(without)}")

    def send_signal(self, number):
        os.kill(self.pid, number)

    # --- talking to it ----------------------------------------------------------------------

    def client(self, timeout=10):
        return Client(self.address, timeout)

    def get(self, path="/", fields=(), method="GET", body=b""):
        """One request on a connection of its own."""
        with self.client() as client:
            return client.get(path, [*fields, ("Connection", "close")], method, body)

    # --- its end ----------------------------------------------------------------------------

    def stop(self, number=signal.SIGTERM, seconds=20):
        """Stops it and checks that nothing is left behind; the exit code."""
        self.workers(), self.children("logger")
        if self.process.poll() is None:
            self.send_signal(number)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still there {seconds} s after the signal:\n{self.stderr}")
        wait_until(lambda: not any(map(is_licorne, self.seen)), 5, "all its processes have left")
        assert not sanitizers.REPORT.search(self.stderr), self.stderr
        return code

    def kill(self):
        """Whatever state it is in, nothing of it stays."""
        for pid in {*self.workers(), *self.children("logger"), *self.seen}:
            if is_licorne(pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        self.process.wait(10)


def read_or_empty(path):
    try:
        return pathlib.Path(path).read_bytes()
    except OSError:
        return b""


def start_time(pid):
    """In clock ticks since the machine started; 0 for one that has gone."""
    fields = read_or_empty(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return int(fields[19]) if fields else 0


def is_licorne(pid):
    """Whether this process is alive and still one of ours (numbers are used again)."""
    stat = read_or_empty(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    command = read_or_empty(f"/proc/{pid}/cmdline")
    return bool(stat) and stat[0] != b"Z" and (b"licorne" in command or b"gunicorn: " in command)


def rss_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+)", text, re.M).group(1))


def peak_rss_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+)", text, re.M).group(1))


def native_module(folder, name):
    """tests/process/modules/NAME.c as a module."""
    built = folder / f"{name}.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", f"-I{ROOT / 'include'}", "-o", built,
                    ROOT / "tests/process/modules" / f"{name}.c"], check=True)
    return built
