"""What daemons beside the server get: syslog lines and statsd metrics, and whose the logs are."""
import os
import pwd
import signal
import socket

import pytest

from daemon import Daemon
from licorne import HELLO_MODULE, run
from waiting import wait_until


@pytest.fixture
def daemon():
    daemons = []

    def make(*arguments):
        daemons.append(Daemon(*arguments))
        return daemons[-1]
    yield make
    for one in daemons:
        one.close()


@pytest.fixture
def serve(start):
    return lambda *arguments, **options: start(*arguments, HELLO_MODULE, **options)


# --- syslog --------------------------------------------------------------------------------------

@pytest.mark.parametrize("how", ["udp", "tcp", "dgram", "stream"])
def test_syslog_gets_error_and_access_lines_over_any_socket(serve, daemon, tmp_path, how):
    if how in ("udp", "tcp"):
        log = daemon(socket.AF_INET, socket.SOCK_DGRAM if how == "udp" else socket.SOCK_STREAM,
                     ("127.0.0.1", 0))
        address = f"{how}://127.0.0.1:{log.socket.getsockname()[1]}"
    else:
        path = str(tmp_path / "log")
        log = daemon(socket.AF_UNIX, socket.SOCK_DGRAM if how == "dgram" else socket.SOCK_STREAM,
                     path)
        address = f"unix://{path}"
    server = serve("--log-syslog", "--log-syslog-to", address, "--log-syslog-facility", "local3",
                   "--name", "na:me")
    assert log.wait_for("Starting licorne") == \
        f"<158>gunicorn.na.me.error: [{server.pid}] Starting licorne 0.1.0\0".encode()
    server.get("/hello")
    line = log.wait_for("GET /hello")
    worker = server.workers()[0]
    assert line.startswith(f"<158>gunicorn.na.me.access: [{worker}] 127.0.0.1 - - [".encode())
    assert line.endswith(b"\0") and b"\n" not in line
    assert "Starting licorne" in server.stderr  # the ordinary log stays


