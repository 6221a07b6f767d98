"""Command lines, units, containers and configuration files as tutorials and projects have them
for Gunicorn (tests/real_world), and of each what it is there for."""
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid

import pytest

from client import Client
from licorne import PYTHON, is_licorne, read_or_empty, run
from real_world import OURS, Place, Site, compose, dockerfile, procfile, unit
from tls import Authority, TLSClient
from waiting import wait_until

CPUS = os.cpu_count()
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def site(place, request):
    """site(LINE, CONFIGURATION, environment…) is the running server, which is stopped at the end."""
    servers = request.node.licorne_servers = []

    def site(line, conf=None, waits=True, **env):
        if conf:
            place.configuration(conf)
        servers.append(Site(place, line, env))
        return servers[-1].wait_until_serving() if waits else servers[-1]

    yield site
    try:
        for server in servers:
            assert server.stop() == 0
    finally:
        for server in servers:
            server.kill()


# --- effects: each takes a running server --------------------------------------------------------

def workers(count):
    return lambda server: server.wait_for_workers(count)


def listens(*hosts):
    """On the ports of its text, in their order; the last is that of all others."""
    def check(server):
        server.wait_for_log("Listening at: ")
        ports = list(server.place.ports.values()) or [server.address[1]]
        ports += ports[-1:] * (len(hosts) - len(ports))
        assert re.search(r"Listening at: (\S+)", server.stderr)[1] == ",".join(
            f"http://{host}:{port}" for host, port in zip(hosts, ports))
    return check


def environment(**variables):
    return lambda server: check_items(server.told()["env"], variables)


def tells(**facts):
    """What the application sees."""
    return lambda server: check_items(server.told(), facts)


def environ(fields=(), **keys):
    return lambda server: check_items(server.told(fields=fields)["environ"], keys)


def check_items(dictionary, expected):
    assert {key: dictionary.get(key) for key in expected} == expected


def logs(text):
    return lambda server: server.wait_for_log(text)


def access(pattern):
    """A line on standard output about this request, whole."""
    def check(server):
        server.get("/basket?item=1", [("User-Agent", "curl/8"), ("Referer", "http://shop/")])
        wait_until(lambda: re.search(f"^{pattern}$", server.stdout, re.M), 10,
                   f"{pattern} in:\n{server.stdout}")
    return check


COMMON = (r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] '
          r'"GET /basket\?item=1 HTTP/1\.1" 200 \d+ "http://shop/" "curl/8"')


def titles(name):
    def check(server):
        [worker] = server.wait_for_workers(1)
        for pid, role in ((server.pid, "master"), (worker, "worker")):
            assert read_or_empty(f"/proc/{pid}/cmdline").rstrip(b"\0").decode() \
                == f"gunicorn: {role} [{name}]"
    return check


def serves_at_once(count):
    """That many slow requests take the time of one."""
    def check(server):
        started = time.monotonic()
        clients = [server.client() for _ in range(count)]
        for client in clients:
            client.send(b"GET /slow?0.5 HTTP/1.1\r\nHost: t\r\n\r\n")
        for client in clients:
            assert client.response().status == 200
            client.close()
        assert time.monotonic() - started < 0.5 * count
    return check


def keeps_idle_connections(seconds):
    def check(server):
        with server.client() as client:
            client.get()
            time.sleep(seconds)
            assert client.get().status == 200
    return check


def has_file(name, pattern):
    """A file of its place; {pid} is the master's."""
    def check(server):
        path = server.place.root / name
        wait_until(lambda: path.exists() and re.search(pattern.format(pid=server.pid),
                                                       path.read_text(), re.M), 10,
                   f"{pattern} in {path}")
    return check


def replaces_workers(server):
    """max_requests is at work."""
    before = server.wait_for_workers(2)
    wait_until(lambda: server.get().status == 200 and "Autorestarting worker after current "
               "request." in server.stderr, 10, "a worker that has answered enough")
    wait_until(lambda: set(server.workers()) - set(before), 10, "a worker in another's place")


