"""What cannot start says why in one clear line, with Gunicorn's exit codes, and no traceback."""
import os
import socket

import pytest

from licorne import APPS, HELLO_MODULE, PROGRAM, PYTHON, free_port, run
from waiting import wait_until


def lines(text):
    return [line for line in text.splitlines() if line]


def error_lines(text):
    return [line for line in text.splitlines() if "[ERROR]" in line]


def run_app(application, *arguments, **options):
    return run("-b", f"127.0.0.1:{free_port()}", *PYTHON, *arguments, application,
               **{"folder": APPS, **options})


# --- the command line: exit code 2 ---------------------------------------------------------------

@pytest.mark.parametrize("arguments, complaint", [
    (["--nope"], "unrecognized arguments: --nope"),
    (["--wor", "4"], "ambiguous option: --wor could match --workers"),
    (["-w", "x"], "argument -w/--workers: invalid int value: 'x'"),
    (["--bind"], "argument -b/--bind: expected one argument"),
])
def test_a_wrong_command_line_is_explained_and_ends_with_2(arguments, complaint):
    done = run("served", *arguments)
    assert done.returncode == 2 and done.stdout == ""
    usage, error = lines(done.stderr)
    assert usage == "usage: licorne [OPTIONS] [APP_MODULE]"
    assert error.startswith(f"licorne: error: {complaint}")


# --- the configuration: exit code 1 ----------------------------------------------------------------

@pytest.mark.parametrize("arguments, words", [
    (["-b", "127.0.0.1:x", "served"], ["'x' is not a valid port number."]),
    (["-c", "missing.ini", "served"], ["missing.ini"]),
    (["--keyfile", "/some.key", "served"], ["keyfile", "certfile is not set"]),
    (["-k", "gevent", "served"], ["worker_class", "gevent"]),
    ([], ["No application module specified."]),
])
def test_a_wrong_setting_is_named_and_ends_with_1(arguments, words, tmp_path):
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == 1
    [error] = lines(done.stderr)
    assert error.startswith("Error: ")
    for word in words:
        assert word in error


def test_a_pidfile_of_a_running_server_ends_with_1_and_says_so_alone(tmp_path):
    (tmp_path / "pid").write_text(f"{os.getpid()}\n")
    done = run_app("served", "--pid", tmp_path / "pid")
    assert done.returncode == 1
    assert lines(done.stderr) == [f"Error: Already running on PID {os.getpid()} "
                                  f"(or pid file '{tmp_path / 'pid'}' is stale)"]
    missing = run_app("served", "--pid", tmp_path / "missing" / "pid")
    assert missing.returncode == 1
    assert lines(missing.stderr) == [f"Error: {tmp_path / 'missing'} doesn't exist. "
                                     "Can't create pidfile."]


@pytest.mark.parametrize("line, words", [
    ("workers = many", ["licorne.ini:2", "workers", "many"]),
    ("wrokers = 2", ["licorne.ini:2", "wrokers", "workers"]),
    ("threads = 400", ["licorne.ini:2", "threads", "too many"]),
])
def test_a_wrong_line_in_a_file_is_named_with_its_number(line, words, tmp_path):
    (tmp_path / "licorne.ini").write_text(f"[server]\n{line}\n")
    done = run("-c", "licorne.ini", "served", folder=tmp_path)
    assert done.returncode == 1
    [error] = lines(done.stderr)
    for word in words:
        assert word in error


def test_a_port_in_use_is_named_after_five_attempts():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("-b", f"127.0.0.1:{port}", "served")
    assert done.returncode == 1
    assert done.stderr.count(f"Connection in use: ('127.0.0.1', {port})") == 5
    assert error_lines(done.stderr)[-1].endswith(f"Can't connect to ('127.0.0.1', {port})")


@pytest.mark.parametrize("bind, words", [
    ("80", "80 is taken for a host; the port 80 of all addresses is :80"),
    ("/run/shop.sock", "a unix socket is unix:/run/shop.sock"),
    ("unix:/nowhere/shop.sock", "there is no directory /nowhere"),
])
def test_an_address_that_was_meant_otherwise_gets_a_hint(bind, words):
    done = run("-b", bind, "served", folder=APPS)
    assert done.returncode == 1
    [error] = error_lines(done.stderr)
    assert f"bind = {bind}: " in error and words in error


def test_the_environment_and_the_command_line_are_sources_too(tmp_path):
    (tmp_path / "licorne.ini").write_text("[server]\nworkers = 2\ntimeout = 10\nbacklog = 7\n")
    done = run("--print-config", "-c", "licorne.ini", "-w", "4", *PYTHON, "--chdir", APPS, "served",
               folder=tmp_path, env={"GUNICORN_CMD_ARGS": "--timeout 20 --workers 3"})
    assert done.returncode == 0
    settings = dict(line.split("#")[0].split(" = ", 1) for line in lines(done.stdout))
    settings = {name.strip(): value.strip() for name, value in settings.items()}
    assert (settings["workers"], settings["timeout"], settings["backlog"]) == ("4", "20", "7")


# --- the application: exit codes 3 and 4 ------------------------------------------------------------

