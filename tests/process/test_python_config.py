"""gunicorn.conf.py: where it is found, what may stand in it, and what is said about it."""
import os
import re
import signal
import subprocess
import sys
import urllib.request

import pytest

from licorne import INTERPRETER, PROGRAM, PYTHON, free_port, run
from sharing import serving_all
from waiting import wait_until

APP = """
import os
import re
def application(environ, start_response):
    body = repr(os.environ.get("SHOP", "")).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.fixture
def site(tmp_path):
    """A folder with app.py; site(conf) puts a gunicorn.conf.py beside it."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "app.py").write_text(APP)

    def site(conf, name="gunicorn.conf.py"):
        (folder / name).write_text(conf)
        return folder

    site.folder = folder
    return site


def printed(folder, *arguments, env=None):
    """--print-config as {name: (value, origin)}."""
    done = run(*PYTHON, *arguments, "--print-config", "app", folder=folder, env=env)
    assert done.returncode == 0, done.stderr
    lines = [line.partition(" = ") for line in done.stdout.splitlines()]
    return {name.strip(): tuple(rest.rsplit("# ", 1)[i].strip() for i in (0, 1))
            for name, _, rest in lines}


def refused(folder, *arguments, code=1):
    done = run(*PYTHON, *arguments, "app", folder=folder)
    assert done.returncode == code, done.stderr
    return done.stderr


# ---- finding and running it ----------------------------------------------------------------


def test_the_file_in_the_start_folder_is_read(site, start):
    port = free_port()
    folder = site(f'bind = "127.0.0.1:{port}"\nraw_env = ["SHOP=here"]\n')
    server = start("app", cwd=folder, bind=False)
    server.address = ("127.0.0.1", port)
    assert server.get("/").body == b"'here'"


def test_chdir_does_not_move_the_lookup(site, tmp_path):
    site("workers = 7\n")
    (tmp_path / "gunicorn.conf.py").write_text("workers = 5\n")
    assert printed(tmp_path, "--chdir", site.folder)["workers"] == ("5", "gunicorn.conf.py:1")


@pytest.mark.parametrize("named", ["other.py", "./other.py", "file:other.py", "{folder}/other.py"])
def test_c_names_another_file(site, named):
    folder = site("workers = 3\n", "other.py")
    values = printed(folder, "-c", named.format(folder=folder))
    assert values["workers"][0] == "3"
    assert values["workers"][1].endswith("other.py:1")


WARNING = "!!!\n!!! WARNING: configuration file should have a valid Python extension.\n!!!\n\n"


@pytest.mark.parametrize("name, text, is_python", [
    ("gunicorn.conf", "# ours\n\nworkers = 3\n", True),
    ("settings", '"""Ours."""\nimport os\nworkers = len("abc")\n', True),
    ("licorne.conf", "; ours\n\n[server]\nworkers = 3\n", False),
    ("shop.ini", "[server]\nworkers = 3\n", False),
])
def test_without_an_ending_its_first_line_tells_what_it_is(site, name, text, is_python):
    folder = site(text, name)
    done = run(*PYTHON, "--print-config", "-c", f"file:{name}", "app", folder=folder)
    assert re.search(rf"^workers += 3 +# {name}:\d$", done.stdout, re.M), done
    assert done.stderr == (WARNING if is_python else "")


def test_an_empty_file_sets_nothing(site):
    assert printed(site("", "none.conf"), "-c", "none.conf")["workers"] == ("1", "default")
    assert printed(site.folder, "-c", "/dev/null")["workers"] == ("1", "default")


def test_a_module_can_be_named(site):
    (site.folder / "conf").mkdir()
    (site.folder / "conf" / "live.py").write_text("import os\nworkers = 4\n")
    assert printed(site.folder, "-c", "python:conf.live")["workers"] == ("4", "conf.live:2")


def test_it_is_a_module_with_its_own_name_and_file(site):
    folder = site('proc_name = __name__ + " " + __file__\n')
    assert printed(folder)["proc_name"][0] == f"__config__ {folder}/gunicorn.conf.py"


def test_modules_beside_it_can_be_imported(site):
    (site.folder / "sizes.py").write_text("count = 6\n")
    assert printed(site("from sizes import count\nworkers = count\n"))["workers"][0] == "6"