def answers_slowly(seconds):
    def check(server):
        assert server.get(f"/slow?{seconds}").status == 200
        assert "WORKER TIMEOUT" not in server.stderr
    return check


def refuses(*fields, status):
    return lambda server: check_items(vars(server.get(fields=fields)), {"status": status})


def server_field(text):
    return lambda server: check_items({"Server": server.get().field("Server")}, {"Server": text})


def says_nothing(server):
    assert server.get().status == 200
    assert (server.stdout, server.stderr) == ("", "")


# --- command lines: Gunicorn's, Django's and Flask's documentation, hosters, containers ----------

def line(text, *checks, conf=None, env=None, name=None):
    return pytest.param(text, conf, env or {}, checks, id=name or text)


def container(name, *checks, **env):
    text, own = dockerfile(name)
    return line(text, *checks, env={**own, **env}, name=name)


LINES = [
    line("gunicorn hello:app",
         workers(1), listens("127.0.0.1"), titles("hello:app"), server_field("gunicorn"),
         tells(threads=False, processes=False, scheme="http")),
    line("gunicorn -w 4 hello:app", workers(4), tells(processes=True)),
    line("gunicorn myproject.wsgi",
         titles("myproject.wsgi"), environ(SERVER_SOFTWARE="gunicorn/26.1.0"),
         environment(SERVER_SOFTWARE="gunicorn/26.1.0")),
    line("gunicorn -w 4 'hello:create_app()'", workers(4), tells(created=[[], {}])),
    line("""gunicorn 'app:create_app("prod", debug=False)'""",
         tells(created=[["prod"], {"debug": False}])),
    line("gunicorn -w 4 -b 0.0.0.0:8000 hello:app", workers(4), listens("0.0.0.0"),
         environ(SERVER_NAME="0.0.0.0")),
    line("gunicorn -b 127.0.0.1:8000 -b [::1]:8001 hello:app", listens("127.0.0.1", "[::1]")),
    line("gunicorn -w 2 --access-logfile=- 'hello:create_app()'", workers(2), access(COMMON)),
    line("gunicorn --env DJANGO_SETTINGS_MODULE=myproject.settings myproject.wsgi",
         environment(DJANGO_SETTINGS_MODULE="myproject.settings")),
    line("gunicorn -e DEBUG=0 -e SECRET_KEY='a=b c' hello:app",
         environment(DEBUG="0", SECRET_KEY="a=b c")),
    line("gunicorn --bind 0.0.0.0:8000 myproject.wsgi", listens("0.0.0.0")),
    line("gunicorn --workers=3 --threads=3 --bind=0.0.0.0:8000 -k gthread "
         "--worker-tmp-dir /dev/shm main:app", workers(3), tells(threads=True)),
    line("gunicorn --threads 4 main:app", tells(threads=True), logs("Using worker: gthread"),
         serves_at_once(4)),
    line("gunicorn --worker-class=gthread --threads=4 --workers=1 main:app", serves_at_once(4)),
    line("gunicorn -k gunicorn.workers.sync.SyncWorker main:app", tells(threads=False)),
    line("gunicorn -k gunicorn.workers.gthread.ThreadWorker --threads 2 main:app",
         tells(threads=True), serves_at_once(2)),
    line("gunicorn main:app --worker-class egg:gunicorn#gthread --threads 2", tells(threads=True)),
    line("gunicorn main:app --timeout 1 --graceful-timeout 120 --keep-alive 5",
         keeps_idle_connections(2.5)),
    line("gunicorn main:app --timeout 0", answers_slowly(1.5)),
    line("gunicorn main:app --max-requests 5 --max-requests-jitter 2 -w 2", replaces_workers),
    line("gunicorn -w 2 --preload --max-requests 10 --max-requests-jitter 5 main:app",
         replaces_workers),
    line("gunicorn --access-logfile - --error-logfile - --log-level debug main:app",
         logs("[DEBUG] "), access(COMMON)),
    line("gunicorn --log-level warning main:app",
         says_nothing),
    line("gunicorn --error-logfile /var/log/gunicorn/error.log "
         "--access-logfile /var/log/gunicorn/access.log --capture-output main:app",
         has_file("log/gunicorn/error.log", r"\[INFO\] Starting gunicorn 26\.1\.0"),
         lambda server: server.get("/print"),
         has_file("log/gunicorn/access.log", r'"GET /print HTTP/1\.1" 200 '),
         has_file("log/gunicorn/error.log", "^printed by the application$")),
    line("gunicorn --log-file=- main:app", logs("[INFO] Booting worker with pid: ")),
    line("""gunicorn main:app --access-logfile - --access-logformat """
         """'%({x-forwarded-for}i)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(L)s'""",
         access(r'- - - \[.+\] "GET /basket\?item=1 HTTP/1\.1" 200 \d+ "http://shop/" "curl/8" '
                r'0\.\d{6}')),
    line("gunicorn -p /var/run/gunicorn/app.pid main:app",
         has_file("run/gunicorn/app.pid", r"\A{pid}\n\Z")),
    line("gunicorn --name myproject --bind 0.0.0.0:8000 myproject.wsgi:application",
         titles("myproject")),
    line("gunicorn --chdir myproject wsgi", lambda server: check_items(
        server.told(), {"cwd": str(server.place.site / "myproject")})),
    line("gunicorn --pythonpath more,lib extra:app", workers(1), tells(scheme="http")),
    line("gunicorn --forwarded-allow-ips='*' main:app",
         lambda server: check_items(server.told(fields=[("X-Forwarded-Proto", "https")]),
                                    {"scheme": "https"})),
    line("gunicorn main:app", lambda server: check_items(
        server.told(fields=[("X-Forwarded-Proto", "https")]), {"scheme": "http"}),
         env={"FORWARDED_ALLOW_IPS": "10.0.0.0/8"}, name="FORWARDED_ALLOW_IPS gunicorn main:app"),
    line("gunicorn --limit-request-line 100 --limit-request-fields 4 --limit-request-field_size 50 "
         "main:app", refuses(("A", "b" * 50), status=431),
         refuses(*[("A", "b")] * 3, status=431), refuses(("A", "b"), status=200)),
    line("gunicorn --backlog 512 --worker-connections 100 --no-sendfile --reuse-port main:app",
         workers(1), tells(scheme="http")),
    line("gunicorn app:app -k sync -t 120 --no-control-socket --capture-output -R", workers(1),
         lambda server: check_items({"has": "Control socket" in server.stderr}, {"has": False})),
    line("gunicorn -c python:myproject.config.gunicorn main:app",
         workers(CPUS + 1), tells(threads=True)),
    line("gunicorn --config gunicorn.conf.py main:app -w 1", workers(1),
         logs("Worker spawned (pid: "), environment(SPAM="eggs", DJANGO_SECRET_KEY="something"), conf="example.py"),
    line("gunicorn main:app", workers(3), listens("0.0.0.0"),
         env={"GUNICORN_CMD_ARGS": "--bind=0.0.0.0:8000 --workers=3"},
         name='GUNICORN_CMD_ARGS="--bind=… --workers=3" gunicorn main:app'),
    line("gunicorn main:app", workers(2), listens("0.0.0.0"),
         env={"PORT": "{port}", "WEB_CONCURRENCY": "2"},
         name="PORT=… WEB_CONCURRENCY=2 gunicorn main:app"),
    line(procfile("Procfile"), workers(1), listens("0.0.0.0"), logs("Starting gunicorn 26.1.0"),
         env={"PORT": "{port}"}, name="Procfile of Django"),
    line(procfile("Procfile.flask"), workers(3), listens("0.0.0.0"), access(COMMON),
         tells(created=[[], {}]), env={"PORT": "{port}"}, name="Procfile of Flask"),
    line(procfile("Procfile.flask"), workers(2), env={"PORT": "{port}", "WEB_CONCURRENCY": "2"},
         name="Procfile with WEB_CONCURRENCY"),
    container("Dockerfile.django", workers(3), listens("0.0.0.0")),
    container("Dockerfile.cloudrun", workers(1), serves_at_once(8), PORT="{port}"),
    container("Dockerfile.shm", workers(2), tells(threads=True)),
    container("Dockerfile.env", workers(2), tells(threads=True), access(COMMON)),
    line(compose("web"), workers(2), logs("Reloader is on. Use in development only!"),
         name="compose.yml: web"),
    line(compose("api"), workers(2), name="compose.yml: api"),
    line(unit("supervisor.conf", "command"), workers(2), environ(SERVER_NAME="127.0.0.1"),
         name="supervisor.conf"),
]


