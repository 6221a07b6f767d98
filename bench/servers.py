"""The servers that are measured: how each is started, watched and stopped."""
import http.client
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("LICORNE_BUILD", ROOT / "build")).resolve()
HELLO = ROOT / "examples" / "hello"
BENCH = ROOT / "bench"
PYTHON = "/usr/bin/python3"  # one interpreter for all: the one that the packages are made for
BODY = b"Hello, world!\n"
SERVER_CORE, CLIENT_CORE = 0, 1


class CannotMeasure(Exception):
    """Something is missing or broken; the text says what."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def program(name, package=None):
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        raise CannotMeasure(f"{name} is missing; ./dev bench installs it "
                            f"(Debian's package {package or name})")
    return path


def built(relative):
    path = BUILD / relative
    if not path.exists():
        raise CannotMeasure(f"{path} is missing; ./dev build makes it")
    return str(path)


# --- command lines: functions of the port and of a folder for the server's own files ------------

def licorne(folder, application, *arguments):
    return lambda port, tmp: [built("bin/licorne"), "-b", f"127.0.0.1:{port}", "--workers", "1",
                              "--python", PYTHON, *arguments, "--chdir", str(folder), application]


def licorne_native(port, tmp):
    return [built("bin/licorne"), "-b", f"127.0.0.1:{port}", "--workers", "1",
            built("examples/hello.so")]


def gunicorn(folder, application, *arguments):
    return lambda port, tmp: [PYTHON, program("gunicorn"), "-b", f"127.0.0.1:{port}",
                              "--workers", "1", *arguments, "--chdir", str(folder), application]


def uwsgi(folder, application, *options):
    """Without a router each connection carries one request: it must say so, or clients count
    the close as a fault. With --http-keepalive uWSGI puts a routing process in front."""
    options = options or ("--add-header", "Connection: close", "--http-socket")
    return lambda port, tmp: [program("uwsgi-core"), "--plugins", "python3,http", *options,
                              f"127.0.0.1:{port}", "--processes", "1", "--need-app",
                              "--die-on-term", "--disable-logging", "--chdir", str(folder),
                              "--module", application]


def nginx(port, tmp):
    (tmp / "nginx.conf").write_text(f"""
daemon off;
worker_processes 1;
pid {tmp}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {tmp}/body;
    proxy_temp_path {tmp}/proxy;
    fastcgi_temp_path {tmp}/fastcgi;
    uwsgi_temp_path {tmp}/uwsgi;
    scgi_temp_path {tmp}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ default_type text/plain; return 200 "Hello, world!\\n"; }}
    }}
}}
""")
    return [program("nginx"), "-e", "stderr", "-c", f"{tmp}/nginx.conf"]


def bare_loop(port, tmp):
    return [built("bench/bench-loop"), str(port)]


def encrypted(command):
    """The same with TLS, for servers that take Gunicorn's options."""
    def with_certificate(port, tmp):
        pem, key = tmp / "pem", tmp / "key"
        subprocess.run([program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj",
                        "/CN=localhost", "-keyout", key, "-out", pem],
                       check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return [*command(port, tmp), "--certfile", str(pem), "--keyfile", str(key)]
    with_certificate.is_encrypted = True
    return with_certificate


def trusting():
    """For clients that take any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


# --- one running server -------------------------------------------------------------------------

class Server:
    """Starts a server on a free port and waits for its first good answer; `with` stops it."""

    def __init__(self, name, command, core=SERVER_CORE, under=(), environment=(), patience=20):
        self.name = name
        self.port = free_port()
        self.tls = trusting() if getattr(command, "is_encrypted", False) else None
        self.tmp = pathlib.Path(tempfile.mkdtemp(prefix="licorne-bench-"))
        self.tmp.chmod(0o755)  # nginx's worker drops its privileges
        self.log = open(self.tmp / "output", "w+b")
        self.process = subprocess.Popen(
            [*under, *command(self.port, self.tmp)], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, cwd=self.tmp, start_new_session=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **dict(environment)},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        try:
            self.wait_until_it_answers(patience)
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stop()

    def wait_until_it_answers(self, patience):
        deadline = time.monotonic() + patience
        while True:
            try:
                return self.check()
            except OSError as error:
                if self.process.poll() is not None:
                    self.fail(f"ended at once with status {self.process.returncode}")
                if time.monotonic() > deadline:
                    self.fail(f"does not answer after {patience} s: {error}")
                time.sleep(0.05)

    def check(self):
        """One request; anything but the expected answer is an error."""
        connection = (
            http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=self.tls)
            if self.tls else http.client.HTTPConnection("127.0.0.1", self.port, timeout=10))
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200 or body != BODY:
            self.fail(f"answers {answer.status} {body[:200]!r}")

    def fail(self, what):
        self.log.flush()
        output = (self.tmp / "output").read_text(errors="replace").strip()
        raise CannotMeasure(f"{self.name} {what}\n  command: {' '.join(self.process.args)}\n"
                            f"  its output:\n{output or '(none)'}")

    def pids(self):
        """The server's process and all that descend from it."""
        children = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
        found = [self.process.pid]
        for pid in found:
            found.extend(children.get(pid, []))
        return found

    def worker_pid(self):
        """The one process that serves: the server's only one, or a child called a worker."""
        pids = self.pids()
        for pid in pids[1:]:
            if b"worker" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        if len(pids) > 1:
            self.fail(f"has no child that is called a worker: {pids}")
        return pids[0]

    def cpu_ns(self):
        """Processor time used so far by all threads of all its processes."""
        total = 0
        for pid in self.pids():
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
                try:
                    total += int(task.read_text().split()[0])
                except OSError:
                    continue  # the thread has ended meanwhile
        if total == 0:
            raise CannotMeasure("this kernel does not count time in /proc/PID/schedstat")
        return total

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.tmp, ignore_errors=True)


def check_machine():
    cores = os.sched_getaffinity(0)
    if not {SERVER_CORE, CLIENT_CORE} <= cores:
        raise CannotMeasure(f"two cores are needed, {SERVER_CORE} for the server and "
                            f"{CLIENT_CORE} for the client; here are {sorted(cores)}")


def main(measure):
    """Runs `measure`; what cannot be measured is said without a traceback."""
    try:
        check_machine()
        return measure()
    except CannotMeasure as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