def test_each_source_is_stronger_than_the_one_before(site):
    folder = site("workers = 3\ntimeout = 40\nkeepalive = 5\n")
    env = {"WEB_CONCURRENCY": "9", "GUNICORN_CMD_ARGS": "--timeout 50 --keep-alive 6"}
    values = printed(folder, "--keep-alive", "7", env=env)
    assert values["workers"] == ("3", "gunicorn.conf.py:1")
    assert values["timeout"] == ("50", "GUNICORN_CMD_ARGS")
    assert values["keepalive"] == ("7", "command line")


# ---- values ----------------------------------------------------------------------------------


@pytest.mark.parametrize("line, name, value", [
    ('workers = "0x4"', "workers", "4"),
    ("umask = 0o22", "umask", "18"),
    ('bind = "a:1"', "bind", "['a:1']"),
    ('bind = ["a:1", "b:2"]', "bind", "['a:1', 'b:2']"),
    ('bind = ("a:1",)', "bind", "['a:1']"),
    ('errorlog = "  /dev/null "', "errorlog", "/dev/null"),
    ('daemon = "False"', "daemon", "False"),
    ('user = "root"', "user", "0"),
    ("group = 12", "group", "12"),
    ("raw_env = []", "raw_env", "[]"),
    ("pidfile = None", "pidfile", "None"),
    ("forwarded_allow_ips = None", "forwarded_allow_ips", ""),
    ("sendfile = False", "sendfile", "False"),
    ("import os\nworkers = (os.cpu_count() or 1) * 0 + 2", "workers", "2"),
    ("def when_ready(server): pass", "when_ready", "<when_ready()>"),
    ('post_fork = "posixpath.join2"\ndel post_fork', "post_fork", "None"),
])
def test_a_value_is_taken(site, line, name, value):
    assert printed(site(line + "\n"))[name][0] == value


@pytest.mark.parametrize("line, name, value, why", [
    ("timeout = 30.5", "timeout", "30.5", "non-string"),
    ("reload = 1", "reload", "1", "Invalid type for casting: 1"),
    ('umask = "022"', "umask", "022", "invalid literal"),
    ("bind = 8000", "bind", "8000", "8000"),
    ("workers = -1", "workers", "-1", "Value must be positive: -1"),
    ('workers = "many"', "workers", "many", "invalid literal"),
    ('forwarded_allow_ips = ["::1"]', "forwarded_allow_ips", "['::1']", "Not a string"),
    ('user = "nonesuch"', "user", "nonesuch", "No such user: 'nonesuch'"),
    ('group = "nonesuch"', "group", "nonesuch", "No such group: 'nonesuch'"),
    ("def pre_fork(server): pass", "pre_fork", "<function", "Value must have an arity of: 2"),
    ("def pre_fork(server, *a): pass", "pre_fork", "<function", "Value must have an arity of: 2"),
    ("on_exit = 3", "on_exit", "3", "not callable"),
    ('on_exit = "no.such.hook"', "on_exit", "no.such.hook", "Can not load 'hook'"),
    ("import time as config", "config", "<module 'time'", "Not a string"),
    ('raw_env = [3]', "raw_env", "[3]", "Not a string"),
])
def test_a_value_of_the_wrong_kind_is_refused_with_its_line(site, line, name, value, why):
    said = refused(site("\n" + line + "\n"))
    first, _, rest = said.partition("\n\n")
    assert first.startswith(f"Invalid value for {name}: {value}")
    assert rest.lstrip("\n").startswith(f"Error: gunicorn.conf.py:2: {name}: ")
    assert why in rest


def test_other_names_are_the_files_own(site):
    values = printed(site("""
import multiprocessing, os as _os
from datetime import datetime
cpus = multiprocessing.cpu_count()
_workers_ = 3
def helper(x): return x
class Worker: pass
WORKERS = 3
workers = helper(2)
"""))
    assert values["workers"][0] == "2"