@pytest.mark.parametrize("text, conf, env, checks", LINES)
def test_a_line_does_what_it_is_there_for(site, text, conf, env, checks):
    server = site(text, conf, **env)
    for check in checks:
        check(server)


@pytest.mark.parametrize("name", ["gunicorn", "licorne-gunicorn", "licorne"])
def test_under_each_name_it_is_the_same_line(site, name):
    server = site(f"{name} -w 2 --threads 2 --access-logfile - myproject.wsgi")
    workers(2)(server), tells(threads=True, processes=True)(server), access(COMMON)(server)
    own = "licorne" if name == "licorne" else "gunicorn"
    assert server.get().field("Server") == own
    assert f"Starting {own} " in server.stderr
    assert read_or_empty(f"/proc/{server.pid}/cmdline").startswith(own.encode() + b": master [")
    assert server.told()["environ"]["SERVER_SOFTWARE"].startswith(own + "/")


# --- what refuses to start -----------------------------------------------------------------------

ONLY = "only sync and gthread are"

REFUSED = [
    line("gunicorn -k gevent main:app", "worker_class", "'gevent'", ONLY, "of which gthread"),
    line("gunicorn --worker-class=eventlet -w 1 main:app", "worker_class", "'eventlet'", ONLY),
    line("gunicorn -k tornado main:app", "worker_class", "'tornado'", ONLY),
    line("gunicorn main:app -w 4 -k uvicorn.workers.UvicornWorker", "UvicornWorker", ONLY,
         "no ASGI ones"),
    line("gunicorn main:app -k uvicorn_worker.UvicornWorker", "UvicornWorker", ONLY),
    line("gunicorn main:app -k asgi", "worker_class", "'asgi'", ONLY),
    line("gunicorn main:app", "gunicorn.conf.py:2: worker_class", "'gevent'", ONLY,
         conf="gevent.py", name="worker_class = 'gevent'"),
    line("gunicorn main:app", "gunicorn.conf.py:3: worker_class", "UvicornWorker", ONLY,
         conf="asgi.py", name="worker_class = 'uvicorn.workers.UvicornWorker'"),
    line("gunicorn --asgi-loop uvloop main:app", "asgi_loop", "asgi"),
    line("gunicorn --http-protocols h2,h1 --certfile a.pem main:app", "http_protocols", "HTTP/1"),
    line("gunicorn --protocol uwsgi main:app", "protocol", "only http"),
    line("gunicorn --dirty-app myapp.ml:Model --dirty-workers 2 main:app", "dirty_apps", "dirty"),
]


