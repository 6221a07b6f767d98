"""The listener of metrics and health (metrics_bind): the master answers it, whatever the workers do
and whoever else connects."""
import os
import signal
import socket
import stat
import time

import pytest

from client import Client
from control import Control
from licorne import APPS, HELLO_MODULE, free_port, run
from test_metrics import one, read
from waiting import wait_until


@pytest.fixture
def watched(start):
    """watched(*arguments) is a server with metrics_bind; watched.ask(path) is its answer there."""
    def watched(*arguments, wait_for="Metrics and health at: ", **options):
        port = free_port()
        server = start("--metrics-bind", f"127.0.0.1:{port}", *arguments, **options)
        server.monitor = ("127.0.0.1", port)
        server.ask = lambda path="/readyz", **kind: ask(server.monitor, path, **kind)
        server.wait_for_log(wait_for)
        return server
    return watched


def ask(address, path, method="GET"):
    with Client(address) as client:
        client.send(f"{method} {path} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n".encode())
        response = client.response(method)
        assert client.rest() == b"" and response.is_last
        return response


def wait_until_ready(server):
    wait_until(lambda: server.ask().status == 200, 20, "/readyz is 200")


def wait_until_busy(server):
    wait_until(lambda: one(read(server.ask("/metrics").body.decode()), "licorne_workers",
                           state="busy") == 1, 10, "a busy worker")


# ---- what is answered --------------------------------------------------------------------------