def test_a_name_that_looks_misspelt_is_warned_of(site):
    folder = site("import os\nworker_connection = 10\nmy_workers = 3\n")
    done = run(*PYTHON, "--check-config", "app", folder=folder)
    assert done.returncode == 0
    assert done.stderr.count("[WARNING]") == 1
    assert ("gunicorn.conf.py:2: there is no setting 'worker_connection': "
            "did you mean 'worker_connections'?") in done.stderr


def test_lines_are_those_of_the_last_assignment(site):
    values = printed(site("""workers = 1
if True:
    workers = 2
else:
    workers = 3
try:
    keepalive, timeout = 5, 6
except ValueError:
    pass
"""))
    assert values["workers"] == ("2", "gunicorn.conf.py:5")
    assert values["timeout"] == ("6", "gunicorn.conf.py:7")


# ---- mistakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("conf, line, last", [
    ("import os\n1 / 0\n", 2, "ZeroDivisionError: division by zero"),
    ("def f():\n    return nope\nworkers = f()\n", 2, "NameError: name 'nope' is not defined"),
    ("import no_such_module\n", 1, "ModuleNotFoundError: No module named 'no_such_module'"),
    ("workers = (\n", 1, "SyntaxError: "),
    ("raise SystemExit(3)\n", 1, "SystemExit: 3"),
])
def test_a_file_that_cannot_be_run_shows_its_traceback(site, conf, line, last):
    said = refused(site(conf))
    assert said.startswith("Failed to read config file: gunicorn.conf.py\n")
    assert f'gunicorn.conf.py", line {line}' in said
    assert last in said
    assert f"Error: gunicorn.conf.py:{line}: " in said
    assert "importlib" not in said and "_conf.py" not in said


def test_a_missing_file_is_an_error(site):
    assert refused(site.folder, "-c", "x.py") == "\nError: 'x.py' doesn't exist\n"


def test_without_its_python_the_file_cannot_be_read(site, tmp_path):
    done = run("--python", tmp_path / "nowhere", "app", folder=site("workers = 2\n"))
    assert done.returncode == 1
    assert "Error: ./gunicorn.conf.py: python = " in done.stderr


# ---- reload -------------------------------------------------------------------------------------


def test_hup_runs_the_file_anew(site, start):
    folder = site('raw_env = ["SHOP=old"]\n')
    server = start("app", cwd=folder)
    assert server.get("/").body == b"'old'"
    old = server.wait_for_workers(1)
    site('raw_env = ["SHOP=new"]\nworkers = 2\n')
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(2, without=old)
    wait_until(lambda: server.get("/").body == b"'new'", 10, "the new environment")


@pytest.mark.parametrize("conf, why", [
    ("1/0\n", "ZeroDivisionError"), ("workers = 1.5\n", "workers: "), ("x = (\n", "SyntaxError")])
def test_a_file_that_went_bad_changes_nothing(site, start, conf, why):
    server = start("app", cwd=site('raw_env = ["SHOP=old"]\n'))
    old = server.wait_for_workers(1)
    site(conf)
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("The running configuration stays in force.")
    assert f"Not reloaded: gunicorn.conf.py:1: {why}" in server.stderr
    assert server.get("/").body == b"'old'" and server.wait_for_workers(1) == old
    site('raw_env = ["SHOP=mended"]\n')
    server.send_signal(signal.SIGHUP)
    wait_until(lambda: server.get("/").body == b"'mended'", 10, "the mended file")


def test_a_module_is_not_run_again(site, start):
    (site.folder / "conf.py").write_text('raw_env = ["SHOP=old"]\n')
    server = start("-c", "python:conf", "app", cwd=site.folder)
    old = server.wait_for_workers(1)
    (site.folder / "conf.py").write_text('raw_env = ["SHOP=new"]\n')
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(1, without=old)
    assert server.get("/").body == b"'old'"


# ---- the package ----------------------------------------------------------------------------


