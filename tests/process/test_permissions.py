"""Whose the server's files are, and what is said when it lacks a right: the path, who, and which."""
import grp
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import tempfile
import time

import pytest

from client import Client
from licorne import HELLO_MODULE, PROGRAM, Licorne, environment, run
from waiting import wait_until

SETPRIV = pathlib.Path(shutil.which("setpriv") or "/usr/bin/setpriv")
NOBODY = 65534
AS_NOBODY = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not SETPRIV.exists(),
                                reason="becomes another user")


@pytest.fixture
def place():
    """A folder that everybody may pass through, and root alone write to."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="lc-perm-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def refused(*arguments, code=1, env=None):
    """What a server that nobody starts says before it ends."""
    done = run(*AS_NOBODY, PROGRAM, "-b", "127.0.0.1:0", *arguments, HELLO_MODULE, program=SETPRIV,
               folder="/", env={"XDG_RUNTIME_DIR": None, **(env or {})}, seconds=60)
    assert done.returncode == code, done.stderr
    return done.stderr


# ---- sockets -----------------------------------------------------------------------------------

def rights(path):
    about = os.stat(path)
    return oct(stat.S_IMODE(about.st_mode)), about.st_uid, about.st_gid


def test_a_socket_has_the_rights_that_umask_leaves_by_default(start, place):
    start("-b", f"unix:{place}/s", "--umask", "0007", HELLO_MODULE)
    assert rights(place / "s") == ("0o770", 0, 0)


def test_mode_user_and_group_of_a_socket_can_be_said(start, place):
    start("-b", f"unix:{place}/s", "--socket-mode", "0660", "--socket-user", "nobody",
          "--socket-group", "www-data", HELLO_MODULE)
    assert rights(place / "s") == ("0o660", NOBODY, grp.getgrnam("www-data").gr_gid)


def test_a_socket_is_its_workers_unless_it_is_given_to_others(start, place):
    start("-b", f"unix:{place}/s", "-u", "nobody", "-g", str(NOBODY), HELLO_MODULE)
    assert rights(place / "s") == ("0o777", NOBODY, NOBODY)
    start("-b", f"unix:{place}/t", "-u", "nobody", "-g", str(NOBODY), "--socket-group", "0",
          "--socket-mode", "0600", HELLO_MODULE)
    assert rights(place / "t") == ("0o600", NOBODY, 0)


def test_only_whom_the_mode_lets_in_can_connect(start, place):
    start("-b", f"unix:{place}/s", "--socket-mode", "0600", HELLO_MODULE)
    with Client(f"{place}/s") as client:
        assert client.get("/").status == 200
    pid = os.fork()
    if pid == 0:
        os.setresuid(NOBODY, NOBODY, NOBODY)
        with socket.socket(socket.AF_UNIX) as s:
            os._exit(s.connect_ex(f"{place}/s") == 13)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def test_the_socket_of_metrics_has_these_rights_too(start, place):
    server = start("--metrics-bind", f"unix:{place}/m", "--socket-mode", "0640", HELLO_MODULE)
    server.wait_for_log("Metrics and health at: ")
    assert rights(place / "m") == ("0o640", 0, 0)


def test_a_file_says_it_in_pythons_octal(start, place):
    conf = place / "licorne.ini"
    conf.write_text(f"[server]\nbind = unix:{place}/s\nsocket_mode = 0o640\nlog_file_mode = 0o600\n"
                    f"errorlog = {place}/error.log\n")
    server = Licorne("-c", conf, HELLO_MODULE, folder=place / "server", bind=False)
    try:
        wait_until(lambda: (place / "s").exists() and (place / "error.log").exists(), 20)
        wait_until(lambda: rights(place / "s")[0] == "0o640")
        assert rights(place / "error.log")[0] == "0o600"
        server.stop()
    finally:
        server.kill()


def test_who_may_not_give_a_socket_away_is_told_so(place):
    place.chmod(0o777)
    said = refused("-b", f"unix:{place}/s", "--socket-user", "0")
    assert f"'{place}/s': uid {NOBODY} may not give it to user 0, group {NOBODY}" in said
    assert not (place / "s").exists()


# ---- log files ---------------------------------------------------------------------------------

def test_a_new_log_file_has_its_mode_and_an_old_one_keeps_its_own(start, place):
    old, new = place / "old.log", place / "new.log"
    old.touch(mode=0o604)
    old.chmod(0o604)
    server = start("--log-file-mode", "0660", "--access-logfile", new, HELLO_MODULE)
    wait_until(new.exists)
    assert rights(new)[0] == "0o660"
    server.get("/")
    new.rename(place / "moved.log")
    server.send_signal(10)  # SIGUSR1: opened anew
    wait_until(new.exists)
    wait_until(lambda: rights(new)[0] == "0o660")
    start("--log-file-mode", "0660", "--access-logfile", old, HELLO_MODULE)
    assert rights(old)[0] == "0o604"


# ---- what is said ------------------------------------------------------------------------------

FOLDER = "(of uid 0, gid 0; mode 0755)"


def test_a_socket(place):
    assert (f"bind = unix:{place}/s: bind: Permission denied: uid {NOBODY} may not make files in "
            f"the folder '{place}' {FOLDER}") in refused("-b", f"unix:{place}/s")


def test_a_pidfile(place):
    assert (f"cannot create '{place}/pid': Permission denied: uid {NOBODY} may not make files in "
            f"the folder '{place}' {FOLDER}") in refused("--pid", place / "pid")


def test_a_log_file_that_cannot_be_made(place):
    assert (f"cannot open '{place}/e.log' for appending as uid {NOBODY}: Permission denied: uid "
            f"{NOBODY} may not make files in the folder '{place}' {FOLDER}") in refused(
                "--error-logfile", place / "e.log")


def test_a_log_file_of_somebody_elses(place):
    (place / "e.log").touch(mode=0o640)
    (place / "e.log").chmod(0o640)
    assert (f"uid {NOBODY} may not write '{place}/e.log' (of uid 0, gid 0; mode 0640)") in refused(
        "--error-logfile", place / "e.log")


def test_a_folder_on_the_way(place):
    closed = place / "closed"
    closed.mkdir()
    closed.chmod(0o700)
    (closed / "logs").mkdir(0o777)
    assert (f"uid {NOBODY} may not pass through the folder '{closed}' "
            "(of uid 0, gid 0; mode 0700)") in refused("--error-logfile", closed / "logs" / "e.log")


def test_a_certificate(place):
    (place / "cert.pem").write_text("no certificate, but nobody comes to see that")
    (place / "cert.pem").chmod(0o600)
    assert (f"certfile = {place}/cert.pem: Permission denied: uid {NOBODY} may not read "
            f"'{place}/cert.pem' (of uid 0, gid 0; mode 0600)") in refused(
                "--certfile", place / "cert.pem")


def as_nobody(place, *arguments):
    """A server of nobody's that runs until it is told to stop; its error log."""
    log = place / "stderr"
    with open(log, "wb") as err:
        process = subprocess.Popen(
            [str(part) for part in (SETPRIV, *AS_NOBODY, PROGRAM, *arguments, HELLO_MODULE)],
            stdin=subprocess.DEVNULL, stderr=err, cwd="/", env=environment({
                "XDG_RUNTIME_DIR": None}))
    return process, log


def test_the_control_socket(place):
    process, log = as_nobody(place, "-b", "127.0.0.1:0", "--control-socket", place / "ctl")
    try:
        wait_until(lambda: "No control socket: " in log.read_text(), 20)
        assert (f"'{place}/ctl': bind: Permission denied: uid {NOBODY} may not make files in the "
                f"folder '{place}' {FOLDER}") in log.read_text()
        time.sleep(0.2)
        assert process.poll() is None, "it goes on without"
    finally:
        process.terminate()
        process.wait(20)


def test_the_folder_for_uploads(start, place):
    """Whether it can be written to is seen by the worker, whoever that is."""
    (place / "up").mkdir()
    (place / "up").chmod(0o755)
    server = start("-u", "nobody", "-g", str(NOBODY), "--tmp-upload-dir", place / "up", HELLO_MODULE)
    body = b"x" * (2 << 20)
    with server.client() as client:
        client.send(b"POST /hello/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        try:
            client.send(body)
        except OSError:
            pass
        assert client.response().status == 500
    server.wait_for_log(
        f"a request body in tmp_upload_dir = {place}/up: Permission denied: uid {NOBODY} may not "
        f"make files in the folder '{place}/up' {FOLDER}")
