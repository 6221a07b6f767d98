"""A worker that is in a long call goes on with everything but calling the application: what is half
read is read to its end and given to an idle sibling. (What is half sent: test_half_sent.py.)"""
import contextlib
import functools
import os
import random
import re
import signal
import socket
import struct
import time

import pytest

from halves import READ, connection_of, digest, request, upload
from sharing import (Uploads, accepted_by, connections_of_one_worker, held, in_chunks, lines_of,
                     other_pid, pid_of)
from tls import Records
from waiting import wait_until

CHUNKED = request("/digest?half", "Transfer-Encoding: chunked")


def after(text, mark):
    """Where the text is cut behind this mark."""
    return text.index(mark) + len(mark)


def cuts():
    """Requests, where they are cut in two, and the bodies of their answers."""
    five, fifty_kb, three_mb = (random.Random(n).randbytes(n) for n in (5, 50_000, 3_000_000))
    chunked = CHUNKED + in_chunks(fifty_kb, 10_000)
    trailers = chunked[:-2] + b"X-Sum: 1\r\nX-More: 2\r\n\r\n"
    long_head = request("/?0&half", *(f"X-Field-{n}: {'x' * 600}" for n in range(66)))
    assert 40_000 < len(long_head) < 45_000
    plain = request()
    return {
        "in the request line": (plain, after(plain, b"GET /?0&ha"), b"half"),
        "in a header": (plain, after(plain, b"\r\nHo"), b"half"),
        "before the empty line": (plain, len(plain) - 2, b"half"),
        "in the last line end": (plain, len(plain) - 1, b"half"),
        "in a long head": (long_head, 20_000, b"half"),
        "before a body of 5 bytes": (upload(five) + five, len(upload(five)), digest(five)),
        "in a body of 5 bytes": (upload(five) + five, len(upload(five)) + 2, digest(five)),
        "before a body of 50 KB": (upload(fifty_kb) + fifty_kb, len(upload(fifty_kb)),
                                   digest(fifty_kb)),
        "in a body of 50 KB": (upload(fifty_kb) + fifty_kb, 25_000, digest(fifty_kb)),
        "before a body of 3 MB": (upload(three_mb) + three_mb, len(upload(three_mb)),
                                  digest(three_mb)),
        "in a body of 3 MB": (upload(three_mb) + three_mb, 1_500_000, digest(three_mb)),
        "before the first chunk": (chunked, len(CHUNKED), digest(fifty_kb)),
        "in a chunk": (chunked, len(CHUNKED) + 25_000, digest(fifty_kb)),
        "in the size of a chunk": (chunked, after(chunked[:40_000], CHUNKED + b"27"),
                                   digest(fifty_kb)),
        "before the last chunk": (chunked, len(chunked) - len(b"0\r\n\r\n"), digest(fifty_kb)),
        "in the trailers": (trailers, after(trailers, b"X-Sum: 1\r\nX-M"), digest(fifty_kb)),
    }


@pytest.mark.parametrize("cut", cuts())
def test_a_half_read_request_is_answered_by_the_sibling(share_all, cut):
    text, at, body = cuts()[cut]
    server = share_all(access_log=True)
    [slow, half], pid = connections_of_one_worker(server, 2)
    half.send(text[:at])
    time.sleep(READ)
    with held(slow, pid):
        half.send(text[at:])
        answer = half.response()
        assert answer.body == body
        assert pid_of(answer) == other_pid(server, pid)
        assert half.get("/?0&during").body == b"during"
    assert half.get("/?0&after").body == b"after"
    assert server.stop() == 0
    assert len(lines_of(server, "half HTTP/1.1")) == 1


@pytest.mark.parametrize("framing", ["with a length", "in chunks"])
def test_many_pieces_that_come_during_the_call_are_put_together(share_all, framing):
    """Though nothing of the request was there when the call began."""
    body = random.Random(1).randbytes(20_000)
    text = upload(body) + body if framing == "with a length" else CHUNKED + in_chunks(body, 3000)
    server = share_all()
    [slow, half], pid = connections_of_one_worker(server, 2)
    with held(slow, pid):
        for at in range(0, len(text), 500):
            half.send(text[at:at + 500])
            time.sleep(0.005)
        answer = half.response()
        assert answer.body == digest(body)
        assert pid_of(answer) == other_pid(server, pid)


