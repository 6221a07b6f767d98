"""licornectl tells a running server what to do, and strangers nothing."""
import os
import signal

import pytest

from licorne import BUILD, HELLO_MODULE, run
from waiting import wait_until


def ctl(*arguments):
    return run(*arguments, program=BUILD / "bin" / "licornectl")


@pytest.fixture
def server(start, tmp_path):
    """A server of two workers with a pidfile."""
    running = start(HELLO_MODULE, "-w", "2", "--pid", tmp_path / "pid", access_log=True)
    running.pidfile = tmp_path / "pid"
    running.wait_for_workers(2)
    assert running.get("/").status == 200
    return running


def accepted(server, *command):
    done = ctl("-p", server.pidfile, *command)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_ping_finds_the_server_by_pidfile_and_by_number(server):
    assert accepted(server, "ping") == f"licorne {server.pid} is there\n"
    assert ctl("--pid", server.pid, "ping").returncode == 0


def test_reload_replaces_the_workers(server):
    before = server.workers()
    accepted(server, "reload")
    server.wait_for_workers(2, without=before)


def test_reopen_opens_the_rotated_log_anew(server):
    server.access_path.rename(server.access_path.with_suffix(".1"))
    accepted(server, "reopen")
    wait_until(server.access_path.exists, 5, "a new access log")


def test_workers_are_added_and_removed(server):
    accepted(server, "worker", "add")
    server.wait_for_workers(3)
    accepted(server, "worker", "add", "2")
    server.wait_for_workers(5)
    accepted(server, "worker", "remove", "4")
    server.wait_for_workers(1)


@pytest.mark.parametrize("how", [[], ["graceful"], ["quick"]])
def test_shutdown_ends_the_server(server, how):
    accepted(server, "shutdown", *how)
    assert server.process.wait(10) == 0
    assert not server.pidfile.exists()


@pytest.mark.parametrize("arguments, complaint", [
    ([], "which command?"),
    (["ping"], "name the server with either -p PIDFILE or --pid PID"),
    (["--pid", "1", "relaod"], "unknown command 'relaod'"),
    (["--pid", "1", "worker"], "worker needs: add or remove"),
    (["--pid", "1", "worker", "add", "x"], "'x' is no number from 1 to 100"),
    (["--pid", "1", "shutdown", "now"], "shutdown is graceful or quick, not 'now'"),
    (["--pid", "1", "ping", "pong"], "too many words: 'pong'"),
    (["--pid", "x", "ping"], "'x' is no process id"),
    (["--nope"], "unrecognized option '--nope'"),
    (["-x"], "unrecognized option '-x'"),
    (["-xy"], "unrecognized option '-x'"),
    (["ping", "-p"], "option '-p' needs a value"),
    (["ping", "--pid"], "option '--pid' needs a value"),
    (["--help=me"], "option '--help=me' takes no value"),
])
def test_wrong_usage_is_explained_and_ends_with_2(arguments, complaint):
    done = ctl(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    usage, error = done.stderr.splitlines()
    assert usage == "usage: licornectl [-p PIDFILE | --pid PID] COMMAND"
    assert error.startswith(f"licornectl: error: {complaint}")


def test_a_stranger_gets_no_signal(tmp_path):
    handler = signal.signal(signal.SIGHUP, lambda *_: pytest.fail("got a signal"))
    try:
        done = ctl("--pid", os.getpid(), "reload")
    finally:
        signal.signal(signal.SIGHUP, handler)
    assert done.returncode == 69
    assert done.stderr == f"Error: process {os.getpid()} is not a Licorne master\n"
    missing = ctl("-p", tmp_path / "missing", "ping")
    assert missing.returncode == 69 and str(tmp_path / "missing") in missing.stderr


def test_help_and_version_end_with_0():
    for words in (["--help"], ["-h"], ["help"]):
        shown = ctl(*words)
        assert shown.returncode == 0 and "worker add [N]" in shown.stdout
    for word in ("--version", "-v"):
        shown = ctl(word)
        assert shown.returncode == 0 and shown.stdout.startswith("licornectl (licorne ")
