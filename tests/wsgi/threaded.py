"""What tests/process/test_gthread.py serves: applications that notice threads."""
import contextvars
import os
import subprocess
import sys
import threading
import time

MIB = 1 << 20
local = threading.local()
variable = contextvars.ContextVar("variable", default="unset")
closed = threading.Semaphore(0)
inside, most_inside, lock = 0, 0, threading.Lock()


def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/") or "hello"
    return ROUTES[name](environ, start_response)


def text(start_response, body, *fields):
    body = str(body).encode() if not isinstance(body, bytes) else body
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body))), *fields])
    return [body]


def hello(environ, start_response):
    return text(start_response, b"Hello, world!\n")


def multithread(environ, start_response):
    return text(start_response, environ["wsgi.multithread"])


def sleep(environ, start_response):
    """As many seconds as the query says; the answer is the pid."""
    time.sleep(float(environ["QUERY_STRING"]))
    return text(start_response, os.getpid())


def crowd(environ, start_response):
    """The most calls that were ever in here at the same time."""
    global inside, most_inside
    with lock:
        inside += 1
        most_inside = max(most_inside, inside)
    time.sleep(0.1)
    with lock:
        inside -= 1
    return text(start_response, most_inside)


def counter(environ, start_response):
    """How often this thread has been here: its own count."""
    local.count = getattr(local, "count", 0) + 1
    time.sleep(0.05)
    return text(start_response, "%d %d" % (threading.get_ident(), local.count))


def context(environ, start_response):
    """The variable before this request set it."""
    before = variable.get()
    variable.set(environ["QUERY_STRING"])
    time.sleep(0.05)
    assert variable.get() == environ["QUERY_STRING"]
    return text(start_response, before)


def who(environ, start_response):
    """What tells requests apart, after others had their chance to run."""
    time.sleep(0.001)
    return text(start_response, "%s %s %s %s" % (
        environ["REMOTE_PORT"], environ["RAW_URI"], environ.get("HTTP_X_NAME"),
        environ["wsgi.input"].read().decode()))


class Stream:
    """Pieces without an end in sight; close() is counted."""

    def __init__(self, pieces, piece, pause=0):
        self.left, self.piece, self.pause = pieces, piece, pause

    def __iter__(self):
        return self

    def __next__(self):
        if self.left == 0:
            raise StopIteration
        self.left -= 1
        time.sleep(self.pause)
        return self.piece

    def close(self):
        closed.release()


def stream(environ, start_response):
    """So many MiB in pieces of 64 KiB."""
    size = int(environ["QUERY_STRING"]) * MIB
    start_response("200 OK", [("Content-Length", str(size))])
    return Stream(size // 65536, b"x" * 65536)


def drip(environ, start_response):
    """A piece every 50 ms, for a long time."""
    start_response("200 OK", [])
    return Stream(10000, b"drip", 0.05)


def was_closed(environ, start_response):
    """Whether some stream was closed that nobody has asked about yet, within 5 s."""
    return text(start_response, closed.acquire(timeout=5))


def written(environ, start_response):
    """So many MiB through write()."""
    pieces = int(environ["QUERY_STRING"]) * MIB // 65536
    write = start_response("200 OK", [("Content-Length", str(pieces * 65536))])
    for _ in range(pieces):
        write(b"w" * 65536)
    return []


def echo(environ, start_response):
    return text(start_response, environ["wsgi.input"].read())


def fail(environ, start_response):
    raise RuntimeError("this one always fails")


def leave(environ, start_response):
    sys.exit(7)


def complain(environ, start_response):
    """A line in three pieces, with others in between."""
    name = environ["QUERY_STRING"]
    for piece in ("<%s" % name, "-%s" % name, ">\n"):
        environ["wsgi.errors"].write(piece)
        time.sleep(0.01)
    return text(start_response, b"")


def command(environ, start_response):
    return text(start_response, subprocess.check_output(["echo", environ["QUERY_STRING"]]))


def slow_close(environ, start_response):
    class Slow(list):
        def close(self):
            time.sleep(1)
    return Slow(text(start_response, b"before close()"))


ROUTES = {function.__name__: function for function in (
    hello, multithread, sleep, crowd, counter, context, who, stream, drip, was_closed, written,
    echo, fail, leave, complain, command, slow_close)}