def test_a_missing_module_ends_with_3_and_says_where_it_was_sought():
    done = run_app("nowhere")
    assert done.returncode == 3
    first = error_lines(done.stderr)[0]
    assert "No module named 'nowhere'" in first and str(APPS) in first
    assert "Traceback" not in done.stderr
    assert error_lines(done.stderr)[-1].endswith("Reason: Worker failed to boot.")


def test_a_missing_application_in_a_module_ends_with_4():
    done = run_app("served:nothing")
    assert done.returncode == 4
    assert "Failed to find attribute 'nothing' in 'served'." in error_lines(done.stderr)[0]
    assert "Traceback" not in done.stderr
    assert error_lines(done.stderr)[-1].endswith("Reason: App failed to load.")


def test_a_file_name_instead_of_a_module_gets_a_hint():
    done = run_app("served.py")
    assert done.returncode == 3
    assert "did you mean 'served:application'?" in error_lines(done.stderr)[0]


def test_an_import_that_fails_shows_the_users_frames_only(tmp_path):
    (tmp_path / "broken.py").write_text("def load():\n    return 1 / 0\n\napplication = load()\n")
    done = run_app("broken", folder=tmp_path)
    assert done.returncode == 3
    assert "ZeroDivisionError" in done.stderr
    frames = [line for line in lines(done.stderr) if line.startswith('  File "')]
    assert [frame.split(", ", 1)[1] for frame in frames] == ["line 4, in <module>",
                                                             "line 2, in load"]


def test_a_missing_native_module_ends_with_4(tmp_path):
    done = run_app(tmp_path / "missing.so")
    assert done.returncode == 4
    assert f"there is no file {tmp_path}/missing.so" in error_lines(done.stderr)[0]


@pytest.mark.parametrize("how", ["--python", "VIRTUAL_ENV"])
def test_a_broken_virtual_environment_is_named(how, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(tmp_path / "gone")
    arguments = ["--python", tmp_path / "bin" / "python3"] if how == "--python" else []
    done = run("-b", f"127.0.0.1:{free_port()}", *arguments, "served", folder=APPS,
               env={"VIRTUAL_ENV": str(tmp_path)} if how == "VIRTUAL_ENV" else {})
    assert done.returncode == 3
    assert str(tmp_path) in error_lines(done.stderr)[0]
    assert "Traceback" not in done.stderr


# --- questions that are answered without serving ----------------------------------------------------

def test_help_and_version_end_with_0():
    shown = run("--help")
    assert shown.returncode == 0 and shown.stderr == ""
    assert "--graceful-timeout" in shown.stdout
    version = run("--version")
    assert version.returncode == 0 and version.stdout.startswith("licorne (version ")


def test_check_config_loads_the_application_and_serves_nothing():
    assert run("--check-config", *PYTHON, "served", folder=APPS).returncode == 0
    done = run("--check-config", *PYTHON, "served:nothing", folder=APPS)
    assert done.returncode == 1
    assert "Failed to find attribute 'nothing' in 'served'." in done.stderr


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    config = tmp_path / "bad.ini"
    config.write_text("[server]\nwrokers = 3\n  goes on\nbind = x:y\ntimout = 3\n")
    done = run("-c", config, "--check-config", HELLO_MODULE)
    assert done.returncode == 1
    assert done.stderr.splitlines()[1:] == [
        f"Error: {config}:2: there is no setting 'wrokers' (did you mean 'workers'?)",
        f"Error: {config}:5: there is no setting 'timout' (did you mean 'timeout'?)",
    ]
    config.write_text("[server]\ntimeout = soon\nbind = x:y\nchdir = /nowhere\n")
    done = run("-c", config, "--threads", "999", "--check-config", HELLO_MODULE)
    assert done.returncode == 1
    assert sorted(done.stderr.splitlines()[1:]) == sorted([
        f"Error: {config}:2: timeout: 'soon' is not a number",
        f"Error: {config}:4: chdir: there is no directory '/nowhere'",
        f"Error: {config}:3: bind: 'x:y': 'y' is not a valid port number.",
        "Error: threads (--threads on the command line): 999 are too many: at most 128",
    ])


# --- what the starter has left open ------------------------------------------------------------------

@pytest.mark.parametrize("closed", ["0<&-", "0<&- 1>&-", "0<&- 1>&- 2>&-"])
def test_standard_descriptors_may_be_closed(start, tmp_path, closed):
    """Else a client's connection, or a pipe of the server's own, would become stdout."""
    without = tmp_path / "licorne"
    without.write_text(f'#!/bin/sh\nexec {PROGRAM} "$@" {closed}\n')
    without.chmod(0o755)
    server = start("--chdir", APPS, "served", program=without, wait=False)
    wait_until(lambda: can_be_asked(server), 15, "an answer")
    assert [os.readlink(f"/proc/{server.pid}/fd/{fd}") for fd in range(closed.count("&-"))] == \
        ["/dev/null"] * closed.count("&-")
    assert server.stop() == 0


def can_be_asked(server):
    try:
        return server.get("/").status == 200
    except OSError:
        return False
