"""logger_class, logconfig, logconfig_dict, logconfig_json: the server's lines in the hands of
Python's logging."""
import json
import os
import re
import signal
import socket

import pytest

from licorne import PYTHON, run
from load import Load
from waiting import wait_until

APP = """
import logging
def application(environ, start_response):
    if environ["PATH_INFO"] == "/print":
        print("for wsgi.errors", file=environ["wsgi.errors"])
    if environ["PATH_INFO"] == "/log":
        logging.getLogger("shop").warning("sold %s", "out")
    start_response("200 OK", [("Content-Length", "2"), ("X-Kind", "shop")])
    return [b"ok"]
"""


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "app.py").write_text(APP)

    def site(conf):
        (folder / "gunicorn.conf.py").write_text(conf)
        return folder

    site.folder = folder
    site.read = lambda name: ((folder / name).read_text() if (folder / name).exists() else "")
    site.wait_for = lambda name, text: wait_until(lambda: text in site.read(name), 15,
                                                  f"{text!r} in {name}")
    return site


def ready(server):
    """The usual sign may be in any file."""
    wait_until(lambda: is_served(server), 20, "an answer")
    return server


def is_served(server):
    try:
        return server.get("/").status == 200
    except OSError:
        assert server.process.poll() is None, server.stderr
        return False


DICT = """
import os
here = os.path.dirname(__file__)
logconfig_dict = {
    "formatters": {
        "own": {"format": "%(levelname)s|%(name)s|%(process)d|%(message)s"},
    },
    "handlers": {
        "errors": {"class": "logging.FileHandler", "filename": os.path.join(here, "errors"),
                   "formatter": "own"},
        "requests": {"class": "logging.FileHandler", "filename": os.path.join(here, "requests"),
                     "formatter": "own"},
    },
    "root": {"level": "INFO", "handlers": ["errors"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["errors"], "propagate": False},
        "gunicorn.access": {"level": "INFO", "handlers": ["requests"], "propagate": False},
    },
}
access_log_format = "%(m)s %(U)s %(s)s"
"""


def test_logconfig_dict_gets_every_line(site, start):
    server = ready(start("app", cwd=site(DICT), wait=False))
    [worker] = server.wait_for_workers(1)
    server.get("/seen")
    server.get("/log")
    server.get("/print")
    site.wait_for("requests", "GET /print 200")
    site.wait_for("errors", "for wsgi.errors\n")
    errors = site.read("errors")
    assert f"INFO|gunicorn.error|{worker}|Booting worker with pid: {worker}\n" in errors
    assert f"INFO|gunicorn.error|{server.pid}|Listening at: http://" in errors
    assert f"WARNING|shop|{worker}|sold out\n" in errors
    assert "INFO|gunicorn.access|" in site.read("requests")
    assert "|GET /seen 200\n" in site.read("requests")
    assert "Booting" not in server.stderr


def test_the_last_lines_are_written_too(site, start):
    server = ready(start("app", cwd=site(DICT), wait=False))
    server.stop()
    assert "Shutting down: Master\n" in site.read("errors")


def test_usr1_opens_the_files_anew(site, start):
    server = ready(start("app", cwd=site(DICT), wait=False))
    site.wait_for("requests", "GET / 200")
    (site.folder / "requests").rename(site.folder / "requests.1")
    server.send_signal(signal.SIGUSR1)
    wait_until(lambda: (site.folder / "requests").exists(), 10, "a new file")
    server.get("/new")
    site.wait_for("requests", "GET /new 200")
    assert "/new" not in site.read("requests.1")


def test_a_successor_writes_to_the_new_files(site, start):
    server = ready(start("app", cwd=site(DICT), wait=False))
    site.wait_for("requests", "GET / 200")
    (site.folder / "requests").rename(site.folder / "requests.1")
    server.send_signal(signal.SIGUSR1)
    wait_until(lambda: (site.folder / "requests").exists(), 10, "a new file")
    [logger] = server.children("logger")
    os.kill(logger, signal.SIGKILL)
    server.get("/new")
    site.wait_for("requests", "GET /new 200")
    assert "/new" not in site.read("requests.1")


