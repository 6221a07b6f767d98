"""Clients that keep a server busy and remember every request that failed."""
import itertools
import threading
import time

from client import BadResponse, Client


class Load:
    """`with Load(server) as load:` asks all the time on so many connections. Afterwards
    `load.answered` counts the good responses and `load.failures` tells what went wrong.

    Kept connections are used until the server says that it closes one; a close without that word
    is a failed request, as for any client that had just sent one. With `fresh` each request has
    a connection of its own. With `numbered` each asks for a name of its own, PATH?NAME-1-1,
    and `load.names` has those that were answered.
    """

    def __init__(self, server, path="/", connections=8, fresh=False, status=200, numbered=None):
        self.server, self.path, self.status = server, path, status
        self.fresh, self.numbered = fresh, numbered
        self.answered = 0
        self.failures = []
        self.names = []
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
            thread.join(30)
            assert not thread.is_alive(), "a request got no answer within 30 s"

    def wait_for_answers(self, count, seconds=20):
        """Until so many more requests have been answered."""
        goal, deadline = self.answered + count, time.monotonic() + seconds
        while self.answered < goal:
            assert time.monotonic() < deadline, \
                f"{goal - self.answered} of {count} answers are missing; {self.failures[:3]}"
            time.sleep(0.01)

    def _work(self, number):
        client = None
        for count in itertools.count():
            if self._stop.is_set():
                break
            name = f"{self.numbered}-{number}-{count}"
            path = f"{self.path}?{name}" if self.numbered else self.path
            try:
                if client is None:
                    client = Client(self.server.address, timeout=20)
                response = client.get(path, [("Connection", "close")] if self.fresh else ())
                if response.status != self.status:
                    raise BadResponse(f"status {response.status}")
            except (OSError, BadResponse) as error:
                self._failed(error)
                client = self._drop(client)
                time.sleep(0.05)
                continue
            with self._lock:
                self.answered += 1
                self.names.append(name)
            if response.is_last:
                client = self._drop(client)
        self._drop(client)

    def _failed(self, error):
        with self._lock:
            self.failures.append(f"{time.strftime('%H:%M:%S')} {type(error).__name__}: {error}")

    @staticmethod
    def _drop(client):
        if client is not None:
            client.close()