def test_a_warning_has_its_severity_and_access_lines_may_stay_away(serve, daemon):
    log = daemon(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
    server = serve("--log-syslog", "--disable-redirect-access-to-syslog", "--log-syslog-prefix",
                   "shop", "--log-syslog-to", f"udp://127.0.0.1:{log.socket.getsockname()[1]}",
                   access_log=True)
    server.get("/quiet")
    with server.client() as client:
        client.send(b"BAD\r\n\r\n")
        client.response()
    assert log.wait_for("Invalid request").startswith(b"<12>gunicorn.shop.error: [")
    wait_until(lambda: server.access_lines())
    assert not any(b"quiet" in packet for packet in log.receive())


def test_lines_wait_for_a_daemon_that_is_away(serve, daemon, tmp_path):
    path = str(tmp_path / "log")
    server = serve("--log-syslog", "--log-syslog-to", f"unix://{path}")
    server.wait_for_log("cannot write to unix://")
    server.get("/patient")
    log = daemon(socket.AF_UNIX, socket.SOCK_DGRAM, path)
    log.wait_for("GET /patient")
    assert any(b"Starting licorne" in packet for packet in log.receive())
    server.wait_for_log("can be written again; no record was lost")


@pytest.mark.parametrize("arguments, message", [
    (["--log-syslog", "--log-syslog-to", "localhost"],
     "syslog_addr (--log-syslog-to on the command line): 'localhost' is no address of syslog"),
    (["--log-syslog-facility", "local9"], "'local9' is none of auth authpriv"),
    (["--statsd-host", "h:port"], "'port' is not a valid port number."),
])
def test_bad_addresses_are_refused(arguments, message):
    done = run("--check-config", *arguments, HELLO_MODULE)
    assert done.returncode == 1 and message in done.stderr


# --- statsd --------------------------------------------------------------------------------------

def statsd_of(daemon):
    log = daemon(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
    return log, f"127.0.0.1:{log.socket.getsockname()[1]}"


def test_statsd_gets_one_packet_for_each_metric(serve, daemon):
    log, address = statsd_of(daemon)
    server = serve("--statsd-host", address)
    log.wait_for("gunicorn.workers:1|g")
    server.get("/nowhere")
    log.wait_for("gunicorn.request.status.404:1|c|@1.0")
    assert b"gunicorn.requests:1|c|@1.0" in log.packets
    duration = log.wait_for("gunicorn.request.duration:")
    assert float(duration[len("gunicorn.request.duration:"):-len("|ms")]) > 0
    server.send_signal(signal.SIGTTIN)
    log.wait_for("gunicorn.workers:2|g")


def test_prefix_and_tags_dress_each_metric(serve, daemon):
    log, address = statsd_of(daemon)
    serve("--statsd-host", address, "--statsd-prefix", "pre.fix..", "--dogstatsd-tags", "a:1,b",
          "--enable-backlog-metric")
    log.wait_for("pre.fix.gunicorn.workers:1|g|#a:1,b")
    log.wait_for("pre.fix.gunicorn.backlog:0|h|#a:1,b")


def test_warnings_are_counted_also_when_the_level_hides_them(serve, daemon):
    log, address = statsd_of(daemon)
    server = serve("--statsd-host", address, "--log-level", "critical", wait=False)
    log.wait_for("gunicorn.workers:1|g")
    wait_until(server.workers)
    with server.client() as client:
        client.send(b"BAD\r\n\r\n")
        client.response()
    log.wait_for("gunicorn.log.warning:1|c|@1.0")


def test_metrics_are_no_lines_of_the_log(serve, daemon, tmp_path):
    log, address = statsd_of(daemon)
    server = serve("--statsd-host", address, "--log-syslog",
                   "--log-syslog-to", f"unix://{tmp_path}/nowhere")
    server.wait_for_log("cannot write to unix://")
    log.wait_for("gunicorn.workers:1|g")
    assert server.stop() == 0
    assert "|c|@1.0" not in server.stderr


def test_a_reload_turns_statsd_on(serve, daemon, tmp_path):
    log, address = statsd_of(daemon)
    config = tmp_path / "licorne.ini"
    config.write_text("[server]\n")
    server = serve("-c", config)
    config.write_text(f"[server]\nstatsd_host = {address}\n")
    server.send_signal(signal.SIGHUP)
    log.wait_for("gunicorn.workers:")
    server.get("/")
    log.wait_for("gunicorn.request.status.200")


# --- whose the files are -------------------------------------------------------------------------

@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_log_files_belong_to_the_user_of_the_workers(serve, tmp_path):
    nobody = pwd.getpwnam("nobody")
    log, access = tmp_path / "error.log", tmp_path / "access.log"
    server = serve("--user", "nobody", "--group", str(nobody.pw_gid), "--error-logfile", log,
                   "--access-logfile", access, wait=False)
    wait_until(lambda: log.exists() and "Listening at" in log.read_text(), 15)
    for path in (log, access):
        about = path.stat()
        assert (about.st_uid, about.st_gid) == (nobody.pw_uid, nobody.pw_gid)
    log.rename(tmp_path / "error.old")
    server.send_signal(signal.SIGUSR1)
    wait_until(log.exists)
    wait_until(lambda: log.stat().st_uid == nobody.pw_uid)


# --- what applications print ---------------------------------------------------------------------

def test_what_the_application_prints_goes_to_the_error_log(start, tmp_path):
    log = tmp_path / "error.log"
    (tmp_path / "talks.py").write_text("""
import os, subprocess, sys
def application(environ, start_response):
    print("a word", flush=True)
    sys.stderr.write("a complaint\\n")
    subprocess.run(["echo", "a child's"])
    os.write(1, b"half a ")
    os.write(1, b"line\\n" + b"x" * 40000 + b"\\n")
    start_response("200 OK", [("Content-Length", "0")])
    return []
""")
    server = start("--capture-output", "--error-logfile", log, "--chdir", tmp_path,
                   "talks:application", wait=False)
    wait_until(lambda: log.exists() and "Booting worker" in log.read_text(), 15)
    wait_until(server.workers)
    assert server.get("/").status == 200
    lines = wait_until(lambda: "x" * 10 in log.read_text() and log.read_text().splitlines())
    for line in ("a word", "a complaint", "a child's", "half a line"):
        assert line in lines
    log.rename(tmp_path / "old.log")
    server.send_signal(signal.SIGUSR1)
    wait_until(log.exists)
    assert server.get("/").status == 200
    wait_until(lambda: "a word" in log.read_text())
    server.stop()
    assert "\n" + "x" * 40000 + "\n" in (tmp_path / "old.log").read_text()
    assert server.stdout == ""


def test_without_a_file_output_stays_where_it_is(start, tmp_path):
    (tmp_path / "talks.py").write_text("""
def application(environ, start_response):
    print("a word", flush=True)
    start_response("200 OK", [("Content-Length", "0")])
    return []
""")
    server = start("--capture-output", "--chdir", tmp_path, "talks:application")
    server.get("/")
    wait_until(lambda: "a word" in server.stdout)