def test_usr1_opens_files_of_other_loggers_anew(site, start):
    server = ready(start("app", cwd=site(DICT.replace(
        '"handlers": ["errors"], "propagate": False', '"handlers": [], "propagate": True')),
        wait=False))
    site.wait_for("errors", "Booting worker")
    (site.folder / "errors").rename(site.folder / "errors.1")
    server.send_signal(signal.SIGUSR1)
    wait_until(lambda: (site.folder / "errors").exists(), 10, "a new file")
    server.send_signal(signal.SIGTTIN)
    site.wait_for("errors", "Booting worker")


def test_a_reload_goes_on_with_the_same_logs(site, start):
    server = ready(start("app", cwd=site(DICT), wait=False))
    old = server.wait_for_workers(1)
    server.send_signal(signal.SIGHUP)
    [new] = server.wait_for_workers(1, without=old)
    site.wait_for("errors", f"|{new}|Booting worker")
    server.get("/after")
    site.wait_for("requests", "GET /after 200")
    assert site.read("requests").count("GET /after") == 1


def test_a_reload_brings_another_configuration_and_loses_no_line(site, start):
    server = ready(start("app", cwd=site(DICT), wait=False))
    old = server.wait_for_workers(1)
    site(DICT.replace('"requests")', '"other")').replace("%(levelname)s|", "now %(levelname)s|"))
    with Load(server, connections=2, path="/load") as load:
        load.wait_for_answers(100)
        server.send_signal(signal.SIGHUP)
        server.wait_for_workers(1, without=old)
        site.wait_for("other", "GET")
        load.wait_for_answers(100)
    server.stop()
    assert load.failures == []
    lines = site.read("requests").splitlines() + site.read("other").splitlines()
    assert sum("GET /load 200" in line for line in lines) == load.answered
    assert set(line.split("|")[0] for line in site.read("other").splitlines()) == {"now INFO"}
    assert "Its successor goes on" not in site.read("errors")


def test_a_reload_reads_the_file_of_pythons_logging_anew(site, start):
    def write(word):
        (site.folder / "log.json").write_text(json.dumps({
            "formatters": {"generic": {"format": word + " %(message)s"}}}))
    write("first")
    server = ready(start("--log-config-json", "log.json", "app", cwd=site.folder, wait=False))
    server.wait_for_log("first Listening at: ")
    write("second")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("second Worker exiting")


def test_a_reload_may_begin_and_end_to_use_pythons_logging(site, start):
    server = ready(start("app", cwd=site(""), wait=False))
    site(DICT)
    server.send_signal(signal.SIGHUP)
    site.wait_for("errors", "|Worker exiting")
    site("")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("[INFO] Worker exiting")


def test_a_configuration_that_is_wrong_leaves_the_logs_as_they_were(site, start):
    server = ready(start("app", cwd=site(DICT), wait=False))
    site(DICT.replace("logging.FileHandler", "no.such.Handler"))
    server.send_signal(signal.SIGHUP)
    site.wait_for("errors", "ERROR|gunicorn.error")
    server.get("/after")
    site.wait_for("requests", "GET /after 200")


def test_logconfig_json_and_an_ini_file(site, start):
    (site.folder / "log.json").write_text(json.dumps({
        "formatters": {"generic": {"format": "json %(message)s"}},
        "handlers": {"error_console": {"class": "logging.FileHandler", "filename": "from_json",
                                       "formatter": "generic"},
                     "console": {"class": "logging.NullHandler"}}}))
    ready(start("--log-config-json", "log.json", "app", cwd=site.folder, wait=False))
    site.wait_for("from_json", "json Listening at: ")


def test_logconfig_is_a_file_of_pythons_logging(site, start):
    (site.folder / "logging.conf").write_text("""
[loggers]
keys=root, gunicorn.error, gunicorn.access
[handlers]
keys=own
[formatters]
keys=own
[logger_root]
level=INFO
handlers=own
[logger_gunicorn.error]
level=INFO
handlers=own
propagate=0
qualname=gunicorn.error
[logger_gunicorn.access]
level=INFO
handlers=own
propagate=0
qualname=gunicorn.access
[handler_own]
class=FileHandler
formatter=own
args=('from_ini',)
[formatter_own]
format=ini %(levelname)s %(message)s
""")
    server = ready(start("--log-config", "logging.conf", "--access-logformat", "%(U)s", "app",
                         cwd=site.folder, wait=False))
    server.get("/seen")
    site.wait_for("from_ini", "ini INFO /seen\n")
    assert "ini INFO Listening at: " in site.read("from_ini")


