"""request_buffering = off: the application reads a body while it comes."""
import os
import signal
import socket
import threading
import time

import pytest

from client import drip
from licorne import APPS, is_licorne, peak_rss_kib
from test_http_edges import small_client
from waiting import slack, wait_until

MIB = 1 << 20


@pytest.fixture(params=[["-k", "sync"], ["--threads", "4"]], ids=["sync", "gthread"])
def stream(request, start):
    return lambda *arguments, **options: start("--no-request-buffering", *request.param, *arguments,
                                               "--chdir", APPS, "streams", **options)


def head(path, *fields):
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: t", *fields, "", ""]).encode()


def measured(path, size, *fields):
    return head(path, f"Content-Length: {size}", *fields)


def chunked(path, *fields):
    return head(path, "Transfer-Encoding: chunked", *fields)


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def serves_on(client):
    return client.get("/nothing").body == b"not read"


# --- what the application reads ---------------------------------------------------------------------

def test_the_setting_can_stand_in_a_file(start, tmp_path):
    (tmp_path / "licorne.ini").write_text("[server]\nrequest_buffering = off\n")
    server = start("-c", tmp_path / "licorne.ini", "--chdir", APPS, "streams")
    with server.client() as client:
        client.send(measured("/nothing", 100_000_000))
        assert client.response().body == b"not read"


def test_a_body_is_buffered_by_default(start):
    server = start("--chdir", APPS, "streams")
    with server.client(timeout=1) as client:
        client.send(measured("/nothing", 10))
        with pytest.raises(TimeoutError):
            client.response()


@pytest.mark.parametrize("pause", [0, 0.02])
@pytest.mark.parametrize("path, body", [
    ("/all_of_it", b"first line\nsecond\n\nfourth"),
    ("/lines", b"first line\n|sec|ond\n|\n|fourth")])
def test_a_body_reads_alike_however_it_comes(stream, pause, path, body):
    server = stream()
    sent = b"first line\nsecond\n\nfourth"
    with server.client() as client:
        for request in (measured(path, len(sent)) + sent,
                        chunked(path) + chunk(sent) + b"0\r\n\r\n",
                        chunked(path) + b"".join(chunk(sent[i:i + 3]) for i in range(0, 25, 3))
                        + b"0;x=y\r\nDigest: x\r\n\r\n"):
            step = 1 if pause else len(request)
            for i in range(0, len(request), step):
                client.send(request[i:i + step])
                time.sleep(pause / 20)
            assert client.response().body == body


@pytest.mark.parametrize("size", [1, 65535, 65536, 65537, 3 * MIB + 5])
def test_no_byte_is_lost(stream, size):
    server = stream()
    data = os.urandom(size)
    pieces = b"".join(chunk(data[i:i + 50021]) for i in range(0, size, 50021))
    with server.client() as client:
        client.send(measured("/all_of_it", size) + data)
        assert client.response().body == data
        client.send(chunked("/all_of_it") + pieces + b"0\r\n\r\n" + head("/nothing"))
        assert client.response().body == data
        assert client.response().body == b"not read"


def test_pipelined_bodies_are_all_answered_after_a_half_close(stream):
    server = stream()
    with server.client() as client:
        client.send(head("/slow", "Content-Length: 0") + measured("/all_of_it", 3) + b"one"
                    + chunked("/all_of_it") + chunk(b"two") + b"0\r\n\r\n"
                    + measured("/all_of_it", 5) + b"three")
        client.socket.shutdown(socket.SHUT_WR)
        bodies = [client.response().body for _ in range(4)]
        assert bodies == [b"slow", b"one", b"two", b"three"]
        assert client.rest() == b""


def test_an_application_may_answer_while_it_reads(stream):
    server = stream()
    with server.client() as client:
        client.send(chunked("/echo?6"))
        for _ in range(5):
            client.send(chunk(b"hello!"))
            assert client._until(b"hello!").endswith(b"hello!")
        client.send(b"0\r\n\r\n")
        assert client.rest() == b"\r\n0\r\n\r\n"