def test_half_read_requests_of_many_connections_are_all_answered(share_all):
    server = share_all(access_log=True)
    [slow, *halves], pid = connections_of_one_worker(server, 9)
    bodies = [random.Random(n).randbytes(n * 10_000) for n in range(8)]
    for half, body in zip(halves, bodies):
        half.send(upload(body)[:-10])
    time.sleep(READ)
    with held(slow, pid):
        for half, body in zip(halves, bodies):
            half.send(upload(body)[-10:] + body)
        answers = [half.response() for half in halves]
        assert [answer.body for answer in answers] == list(map(digest, bodies))
        assert set(map(pid_of, answers)) == {other_pid(server, pid)}
    server.stop()
    assert len(lines_of(server, "half HTTP/1.1")) == 8


def test_a_half_read_request_goes_to_the_sibling_as_soon_as_that_is_idle(share_all):
    server = share_all()
    [slow, half], pid = connections_of_one_worker(server, 2)
    sibling = other_pid(server, pid)
    half.send(request()[:20])
    time.sleep(READ)
    with held(slow, pid):
        with held(connection_of(server, sibling), sibling):
            half.send(request()[20:])
            time.sleep(0.1)
            assert not half.is_readable()
        answer = half.response()
        assert (answer.body, pid_of(answer)) == (b"half", sibling)


def test_a_half_read_proxy_line_is_read_to_its_end(share_both):
    server = share_both("--proxy-protocol", "auto")
    pid = server.workers()[0]
    slow, half = accepted_by(server, pid, 2)
    half.send(b"PROXY TCP4 192.0.2.7 198.5")
    time.sleep(READ)
    with held(slow, pid):
        half.send(b"1.100.1 1234 80\r\n" + request())
        answer = half.response()
        assert (answer.body, pid_of(answer)) == (b"half", other_pid(server, pid))
        assert answer.field("X-Ends").split()[0] == "192.0.2.7"
        assert answer.field("X-Port") == "1234"
    assert half.get("/").field("X-Ends").split()[0] == "192.0.2.7"


@pytest.mark.parametrize("framing", ["with a length", "in chunks"])
@pytest.mark.parametrize("at", [9, -2], ids=["in the request line", "before the empty line"])
def test_a_request_is_passed_before_its_body_if_the_application_reads_that(share_all, framing, at):
    body = random.Random(2).randbytes(300_000)
    head, sent = ((upload(body), body) if framing == "with a length" else
                  (CHUNKED, in_chunks(body, 70_000)))
    server = share_all("--no-request-buffering", access_log=True)
    [slow, half], pid = connections_of_one_worker(server, 2)
    half.send(head[:at])
    time.sleep(READ)
    with held(slow, pid):
        half.send(head[at:] + sent)
        answer = half.response()
        assert answer.body == digest(body)
        assert pid_of(answer) == other_pid(server, pid)
        assert half.get("/?0&during").body == b"during"
    assert half.get("/?0&after").body == b"after"
    server.stop()
    assert len(lines_of(server, "half HTTP/1.1")) == 1


@pytest.mark.parametrize("at", [9, -2, -1], ids=["line", "fields", "last byte"])
def test_a_pipelined_request_behind_a_half_read_one_is_answered_too(share_all, at):
    server = share_all(access_log=True)
    [slow, half], pid = connections_of_one_worker(server, 2)
    half.send(request("/?0&one")[:at])
    time.sleep(READ)
    with held(slow, pid):
        half.send(request("/?0&one")[at:] + request("/?0&two") + request("/?0&three")[:12])
        answers = [half.response(), half.response()]
        assert [answer.body for answer in answers] == [b"one", b"two"]
        assert set(map(pid_of, answers)) == {other_pid(server, pid)}
        half.send(request("/?0&three")[12:])
        assert half.response().body == b"three"
    for word in (b"four", b"five"):
        assert half.get(f"/?0&{word.decode()}").body == word
    server.stop()
    for word in ("one", "two", "three", "four", "five"):
        assert len(lines_of(server, f"&{word} ")) == 1


