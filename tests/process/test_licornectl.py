"""licornectl asks a running server, tells it what to do, and strangers nothing."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest

from licorne import BUILD, HELLO_MODULE, RUN_DIR, environment, run
from load import Load
from waiting import wait_until

PROGRAM = BUILD / "bin" / "licornectl"


def ctl(*arguments, **options):
    return run(*arguments, program=PROGRAM, **options)


def begin(start, tmp_path, *arguments):
    """A server of two workers with a pidfile."""
    running = start(HELLO_MODULE, "-w", "2", "--pid", tmp_path / "pid", *arguments,
                    access_log=True)
    running.pidfile = tmp_path / "pid"
    running.wait_for_workers(2)
    assert running.get("/").status == 200
    return running


@pytest.fixture(params=["socket", "signals"])
def server(start, tmp_path, request):
    """One that is told over its control socket, and one that has none."""
    return begin(start, tmp_path, *["--no-control-socket"][:request.param == "signals"])


@pytest.fixture
def asked(start, tmp_path):
    """One with a control socket; ctl("-s", asked.control_path, …) speaks to it."""
    return begin(start, tmp_path)


def accepted(server, *command):
    done = ctl("-p", server.pidfile, *command)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# --- orders, over the socket or by signals --------------------------------------------------------

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


# --- questions and their answers -----------------------------------------------------------------

def answer(server, *arguments):
    done = ctl("-s", server.control_path, *arguments)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def test_show_workers_is_the_table_of_gunicornc(asked):
    lines = answer(asked, "show", "workers").splitlines()
    assert lines[:2] == ["PID        AGE    BOOTED   LAST_BEAT", "-" * 40]
    for age, (line, pid) in enumerate(zip(lines[2:4], asked.workers(), strict=True), 1):
        assert re.fullmatch(rf"{pid:<10} {age:<6} yes      \d+\.\ds ago", line)
    assert lines[4:] == ["", "Total: 2 workers"]


def test_a_command_is_words_or_one_argument(asked):
    assert answer(asked, "-c", "show listeners") == answer(asked, "SHOW", "listeners")


def test_other_show_commands_have_tables_too(asked):
    assert f"http://127.0.0.1:{asked.port}" in answer(asked, "show listeners").split()
    assert f"Master (pid {asked.pid})" in answer(asked, "show all")
    assert re.search(r"^responses\.2xx +1$", answer(asked, "show stats"), re.M)
    assert re.search(r"^workers +2$", answer(asked, "show config"), re.M)
    assert "Total: 0 requests" in answer(asked, "show requests")
    assert "worker add [N] [--wait]" in answer(asked, "help")


def test_json_is_indented_by_two_and_what_has_no_table_is_json(asked):
    text = answer(asked, "-j", "show workers")
    assert json.loads(text)["count"] == 2
    assert text == json.dumps(json.loads(text), indent=2) + "\n"
    assert answer(asked, "reopen") == '{\n  "status": "reopening"\n}\n'


def test_what_the_server_refuses_ends_with_1(asked):
    for arguments, error in [
            (["frob"], "Error: Invalid argument: Unknown command: frob\n"),
            (["worker", "kill", "1"], "Error: Worker 1 not found\n"),
            (["dirty", "add"], "Error: Dirty arbiter not running\n"),
            (["worker", "add", "x"], "Error: Invalid argument: invalid literal for int() "
                                     "with base 10: 'x'\n")]:
        done = ctl("-s", asked.control_path, *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", error)
    refused = ctl("-s", asked.control_path, "-j", "worker", "kill", "1")
    assert refused.returncode == 1 and json.loads(refused.stdout)["success"] is False


def test_what_clients_sent_moves_no_cursor(serve):
    server = serve()
    thread = threading.Thread(target=server.get, args=("/slow?3\x85",))
    thread.start()
    shown = wait_until(lambda: (text := answer(server, "show", "requests")).count("/slow") and text)
    assert shown.isprintable() or set(c for c in shown if not c.isprintable()) == {"\n"}
    thread.join()


def test_a_word_that_cannot_be_sent_is_not_left_out(asked):
    for arguments in ["shutdown", b"\xff"], ["worker", "add", b"2\xff"]:
        done = subprocess.run([PROGRAM, "-s", asked.control_path, *arguments], timeout=20,
                              capture_output=True, text=True, env=environment(), check=False)
        assert (done.returncode, done.stderr) == (1, "Error: the command is not UTF-8\n")
    assert len(asked.workers()) == 2


def test_the_prompt_takes_commands_until_quit(asked):
    done = subprocess.run([PROGRAM, "-s", asked.control_path], capture_output=True, text=True,
                          input="ping\n\nfrob\nshow workers\nquit\nping\n", timeout=20,
                          env=environment(), check=False)
    assert done.returncode == 0
    assert done.stdout.startswith(f"licorne {asked.pid} is there\nPID ")
    assert done.stdout.endswith("Total: 2 workers\n")
    assert done.stderr == "Error: Invalid argument: Unknown command: frob\n"


# --- --wait --------------------------------------------------------------------------------------

def test_reload_with_wait_ends_when_the_new_workers_serve(asked):
    before = asked.workers()
    assert json.loads(answer(asked, "reload", "--wait")) == {"status": "reloaded"}
    states = json.loads(answer(asked, "-j", "show", "workers"))["workers"]
    assert not {w["pid"] for w in states if w["state"] == "serving"} & set(before)


PART = """
def application(environ, start_response):
    start_response("200 OK", [])
    return []
