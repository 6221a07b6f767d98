"""Hooks: which process calls them, in which order, with what, and what happens when they fail."""
import os
import pathlib
import re
import signal

import pytest

from licorne import APPS, INTERPRETER, PYTHON, run
from waiting import wait_until


NOTES = """
import os

def note(*words):
    with open(os.path.join(os.path.dirname(__file__), "notes"), "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")

"""

APP = """
import os, time
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/raise":
        raise ValueError("the application's own")
    if path == "/slow":
        time.sleep(float(environ["QUERY_STRING"]))
    body = repr(sorted((k, v) for k, v in environ.items() if isinstance(v, str))).encode()
    start_response("201 Made", [("Content-Length", str(len(body))), ("X-Kind", "shop")])
    return [body]
"""

# Every hook that there is, each as in Gunicorn's documentation.
ALL = NOTES + """
def nworkers_changed(server, new_value, old_value):
    note("nworkers_changed", os.getpid(), new_value, old_value)
def on_starting(server):
    note("on_starting", os.getpid(), server.pid, os.path.exists(server.cfg.pidfile))
def when_ready(server):
    note("when_ready", os.getpid(), len(server.LISTENERS), server.num_workers)
def on_reload(server):
    note("on_reload", os.getpid())
def pre_fork(server, worker):
    note("pre_fork", os.getpid(), worker.pid, worker.age, len(server.WORKERS))
def post_fork(server, worker):
    note("post_fork", os.getpid(), worker.pid, worker.age, worker.ppid)
def post_worker_init(worker):
    note("post_worker_init", os.getpid(), worker.wsgi.__name__, worker.booted)
def worker_int(worker):
    note("worker_int", os.getpid())
def worker_exit(server, worker):
    note("worker_exit", os.getpid(), worker.pid)
def child_exit(server, worker):
    note("child_exit", os.getpid(), worker.pid, worker.pid in server.WORKERS)
def on_exit(server):
    note("on_exit", os.getpid(), os.path.exists(server.cfg.pidfile))
pidfile = os.path.join(os.path.dirname(__file__), "pid")
"""


@pytest.fixture
def site(tmp_path):
    """site(conf) is a folder with that gunicorn.conf.py and an application."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "app.py").write_text(APP)

    def site(conf):
        (folder / "gunicorn.conf.py").write_text(conf)
        return folder

    site.folder = folder
    site.notes = lambda: ((folder / "notes").read_text().splitlines()
                          if (folder / "notes").exists() else [])
    site.wait_for = lambda text, count=1: wait_until(
        lambda: sum(line.startswith(text) for line in site.notes()) >= count, 15,
        f"{count} × {text!r} in the notes")
    return site


# ---- order and place ------------------------------------------------------------------------


def test_the_hooks_of_a_life(site, start):
    server = start("-w", "1", "app", cwd=site(ALL))
    site.wait_for("post_worker_init")
    master, [worker] = server.pid, server.wait_for_workers(1)
    assert site.notes() == [
        f"nworkers_changed {master} 1 None",
        f"on_starting {master} {master} True",
        f"when_ready {master} 1 1",
        f"pre_fork {master} [booting] 1 0",
        f"post_fork {worker} {worker} 1 {master}",
        f"post_worker_init {worker} application True",
    ]
    assert server.stop() == 0
    assert site.notes()[6:] == [
        f"worker_exit {worker} {worker}",
        f"child_exit {master} {worker} False",
        f"on_exit {master} False",
    ]


def test_int_and_quit_call_worker_int(site, start):
    server = start("app", cwd=site(ALL))
    site.wait_for("post_worker_init")
    [worker] = server.wait_for_workers(1)
    server.stop(signal.SIGINT)
    assert [line.split()[0] for line in site.notes()[6:]] == [
        "worker_int", "worker_exit", "child_exit", "on_exit"]
    assert f"worker_int {worker}" in site.notes()


def test_a_reload_calls_its_hooks_in_the_master(site, start):
    server = start("app", cwd=site(ALL))
    old = server.wait_for_workers(1)
    site.wait_for("post_worker_init")
    site(ALL + "workers = 2\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(2, without=old)
    site.wait_for("child_exit")
    words = [line.split() for line in site.notes()[6:]]
    assert words[0] == ["nworkers_changed", str(server.pid), "2", "1"]
    assert words[1] == ["on_reload", str(server.pid)]
    assert [w[3] for w in words if w[0] == "pre_fork"] == ["2", "3"]
    assert [w[2] for w in words if w[0] == "child_exit"] == [str(old[0])]


def test_ttin_and_ttou_call_nworkers_changed(site, start):
    server = start("app", cwd=site(ALL))
    server.wait_for_workers(1)
    server.send_signal(signal.SIGTTIN)
    site.wait_for(f"nworkers_changed {server.pid} 2 1")
    server.wait_for_workers(2)
    site.wait_for("post_worker_init", 2)
    server.send_signal(signal.SIGTTOU)
    site.wait_for(f"nworkers_changed {server.pid} 1 2")
    server.wait_for_workers(1)


def test_a_worker_that_dies_is_noticed(site, start):
    server = start("app", cwd=site(ALL))
    site.wait_for("post_worker_init")
    [worker] = server.wait_for_workers(1)
    os.kill(worker, signal.SIGKILL)
    site.wait_for(f"child_exit {server.pid} {worker} False")
    server.wait_for_workers(1, without=[worker])


def test_pre_exec_is_called_before_an_upgrade(site, start):
    server = start("app", cwd=site(NOTES + """
