"""Clients that keep a server busy and remember every request that failed."""
import itertools
import random
import re
import threading
import time

from client import BadResponse, Client


class Load:
    """`with Load(server) as load:` asks all the time on so many connections. Afterwards
    `load.answered` counts the good responses and `load.failures` tells what went wrong.

    Kept connections are used until the server says that it closes one; a close without that word
    is a failed request, as for any client that had just sent one. With `fresh` each request has
    a connection of its own and says so; with `brief` it does not say so, and the client closes.
    With `pause` kept connections are idle for up to so many seconds before each request. Such
    a client looks first: what was closed meanwhile is counted in `load.closed_idle`, and costs
    it a new connection; what is closed in its face is a failed request. With `numbered` each
    request has a name of its own, which it asks for and which the answer's last word must be;
    `load.names` has those that were answered, `load.failed` the others.

    With `rest` a client waits for up to so many seconds before each request; `connect` makes
    a connection instead of Client.
    """

    def __init__(self, server, path="/", connections=8, fresh=False, status=200, numbered=None,
                 brief=False, pause=0, rest=0, connect=None):
        self.server, self.path, self.status = server, path, status
        self.fresh, self.brief, self.pause, self.numbered = fresh, brief, pause, numbered
        self.rest, self.connections = rest, connections
        self.connect = connect or (lambda: Client(server.address, timeout=30))
        self.answered = 0
        self.closed_idle = 0
        self.failures = []
        self.failed_at = []
        self.names = []
        self.failed = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,), daemon=True)
                         for number in range(connections)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(40)
            assert not thread.is_alive(), "a request got no answer within 40 s"

    def wait_for_answers(self, count, seconds=20):
        """Until so many more requests have been answered."""
        goal, deadline = self.answered + count, time.monotonic() + seconds
        while self.answered < goal:
            assert time.monotonic() < deadline, \
                f"{goal - self.answered} of {count} answers are missing; {self.failures[:3]}"
            time.sleep(0.01)

    def _work(self, number):
        client, dice = None, random.Random(number)
        for count in itertools.count():
            if self.rest:
                time.sleep(dice.uniform(0, self.rest))
            if self.pause:
                self._stop.wait(dice.uniform(0, self.pause))
            if self._stop.is_set():
                break
            name = f"{self.numbered}-{number}-{count}" if self.numbered else None
            if self.pause and client is not None and client.is_readable():
                with self._lock:
                    self.closed_idle += 1
                client = self._drop(client)
            try:
                if client is None:
                    client = self.connect()
                is_last = self._ask(client, name)
            except (OSError, BadResponse) as error:
                self._failed(name, error)
                client = self._drop(client)
                time.sleep(0.05)
                continue
            if is_last or self.brief:
                client = self._drop(client)
        self._drop(client)

    def _ask(self, client, name):
        """True if the connection has ended with the answer."""
        path = self.path.format(name=name) if name else self.path
        response = client.get(path, [("Connection", "close")] if self.fresh else ())
        if response.status != self.status:
            raise BadResponse(f"status {response.status}")
        if name and re.findall(r"[\w-]+", response.body.decode())[-1:] != [name]:
            raise BadResponse(f"{response.body!r} in answer to {name}")
        with self._lock:
            self.answered += 1
            if name:
                self.names.append(name)
        return response.is_last

    def _failed(self, name, error):
        with self._lock:
            self.failed_at.append(time.monotonic())
            self.failed.append(name)
            self.failures.append(f"{time.strftime('%H:%M:%S')} {name or ''} "
                                 f"{type(error).__name__}: {error}")

    @staticmethod
    def _drop(client):
        if client is not None:
            client.close()