@pytest.mark.parametrize("text, conf, env, words", REFUSED)
def test_what_is_not_there_is_refused_by_name_and_never_ignored(place, text, conf, env, words):
    if conf:
        place.configuration(conf)
    done = run(*shlex.split(text)[1:], program=OURS, folder=place.site, env=env)
    assert done.returncode == 1 and done.stdout == ""
    errors = [each for each in done.stderr.splitlines() if each.startswith("Error: ")]
    assert errors, done.stderr
    for word in words:
        assert word in errors[0]


@pytest.mark.parametrize("text, code, words", [
    ("gunicorn nothere:app", 3, ["No module named 'nothere'", "Reason: Worker failed to boot."]),
    ("gunicorn main:nothere", 4, ["Failed to find attribute 'nothere' in 'main'.",
                                  "Reason: App failed to load."]),
    ("gunicorn main.py", 3, ["Failed to find application, did you mean 'main:application'?"]),
    ("gunicorn", 1, ["Error: No application module specified."]),
    ("gunicorn -c missing.py main:app", 1, ["Error: 'missing.py' doesn't exist"]),
    ("gunicorn --workers four main:app", 2, ["argument -w/--workers: invalid int value: 'four'"]),
])
def test_a_mistake_in_the_first_line_ends_with_gunicorns_code(place, text, code, words):
    bind = ["-b", "127.0.0.1:0", *PYTHON] if code > 2 else []
    done = run(*shlex.split(text)[1:], *bind, program=OURS, folder=place.site)
    assert done.returncode == code
    for word in words:
        assert word in done.stderr