"""


@pytest.mark.parametrize("text, reason", [
    ("import part\ntext = nonsense\n", "NameError: name 'nonsense' is not defined"),
    ("import missing_neighbour\n", "ModuleNotFoundError: No module named 'missing_neighbour'"),
    ("text = (\n", "SyntaxError: '(' was never closed"),
    ("raise ValueError('first line\\nsecond')\n", "ValueError: first line"),
])
def test_reload_with_wait_tells_what_is_wrong_with_the_application(start, tmp_path, text, reason):
    (tmp_path / "app.py").write_text("from part import application\n")
    (tmp_path / "part.py").write_text(PART)
    server = start("--chdir", tmp_path, "app")
    assert server.get("/").status == 200
    (tmp_path / "part.py").write_text(text)
    done = ctl("-s", server.control_path, "--wait", "reload")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "application app cannot be loaded: " + reason.partition("'('")[0] in line
    assert f"{tmp_path / 'part.py'}, line" in line


def test_reload_with_wait_ends_with_1_and_the_reason(start, tmp_path):
    config = tmp_path / "licorne.ini"
    config.write_text("[server]\nworkers = 1\n")
    server = start("-c", config, HELLO_MODULE)
    config.write_text("[server]\nworkers = none\n")
    done = ctl("-s", server.control_path, "--wait", "reload")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Not reloaded: ") and "licorne.ini:2" in done.stderr


def test_shutdown_with_wait_ends_when_all_is_over(asked):
    assert json.loads(answer(asked, "shutdown", "--wait"))["status"] == "stopped"
    assert asked.workers() == [] and not asked.pidfile.exists()
    assert asked.process.wait(5) == 0


def test_worker_add_with_wait_ends_when_they_serve(asked):
    answer(asked, "worker", "add", "2", "--wait")
    states = json.loads(answer(asked, "-j", "show", "workers"))["workers"]
    assert [w["state"] for w in states] == ["serving"] * 4


def test_a_server_that_does_not_answer_is_given_up(asked):
    asked.send_signal(signal.SIGSTOP)
    try:
        done = ctl("-s", asked.control_path, "-t", "1", "ping")
    finally:
        asked.send_signal(signal.SIGCONT)
    assert done.returncode == 75
    assert "gave no answer within 1 s" in done.stderr


def test_a_server_that_takes_no_calls_is_given_up_too(asked):
    asked.send_signal(signal.SIGSTOP)
    callers = []
    try:
        with pytest.raises(BlockingIOError):
            while True:
                callers.append(socket.socket(socket.AF_UNIX))
                callers[-1].setblocking(False)
                callers[-1].connect(asked.control_path)
        done = ctl("-s", asked.control_path, "-t", "1", "ping")
    finally:
        asked.send_signal(signal.SIGCONT)
        for caller in callers:
            caller.close()
    assert done.returncode == 75
    assert "took no call within 1 s" in done.stderr


# --- finding the server --------------------------------------------------------------------------

@pytest.fixture
def alone(start, tmp_path):
    """Servers in a run-time folder that no other test uses, and licornectl with that."""
    folder = os.path.join(RUN_DIR, f"alone-{time.monotonic_ns()}")
    os.mkdir(folder)
    return folder


def ctl_in(folder, *arguments):
    return ctl(*arguments, env={"XDG_RUNTIME_DIR": folder})


def needs_empty_places(done):
    """A server of somebody else's in /run/licorne or /tmp/licorne-UID is found, too."""
    if "/run/licorne/" in done.stderr or "/tmp/licorne-%d/" % os.getuid() in done.stderr:
        pytest.skip("another server runs on this machine")


