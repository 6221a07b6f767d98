"""What is asked of a worker on behalf of another one; "/" is shared.py's."""
import hashlib
import itertools
import os
import random
import socket
import tempfile
import time

import shared


def pattern(size):
    """So many bytes, which tell their place."""
    return random.Random(size).randbytes(size)


def answer(start_response, body, *fields):
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-Pid", str(os.getpid())),
                              *fields])
    return [body]


def facts(environ, start_response):
    """What the application is told of the connection."""
    names = ("wsgi.url_scheme", "REMOTE_ADDR", "REMOTE_PORT", "SERVER_NAME", "SERVER_PORT")
    told = [environ.get(name) for name in names]
    connection = environ["gunicorn.socket"]
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    told += [connection.getpeername(), connection.getsockname(), connection.version(), connection.cipher(), connection.selected_alpn_protocol(),
             connection.session_reused, connection.getpeercert()]
    return answer(start_response, repr(told).encode())


def echo(environ, start_response):
    return answer(start_response, environ["wsgi.input"].read())


def digest(environ, start_response):
    """Reads a block at a time."""
    sha = hashlib.sha256()
    while block := environ["wsgi.input"].read(10000):
        sha.update(block)
    return answer(start_response, sha.hexdigest().encode())


def bytes_(environ, start_response):
    return answer(start_response, pattern(int(environ["QUERY_STRING"])))


def file(environ, start_response):
    body = pattern(int(environ["QUERY_STRING"]))
    made = tempfile.TemporaryFile()
    made.write(body)
    made.seek(0)
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-Pid", str(os.getpid()))])
    return environ["wsgi.file_wrapper"](made)


def ticks(environ, start_response):
    """A line every tenth of a second, with no length said before."""
    start_response("200 OK", [("X-Pid", str(os.getpid()))])

    def lines():
        try:
            for n in range(int(environ["QUERY_STRING"])):
                yield b"%d\n" % n
                time.sleep(0.1)
        except GeneratorExit:
            print("the client of the ticks has gone", file=environ["wsgi.errors"], flush=True)
            raise
    return lines()


def stream(environ, start_response):
    """So many MiB, a piece at a time."""
    start_response("200 OK", [("X-Pid", str(os.getpid()))])
    return (bytes([n % 256]) * (1 << 20) for n in range(int(environ["QUERY_STRING"])))


def hints(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
    return answer(start_response, b"hinted")


def counted(environ, start_response):
    """Pieces of 100 KB, for ever; how many of them were made stands in a file."""
    start_response("200 OK", [("X-Pid", str(os.getpid()))])

    def pieces():
        for n in itertools.count():
            with open(environ["QUERY_STRING"], "w", encoding="ascii") as told:
                told.write(str(n + 1))
            yield bytes([n % 256]) * 100_000
    return pieces()


def held(environ, start_response):
    """A call as long as there is this file, six seconds at most. It says there that it has begun."""
    path, deadline = environ["QUERY_STRING"], time.monotonic() + 6
    with open(path, "r+", encoding="ascii") as told:
        told.write("begun")
    while os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.005)
    return answer(start_response, b"held")


PATHS = {"/facts": facts, "/echo": echo, "/digest": digest, "/bytes": bytes_, "/file": file,
         "/ticks": ticks, "/stream": stream, "/hints": hints, "/counted": counted, "/held": held}


def application(environ, start_response):
    return PATHS.get(environ["PATH_INFO"], shared.application)(environ, start_response)
