"""What the process tests serve: `application` calls the function that the path names."""
import hashlib
import json
import os
import threading
import time


def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/") or "hello"
    return ROUTES[name](environ, start_response)


def text(start_response, body, *fields):
    start_response("200 OK", [("Content-Type", "text/plain"),
                              ("Content-Length", str(len(body))), *fields])
    return [body]


def hello(environ, start_response):
    return text(start_response, b"Hello, world!\n")


def pid(environ, start_response):
    return text(start_response, str(os.getpid()).encode())


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    return text(start_response, body, ("X-Body-SHA256", hashlib.sha256(body).hexdigest()))


def chunks(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for word in (b"one ", b"", b"two ", b"three"):
        yield word


def environ(environ, start_response):
    """All texts of the environ, as JSON."""
    texts = {key: value for key, value in environ.items() if isinstance(value, str)}
    return text(start_response, json.dumps(texts).encode())


def target(environ, start_response):
    """The query string, to tell pipelined answers apart."""
    return text(start_response, environ["QUERY_STRING"].encode("latin-1"))


def slow(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"]))
    return text(start_response, str(os.getpid()).encode())


def file(environ, start_response):
    """The file that the environment names, through wsgi.file_wrapper."""
    path = os.environ["SERVED_FILE"]
    start_response("200 OK", [("Content-Length", str(os.path.getsize(path)))])
    return environ["wsgi.file_wrapper"](open(path, "rb"))


def stream(environ, start_response):
    """As many bytes as the query says, in pieces of 64 KiB, never all at once."""
    left, piece = int(environ["QUERY_STRING"]), b"x" * 65536
    start_response("200 OK", [("Content-Length", str(left))])
    while left > 0:
        yield piece[:left]
        left -= len(piece)


def break_off(environ, start_response):
    """Fails after the first piece, without telling how many there should have been."""
    start_response("200 OK", [])
    yield b"begun"
    raise RuntimeError("this one breaks off")


def fail(environ, start_response):
    raise RuntimeError("this one always fails")


def complain(environ, start_response):
    environ["wsgi.errors"].write("a word for the log\n")
    return hello(environ, start_response)


def complain_later(environ, start_response):
    """From a thread, when the request has long been answered."""
    line = "a late word for the log\n"
    threading.Timer(0.3, environ["wsgi.errors"].write, [line]).start()
    return hello(environ, start_response)


def fork(environ, start_response):
    """The parent answers with the exit code of its child, which did not leave in time."""
    child = os.fork()
    if child == 0:
        if environ["QUERY_STRING"] == "raise":
            raise SystemExit(0)
        if environ["QUERY_STRING"] == "return":
            return [b"from the child"]
        return text(start_response, b"from the child")
    _, status = os.waitpid(child, 0)
    return text(start_response, str(os.WEXITSTATUS(status)).encode())


def fork_later(environ, start_response):
    start_response("200 OK", [("Content-Length", "6")])
    child = os.fork()
    yield b"%d" % (child == 0)
    os.waitpid(child, 0)
    yield b"begun"


ROUTES = {function.__name__: function for function in (
    hello, pid, echo, chunks, environ, target, slow, file, stream, fail, complain,
    complain_later, fork, fork_later)}
ROUTES["break"] = break_off