def test_the_only_server_needs_no_name_and_of_several_one_has_to_be_chosen(start, alone):
    first = start(HELLO_MODULE, env={"XDG_RUNTIME_DIR": alone})
    done = ctl_in(alone, "ping")
    needs_empty_places(done)
    assert done.stdout == f"licorne {first.pid} is there\n"

    second = start(HELLO_MODULE, env={"XDG_RUNTIME_DIR": alone})
    done = ctl_in(alone, "ping")
    assert done.returncode == 69
    for server in first, second:
        assert f"licornectl -s {server.control_path} ...  (pid {server.pid})" in done.stderr
        assert ctl_in(alone, "--pid", server.pid, "ping").stdout == \
            f"licorne {server.pid} is there\n"


def test_where_no_server_is_that_is_said(alone, tmp_path):
    done = ctl_in(alone, "ping")
    if done.returncode == 0:
        pytest.skip("another server runs on this machine")
    needs_empty_places(done)
    assert done.returncode == 69
    assert done.stderr.startswith(f"Error: no server listens in {alone}/licorne, ")
    assert "--no-control-socket" in done.stderr
    done = ctl("-s", tmp_path / "no.ctl", "ping")
    assert done.returncode == 69
    assert done.stderr.startswith(f"Error: no server listens at '{tmp_path}/no.ctl'.")


def test_without_a_socket_questions_are_refused_and_nothing_is_sent(start, tmp_path):
    server = begin(start, tmp_path, "--no-control-socket")
    for arguments in (["show", "workers"], ["reload", "--wait"], ["-c", "show stats"]):
        done = ctl("-p", server.pidfile, *arguments)
        assert done.returncode == 69 and "-s PATH" in done.stderr
    assert "Handling signal" not in server.stderr


# --- top -----------------------------------------------------------------------------------------

def test_top_once_is_one_picture_of_the_load(asked):
    with Load(asked, connections=2) as load:
        load.wait_for_answers(20)
        text = answer(asked, "top", "--once", "-d", "0.5")
    lines = text.splitlines()
    assert lines[0].startswith("licorne ") and f"pid {asked.pid}" in lines[0]
    assert f"127.0.0.1:{asked.port}" in lines[1]
    assert lines[2].startswith("Workers   2 of 2")
    requests = re.match(r"Requests  ([\d.]+)(k?)/s   2xx ([\d.]+)k?", lines[3])
    assert float(requests[1]) > 0 and requests[1] == requests[3]
    p50, p90, p99, most = map(float, re.findall(r"([\d.]+) ms", lines[4]))
    assert 0 < p50 <= p90 <= p99 <= most
    assert lines[7].split() == ["PID", "AGE", "STATE", "CONN", "BUSY", "REQ/S", "CPU%", "RSS",
                                "REQUEST"]
    assert [line.split()[0] for line in lines[8:]] == list(map(str, asked.workers()))
    assert all(line.split()[2] == "serving" for line in lines[8:])


def test_top_shows_the_request_in_hand_and_as_many_pictures_as_asked_for(serve):
    server = serve()
    thread = threading.Thread(target=server.get, args=("/slow?3",))
    thread.start()
    wait_until(lambda: "Total: 1 requests" in answer(server, "show", "requests"))
    text = answer(server, "top", "-n", "2", "-d", "0.1")
    assert text.count("licorne ") == 2
    assert re.search(r"s GET /slow\?3 for 127\.0\.0\.1$", text, re.M)
    assert "1 busy" in text
    thread.join()


def test_top_without_a_terminal_is_one_picture(asked):
    assert answer(asked, "top", "-d", "0.1").count("Latency") == 1


class Screen:
    """licornectl top on a terminal of its own."""

    def __init__(self, server, term, lines, columns):
        self.end, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen([PROGRAM, "-s", server.control_path, "top", "-d", "0.2"],
                                        stdin=end, stdout=end, stderr=end, close_fds=True,
                                        env=environment({"TERM": term}), start_new_session=True)
        os.close(end)
        self.shown = b""

    def wait_for(self, text):
        def came():
            if select.select([self.end], [], [], 0)[0]:
                self.shown += os.read(self.end, 65536)
            return text in self.shown
        wait_until(came, 15, f"{text!r} on the screen")

    def press(self, key):
        self.shown = b""
        os.write(self.end, key)

    def finish(self):
        """Its exit code. What it still says has to be read, or it could not end."""
        def ended():
            if select.select([self.end], [], [], 0)[0]:
                try:
                    self.shown += os.read(self.end, 65536)
                except OSError:
                    pass
            return self.process.poll() is not None
        wait_until(ended, 15, "the end of top")
        os.close(self.end)
        return self.process.returncode


