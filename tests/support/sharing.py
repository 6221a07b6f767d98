"""Clients of several workers, for tests of what these do for each other (tests/wsgi/shared.py)."""
import contextlib
import hashlib
import os
import random
import select
import signal
import tempfile
import threading
import time

from client import BadResponse
from waiting import wait_until

SLOW = "?1"     # a second
SOON = 1.8      # two of them, one behind the other, take longer


def pid_of(response):
    assert response.status == 200
    return int(response.field("X-Pid"))


def connections_of_one_worker(server, count):
    """So many kept connections of the same worker, and that worker's pid."""
    by_pid = {}
    while True:
        client = server.client()
        pid = pid_of(client.get("/"))
        by_pid.setdefault(pid, []).append(client)
        if len(by_pid[pid]) == count:
            for others in (clients for other, clients in by_pid.items() if other != pid):
                for other in others:
                    other.close()
            return by_pid[pid], pid


def ask_at_once(clients, target=SLOW):
    """The answers to requests that were sent at the same moment, and the seconds until the last."""
    answers = [None] * len(clients)

    def ask(index):
        answers[index] = clients[index].get(f"/{target}&{index}")
    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(clients))]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - started
    assert [answer.body for answer in answers] == [b"%d" % n for n in range(len(clients))]
    return answers, seconds


@contextlib.contextmanager
def busy(client, pid, seconds=1.5):
    """Meanwhile the worker has a long call, which began before and ends after what happens here."""
    time.sleep(0.05)  # until it has done with what was asked before
    client.send(b"GET /?%.1f&busy HTTP/1.1\r\nHost: t\r\n\r\n" % seconds)
    time.sleep(0.15)
    yield
    answered, _, _ = select.select([client.socket], [], [], 0)
    answer = client.response()
    assert (answer.body, pid_of(answer)) == (b"busy", pid)
    assert not answered, "it has waited for the end of the call"
    time.sleep(0.05)  # until the worker knows that it is free


@contextlib.contextmanager
def held(client, pid):
    """Meanwhile the worker is in one call, which ends behind what happens here, but not so late
    that anything could wait for that."""
    client.send(b"GET /?0&now HTTP/1.1\r\nHost: t\r\n\r\n")
    assert pid_of(client.response()) == pid
    with tempfile.NamedTemporaryFile() as file:
        client.send(f"GET /held?{file.name} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        wait_until(lambda: os.path.getsize(file.name) > 0, 5, "the beginning of the call")
        time.sleep(0.02)  # it is a long one now
        yield
        answered, _, _ = select.select([client.socket], [], [], 0)
    answer = client.response()
    assert (answer.body, pid_of(answer)) == (b"held", pid)
    assert not answered, "it has waited for the end of the call"


def other_pid(server, pid):
    """Of two workers."""
    [other] = set(server.workers()) - {pid}
    return other


def lines_of(server, word):
    """The access lines with this word."""
    return [line for line in server.access_lines() if word in line]


def accepted_by(server, pid, count, connect=None):
    """So many new connections that this worker has accepted, with nothing sent on them yet."""
    others = [other for other in server.workers() if other != pid]
    for other in others:
        os.kill(other, signal.SIGSTOP)
    clients = [(connect or server.client)() for _ in range(count)]
    time.sleep(0.2)
    for other in others:
        os.kill(other, signal.SIGCONT)
    return clients


def serving_all(server, workers):
    """The server, once so many workers have answered."""
    serving = set()

    def all_serve():
        with server.client() as client:
            serving.add(pid_of(client.get("/")))
        return len(serving) == workers
    wait_until(all_serve, 15, f"{workers} workers that serve")
    return server


class Mixed:
    """`with Mixed(server) as load:` kept connections, a fifth of whose requests are slow. Each
    answer must be the one to its request. After the server has said that a connection closes,
    and after a failure, its client makes another, for as long as there is a server."""

    def __init__(self, server, connections=8, seconds="0.03"):
        self.server, self.seconds = server, seconds
        self.answered, self.failures, self.pids = 0, [], set()
        self.is_ending = False  # the server has been told to stop
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True)
                         for n in range(connections)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        self.join()

    def join(self):
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a request got no answer within 30 s"

    def wait_for_answers(self, count):
        goal = self.answered + count
        wait_until(lambda: self.answered >= goal, 30, f"{count} more answers")

    def _work(self, number):
        count = 0
        while not self._stop.is_set():
            try:
                client = self.server.client(timeout=20)
            except OSError:
                return
            with contextlib.closing(client):
                is_first = True
                while not self._stop.is_set():
                    count += 1
                    answer = self._ask(client, f"{number}-{count}", count % 5 == 0, is_first)
                    if answer is None and self.is_ending:
                        return
                    if answer is None:
                        break
                    is_first = False
                    if answer.is_last:
                        break

    def _exchange(self, client, target):
        return client.get(target)

    def _request(self, client, word, is_slow):
        """The answer, and what it has to say."""
        return self._exchange(client, f"/?{self.seconds if is_slow else 0}&{word}"), word

    def _ask(self, client, word, is_slow, is_first):
        try:
            answer, right = self._request(client, word, is_slow)
            if answer.body.decode() != right:
                raise BadResponse(f"{answer.body!r} in answer to {word}")
        except (OSError, BadResponse) as error:
            # A connection that nobody had accepted when the last worker left is no loss.
            if not (is_first and isinstance(error, (ConnectionError, BadResponse))
                    and self.is_ending):
                with self._lock:
                    self.failures.append(f"{word}: {error!r}")
            return None
        with self._lock:
            self.answered += 1
            self.pids.add(pid_of(answer))
        return answer


def in_chunks(body, step):
    """The body as Transfer-Encoding: chunked has it, so many bytes in a chunk."""
    pieces = [body[at:at + step] for at in range(0, len(body), step)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


class Uploads(Mixed):
    """The same with bodies, large and small, with a length or in chunks, which come in pieces that
    are cut anywhere. The answers are their digests."""

    largest = 200_000

    def _request(self, client, word, is_slow):
        if is_slow:
            return super()._request(client, word, is_slow)
        dice = random.Random(word)
        body = dice.randbytes(int(self.largest * dice.random() ** 3))
        if dice.random() < 0.5:
            framing, sent = "Transfer-Encoding: chunked", in_chunks(body, dice.randrange(1, 50_000))
        else:
            framing, sent = f"Content-Length: {len(body)}", body
        text = f"POST /digest?&{word} HTTP/1.1\r\nHost: t\r\n{framing}\r\n\r\n".encode() + sent
        cuts = sorted(dice.randrange(len(text)) for _ in range(dice.randrange(4)))
        for start, end in zip([0, *cuts], [*cuts, len(text)]):
            client.send(text[start:end])
            time.sleep(dice.random() * 0.003)
        return client.response(), hashlib.sha256(body).hexdigest()