def test_the_default_address_is_gunicorns(place):
    done = run("--print-config", *PYTHON, "main:app", program=OURS,
               folder=place.site)
    assert re.search(r"^bind +=.*127\.0\.0\.1:8000", done.stdout, re.M)


# --- units ---------------------------------------------------------------------------------------

ACTIVATE = """import os, sys
os.environ["LISTEN_PID"], os.environ["LISTEN_FDS"] = str(os.getpid()), "1"
os.dup2(int(sys.argv[1]), 3)
os.execvp("sh", ["sh", "-c", "exec " + sys.argv[2]])
"""


def test_a_socket_unit_hands_over_its_socket(place, site):
    path = place.adapted(unit("gunicorn.socket", "ListenStream"))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        os.set_inheritable(listening.fileno(), True)
        command = place.adapted(unit("gunicorn.service", "ExecStart"))
        server = Site(place, shlex.join([sys.executable, "-c", ACTIVATE,
                                         str(listening.fileno()), command]),
                      address=path, pass_fds=[listening.fileno()])
        try:
            server.wait_until_serving().wait_for_workers(3)
            assert server.told()["environ"]["REMOTE_ADDR"] == ""
            wait_until(lambda: '"GET / HTTP/1.1" 200' in server.stdout, 10, "an access line")
            assert server.stop() == 0
        finally:
            server.kill()
    assert os.path.exists(path)  # it is the unit's