@pytest.mark.parametrize("loglevel, own, seen", [
    ("warning", "DEBUG", {"DEBUG", "INFO"}),
    ("debug", "INFO", {"INFO"}),
    ("debug", "ERROR", set()),
])
def test_a_configuration_has_the_last_word_on_the_level(site, start, loglevel, own, seen):
    conf = DICT.replace('"gunicorn.error": {"level": "INFO"',
                        f'"gunicorn.error": {{"level": "{own}"')
    server = ready(start("--log-level", loglevel, "app", cwd=site(conf + """
def post_fork(server, worker):
    worker.log.debug("of a hook")
    worker.log.error("spawned")
"""), wait=False))
    site.wait_for("errors", "ERROR|gunicorn.error|")
    server.stop()  # "Handling signal: term" has been said
    levels = set(re.findall(r"^(\w+)\|gunicorn\.error", site.read("errors"), re.M)) - {"ERROR"}
    assert levels == seen
    assert ("of a hook" in site.read("errors")) == ("DEBUG" in seen)


def test_a_reload_changes_the_level_of_a_logger_class(site, start):
    conf = "from gunicorn.glogging import Logger\nclass Mine(Logger):\n    pass\n" \
           "logger_class = Mine\n"
    server = ready(start("app", cwd=site(conf), wait=False))
    assert "[DEBUG]" not in server.stderr
    site(conf + "loglevel = 'debug'\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("[DEBUG] ")


@pytest.mark.parametrize("conf, why", [
    ('logconfig = "no.such.file"', "Error: log config file doesn't exist: 'no.such.file'"),
    ('logconfig_dict = {"handlers": {"x": {"class": "no.such.Class"}}}', "Error: logconfig_dict: "),
    ("logconfig_dict = 3", "Invalid value for logconfig_dict: 3"),
    ('logger_class = "no.such.Class"', "class uri 'no.such.Class' invalid or not found"),
])
def test_what_is_wrong_ends_the_start(site, conf, why):
    done = run(*PYTHON, "-b", "127.0.0.1:0", "app", folder=site(conf + "\n"))
    assert done.returncode == 1
    assert why in done.stderr


def test_a_logger_class_may_filter_and_format(site, start):
    server = ready(start("app", cwd=site("""
import logging
from gunicorn.glogging import Logger

class NoHealthChecks(logging.Filter):
    def filter(self, record):
        return "/health" not in record.getMessage()

class Mine(Logger):
    error_fmt = "mine %(levelname)s %(message)s"
    def setup(self, cfg):
        super().setup(cfg)
        self.access_log.addFilter(NoHealthChecks())

logger_class = Mine
accesslog = "requests"
access_log_format = "%(U)s"
"""), wait=False))
    server.get("/health")
    server.get("/shown")
    site.wait_for("requests", "/shown\n")
    assert "/health" not in site.read("requests")
    assert "mine INFO Listening at: " in server.stderr


@pytest.mark.parametrize("name", ["simple", "egg:gunicorn#simple", "gunicorn.glogging.Logger",
                                  "gunicorn.instrument.statsd.Statsd"])
def test_gunicorns_own_loggers_are_the_servers(site, start, name):
    server = ready(start("--logger-class", name, "app", cwd=site.folder, wait=False))
    assert re.search(r"^\[[^]]+\] \[\d+\] \[INFO\] Booting worker", server.stderr, re.M)


def test_a_logger_class_may_send_metrics_of_its_own(site, start):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as statsd:
        statsd.bind(("127.0.0.1", 0))
        statsd.settimeout(15)
        start("app", cwd=site(f"""
from gunicorn.instrument.statsd import Statsd
class Mine(Statsd):
    pass
logger_class = Mine
statsd_host = "127.0.0.1:{statsd.getsockname()[1]}"
statsd_prefix = "shop"
dogstatsd_tags = "a:1"
def post_worker_init(worker):
    worker.log.gauge("stock", 3)
    worker.log.info("", extra={{"metric": "sold", "value": 2, "mtype": "counter"}})
    worker.log.histogram("last", 1.5)
"""), wait=False)
        packets = []
        while b"shop.last:1.5|ms|#a:1" not in packets:
            packets.append(statsd.recv(4096))
        assert b"shop.stock:3|g|#a:1" in packets and b"shop.sold:2|c|@1.0|#a:1" in packets
        assert packets.count(b"shop.gunicorn.workers:1|g|#a:1") <= 1  # not once more by the class


def test_a_logger_class_may_see_each_request(site, start):
    server = ready(start("app", cwd=site("""
from gunicorn.glogging import Logger

class Mine(Logger):
    def atoms(self, resp, req, environ, request_time):
        atoms = super().atoms(resp, req, environ, request_time)
        atoms["own"] = environ["HTTP_X_WORD"]
        return atoms
    def access(self, resp, req, environ, request_time):
        if req.path != "/" :
            super().access(resp, req, environ, request_time)

logger_class = Mine
accesslog = "requests"
access_log_format = '%(h)s "%(r)s" %(s)s %(b)s %({x-kind}o)s %(own)s %({none}i)s %(D)d'
"""), wait=False))
    server.get("/seen?x=1", [("X-Word", 'a "word"')])
    site.wait_for("requests", "/seen")
    assert re.fullmatch(
        r'127\.0\.0\.1 "GET /seen\?x=1 HTTP/1\.1" 200 2 shop a \\"word\\" - \d+\n',
        site.read("requests"))


def test_hooks_log_through_the_users_class(site, start):
    server = ready(start("app", cwd=site("""
from gunicorn.glogging import Logger
class Mine(Logger):
    error_fmt = "%(process)d %(message)s"
    def info(self, msg, *args, **kwargs):
        super().info("loud " + msg.upper(), *args, **kwargs)
logger_class = Mine
def post_fork(server, worker):
    worker.log.info("spawned")
"""), wait=False))
    [worker] = server.wait_for_workers(1)
    assert f"{worker} loud SPAWNED\n" in server.stderr


def test_a_killed_logger_has_a_successor_that_writes_on(site, start):
    server = ready(start("app", cwd=site(DICT), wait=False))
    [logger] = server.children("logger")
    os.kill(logger, signal.SIGKILL)
    wait_until(lambda: server.children("logger") not in ([], [logger]), 10, "another logger")
    server.get("/after")
    site.wait_for("requests", "GET /after 200")


# ---- files of the application's own ----------------------------------------------------------


OWN_FILES = """
import logging
logging.getLogger("shop").addHandler(logging.FileHandler("shop.log"))
def application(environ, start_response):
    logging.getLogger("shop").warning("sold %s", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.mark.parametrize("arguments", [("-w", "2"), ("--threads", "2"), ("--preload",)])
def test_usr1_opens_the_applications_files_anew(site, start, arguments):
    """As in Gunicorn, so that one logrotate rule is enough for all."""
    (site.folder / "app.py").write_text(OWN_FILES)
    server = start("--chdir", site.folder, *arguments, "app")
    server.get("/before")
    (site.folder / "shop.log").rename(site.folder / "shop.log.1")
    server.send_signal(signal.SIGUSR1)

    def is_anew(path):
        server.get(path)
        return "sold /after" in site.read("shop.log")
    wait_until(lambda: is_anew("/after"), 15, "a line in the new file")
    for _ in range(20):
        server.get("/later")
    assert "sold /later" not in site.read("shop.log.1")
    assert site.read("shop.log").count("sold /later") == 20


def test_a_file_that_cannot_be_opened_anew_is_written_on(site, start):
    (site.folder / "app.py").write_text(OWN_FILES.replace('"shop.log"', '"logs/shop.log"'))
    (site.folder / "logs").mkdir()
    server = ready(start("--chdir", site.folder, "app"))
    (site.folder / "logs").rename(site.folder / "old")
    server.send_signal(signal.SIGUSR1)
    server.wait_for_log("FileNotFoundError")
    assert server.get("/after").body == b"ok"
    site.wait_for("old/shop.log", "sold /after")