def pre_exec(server):
    note("pre_exec", os.getppid())
"""))
    server.send_signal(signal.SIGUSR2)
    site.wait_for(f"pre_exec {server.pid}")
    server.wait_for_log("Started a new master (pid:")
    new = int(re.search(r"new master \(pid:(\d+)\)", server.stderr).group(1))
    server.wait_for_log("Listening at: ", count=2)
    os.kill(new, signal.SIGTERM)
    server.wait_for_log(f"The new master (pid:{new}) exited with code 0")


def test_hooks_may_start_threads_in_the_master(site, start):
    server = start("app", cwd=site(NOTES + """
import threading, time
def when_ready(server):
    def beat():
        while True:
            note("beat", os.getpid())
            time.sleep(0.05)
    threading.Thread(target=beat, daemon=True).start()
"""))
    site.wait_for(f"beat {server.pid}", 5)
    assert server.get("/").status == 201
    old = server.wait_for_workers(1)
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(1, without=old)
    count = len(site.notes())
    site.wait_for(f"beat {server.pid}", count + 3)


# ---- what hooks see ----------------------------------------------------------------------------


def test_the_server_has_gunicorns_attributes(site, start):
    server = start("app", "--name", "shop", cwd=site(NOTES + """
def when_ready(server):
    host, port = server.address[0]
    [listener] = server.LISTENERS
    note(server.proc_name, server.master_name, server.cfg.proc_name, server.cfg.bind,
         listener.getsockname() == (host, port), listener, listener.sock.family.name,
         server.cfg.settings["workers"].value, type(server.log).__name__)
    server.log.info("ready with %d", server.num_workers)
"""))
    at = f"127.0.0.1:{server.port}"
    site.wait_for("shop")
    assert site.notes() == [
        f"shop Master shop ['{at}'] True http://{at} AF_INET 1 Logger"]
    server.wait_for_log("[INFO] ready with 1")


def test_what_a_hook_logs_has_the_servers_form_and_level(site, start):
    server = start("app", "--log-level", "warning", cwd=site("""
def post_fork(server, worker):
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(worker.log, level)("said at %s", level)
    try:
        1 / 0
    except ZeroDivisionError:
        server.log.exception("and why")
"""), wait=False)
    server.wait_for_log("ZeroDivisionError: division by zero")
    [worker] = server.wait_for_workers(1)
    lines = re.findall(r"\[(\d+)\] \[(\w+)\] said at (\w+)", server.stderr)
    assert lines == [(str(worker), level.upper(), level)
                     for level in ("warning", "error", "critical")]


def test_post_fork_is_privileged_and_before_raw_env(site, start):
    if os.getuid() != 0:
        pytest.skip("only root can give up root")
    if not all(folder.stat().st_mode & 1 for folder in pathlib.Path(INTERPRETER).resolve().parents):
        pytest.skip(f"{INTERPRETER} cannot be used by everybody")
    conf = """
import os
notes = open(os.path.join(os.path.dirname(__file__), "notes"), "a")  # opened as root
def note(*words):
    print(*words, file=notes, flush=True)
user, group = 65534, 65534
raw_env = ["WORD=given"]
def post_fork(server, worker):
    note("post_fork", os.getuid())
def post_worker_init(worker):
    note("post_worker_init", os.getuid(), os.environ["WORD"])
"""
    start("--chdir", APPS, "served", cwd=site(conf))
    site.wait_for("post_worker_init")
    assert site.notes() == ["post_fork 0", "post_worker_init 65534 given"]


def test_hooks_in_an_ini_file_are_import_strings(site, start):
    (site.folder / "hooks.py").write_text(
        NOTES + "def ready(server): note('ready', server.num_workers)\n")
    (site.folder / "licorne.ini").write_text("[server]\nwhen_ready = hooks.ready\n")
    start("app", cwd=site.folder)
    site.wait_for("ready")
    assert site.notes() == ["ready 1"]


# ---- requests ----------------------------------------------------------------------------------


REQUESTS = NOTES + """
def pre_request(worker, req):
    note("pre", worker.nr, req.method, req.uri, req.path, req.query, req.version, req.scheme,
         dict(req.headers)["X-WORD"], req.remote_addr[0])