def test_a_service_makes_its_own_socket_and_shuts_others_out(place):
    server = Site(place, unit("flask.service", "ExecStart"),
                  address=str(place.site / "myproject.sock"))
    try:
        server.wait_until_serving().wait_for_workers(3)
        mode = os.stat(place.site / "myproject.sock").st_mode
        assert mode & 0o777 == 0o770
        # As nginx proxies to it, which is trusted on a unix socket.
        told = server.told(fields=[("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "1.2.3.4")])
        assert told["scheme"] == "https"
        assert told["environ"]["HTTP_X_FORWARDED_FOR"] == "1.2.3.4"
        assert server.stop() == 0
    finally:
        server.kill()
    assert not (place.site / "myproject.sock").exists()


def test_a_file_may_name_a_unix_socket(place):
    place.configuration("server.py")
    server = Site(place, "gunicorn main:app", address=str(place.root / "tmp/gunicorn.sock"))
    try:
        server.wait_until_serving().wait_for_workers(2 * CPUS + 1)
        assert server.told()["environ"]["REMOTE_ADDR"] == ""
        wait_until(lambda: '"GET / HTTP/1.1" 200' in server.stdout, 10, "an access line")
        assert "[DEBUG] " in server.stderr
        assert server.stop() == 0
    finally:
        server.kill()


def test_a_notify_service_is_ready_when_it_serves_and_reloads_by_hup(place, site):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(place.root / "notify"))
        manager.settimeout(20)
        server = site(unit("notify.service", "ExecStart"), waits=False,
                      NOTIFY_SOCKET=str(place.root / "notify"))

        def wait_for(word):
            while word not in (said := manager.recv(4096).decode().splitlines()):
                pass
            return said

        assert f"MAINPID={server.pid}" in wait_for("READY=1")
        before = server.wait_for_workers(1)
        assert server.told()["pid"] == before[0]
        reload = unit("notify.service", "ExecReload").replace("$MAINPID", str(server.pid))
        subprocess.run(shlex.split(reload), check=True)
        wait_for("RELOADING=1"), wait_for("READY=1")
        server.wait_for_workers(1, without=before)


@pytest.fixture
def open_place():
    """One that everybody may enter, unlike the folders of tests."""
    with tempfile.TemporaryDirectory(prefix="licorne-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Place(folder)


AS_NOBODY = "gunicorn --user nobody --group nogroup --bind 0.0.0.0:8000 hello:app"


@as_root
def test_user_and_group_are_those_of_the_workers_alone(open_place):
    server = Site(open_place, AS_NOBODY)
    try:
        told = server.wait_until_serving().told()
        assert (told["uid"], told["gid"], told["groups"]) == (65534, 65534, [])
        assert os.stat(f"/proc/{server.pid}").st_uid == 0
        assert server.stop() == 0
    finally:
        server.kill()


@as_root
def test_a_site_that_the_user_may_not_read_is_named(open_place):
    open_place.site.chmod(0o700)
    server = Site(open_place, AS_NOBODY)
    assert server.process.wait(20) == 3
    assert f"{open_place.site} (which user 65534 may not read)" in server.stderr


def test_a_daemon_answers_writes_its_files_and_goes(place):
    place.configuration("production.py", "config/gunicorn/prod.py")
    line = "gunicorn -c config/gunicorn/prod.py"
    with place.shell(line, {}, subprocess.PIPE, subprocess.PIPE) as starter:
        out, err = starter.communicate(timeout=20)
    assert (starter.returncode, out, err) == (0, b"", b"")
    pidfile = place.root / "run/gunicorn/prod.pid"
    pid = int(wait_until(lambda: pidfile.exists() and pidfile.read_text(), 20, "a pidfile"))
    try:
        address = ("127.0.0.1", place.port(8000))
        wait_until(lambda: answers(address), 20, "an answer")
        error_log = (place.root / "log/gunicorn/error.log").read_text
        wait_until(lambda: error_log().count("Booting worker") == 2 * CPUS + 1, 10, "its workers")
        with Client(address) as client:
            client.get("/print")
        wait_until(lambda: "printed by the application" in error_log(), 10, "captured output")
        access_log = place.root / "log/gunicorn/access.log"
        wait_until(lambda: "GET /print HTTP/1.1" in access_log.read_text(), 10, "an access line")
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not is_licorne(pid), 20, "the daemon has left")
    assert not pidfile.exists()


def answers(address):
    try:
        with Client(address) as client:
            return client.get("/", [("Connection", "close")]).status == 200
    except OSError:
        return False


# --- configuration files -------------------------------------------------------------------------

FILES = [
    line("gunicorn main:app", workers(2 * CPUS + 1), listens("127.0.0.1"), conf="cpu_count.py",
         name="cpu_count.py"),
    line("gunicorn main:app", workers(3), conf="cpu_count.py",
         env={"GUNICORN_CMD_ARGS": "--workers 3"}, name="cpu_count.py and GUNICORN_CMD_ARGS"),
    line("gunicorn", tells(scheme="http"), has_file("log/gunicorn/dev.log", "Reloader is on"),
         has_file("log/gunicorn/dev.log", r'"GET / HTTP/1\.1" 200'),
         has_file("log/gunicorn/dev.log", r"\[DEBUG\] "),
         has_file("run/gunicorn/dev.pid", "^{pid}$"), conf="development.py",
         name="development.py"),
    line("gunicorn main:app", workers(2), listens("0.0.0.0"), access(COMMON),
         lambda server: check_items(json.loads(server.stdout.splitlines()[0]),
                                    {"workers": 2, "host": "0.0.0.0"}),
         conf="docker.py", env={"PORT": "{port}", "WEB_CONCURRENCY": "2"}, name="docker.py"),
    line("gunicorn main:app", workers(3), tells(threads=True), access(COMMON),
         conf="environment.py", env={"GUNICORN_WORKERS": "3", "GUNICORN_THREADS": "2",
                                     "GUNICORN_ACCESSLOG": "-"}, name="environment.py"),
    line("gunicorn main:app", workers(4), tells(threads=True), environment(SPAM="eggs"),
         listens("127.0.0.1", "[::1]"), conf="flask.py", name="flask.py"),
    line("gunicorn main:app", server_field(None), lambda server: uuid.UUID(
        server.told()["environ"]["HTTP_X_REQUEST_ID"]), conf="request_ids.py",
         name="request_ids.py"),
    line("gunicorn main:app", server_field("undisclosed"), conf="hidden.py", name="hidden.py"),
    line("gunicorn main:app", replaces_workers, conf="leaky.py", name="leaky.py"),
    line("gunicorn main:app", keeps_idle_connections(2.5), tells(threads=True),
         lambda server: check_items(server.told(fields=[("X-Forwarded-Ssl", "on")]),
                                    {"scheme": "https"}),
         refuses(("X-Forwarded-Ssl", "on"), ("X-Forwarded-Protocol", "http"), status=400),
         refuses(*[("A", "b")] * 4, status=431), conf="behind_a_proxy.py",
         name="behind_a_proxy.py"),
]


@pytest.mark.parametrize("text, conf, env, checks", FILES)
def test_a_file_does_what_it_is_there_for(site, text, conf, env, checks):
    server = site(text, conf, **env)
    for check in checks:
        check(server)


def hooks_in(text):
    return re.findall(r"\[INFO\] hook (.+)$", text, re.M)


def test_hooks_log_in_gunicorns_order(place):
    place.configuration("hooks.py")
    server = Site(place, "gunicorn main:app", {"PORT": "{port}"})
    try:
        server.wait_until_serving()
        assert server.get("/basket").status == 200
        server.wait_for_log("hook post_request")
        assert server.stop() == 0
    finally:
        server.kill()
    assert hooks_in(server.stderr) == [
        "on_starting", "when_ready", "pre_fork", "post_fork", "post_worker_init",
        "pre_request GET /basket", "post_request 200 OK", "worker_exit", "child_exit", "on_exit"]
    assert re.fullmatch(r'127\.0\.0\.1 "GET /basket HTTP/1\.1" 200 \d+ms\n', server.stdout)


def test_hooks_of_gunicorns_example_tell_that_a_worker_is_interrupted(place):
    place.configuration("example.py")
    server = Site(place, "gunicorn main:app")
    try:
        assert server.wait_until_serving().told()["env"]["SPAM"] == "eggs"
        assert server.stop(signal.SIGQUIT) == 0
    finally:
        server.kill()
    texts = ["Server is ready. Spawning workers", "Worker spawned (pid: ",
             "worker received INT or QUIT signal", "Shutting down: Master"]
    at = [server.stderr.find(text) for text in texts]
    assert -1 not in at and at == sorted(at)


def test_prometheus_forgets_the_dead(place, site):
    pytest.importorskip("prometheus_client")
    (place.site / "main.py").write_text(
        "from prometheus_client import Gauge\nfrom teller import application as app\n"
        "Gauge('busy', 'Busy', multiprocess_mode='livesum').set(1)\n")
    folder = place.root / "metrics"
    folder.mkdir()
    server = site("gunicorn -w 2 main:app", "prometheus.py", PROMETHEUS_MULTIPROC_DIR=str(folder))

    def alive():
        return {int(name[name.rindex("_") + 1:-3]) for name in os.listdir(folder)}
    before = server.wait_for_workers(2)
    wait_until(lambda: alive() == set(before), 10, "two files")
    os.kill(before[0], signal.SIGTERM)
    server.wait_for_workers(2, without=before[:1])
    wait_until(lambda: before[0] not in alive() and alive() == set(server.workers()), 10,
               "the file of the dead is gone")


def test_a_dictionary_for_logging_writes_both_logs(site):
    server = site("gunicorn main:app", "logging_dict.py")
    server.get("/basket")

    def records():
        return [json.loads(each) for each in server.stdout.splitlines()
                if each.startswith('{"time"') and "GET" not in each]
    wait_until(lambda: sum("Booting worker" in r["message"] for r in records()) == 2, 10, "JSON")
    assert {r["logger"] for r in records()} == {"gunicorn.error"}
    wait_until(lambda: '"logger": "gunicorn.access"' in server.stdout, 10, "an access record")
    assert server.stderr == ""


def test_a_logger_of_ones_own_leaves_health_checks_out(site):
    server = site("gunicorn main:app", "health_filter.py")
    server.get("/healthz"), server.get("/basket")
    wait_until(lambda: "/basket" in server.stdout, 10, "an access line")
    assert "/healthz" not in server.stdout


def test_access_lines_may_be_json(site):
    server = site("gunicorn main:app", "json_access.py", PORT="{port}")
    workers(2)(server), tells(threads=True)(server)
    server.get("/basket?item=1", [("X-Request-Id", "r-1"), ("User-Agent", 'a "b"')])
    text = wait_until(lambda: next((each for each in server.stdout.splitlines()
                                    if "/basket" in each), None), 10, "an access line")
    record = json.loads(text.replace("\\x22", "'"))
    check_items(record, {"request_id": "r-1", "request_path": "/basket", "response_code": "200",
                         "request_querystring": "item=1", "request_method": "GET"})
    assert int(record["request_timetaken"]) > 0 and int(record["response_length"]) > 0


def test_haproxy_tells_the_clients_address(site):
    server = site("gunicorn main:app", "haproxy.py")
    with server.client() as client:
        client.send(b"PROXY TCP4 192.0.2.7 10.0.0.1 5678 80\r\n")
        told = json.loads(client.get().body)
    check_items(told["environ"], {"REMOTE_ADDR": "192.0.2.7", "REMOTE_PORT": "5678",
                                  "PROXY_ADDR": "10.0.0.1"})


@pytest.mark.parametrize("how", ["file", "flags"])
def test_certificates_encrypt(place, site, how):
    authority = Authority(place.root / "ca")
    pem, key = authority.issue("server")
    pem.rename(place.root / "certs/server.crt"), key.rename(place.root / "private/server.key")
    server = site("gunicorn main:app", "tls.py") if how == "file" else site(
        "gunicorn --certfile=/etc/ssl/certs/server.crt --keyfile=/etc/ssl/private/server.key "
        "--bind 0.0.0.0:443 main:app")
    with TLSClient(server.address, authority.context()) as client:
        assert json.loads(client.get().body)["scheme"] == "https"
    assert f"Listening at: https://0.0.0.0:{server.address[1]}" in server.stderr


def test_threads_that_post_fork_starts_run_in_the_workers(site):
    server = site("gunicorn main:app", "fork_safe.py")
    for pid in server.wait_for_workers(2):
        server.wait_for_log(f"[{pid}] [INFO] Worker spawned (pid: {pid})")
        server.wait_for_log(f"[{pid}] [INFO] exporting from {pid}")


def test_statsd_counts_requests(place, site):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        place.configuration("statsd.py")
        statsd.bind(("127.0.0.1", place.port(8125)))
        statsd.settimeout(10)
        place.ports.clear()
        server = site("gunicorn --bind 127.0.0.1:8000 main:app")
        server.get()
        while statsd.recv(4096) != b"service.app.gunicorn.requests:1|c|@1.0":
            pass


def test_development_reloads_what_was_edited(place, site):
    server = site("gunicorn", "development.py")
    assert server.told()["created"] == []
    (place.site / "teller.py").write_text(
        (place.site / "teller.py").read_text().replace("CREATED = []", "CREATED = ['anew']"))
    wait_until(lambda: server.told()["created"] == ["anew"], 15, "the new code")