@pytest.mark.parametrize("term, lines, columns", [
    ("xterm", 24, 80), ("screen", 24, 80), ("vt100", 24, 80), ("xterm-256color", 6, 30)])
def test_top_fits_any_screen_and_leaves_with_q(asked, term, lines, columns):
    screen = Screen(asked, term, lines, columns)
    screen.wait_for(b"licorne ")
    screen.wait_for(b"Requests")
    screen.wait_for(b"q quit")
    screen.press(b" ")
    screen.wait_for(b"paused")
    screen.press(b"q")
    assert screen.finish() == 0


def test_top_ends_with_its_terminal(asked):
    screen = Screen(asked, "xterm", 24, 80)
    screen.wait_for(b"q quit")
    os.close(screen.end)
    assert screen.process.wait(15) == 0


def test_top_without_keys_is_one_picture(asked):
    """On a terminal whose keys it cannot read, it could not be told to stop."""
    end, terminal = pty.openpty()
    done = subprocess.run([PROGRAM, "-s", asked.control_path, "top", "-d", "0.1"],
                          stdin=subprocess.DEVNULL, stdout=terminal, timeout=15, check=False,
                          env=environment({"TERM": "xterm"}))
    os.close(terminal)
    assert done.returncode == 0
    assert os.read(end, 65536).count(b"Latency") == 1
    os.close(end)


def test_top_says_that_the_server_has_gone(asked):
    screen = Screen(asked, "xterm", 24, 80)
    screen.wait_for(b"Requests")
    asked.stop()
    screen.wait_for(b"No answer for ")
    screen.press(b"\x03")
    os.kill(screen.process.pid, signal.SIGINT)
    assert screen.finish() == 130


def test_top_says_how_old_the_picture_is_and_goes_on_with_the_next_server(start, tmp_path):
    path = tmp_path / "a.ctl"
    first = start("--control-socket", path, HELLO_MODULE)
    screen = Screen(first, "xterm", 24, 80)
    screen.wait_for(b"Requests")
    first.stop()
    screen.wait_for(b"No answer for ")
    screen.shown = b""
    second = start("--control-socket", path, HELLO_MODULE)
    screen.wait_for(b"q quit")  # once more, where the trouble stood
    assert ctl("-s", path, "ping").stdout == f"licorne {second.pid} is there\n"
    screen.press(b"q")
    assert screen.finish() == 0


def test_top_obeys_keys_while_the_server_does_not_answer(asked):
    screen = Screen(asked, "xterm", 24, 80)
    screen.wait_for(b"Requests")
    asked.send_signal(signal.SIGSTOP)
    try:
        screen.wait_for(b"No answer for ")
        screen.press(b"q")
        assert screen.finish() == 0
    finally:
        asked.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("term", ["no-such-terminal", "dumb"])
def test_top_on_a_terminal_that_cannot_draw_is_refused(asked, term):
    screen = Screen(asked, term, 24, 80)
    assert screen.finish() == 1
    assert b"top --once" in screen.shown


# --- wrong usage ---------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, complaint", [
    (["--wait"], "--wait for which command?"),
    (["-p", "x", "--pid", "1", "ping"], "name the server once: by -s, -p or --pid"),
    (["-c", "ping", "pong"], "there are two commands: 'ping' and 'pong'"),
    (["top", "gun"], "too many words: 'gun'"),
    (["top", "-j"], "top draws pictures; show metrics is JSON"),
    (["top", "-d", "0"], "'0' is no number of seconds from 0.1"),
    (["top", "-n", "x"], "'x' is no number of pictures"),
    (["-t", "x", "ping"], "'x' is no number of seconds"),
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
    assert usage.startswith("usage: licornectl [-s PATH | -p PIDFILE | --pid PID]")
    assert error.startswith(f"licornectl: error: {complaint}")


@pytest.mark.parametrize("words, complaint", [
    (["worker"], "worker needs: add or remove"),
    (["worker", "add", "x"], "'x' is no number from 1 to 100"),
    (["shutdown", "now"], "shutdown is graceful or quick, not 'now'"),
    (["ping", "pong"], "too many words: 'pong'"),
])
def test_what_no_signal_says_is_refused(start, tmp_path, words, complaint):
    server = begin(start, tmp_path, "--no-control-socket")
    done = ctl("--pid", server.pid, *words)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"licornectl: error: {complaint}")


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