def test_prometheus_finds_the_metrics_there(watched):
    server = watched(HELLO_MODULE)
    wait_until_ready(server)
    assert server.get("/").status == 200
    response = server.ask("/metrics")
    assert response.status == 200
    assert response.field("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert response.field("Date").endswith(" GMT")
    figures = read(response.body.decode())
    wait_until(lambda: one(read(server.ask("/metrics").body.decode()), "licorne_requests_total",
                           **{"class": "2xx"}) == 1)
    assert one(figures, "licorne_workers", state="idle") == 1


def test_head_has_the_fields_and_no_body(watched):
    server = watched(HELLO_MODULE)
    for path in "/metrics", "/livez":
        response = server.ask(path, method="HEAD")
        assert response.status == 200 and int(response.field("Content-Length")) > 0


def test_a_query_changes_nothing_and_other_paths_are_not_there(watched):
    server = watched(HELLO_MODULE)
    assert server.ask("/livez?verbose=1").status == 200
    for path in "/", "/metrics/", "/metric", "/METRICS", "/livez/x", "*", "//metrics":
        assert server.ask(path).status == 404, path


def test_other_methods_are_refused(watched):
    server = watched(HELLO_MODULE)
    response = server.ask("/metrics", method="POST")
    assert response.status == 405 and response.field("Allow") == "GET, HEAD"
    assert server.ask("/metrics", method="DELETE").status == 405


def test_nobody_listens_unless_asked_to(start):
    server = start(HELLO_MODULE)
    assert "Metrics and health" not in server.stderr


def test_a_unix_socket_does_as_well_and_goes_with_the_server(start, tmp_path):
    path = tmp_path / "monitor.sock"
    server = start("--metrics-bind", f"unix:{path}", "--umask", "0117", HELLO_MODULE)
    server.wait_for_log("Metrics and health at: ")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    wait_until(lambda: ask(str(path), "/readyz").status == 200)
    assert server.stop() == 0
    assert not path.exists()


# ---- health ------------------------------------------------------------------------------------

def test_a_server_whose_workers_are_all_busy_lives_and_is_ready(watched):
    server = watched("--chdir", APPS, "served")
    wait_until_ready(server)
    with server.client() as client:
        client.send(b"GET /slow?4 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until_busy(server)
        for path in "/livez", "/healthz", "/readyz":
            assert server.ask(path).status == 200, path


def test_it_is_not_ready_before_a_worker_can_serve(watched, tmp_path):
    (tmp_path / "late.py").write_text("import time\ntime.sleep(3)\n"
                                      "from served import application\n")
    server = watched("--chdir", tmp_path, "--pythonpath", APPS, "late:application")
    response = server.ask("/readyz")
    assert (response.status, response.body) == (503, b"not ready: no worker serves\n")
    assert server.ask("/livez").status == 200
    wait_until_ready(server)
    assert server.ask("/readyz").body == b"ready\n"


def test_it_is_not_ready_while_it_stops(watched):
    server = watched("--chdir", APPS, "served")
    wait_until_ready(server)
    with server.client() as client:
        client.send(b"GET /slow?3 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until_busy(server)
        server.send_signal(signal.SIGTERM)
        server.wait_for_log("Handling signal: term")
        response = server.ask("/readyz")
        assert (response.status, response.body) == (503, b"not ready: the server stops\n")
        assert server.ask("/livez").status == 200
        assert client.response().status == 200


def test_a_reload_is_never_unready(watched):
    server = watched("-w", "2", HELLO_MODULE)
    wait_until_ready(server)
    old = server.workers()
    server.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while set(server.workers()) & set(old):
        assert server.ask("/readyz").status == 200
        assert time.monotonic() < deadline
    assert server.ask("/readyz").status == 200


# ---- those who mean no good ----------------------------------------------------------------------

def test_the_head_may_come_in_pieces(watched):
    server = watched(HELLO_MODULE)
    with Client(server.monitor) as client:
        for byte in b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n":
            client.send(bytes([byte]))
        assert client.response().status == 200


@pytest.mark.parametrize("sent, status", [
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"GET /metrics\r\n\r\n", 400),
    (b"GET /livez HTTP/1.1\r\nno colon\r\n\r\n", 400),
    (b"GET /" + b"a" * 300 + b" HTTP/1.1\r\n\r\n", 414),
    (b"GET /" + b"a" * 5000, 414),
    (b"GET /livez HTTP/1.1\r\n" + b"X: " + b"y" * 20000, 431),
], ids=["tls", "no version", "no colon", "long", "longer", "long head"])
def test_what_is_no_request_is_refused(watched, sent, status):
    server = watched(HELLO_MODULE)
    with Client(server.monitor) as client:
        client.send(sent)
        assert client.response().status == status
    assert server.ask("/livez").status == 200


def test_silent_clients_keep_nobody_out_and_are_closed(watched):
    """More than there is room for; whoever asks is answered at once all the same."""
    server = watched(HELLO_MODULE)
    silent = [Client(server.monitor) for _ in range(100)]
    for client in silent[::2]:
        client.send(b"GET /metr")
    try:
        assert server.ask("/livez").status == 200
        assert server.ask("/metrics").status == 200
        count = len(os.listdir(f"/proc/{server.pid}/fd"))
        assert count < 100, "the master holds no more of them than it has room for"
        assert all(client.is_closed(within=15) for client in silent)
    finally:
        for client in silent:
            client.close()


def test_an_answer_that_nobody_reads_is_given_up(watched):
    server = watched("--chdir", APPS, "served")
    wait_until_ready(server)
    before = len(os.listdir(f"/proc/{server.pid}/fd"))
    clients = [Client(server.monitor, buffer=1024) for _ in range(10)]
    try:
        for client in clients:
            client.send(b"GET /metrics HTTP/1.1\r\n\r\n" * 500)
        assert server.ask("/livez").status == 200
        wait_until(lambda: len(os.listdir(f"/proc/{server.pid}/fd")) <= before, 20,
                   "they were closed")
    finally:
        for client in clients:
            client.close()


# ---- the address -------------------------------------------------------------------------------

def test_an_address_that_can_never_be_had_ends_the_start(start, tmp_path):
    server = start("--metrics-bind", f"unix:{tmp_path}/no/such.sock", HELLO_MODULE, wait=False)
    assert server.process.wait(20) == 1
    assert f"metrics_bind = unix:{tmp_path}/no/such.sock: there is no directory {tmp_path}/no" \
        in server.stderr


@pytest.mark.parametrize("text, why", [
    ("9100", "'9100': write HOST:PORT or unix:PATH"),
    ("fd://3", "'fd://3': write HOST:PORT or unix:PATH"),
    ("127.0.0.1:http", "'http' is not a valid port number."),
    ("unix:", "a path must follow 'unix:'"),
])
def test_what_is_no_address_is_refused(text, why):
    done = run("--check-config", "--metrics-bind", text, HELLO_MODULE)
    assert done.returncode == 1
    assert "metrics_bind" in done.stderr and why in done.stderr


def test_the_address_of_the_server_itself_is_refused():
    done = run("--check-config", "-b", "127.0.0.1:9", "--metrics-bind", "127.0.0.1:9", HELLO_MODULE)
    assert done.returncode == 1
    assert "metrics_bind" in done.stderr and "is one of bind" in done.stderr


def test_an_address_in_use_is_taken_when_it_is_free(watched):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = watched("--metrics-bind", f"127.0.0.1:{port}", HELLO_MODULE,
                         wait_for="it is tried again")
        assert f"metrics_bind = 127.0.0.1:{port}: bind: Address already in use" in server.stderr
        assert server.get("/").status == 200
    server.wait_for_log("Metrics and health at: ")
    assert ask(("127.0.0.1", port), "/livez").status == 200


def test_a_reload_moves_it(watched, tmp_path):
    conf = tmp_path / "licorne.ini"
    ports = [free_port(), free_port()]
    conf.write_text(f"[server]\nmetrics_bind = 127.0.0.1:{ports[0]}\n")
    from licorne import Licorne  # the fixture would add an address of its own
    server = Licorne("-c", conf, HELLO_MODULE, folder=tmp_path / "server").wait_until_listening()
    try:
        wait_until(lambda: ask(("127.0.0.1", ports[0]), "/readyz").status == 200)
        conf.write_text(f"[server]\nmetrics_bind = 127.0.0.1:{ports[1]}\n")
        server.send_signal(signal.SIGHUP)
        server.wait_for_log("Metrics and health at: ", count=2)
        assert ask(("127.0.0.1", ports[1]), "/readyz").status == 200
        with pytest.raises(ConnectionRefusedError):
            ask(("127.0.0.1", ports[0]), "/readyz")
        server.stop()
    finally:
        server.kill()


def test_an_upgrade_hands_it_on(watched, tmp_path):
    server = watched("--pid", tmp_path / "pid", HELLO_MODULE)
    wait_until_ready(server)
    server.send_signal(signal.SIGUSR2)
    wait_until(lambda: (tmp_path / "pid.2").exists(), 15)
    new = int((tmp_path / "pid.2").read_text())
    server.seen.add(new)
    wait_until(lambda: "Booting worker" in server.stderr and
               server.stderr.count("Booting worker") == 2, 15)
    assert server.ask("/readyz").status == 200
    assert "it is tried again" not in server.stderr
    server.send_signal(signal.SIGTERM)
    try:
        server.process.wait(20)
        server.wait_for_log("Metrics and health at: ", count=2)
        wait_until_ready(server)
    finally:
        os.kill(new, signal.SIGTERM)
    wait_until(lambda: not os.path.exists(f"/proc/{new}"), 20, "the new master has left")


def test_ping_says_by_its_exit_code_whether_the_server_is_there(start, tmp_path):
    from test_licornectl import ctl
    server = start(HELLO_MODULE)
    path = server.control_path
    done = ctl("-s", path, "ping")
    assert (done.returncode, done.stdout) == (0, f"licorne {server.pid} is there\n")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        assert ctl("-s", path, "-t", "1", "ping").returncode == 75
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert ctl("-s", path, "ping").returncode == 0
    server.stop()
    assert ctl("-s", path, "ping").returncode == 69
    assert ctl("-s", tmp_path / "none", "ping").returncode == 69
    with Control(start(HELLO_MODULE).control_path) as control:
        assert control.ask("ping")["pid"] > 0
