"""Many connections that do next to nothing, the way attackers and spare connections do."""
import contextlib
import resource
import socket
import threading

HEAD = b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: one byte at a time\r\n"


def allow_files(count):
    """Lets this process, and those that it starts from now on, open so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise OSError(f"{count} open files are needed and the hard limit is {hard}: ulimit -n")
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def connect(address, count, waits=True):
    """So many connections, open at the same time. Without `waits` the server may take its time
    to accept them, or never do."""
    with contextlib.ExitStack() as stack:
        sockets = []
        for _ in range(count):
            s = stack.enter_context(socket.socket())
            if waits:
                s.settimeout(20)
                s.connect(address)
            else:
                s.setblocking(False)
                s.connect_ex(address)
            sockets.append(s)
        stack.pop_all()
        return sockets


class Crowd:
    """`with Crowd(server.address, idle=500, slow=500):` keeps so many connections idle from the
    start, and as many more that send one byte of a head every second."""

    def __init__(self, address, idle=0, slow=0, waits=True):
        self.idle, self.slow = [], []
        try:
            self.idle = connect(address, idle, waits)
            self.slow = connect(address, slow, waits)
        except BaseException:
            self._close()
            raise
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._drip, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join()
        self._close()

    def _drip(self):
        """A tenth of them every tenth of a second."""
        turn = 0
        while True:
            at = turn // 10
            for s in self.slow[turn % 10::10]:
                with contextlib.suppress(OSError):  # given up by the server, or not accepted
                    s.send(HEAD[at:at + 1] if at < len(HEAD) else b"x")
            turn += 1
            if self._stop.wait(0.1):
                return

    def _close(self):
        for s in (*self.idle, *self.slow):
            s.close()