def post_request(worker, req, environ, resp):
    note("post", req.path, resp.status, resp.status_code, resp.headers[1], resp.sent > 0,
         resp.response_length == resp.sent, resp.headers_sent, environ["PATH_INFO"])
"""


@pytest.mark.parametrize("threads", ["1", "4"])
def test_requests_pass_through_their_hooks(site, start, threads):
    server = start("--threads", threads, "app", cwd=site(REQUESTS))
    assert server.get("/a%20b?x=1", [("X-Word", "yes")]).status == 201
    site.wait_for("post")
    assert site.notes() == [
        "pre 1 GET /a%20b?x=1 /a%20b x=1 (1, 1) http yes 127.0.0.1",
        "post /a%20b 201 Made 201 ('X-Kind', 'shop') True True True /a b",
    ]


@pytest.mark.parametrize("parameters, noted", [
    ("worker, req", "2"), ("worker, req, environ", "3"), ("worker, req, environ, resp", "4")])
def test_post_request_takes_two_to_four_arguments(site, start, parameters, noted):
    server = start("app", cwd=site(NOTES + f"""
def post_request({parameters}):
    note(len(locals()))
"""))
    server.get("/")
    site.wait_for(noted)


def test_what_pre_request_changes_reaches_the_application(site, start):
    server = start("app", cwd=site("""
def pre_request(worker, req):
    req.headers.append(("X-REQUEST-ID", "17"))
    req.headers[:] = [(n, v) for n, v in req.headers if n != "X-SECRET"]
    req.path = "/changed"
"""))
    with server.client() as client:
        for _ in range(2):
            body = client.get("/", [("X-Secret", "s"), ("X-Kept", "k")]).body.decode()
            assert "('HTTP_X_REQUEST_ID', '17')" in body and "('PATH_INFO', '/changed')" in body
            assert "('HTTP_X_KEPT', 'k')" in body and "SECRET" not in body


def test_a_failing_pre_request_is_a_500_page(site, start):
    server = start("app", cwd=site(NOTES + """
def pre_request(worker, req):
    if req.path == "/bad":
        raise ValueError("not this one")
def post_request(worker, req, environ, resp):
    note("post", req.path, environ == {}, resp)
"""))
    assert server.get("/bad").status == 500
    assert server.get("/").status == 201
    server.wait_for_log("ValueError: not this one")
    assert site.notes()[0] == "post /bad True None"


def test_a_failing_post_request_is_only_logged(site, start):
    server = start("app", cwd=site("""
def post_request(worker, req):
    raise ValueError("too late")
"""))
    assert server.get("/").status == 201
    server.wait_for_log("[ERROR] Exception in post_request hook\nTraceback")
    server.wait_for_log("ValueError: too late")


def test_post_request_is_called_when_the_application_fails(site, start):
    server = start("app", cwd=site(NOTES + """
def post_request(worker, req, environ, resp):
    note("post", req.path, environ["PATH_INFO"], resp.status)
"""))
    assert server.get("/raise").status == 500
    site.wait_for("post /raise /raise None")


def test_a_worker_can_be_sent_away_by_a_hook(site, start):
    server = start("app", cwd=site("""
def post_request(worker, req):
    worker.alive = req.path != "/last"
