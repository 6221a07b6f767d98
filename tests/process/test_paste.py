"""Applications that a PasteDeploy file names, and lines that are printed as they run."""
import pytest

from licorne import PACKAGES, need, run
from waiting import wait_until

FILE = """
[app:main]
paste.app_factory = deployed:make
greeting = hello

[app:other]
paste.app_factory = deployed:make
greeting = good day
"""

MODULE = """
def make(global_conf, greeting):
    text = (greeting + " " + global_conf.get("who", "nobody")).encode()
    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [text]
    return application
"""


@pytest.fixture
def site(tmp_path):
    need("paste.deploy")
    (tmp_path / "site.ini").write_text(FILE)
    (tmp_path / "deployed.py").write_text(MODULE)
    return tmp_path


def test_the_files_main_application_is_served(start, site):
    server = start("--pythonpath", PACKAGES, "--paste", "site.ini", cwd=site)
    assert server.get("/").body == b"hello nobody"


def test_another_one_can_be_named_and_gets_global_variables(start, site):
    server = start("--pythonpath", PACKAGES, "--paste", f"{site}/site.ini#other",
                   "--paste-global", "who=you", cwd=site)
    assert server.get("/").body == b"good day you"


def test_a_missing_file_and_a_wrong_variable_are_refused(site):
    done = run("--paste", "none.ini", "--check-config", folder=site)
    assert done.returncode == 1
    assert f"{site}/none.ini: No such file or directory" in done.stderr
    done = run("--paste", "site.ini", "--paste-global", "who", "--check-config", folder=site)
    assert done.returncode == 1 and "'who' is not NAME=VALUE" in done.stderr


def test_its_loggers_are_the_logconfig(start, site):
    (site / "site.ini").write_text(FILE + """
[loggers]
keys = root, gunicorn.error
[handlers]
keys = file
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = file
[logger_gunicorn.error]
level = INFO
handlers = file
propagate = 0
qualname = gunicorn.error
[handler_file]
class = FileHandler
formatter = plain
args = ("paste.log",)
[formatter_plain]
format = PLAIN %(message)s
""")
    start("--paste", "site.ini", cwd=site, wait=False)
    log = site / "paste.log"
    wait_until(lambda: log.exists() and "PLAIN Listening at" in log.read_text(), 15)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_spew_prints_each_line(start, site, threads):
    (site / "lines.py").write_text("""
def application(environ, start_response):
    number = 6 * 7
    start_response("200 OK", [])
    return [b"ok"]
""")
    server = start("--spew", "--threads", threads, "lines", cwd=site,
                   env={"PYTHONUNBUFFERED": "1"})
    assert server.get("/").body == b"ok"
    wait_until(lambda: "lines:3:     number = 6 * 7" in server.stdout)
