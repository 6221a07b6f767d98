"""How long requests wait for the application, and who is busy: what tells that a server has become too
small."""
import os
import signal
import time

import pytest

from control import Control
from test_daemons import daemon, statsd_of  # noqa: F401 (a fixture)
from test_metrics import asked, one, wait_for_idle
from waiting import slack, wait_until

KINDS = pytest.mark.parametrize("kind", [
    [], ["-k", "gthread", "--threads", "1"], ["--no-request-buffering"]],
    ids=["sync", "gthread", "unbuffered"])

GET = b"GET /target?%s HTTP/1.1\r\nHost: x\r\n\r\n"


def waits(server):
    """{query: seconds} of the access lines."""
    lines = [line.split() for line in server.access_lines()]
    return {query: int(us) / 1e6 for query, us in lines}


def begin(serve, *arguments):
    server = serve("-w", "1", "--access-logformat", "%(q)s %(Q)s", "--keep-alive", "10",
                   *arguments, access_log=True)
    wait_for_idle(server, 1)
    return server


def wait_for_lines(server, count):
    wait_until(lambda: len(server.access_lines()) == count, 10, f"{count} access lines")


@KINDS
def test_who_finds_the_worker_free_does_not_wait(serve, kind):
    server = begin(serve, *kind)
    for number in range(20):
        server.get(f"/target?{number}")
    wait_for_lines(server, 20)
    assert sorted(waits(server).values())[10] < 0.05 + slack()


@KINDS
def test_what_a_request_waited_behind_a_slow_one_is_told(serve, kind):
    """On a connection that was there before, and on one that nobody could accept."""
    server = begin(serve, *kind)
    with server.client() as slow, server.client() as kept:
        kept.get("/target?first")
        slow.send(b"GET /slow?0.3 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert slow.response().status == 200  # from here on calls are known to be slow
        slow.send(b"GET /slow?1.5 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
        kept.send(GET % b"kept")
        with server.client() as new:
            new.send(GET % b"new")
            assert kept.response().status == 200 and new.response().status == 200
        assert slow.response().status == 200
    wait_for_lines(server, 5)
    seen = waits(server)
    assert 0.6 < seen["kept"] < 1.5 + slack(), seen
    assert 0.6 < seen["new"] < 1.5 + slack(), seen
    assert seen["1.5"] < 0.25 + slack(), seen
    assert 1.2 < one(asked(server), "licorne_request_queue_seconds_sum") < 4 + slack()
    assert one(asked(server), "licorne_request_queue_seconds_count") == 5
    with Control(server.control_path) as control:
        assert 600 < control.ask("show stats")["queue_ms"]["max"] < 3000 + 1000 * slack()
        assert sum(count for _, count in control.ask("show metrics")["queue_us"]) == 5


def test_a_client_that_is_slow_itself_does_not_count_as_waiting(serve):
    server = begin(serve)
    with server.client() as client:
        head, body = b"POST /echo?slow HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n", b"body"
        client.send(head[:10])
        time.sleep(0.4)
        client.send(head[10:] + body[:2])
        time.sleep(0.4)
        client.send(body[2:])
        assert client.response().body == b"body"
    with server.client() as client:  # connects early, as browsers do
        time.sleep(0.5)
        client.send(GET % b"early")
        client.response()
    wait_for_lines(server, 2)
    assert waits(server)["slow"] < 0.2 + slack() and waits(server)["early"] < 0.2 + slack()


def test_a_request_that_the_application_never_saw_did_not_wait(serve):
    server = begin(serve)
    with server.client() as client:
        client.send(b"GET /target?bad HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")
        assert client.response().status == 400
    wait_for_lines(server, 1)
    assert server.access_lines() == [" 0"]
    assert one(asked(server), "licorne_request_queue_seconds_count") == 0


def test_the_time_is_a_number_to_the_format(serve):
    server = serve("--access-logformat", "%(Q)08d|%(Q)s|%(q)s", access_log=True)
    server.get("/target?x")
    wait_for_lines(server, 1)
    padded, plain, _ = server.access_lines()[0].split("|")
    assert len(padded) == 8 and int(padded) == int(plain)


def test_the_control_socket_tells_who_is_busy_and_who_waits(serve):
    server = begin(serve, "--threads", "3")
    with Control(server.control_path) as control, server.client() as client:
        client.send(b"GET /slow?2 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: control.ask("show stats")["threads_busy"] == 1)
        stats = control.ask("show stats")
        assert (stats["workers_busy"], stats["workers_idle"], stats["threads_idle"]) == (1, 0, 2)
        [listener] = control.ask("show listeners")["listeners"]
        assert (listener["queue_length"], listener["queue_limit"]) == (0, 2048)


def test_statsd_hears_of_it_beside_gunicorns_names(serve, daemon):  # noqa: F811
    log, address = statsd_of(daemon)
    server = serve("--statsd-host", address, "--threads", "2")
    for packet in ("gunicorn.workers:1|g", "gunicorn.workers.idle:1|g", "gunicorn.workers.busy:0|g",
                   "gunicorn.threads.idle:2|g", "gunicorn.threads.busy:0|g",
                   "gunicorn.connections:0|g", "gunicorn.listen_queue:0|g"):
        log.wait_for(packet)
    with server.client() as client:
        client.send(b"GET /slow?2.5 HTTP/1.1\r\nHost: x\r\n\r\n")
        log.wait_for("gunicorn.threads.busy:1|g")
        log.wait_for("gunicorn.workers.busy:1|g")
        assert client.response().status == 200
    log.wait_for("gunicorn.request.queue:0.")
    [worker] = server.workers()
    os.kill(worker, signal.SIGKILL)
    log.wait_for("gunicorn.worker.restarts.signal:1|c")