"""))
    old = server.wait_for_workers(1)
    assert server.get("/").status == 201
    assert server.wait_for_workers(1) == old
    assert server.get("/last").status == 201
    server.wait_for_workers(1, without=old)
    assert server.get("/").status == 201


# ---- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("hook, parameters", [
    ("nworkers_changed", "server, new, old"), ("on_starting", "server"),
    ("when_ready", "server")])
def test_a_hook_that_fails_at_the_start_ends_the_server(site, hook, parameters):
    folder = site(f"pidfile = 'pid'\ndef {hook}({parameters}):\n    raise ValueError('no way')\n")
    done = run(*PYTHON, "-b", "127.0.0.1:0", "app", folder=folder)
    assert done.returncode == 1
    assert f"[ERROR] Exception in {hook} hook\nTraceback" in done.stderr
    assert 'gunicorn.conf.py", line 3' in done.stderr and "_host.py" not in done.stderr
    assert "ValueError: no way" in done.stderr
    assert not (folder / "pid").exists()


@pytest.mark.parametrize("raised, shown", [
    ("KeyboardInterrupt", "KeyboardInterrupt"), ("SystemExit(7)", "SystemExit: 7")])
def test_what_a_hook_raises_is_written_as_python_does(site, raised, shown):
    folder = site(f"def on_starting(server):\n    raise {raised}\n")
    done = run(*PYTHON, "-b", "127.0.0.1:0", "app", folder=folder)
    assert done.returncode == 1
    assert re.search(rf"the hook on_starting raised {shown}$", done.stderr, re.M)


def test_pre_fork_that_fails_in_the_loop_ends_the_server_with_255(site, start):
    server = start("app", cwd=site("def pre_fork(s, w):\n    raise ValueError('no way')\n"),
                   wait=False)
    assert server.process.wait(20) == 255
    assert "Unhandled exception in main loop" in server.stderr
    assert "ValueError: no way" in server.stderr


@pytest.mark.parametrize("hook, parameters", [
    ("post_fork", "server, worker"), ("post_worker_init", "worker")])
def test_a_hook_that_fails_in_a_booting_worker_is_a_failed_boot(site, start, hook, parameters):
    server = start("app", wait=False,
                   cwd=site(f"def {hook}({parameters}):\n    raise ValueError('no way')\n"))
    assert server.process.wait(20) == 3
    assert "ValueError: no way" in server.stderr and "Worker failed to boot." in server.stderr


def test_on_exit_that_fails_is_seen_in_the_exit_code(site, start):
    server = start("app", cwd=site("def on_exit(server):\n    raise ValueError('no way')\n"))
    server.wait_for_workers(1)
    assert server.stop() == 255


def test_a_reload_whose_hook_fails_changes_nothing(site, start):
    server = start("app", cwd=site("workers = 1\n"))
    old = server.wait_for_workers(1)
    site("def on_reload(server):\n    raise ValueError('no way')\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("The running configuration stays in force.")
    assert server.get("/").status == 201 and server.wait_for_workers(1) == old


def test_a_hung_worker_is_told_by_worker_abort(site, start):
    server = start("--timeout", "1", "app", cwd=site(NOTES + """
def worker_abort(worker):
    note("worker_abort", os.getpid(), worker.pid, worker.aborted)
def worker_exit(server, worker):
    note("worker_exit", worker.pid)
"""))
    [worker] = server.wait_for_workers(1)
    with server.client() as client:
        client.send(b"GET /slow?30 HTTP/1.1\r\nHost: a\r\n\r\n")
        site.wait_for("worker_exit")
    assert site.notes() == [f"worker_abort {worker} {worker} True", f"worker_exit {worker}"]
    server.wait_for_workers(1, without=[worker])
    assert "time.sleep" in server.stderr or 'app.py", line 8' in server.stderr


def test_an_idle_worker_hears_abort_too(site, start):
    server = start("app", cwd=site(NOTES + "def worker_abort(worker): note('worker_abort')\n"))
    [worker] = server.wait_for_workers(1)
    site.wait_for("worker_abort", 0)
    server.get("/")
    os.kill(worker, signal.SIGABRT)
    site.wait_for("worker_abort")
    server.wait_for_workers(1, without=[worker])


# ---- a worker's number -----------------------------------------------------------------------

SLOTS = NOTES + """
def post_fork(server, worker):
    note("slot", worker.pid, os.environ["LICORNE_WORKER_SLOT"])
"""


def test_a_worker_has_a_small_number_that_its_replacement_gets_again(site, start):
    server = start("-w", "2", "--pid", "pid", "app", cwd=site(SLOTS),
                   env={"LICORNE_WORKER_SLOT": "77"})

    def numbers():
        return {int(line.split()[1]): line.split()[2] for line in site.notes()}
    first, second = server.wait_for_workers(2)
    site.wait_for("slot", 2)
    assert numbers() == {first: "0", second: "1"}
    os.kill(first, signal.SIGKILL)
    site.wait_for("slot", 3)
    [third] = set(server.wait_for_workers(2, without=[first])) - {second}
    assert numbers()[third] == "0"
    os.kill(second, signal.SIGTERM)
    site.wait_for("slot", 4)
    [fourth] = set(server.wait_for_workers(2, without=[first, second])) - {third}
    assert numbers()[fourth] == "1"


def test_the_application_sees_its_workers_number_while_it_is_imported(site, start):
    site.folder.joinpath("numbered.py").write_text(
        "import os\nNUMBER = os.environ['LICORNE_WORKER_SLOT'].encode()\n"
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Content-Length', str(len(NUMBER)))])\n"
        "    return [NUMBER]\n")
    server = start("numbered", cwd=site.folder)
    assert server.get("/").body == b"0"