@pytest.mark.parametrize("at, buffering", [  # unbuffered, a whole head is not half read
    pytest.param(None, "buffered", id="head"), pytest.param(20, "buffered", id="half a head"),
    pytest.param(20, "unbuffered", id="half a head, unbuffered")])
def test_a_client_that_waits_for_100_continue_is_told(share_all, at, buffering):
    body = random.Random(3).randbytes(50_000)
    head = upload(body, "Expect: 100-continue")
    server = share_all(*["--no-request-buffering"] * (buffering == "unbuffered"))
    [slow, half], pid = connections_of_one_worker(server, 2)
    half.send(head[:at])
    time.sleep(READ)
    if at is None:
        assert half.response().status == 100
    with held(slow, pid):
        if at is not None:
            half.send(head[at:])
            assert half.response().status == 100
        half.send(body[:20_000])
        time.sleep(0.05)
        half.send(body[20_000:])
        answer = half.response()
        assert answer.body == digest(body)
        assert pid_of(answer) == other_pid(server, pid)
    assert half.get("/?0&after").body == b"after"


# --- handshakes ----------------------------------------------------------------------------------

@pytest.fixture
def share_encrypted(share_both):
    return functools.partial(share_both, is_encrypted=True)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("sent", ["half a ClientHello", "a ClientHello"])