def test_the_server_header_can_be_changed_and_changed_back(site, start):
    folder = site('import gunicorn\ngunicorn.SERVER = "Shop 1.0"\n')
    server = start("app", cwd=folder)
    old = server.wait_for_workers(1)
    assert server.get("/").field("Server") == "Shop 1.0"
    site("workers = 1\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(1, without=old)
    assert server.get("/").field("Server") == "licorne"


def test_the_server_header_can_be_left_out(site, start):
    assert start("--server-header", "", "app", cwd=site("")).get("/").field("Server") is None


def test_what_configurations_import_is_there(site, start):
    server = start("app", cwd=site("""
import gunicorn, gunicorn.util
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.app.base import BaseApplication
from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.http.errors import InvalidHeader
from gunicorn.workers.base import Worker
from gunicorn.workers.sync import SyncWorker
assert gunicorn.__version__ == ".".join(map(str, gunicorn.version_info))
assert (Arbiter.WORKER_BOOT_ERROR, Arbiter.APP_LOAD_ERROR) == (3, 4)
cfg = Config()
cfg.set("workers", "3")
assert cfg.workers == cfg.settings["workers"].value == 3
assert cfg.address == [("127.0.0.1", 8000)] and not cfg.is_ssl
class Quiet(Logger):
    pass
raw_env = ["SHOP=imported"]
"""))
    assert server.get("/").body == b"'imported'"


def test_the_package_is_the_servers_even_where_gunicorn_is_installed(site, start):
    (site.folder / "gunicorn.py").write_text("raise ImportError('the wrong one')\n")
    server = start("app", cwd=site('import gunicorn\nraw_env = ["SHOP=" + gunicorn.__file__]\n'))
    assert b"/lib/licorne/plugins/../python/gunicorn/" in server.get("/").body


def test_an_applications_logger_can_take_over_the_servers_handlers(site, start):
    (site.folder / "app.py").write_text("""
import logging
log = logging.getLogger("shop")
log.handlers = logging.getLogger("gunicorn.error").handlers
log.setLevel(logging.getLogger("gunicorn.error").level)
def application(environ, start_response):
    log.info("seen %s", environ["PATH_INFO"])
    log.debug("not seen")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
""")
    server = start("app", cwd=site.folder)
    server.get("/here")
    server.wait_for_log("[INFO] seen /here")
    assert "not seen" not in server.stderr


# ---- programs that are their own server ----------------------------------------------------


PROGRAM_TEXT = """
import sys
from gunicorn.app.base import BaseApplication

def make(word):
    def handler(environ, start_response):
        body = (word + " " + " ".join(sys.argv[1:])).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    return handler

def spawned(server, worker):
    worker.log.info("spawned by the program's hook")

class StandaloneApplication(BaseApplication):
    def __init__(self, app, options=None):
        self.options = options or {}
        self.application = app
        super().__init__()

    def load_config(self):
        config = {key: value for key, value in self.options.items()
                  if key in self.cfg.settings and value is not None}
        for key, value in config.items():
            self.cfg.set(key.lower(), value)

    def load(self):
        return self.application

if __name__ == "__main__":
    options = {"bind": "127.0.0.1:%s" % sys.argv[1], "workers": 2, "post_fork": spawned}
    StandaloneApplication(make("mine"), options).run()
"""


def package_folder():
    return PROGRAM.parents[1] / "lib" / "licorne" / "python"


def test_a_program_can_be_its_own_server(tmp_path):
    (tmp_path / "shop.py").write_text(PROGRAM_TEXT)
    port = free_port()
    out = tmp_path / "out"
    with open(out, "wb") as file:
        process = subprocess.Popen(
            [INTERPRETER, "shop.py", str(port), "x"], cwd=tmp_path, stdout=file, stderr=file,
            env={**os.environ, "PYTHONPATH": str(package_folder())})
    try:
        def answer():
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
            except OSError:
                assert process.poll() is None, out.read_text()
                return None

        assert wait_until(answer, 20, "the program's answer") == f"mine {port} x".encode()
        wait_until(lambda: out.read_text().count("spawned by the program's hook") == 2, 20,
                   "both workers")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, out.read_text()


def test_what_a_file_prints_comes_once_and_before_the_workers_lines(start, tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("print('from the file')\nworkers = 3\n")
    (tmp_path / "prints.py").write_text("""
import os
print("from a worker")
def application(environ, start_response):
    start_response("200 OK", [("X-Pid", str(os.getpid()))])
    return []
""")
    server = serving_all(start("prints", cwd=tmp_path), 3)
    server.stop()  # Python may keep the lines until then
    assert server.stdout.splitlines() == ["from the file"] + ["from a worker"] * 3
