"""preload_app: the application is loaded in the master, and workers are copies of it."""
import os
import signal

import pytest

from licorne import HELLO_MODULE, PYTHON, run
from waiting import wait_until

APP = """
import os, threading
loaded_by = os.getpid()
lock = threading.Lock()
def application(environ, start_response):
    with lock:
        body = ("%s %d %s" % (WORD, loaded_by, os.environ.get("GIVEN"))).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
WORD = "first"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.mark.parametrize("how", ["option", "file", "ini"])
def test_the_master_loads_the_application(start, folder, how):
    if how == "file":
        (folder / "gunicorn.conf.py").write_text("preload_app = True\n")
    if how == "ini":
        (folder / "licorne.ini").write_text("[server]\npreload_app = true\n")
    server = start(*(["--preload"] if how == "option" else []), "-w", "2", "-e", "GIVEN=yes",
                   "app", cwd=folder)
    server.wait_for_workers(2)
    for _ in range(4):
        assert server.get("/").body.decode() == f"first {server.pid} yes"


def test_threads_serve_a_preloaded_application(start, folder):
    server = start("--preload", "--threads", "4", "app", cwd=folder)
    assert server.get("/").body.decode().startswith(f"first {server.pid} ")


def test_it_is_loaded_before_anything_is_listened_to(folder):
    (folder / "app.py").write_text("raise ValueError('not today')\n")
    done = run(*PYTHON, "--preload", "-b", "127.0.0.1:0", "app", folder=folder)
    assert done.returncode == 1
    assert 'app.py", line 1' in done.stderr and "ValueError: not today" in done.stderr
    assert "Listening at" not in done.stderr and "Booting worker" not in done.stderr


def test_an_application_that_is_not_there_ends_the_start(folder):
    done = run(*PYTHON, "--preload", "-b", "127.0.0.1:0", "app:nope", folder=folder)
    assert done.returncode == 1
    assert "Failed to find attribute 'nope' in 'app'." in done.stderr


def test_a_reload_keeps_the_code_and_says_how_to_change_it(start, folder):
    server = start("--preload", "app", cwd=folder)
    old = server.wait_for_workers(1)
    (folder / "app.py").write_text(APP.replace("first", "second"))
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("preload_app: the application stays as it was loaded at the start.")
    server.wait_for_workers(1, without=old)
    assert server.get("/").body.decode().startswith("first ")


def test_an_upgrade_loads_it_anew(start, folder):
    server = start("--preload", "app", cwd=folder)
    server.wait_for_workers(1)
    (folder / "app.py").write_text(APP.replace("first", "second"))
    server.send_signal(signal.SIGUSR2)
    server.wait_for_log("Booting worker", count=2)
    seen = set()

    def both():
        seen.add(server.get("/").body.split()[0])
        return seen == {b"first", b"second"}
    wait_until(both, 15, "answers of both masters' workers")
    new = int([line for line in server.stderr.splitlines()
               if "Listening at" in line][-1].rpartition("(")[2].rstrip(")"))
    os.kill(new, signal.SIGTERM)
    server.wait_for_log("exited with code 0")


def test_the_garbage_of_the_start_is_frozen(start, folder):
    (folder / "app.py").write_text("""
import gc
def application(environ, start_response):
    body = str(gc.get_freeze_count() > 1000).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
""")
    assert start("--preload", "app", cwd=folder).get("/").body == b"True"


def test_hooks_see_the_preloaded_application(start, folder):
    (folder / "gunicorn.conf.py").write_text("""
preload_app = True
def when_ready(server):
    server.log.info("application: %s", server.app.wsgi().__name__)
""")
    server = start("app", cwd=folder)
    server.wait_for_log("application: application")


def test_a_native_module_is_not_for_preloading(folder):
    done = run("--preload", "-b", "127.0.0.1:0", HELLO_MODULE, folder=folder)
    assert done.returncode == 1
    assert "preload_app (--preload on the command line): a native module is opened by each" in done.stderr


def test_what_the_application_forks_itself_is_still_noticed(start, folder):
    (folder / "app.py").write_text("""
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "4")])
    if os.fork() == 0:
        return [b"twin"]
    os.wait()
    return [b"once"]
""")
    server = start("--preload", "app", cwd=folder)
    with server.client() as client:
        assert client.get("/", [("Connection", "close")]).body == b"once"
        assert client.rest() == b""
    server.wait_for_log("A process that the application had forked came back")