def test_a_handshake_that_has_begun_goes_on(share_encrypted, authority, version, sent):
    server = share_encrypted()
    [slow], pid = connections_of_one_worker(server, 1)
    context = authority.context()
    context.maximum_version = getattr(type(context.maximum_version), version)
    [half] = accepted_by(server, pid, 1, connect=lambda: Records(server.address, context))
    with pytest.raises(OSError):  # it wants to read
        half.tls.do_handshake()
    if sent == "a ClientHello":
        half.send()
    else:
        hello = half.outgoing.read()
        half.socket.sendall(hello[:len(hello) // 2])
        half.outgoing.write(hello[len(hello) // 2:])
    time.sleep(READ)
    with held(slow, pid):
        half.send()
        half.handshake()
        assert half.tls.version() == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[version]
        half.tls.write(request())
        half.send()
        head = half.read_until(b"\r\n\r\nhalf")
        assert b"X-Pid: %d\r\n" % other_pid(server, pid) in head
    half.tls.write(request("/?0&after"))
    half.send()
    half.read_until(b"\r\n\r\nafter")
    half.socket.close()


def test_a_record_that_is_cut_in_two_is_read_to_its_end(share_encrypted):
    server = share_encrypted()
    [slow], pid = connections_of_one_worker(server, 1)
    [half] = accepted_by(server, pid, 1, connect=lambda: Records(server.address, server.context))
    half.handshake()
    half.tls.write(request())
    record = half.outgoing.read()
    half.socket.sendall(record[:30])
    time.sleep(READ)
    with held(slow, pid):
        half.socket.sendall(record[30:])
        assert b"X-Pid: %d\r\n" % other_pid(server, pid) in half.read_until(b"\r\n\r\nhalf")
    half.socket.close()


# --- what becomes no request ---------------------------------------------------------------------

def news_of(server):
    """news() is what both logs have said since it was last called, but for the calls that are
    held; without times and pids. What is `expected` may come a little later."""
    seen = [0, 0]

    def both():
        return server.stderr.splitlines(), server.access_lines()

    def told():
        errors, lines = both()
        return (sorted(re.sub(r"\[\d[^]]*\]", "", error) for error in errors[seen[0]:]),
                sorted(line.split('"', 1)[1] for line in lines[seen[1]:]
                       if not re.search(r'"GET /(held\?\S*|\?0&now|) HTTP', line)))

    def news(expected=None):
        time.sleep(2 * READ)
        if expected is not None:
            with contextlib.suppress(AssertionError):  # which the caller tells better
                wait_until(lambda: told() == expected, 5)
        answer = told()
        seen[:] = map(len, both())
        return answer
    news()
    return news


BAD = {
    "a field without a colon": (request()[:-4], b"\r\nno field\r\n\r\n", 400),
    "a target with a control character": (b"GET /\x01", b" HTTP/1.1\r\nHost: t\r\n\r\n", 400),
    "a request line that is too long": (b"GET /" + b"x" * 3000,
                                        b"x" * 3000 + b" HTTP/1.1\r\n", 400),
    "a field that is too long": (request()[:-2] + b"X: ", b"x" * 9000 + b"\r\n\r\n", 431),
    "too many fields": (request()[:-2] + b"X: y\r\n" * 60, b"X: y\r\n" * 60 + b"\r\n", 431),
    "a size that is no number": (CHUNKED + b"5\r\nhello\r\n", b"five\r\n", 400),
    "a body that becomes too long": (CHUNKED + b"5\r\nhello\r\n",
                                     in_chunks(bytes(1_000_000), 100_000), 413),
    "a body that is said to be too long": (b"POST / HTTP/1.1\r\nContent-Length: 10",
                                           b"00000\r\nHost: t\r\n\r\n", 413),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_half_read_request_that_turns_out_to_be_bad_is_refused_at_once(share_all, bad):
    def refused(client):
        with contextlib.suppress(ConnectionError):  # it has said no in the middle of that
            client.send(during)
        answer = client.response()
        assert answer.status == status and answer.is_last
        return answer.body

    before, during, status = BAD[bad]
    server = share_all("--limit-request-body", "500000", access_log=True)
    [slow, one, other], pid = connections_of_one_worker(server, 3)
    news = news_of(server)
    for client in (one, other):
        client.send(before)
    time.sleep(READ)
    page, usual = refused(one), news()
    with held(slow, pid):
        assert refused(other) == page
    assert news(usual) == usual


LEFT = {
    "in the request line": b"GET /?0&ha",
    "in a header": b"GET /?0&half HTTP/1.1\r\nHo",
    "in a body": upload(bytes(50_000)) + bytes(25_000),
    "in a body in a file": upload(bytes(3_000_000)) + bytes(1_500_000),
    "in a chunk": CHUNKED + b"400\r\nx",
}


@pytest.mark.parametrize("how", ["closed", "reset"])
@pytest.mark.parametrize("where", LEFT)
def test_a_client_that_leaves_half_way_does_no_harm(share_all, where, how):
    def leave(client):
        if how == "reset":
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    server = share_all(access_log=True)
    [slow, one, other], pid = connections_of_one_worker(server, 3)
    news = news_of(server)
    for client in (one, other):
        client.send(LEFT[where])
    time.sleep(READ)
    leave(one)
    usual = news()
    with held(slow, pid):
        leave(other)
        time.sleep(READ)
    assert news(usual) == usual
    assert pid_of(slow.get("/")) == pid


# --- nobody can help -----------------------------------------------------------------------------

@pytest.mark.parametrize("framing", ["with a length", "in chunks"])
def test_an_upload_comes_to_its_end_though_nobody_can_answer_it_yet(share_all, framing):
    body = random.Random(4).randbytes(20_000_000)  # more than sockets hold
    text = upload(body) + body if framing == "with a length" else CHUNKED + in_chunks(body, 60_000)
    server = share_all(workers=1)
    [slow, half], pid = connections_of_one_worker(server, 2)
    half.send(text[:100_000])
    time.sleep(READ)
    with held(slow, pid):
        half.send(text[100_000:])
    answer = half.response()
    assert (answer.body, pid_of(answer)) == (digest(body), pid)
    assert half.get("/?0&after").body == b"after"


def test_whole_requests_wait_for_the_end_of_the_call_if_they_must(share_all):
    server = share_all(workers=1, access_log=True)
    [slow, *halves], pid = connections_of_one_worker(server, 5)
    for half in halves:
        half.send(request()[:20])
    time.sleep(READ)
    with held(slow, pid):
        for half in halves:
            half.send(request()[20:] + request("/?0&next"))
        time.sleep(0.2)
        assert not any(half.is_readable() for half in halves)
    for half in halves:
        assert [half.response().body for _ in range(2)] == [b"half", b"next"]
    server.stop()
    assert len(lines_of(server, "half HTTP/1.1")) == len(lines_of(server, "next HTTP/1.1")) == 4


def test_a_head_that_came_in_time_is_not_late(share_all):
    server = share_all("--header-timeout", "1", workers=1)
    [slow, half], pid = connections_of_one_worker(server, 2)
    half.send(request()[:20])
    time.sleep(READ)
    with held(slow, pid):
        half.send(request()[20:])
        time.sleep(1.5)
    assert half.response().body == b"half"


def test_who_sends_meanwhile_is_not_late(share_all):
    """Body_timeout counts from the last piece that came, though a call went on all the time."""
    body = bytes(30_000)
    server = share_all("--body-timeout", "1", workers=1)
    [slow, half], pid = connections_of_one_worker(server, 2)
    half.send(upload(body))
    time.sleep(READ)
    with held(slow, pid):
        for _ in range(10):
            half.send(body[:2_900])
            time.sleep(0.2)
    half.send(body[:1_000])
    assert half.response().body == digest(body)


def test_who_was_passed_on_is_answered_before_those_who_came_later(share_as):
    """Also if the sibling, which seemed to have room, does not take it."""
    server = share_as("sync")
    [slow, first, *others], pid = connections_of_one_worker(server, 10)
    for n, client in enumerate(others):
        client.send(request(f"/?0.1&{n}")[:20])
    time.sleep(READ)
    with contextlib.ExitStack() as stopped:
        with held(slow, pid):
            other = other_pid(server, pid)
            os.kill(other, signal.SIGSTOP)
            stopped.callback(os.kill, other, signal.SIGCONT)
            first.send(request("/?0.1&first"))
            time.sleep(READ)
            for n, client in enumerate(others):
                client.send(request(f"/?0.1&{n}")[20:])
            time.sleep(READ)
        assert first.response().body == b"first"
        assert not any(client.is_readable() for client in others[1:])
        for n, client in enumerate(others):
            assert client.response().body == b"%d" % n


def test_a_body_that_no_file_takes_waits_for_its_own_worker(share_all, tmp_path):
    """It would fit into memory there, but not into a message."""
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    server = share_all("--tmp-upload-dir", uploads)
    [slow, half], pid = connections_of_one_worker(server, 2)
    body = random.Random(5).randbytes(50_000)
    half.send(upload(body) + body[:-1])
    time.sleep(READ)
    uploads.rmdir()
    with held(slow, pid):
        half.send(body[-1:])
        time.sleep(READ)
        uploads.mkdir()  # nobody asks again and again whether it is there
        time.sleep(READ)
        assert not half.is_readable()
    answer = half.response()
    assert (answer.body, pid_of(answer)) == (digest(body), pid)
    assert "tmp_upload_dir" not in server.stderr


# --- nothing is lost, nothing comes twice ---------------------------------------------------------

@pytest.mark.parametrize("buffering", ["buffered", "unbuffered"])
def test_mixed_uploads_lose_and_double_nothing(share_all, buffering):
    server = share_all(*["--no-request-buffering"] * (buffering == "unbuffered"), workers=3,
                       access_log=True)
    with Uploads(server, connections=12) as load:
        load.wait_for_answers(600)
    assert load.failures == []
    assert len(load.pids) == 3
    server.stop()
    words = [line.split("&")[-1].split()[0] for line in server.access_lines() if "&" in line]
    assert len(words) == len(set(words)) == load.answered