def test_a_large_echo_costs_no_memory(stream):
    server, size = stream(), 200 * MIB
    worker = server.wait_for_workers(1)[0]
    block = os.urandom(MIB)
    assert server.get("/nothing").status == 200
    before = peak_rss_kib(worker)
    with server.client(timeout=60) as client:
        client.send(measured("/echo", size, "Connection: close"))
        sender = threading.Thread(target=lambda: [client.send(block) for _ in range(size // MIB)])
        sender.start()
        client._until(b"\r\n\r\n")
        got, tail = len(client.left), client.left
        while piece := client.socket.recv(MIB):
            got += len(piece)
            tail = piece[-5:]
        sender.join()
    assert got >= size and tail == b"0\r\n\r\n"
    assert peak_rss_kib(worker) - before < 8192


def test_a_client_that_reads_late_gets_all_of_its_echo(stream):
    """The response waits for its reader while more of the body could be read."""
    server = stream()
    size = 8 * MIB
    client = small_client(server)

    def send():
        client.sendall(measured("/echo", size, "Connection: close"))
        for _ in range(size // 65536):
            client.sendall(b"e" * 65536)
    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(1)
    assert server.get("/nothing").status == 200
    got = b""
    while piece := client.recv(65536):
        got += piece
    sender.join()
    assert got.count(b"e") >= size and got.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("who", ["/counts", "/counts_meanwhile"])
def test_threads_of_the_application_run_while_it_waits(stream, who):
    server = stream()
    with server.client() as client:
        assert serves_on(client)
        client.send(measured(who, 2) + b"a")
        time.sleep(1)
        client.send(b"b")
        assert int(client.response().body) > 5
        assert serves_on(client)


def test_a_request_does_not_end_under_a_thread_that_still_reads(stream):
    """The call that comes back waits for it."""
    server = stream()
    worker = server.wait_for_workers(1)
    with server.client() as client:
        assert serves_on(client)
        client.send(measured("/leaves_a_reader", 8))
        time.sleep(1)
        client.send(b"what")
        time.sleep(1)
        client.send(b"ever")
        assert client.response().body == b"1 what"
    with server.client() as client:
        client.send(measured("/is_left_behind", 8))
        time.sleep(1)
        client.send(b"whatever")
        assert client.response().body == b"left"
        assert serves_on(client)
    with server.client() as client:
        client.send(measured("/is_left_behind", 8) + b"what")
        time.sleep(0.4)
    assert server.get("/nothing").status == 200
    assert server.workers() == worker


def test_a_slow_client_is_no_silent_worker(stream):
    server = stream("--timeout", "2")
    with server.client() as client:
        client.send(measured("/size", 8))
        for _ in range(8):
            time.sleep(0.5)
            client.send(b"x")
        assert client.response().body == b"8"
    assert "WORKER TIMEOUT" not in server.stderr


# --- what it does not read ----------------------------------------------------------------------------

def test_a_connection_is_kept_when_the_whole_body_has_come(stream):
    server = stream()
    with server.client() as client:
        client.send(measured("/nothing", 30000) + b"x" * 30000)
        assert client.response().body == b"not read"
        assert serves_on(client)
        client.send(chunked("/first?3") + chunk(b"abc") + b"0\r\n\r\n")
        response = client.response()
        assert (response.body, response.is_last) == (b"abc", False)
        assert serves_on(client)


def test_requests_behind_a_body_are_answered_in_order(stream):
    server = stream()
    with server.client() as client:
        client.send((measured("/nothing", 5) + b"GET /" + measured("/first?2", 5) + b"hello"
                     + chunked("/all_of_it") + chunk(b"three") + b"0\r\n\r\n"
                     + head("/nothing")) * 50)
        for _ in range(50):
            for body in (b"not read", b"he", b"three", b"not read"):
                assert client.response().body == body


def test_an_answer_to_an_unread_upload_arrives(stream):
    server = stream()
    for request in (measured("/refuses", 500 * MIB), chunked("/refuses") + b"ffffffff\r\n"):
        with server.client() as client:
            client.send(request)

            def upload():
                try:
                    for _ in range(64):
                        client.send(b"x" * 65536)
                        time.sleep(0.005)
                except OSError:
                    pass
            sender = threading.Thread(target=upload)
            sender.start()
            response = client.response()
            assert (response.status, response.is_last) == (413, True)
            assert response.body == b"too large"
            sender.join()


# --- 100 Continue --------------------------------------------------------------------------------------

def test_a_client_is_told_to_continue_when_the_application_reads(stream):
    server = stream()
    with server.client() as client:
        client.send(measured("/all_of_it", 2, "Expect: 100-continue"))
        assert client.response().status == 100
        client.send(b"ok")
        assert client.response().body == b"ok"
        assert serves_on(client)


def test_a_client_is_not_told_to_continue_in_vain(stream):
    server = stream()
    with server.client() as client:
        client.send(measured("/refuses", 2, "Expect: 100-continue"))
        response = client.response()
        assert (response.status, response.is_last) == (413, True)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.is_closed()


def test_a_client_that_did_not_wait_is_not_told_to_continue(stream):
    server = stream()
    with server.client() as client:
        client.send(measured("/all_of_it", 2, "Expect: 100-continue") + b"ok")
        assert client.response().body == b"ok"


# --- bodies that do not come -----------------------------------------------------------------------------

def test_a_body_that_ends_before_its_length_reads_short(stream):
    server = stream()
    with server.client() as client:
        client.send(measured("/catches", 10) + b"half")
        client.socket.shutdown(socket.SHUT_WR)
        response = client.response()
        assert (response.body, response.is_last) == (b"b'half'\nb''", True)


BAD_CHUNKS = [b"x\r\n", b"5\r\nhelloXX", b"5\nhello\r\n", b"5\r\nhello\r\n-1\r\n"]


@pytest.mark.parametrize("chunks", BAD_CHUNKS)
def test_wrong_chunks_raise_where_they_are_read(stream, chunks):
    server = stream()
    with server.client() as client:
        client.send(chunked("/catches") + chunks)
        told = client.response().body.decode().split("\n")
        assert told == ["OSError: [Errno 74] the request's body is not coded in chunks as it says"
                        ] * 2
        assert client.is_closed()
    assert "Error handling request" not in server.stderr


@pytest.mark.parametrize("chunks", BAD_CHUNKS)
@pytest.mark.parametrize("path", ["/all_of_it", "/begins"])
def test_wrong_chunks_close_the_connection(stream, chunks, path):
    server = stream()
    with server.client() as client:
        client.send(chunked(path) + chunks)
        assert client.rest().partition(b"\r\n\r\n")[2] in (b"", b"5\r\nbegun\r\n")
    server.wait_for_log("[ERROR] Socket error processing request.\nTraceback")


def test_a_trailer_that_is_not_allowed_is_a_400(stream):
    server = stream()
    with server.client() as client:
        client.send(chunked("/all_of_it") + b"0\r\nContent-Length: 5\r\n\r\n")
        assert client.response().status == 400
    server.wait_for_log("[WARNING] Invalid request from ip=127.0.0.1: ")
    assert "ERROR" not in server.stderr


def test_the_end_of_the_connection_within_a_chunk_raises(stream):
    server = stream()
    with server.client() as client:
        client.send(chunked("/catches") + b"5\r\nhel")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.response().body.startswith(b"ConnectionResetError: ")
    with server.client() as client:
        client.send(chunked("/all_of_it") + b"5\r\nhel")
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest() == b""
    assert "ERROR" not in server.stderr


def test_a_body_that_is_late_is_a_408(stream):
    server = stream("--body-timeout", "1", access_log=True)
    with server.client() as client:
        client.send(measured("/all_of_it", 10) + b"half")
        response = client.response()
        assert (response.status, response.is_last) == (408, True)
    with server.client() as client:
        client.send(measured("/catches", 10) + b"half")
        response = client.response()
        assert response.body.startswith(b"TimeoutError: ")
    with server.client() as client:
        client.send(measured("/begins", 10) + b"half")
        assert client.rest().endswith(b"\r\n\r\n5\r\nbegun\r\n")
    server.stop()
    assert "ERROR" not in server.stderr
    assert [line.split('"')[2].split()[0] for line in server.access_lines()] == \
        ["408", "200", "200"]


def test_a_body_that_comes_too_slowly_is_a_408(stream):
    server = stream("--body-timeout", "1", "--body-min-rate", "100", access_log=True)
    for head, piece in [(measured("/all_of_it", 1000), b"x"),
                        (chunked("/all_of_it"), b"1;" + b"x" * 200 + b"\r\nx\r\n")]:
        with server.client() as client:
            client.send(head)
            assert drip(client, [piece] * 100, 0.1) < 6
            response = client.response()
            assert (response.status, response.is_last) == (408, True)
    with server.client() as client:
        client.send(measured("/catches", 1000))
        assert drip(client, [b"x"] * 100, 0.1) < 6
        assert client.response().body.startswith(b"TimeoutError: ")
    with server.client() as client:
        client.send(measured("/size", 1500))
        assert drip(client, [b"x" * 50] * 30, 0.1) > 2.5
        assert client.response().body == b"1500"
        assert serves_on(client)
    server.stop()
    assert "ERROR" not in server.stderr
    assert [line.split('"')[2].split()[0] for line in server.access_lines()] == \
        ["408", "408", "200", "200", "200"]


def test_the_time_of_the_application_is_not_its_clients(stream):
    server = stream("--body-timeout", "1", "--body-min-rate", "1M",
                    "--write-timeout", "1", "--write-min-rate", "1M")
    with server.client() as client:
        client.send(measured("/naps", 12) + b"one\n")
        time.sleep(1.5)  # two naps
        client.send(b"two\n")
        time.sleep(0.8)
        client.send(b"ten\n")
        assert client.response().body == b"one\ntwo\nten\n"
        client.send(head("/drips", "Content-Length: 0"))
        assert client.response().body == b"drip"


@pytest.mark.parametrize("sent", ["SIGQUIT", "SIGINT", "SIGKILL"])
def test_an_application_that_waits_for_its_client_learns_that_the_worker_stops(stream, sent):
    """A call of a sync worker's is ended as with Gunicorn, by a SystemExit."""
    server = stream()
    is_ended = sent != "SIGKILL" and "gthread" not in server.stderr
    worker = server.wait_for_workers(1)[0]
    with server.client() as client:
        client.send(measured("/confesses", 10) + b"half")
        server.wait_for_log("is reading")
        time.sleep(0.2)
        began = time.monotonic()
        server.send_signal(getattr(signal, sent))
        why = "Interrupted" if is_ended else "ConnectionAbortedError"
        server.wait_for_log(f"could not read: {why}")
        wait_until(lambda: not is_licorne(worker), what="the worker is gone")
        assert time.monotonic() - began < 2 + slack()


def test_a_client_that_goes_while_it_is_read_from_ends_the_iteration(stream):
    server = stream()
    client = server.client()
    client.send(measured("/closing_echo", 10 * MIB) + b"x" * 70000)
    client._until(b"\r\n\r\n")
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()  # a reset
    deadline = time.monotonic() + 10
    told = b""
    while b"closed" not in told and time.monotonic() < deadline:
        told += server.get("/told").body
    assert told.endswith(b"closed")
    assert "[ERROR]" not in server.stderr


def test_a_body_that_grows_too_large_is_a_413(stream):
    server = stream("--limit-request-body", "10")
    with server.client() as client:
        client.send(measured("/told", 11))
        assert client.response().status == 413
    with server.client() as client:
        client.send(chunked("/all_of_it") + chunk(b"x" * 6))
        time.sleep(0.2)
        client.send(chunk(b"x" * 6))
        response = client.response()
        assert (response.status, response.is_last) == (413, True)
    with server.client() as client:
        client.send(chunked("/catches") + chunk(b"x" * 11))
        assert client.response().body.startswith(b"OSError: [Errno 27] the request's body is larger")
    server.wait_for_log("[WARNING] Invalid request from ip=127.0.0.1: Request body is too large")
    assert "ERROR" not in server.stderr
