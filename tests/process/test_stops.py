"""Every way to end: what is in hand is answered, and then nothing is left, in time."""
import signal
import time

import pytest

from licorne import APPS, is_licorne, read_or_empty
from waiting import slack, wait_until

KINDS = {
    "sync": ["-w", "10"],
    "gthread": ["--threads", "10"],
}


@pytest.fixture(params=KINDS)
def serve(start, request):
    """Ten requests at a time."""
    return lambda *arguments: start(*KINDS[request.param], "--chdir", APPS, *arguments, "served",
                                    access_log=True)


def wait_until_warm(server):
    """Each worker has answered, so that none is still starting."""
    count, seen = (10 if "-w" in server.process.args else 1), set()

    def all_have():
        clients = ask(server, "/slow?0.1", 10)
        for client in clients:
            seen.add(client.response().body)
            client.close()
        return len(seen) == count
    wait_until(all_have, 30, f"{count} workers that answer")


def ask(server, path, count=1):
    clients = [server.client(timeout=30) for _ in range(count)]
    for client in clients:
        client.send(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
    return clients


def wait_until_gone(server, seconds):
    """All of its processes."""
    wait_until(lambda: server.process.poll() is not None
               and not any(map(is_licorne, server.seen)), seconds + slack(),
               f"nothing is left {seconds} s after the end")


def see_all(server):
    assert server.workers() and server.children("logger")


def test_term_answers_ten_requests_in_hand_and_then_ends_within_a_second(serve):
    server = serve()
    wait_until_warm(server)
    before = len(server.access_lines())
    clients = ask(server, "/slow?1.5", 10)
    time.sleep(0.5)
    see_all(server)
    server.send_signal(signal.SIGTERM)
    for client in clients:
        response = client.response()
        assert response.status == 200 and response.is_last
        client.close()
    wait_until_gone(server, 1)
    assert server.process.returncode == 0
    assert sum('"GET /slow?1.5 ' in line for line in server.access_lines()) == 10
    assert len(server.access_lines()) >= before + 10


def test_term_answers_what_a_worker_took_that_was_just_starting(start, tmp_path):
    (tmp_path / "late.py").write_text(
        "import os, time\n"
        "open('begun', 'w').close()\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "def application(environ, start_response):\n"
        "    time.sleep(3)\n"
        "    start_response('200 OK', [('Content-Length', '2')])\n"
        "    return [b'ok']\n")
    server = start("--chdir", tmp_path, "late")
    wait_until((tmp_path / "begun").exists, 20, "the import")
    [client] = ask(server, "/")
    server.send_signal(signal.SIGTERM)
    (tmp_path / "go").touch()
    assert client.response().status == 200
    assert server.process.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_an_idle_server_ends_within_a_second_whoever_is_connected(serve, number):
    server = serve()
    wait_until_warm(server)
    clients = [server.client() for _ in range(20)]
    for client in clients[:15]:
        assert client.get("/").status == 200  # and is kept open
    see_all(server)
    server.send_signal(number)
    wait_until_gone(server, 1)
    assert server.process.returncode == 0
    for client in clients:
        client.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_int_and_quit_do_not_wait_for_a_request_of_20_seconds(serve, number):
    server = serve()
    wait_until_warm(server)
    [client] = ask(server, "/slow?20")
    time.sleep(0.3)
    see_all(server)
    server.send_signal(number)
    wait_until_gone(server, 2)
    assert server.process.returncode == 0
    client.close()


@pytest.mark.parametrize("path", ["/", "/slow?20"])
def test_a_killed_master_leaves_no_orphan_after_2_seconds(serve, path):
    server = serve()
    wait_until_warm(server)
    clients = ask(server, path, 3)
    time.sleep(0.3)
    see_all(server)
    server.send_signal(signal.SIGKILL)
    wait_until_gone(server, 2)
    for client in clients:
        client.close()


def test_a_killed_master_lets_requests_finish_that_do_so_soon(serve):
    server = serve()
    wait_until_warm(server)
    clients = ask(server, "/slow?0.6", 3)
    time.sleep(0.3)
    see_all(server)
    server.send_signal(signal.SIGKILL)
    for client in clients:
        assert client.response().status == 200
        client.close()
    wait_until_gone(server, 2)


def test_a_killed_master_leaves_no_worker_that_is_still_importing(start, tmp_path):
    (tmp_path / "late.py").write_text(
        "import time\nopen('begun', 'w').close()\ntime.sleep(30)\n")
    server = start("--chdir", tmp_path, "late")
    wait_until((tmp_path / "begun").exists, 20, "the import")
    see_all(server)
    server.send_signal(signal.SIGKILL)
    wait_until_gone(server, 2)


def test_a_master_that_is_killed_during_post_fork_leaves_no_worker_either(start, tmp_path):
    (tmp_path / "late.py").write_text("import time\ntime.sleep(30)\n")
    (tmp_path / "gunicorn.conf.py").write_text(
        "import os, time\n"
        "def post_fork(server, worker):\n"
        "    open('begun', 'w').write(str(os.getpid()))\n"
        "    while not os.path.exists('go'): time.sleep(0.01)\n")
    server = start("-c", tmp_path / "gunicorn.conf.py", "--chdir", tmp_path, "late")
    pid = wait_until(lambda: read_or_empty(tmp_path / "begun"), 20, "the hook")
    server.seen.update([int(pid), *server.children("logger")])
    server.send_signal(signal.SIGKILL)
    (tmp_path / "go").touch()
    wait_until_gone(server, 2)
