"""Small applications for the tests of the WSGI bridge. `application` calls the one that the
path names: /hello calls hello(environ, start_response)."""
import contextvars
import gc
import gzip
import io
import os
import signal
import sys
import tempfile
import threading
import urllib.parse
import wsgiref.validate

closed = []  # what had its close() called, in order
kept = {}


def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/").split("/")[0]
    return globals()[name](environ, start_response)


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def large(environ, start_response):
    start_response("200 OK", [])
    return [b"x" * 1000000]


def show_environ(environ, start_response):
    """Every key with its value's repr, sorted."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    lines = ["%s=%r" % (k, environ[k]) for k in sorted(environ)
             if k not in ("wsgi.input", "wsgi.errors", "wsgi.file_wrapper",
                          "wsgi.early_hints", "gunicorn.socket")]
    return ["".join(line + "\n" for line in lines).encode("latin-1")]


@wsgiref.validate.validator
def valid(environ, start_response):
    assert type(environ) is dict
    size = int(environ.get("CONTENT_LENGTH") or 0)
    first = environ["wsgi.input"].read(min(size, 3))
    rest = environ["wsgi.input"].read(size)
    environ["wsgi.errors"].write("checked\n")
    environ["wsgi.errors"].flush()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [first, rest, b"."]


# ---- the body of the request ----


def reader(read):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [read(environ["wsgi.input"])]

    return app


read_all = reader(lambda body: body.read())
read_parts = reader(lambda body: b"|".join([body.read(1), body.read(2), body.read(None),
                                            body.read(5), body.read(-1)]))
read_lines = reader(lambda body: b"|".join(body.readlines()))
read_iterated = reader(lambda body: b"|".join(body))
read_line_limits = reader(lambda body: b"|".join([body.readline(2), body.readline(), body.readline(0),
                                                  body.readline(100), body.read()]))
read_lines_hint = reader(lambda body: b"|".join(body.readlines(1) + [b"rest"] + [body.read()]))
read_mixed = reader(lambda body: b"%d %d" % (len(body.readline()), len(body.read())))


def read_wrong(environ, start_response):
    """What is no size is refused as files do."""
    start_response("200 OK", [])
    seen = []
    for size in ("3", 1.5):
        try:
            environ["wsgi.input"].read(size)
        except TypeError:
            seen.append(b"TypeError")
    return [b" ".join(seen + [environ["wsgi.input"].read(2 ** 80)])]


def early_hints(environ, start_response):
    """Two hints, one that must not leave, one that is too late, and one kept for later."""
    hint = environ["wsgi.early_hints"]
    seen = [hint([("Link", "</a.css>; rel=preload")]),
            hint((pair for pair in [["Link", "</b.js>"], ("X-Caf\xe9", "\xe9")]))]
    for wrong in ([("Link", "a\nb")], [("Link", 1)], [("Link",)], 5, [("Link", "\u20ac")]):
        try:
            hint(wrong)
        except (TypeError, ValueError) as e:
            seen.append(type(e).__name__)
    kept["hint"] = hint
    start_response("200 OK", [])
    yield repr(seen).encode()
    hint([("Link", "too late")])


def hint_again(environ, start_response):
    start_response("200 OK", [])
    return [repr(kept["hint"]([("Link", "much too late")])).encode()]


def keep_input(environ, start_response):
    kept["input"] = environ["wsgi.input"]
    kept["start_response"] = start_response
    kept["write"] = start_response("200 OK", [])
    return [b"kept"]


def use_kept(environ, start_response):
    start_response("200 OK", [])
    seen = []
    for use in (kept["input"].read, kept["input"].readline, lambda: next(kept["input"]),
                lambda: kept["start_response"]("200 OK", []), lambda: kept["write"](b"x")):
        try:
            use()
            seen.append("nothing")
        except (ValueError, RuntimeError) as e:
            seen.append(type(e).__name__)
    kept.clear()
    return [" ".join(seen).encode()]


# ---- start_response ----


def no_start(environ, start_response):
    return [b"who needs a status"]


def no_start_pieces(environ, start_response):
    return [b"one", b"two"]


def start_twice(environ, start_response):
    start_response("200 OK", [])
    start_response("200 OK", [])
    return [b""]


def start_again(environ, start_response):
    """With exc_info the first headers are replaced, as nothing has left."""
    start_response("200 OK", [("X-First", "1")])
    try:
        raise ValueError("late")
    except ValueError:
        start_response("500 Oops", [("X-Second", "2")], sys.exc_info())
    return [b"sorry"]


def write_after_failed_start(environ, start_response):
    """The first status is gone, and the second was refused."""
    write = start_response("200 OK", [])
    try:
        start_response("500 Oops\n", [], (ValueError, ValueError(), None))
    except ValueError:
        pass
    write(b"never")
    return []


def start_again_named(environ, start_response):
    start_response(status="200 OK", headers=[("X-First", "1")], exc_info=None)
    return [b"named"]


def start_too_late(environ, start_response):
    start_response("200 OK", [])
    yield b"begun"
    try:
        raise ValueError("too late")
    except ValueError:
        start_response("500 Oops", [], sys.exc_info())
    yield b"never"


def starter(status, headers):
    def app(environ, start_response):
        start_response(status, headers)
        return [b"ok"]

    return app


status_bytes = starter(b"200 OK", [])
status_short = starter("OK", [])
status_split = starter("200 OK\r\nX: y", [])
header_bytes = starter("200 OK", [(b"X-A", "1")])
header_int = starter("200 OK", [("Content-Length", 2)])
header_split = starter("200 OK", [("X-A", "1\r\nSet-Cookie: admin=1")])
header_name = starter("200 OK", [("X A<b>", "1")])
header_wide = starter("200 OK", [("X-A", "\u20ac")])
header_latin = starter("200 OK", [("X-A", " caf\u00e9\t")])
header_triple = starter("200 OK", [("X-A", "1", "2")])
header_lists = starter("200 OK", (["X-A", "1"], ["X-B", "2"]))
header_many = starter("200 OK", [("X-%d" % i, str(i)) for i in range(40)])


def start_caught(environ, start_response):
    """An application may recover from its own bad header."""
    try:
        start_response("200 OK", [("X-Good", "1"), ("X-Bad", "\n")])
    except ValueError:
        start_response("503 Sorry", [("X-Other", "1")])
    return [b"recovered"]


def writer(environ, start_response):
    write = start_response("200 OK", [])
    write(b"one,")
    write(b"")
    write(b"two,")
    return [b"three"]


def write_str(environ, start_response):
    start_response("200 OK", [])("text")
    return []


def write_much(environ, start_response):
    write = start_response("200 OK", [])
    for _ in range(20):
        write(b"w" * 1000)
    return []


# ---- iteration ----


class Stream:
    def __init__(self, name, items, fail_close=False):
        self.name, self.items, self.fail_close = name, iter(items), fail_close

    def __iter__(self):
        return self

    def __next__(self):
        item = next(self.items)
        if callable(item):
            raise item()
        return item

    def close(self):
        closed.append(self.name)
        if self.fail_close:
            raise RuntimeError("close failed")


def streamer(name, items, headers=(), fail_close=False):
    def app(environ, start_response):
        start_response("200 OK", list(headers))
        return Stream(name, items, fail_close)

    return app


pieces = streamer("pieces", [b"a", b"", b"bc", b"d"])
pieces_length = streamer("pieces_length", [b"a", b"bc"], [("Content-Length", "3")])
pieces_none = streamer("pieces_none", [])
pieces_str = streamer("pieces_str", [b"a", "b", b"c"])
pieces_str_first = streamer("pieces_str_first", ["b"])
pieces_fail = streamer("pieces_fail", [b"a", lambda: ZeroDivisionError("in the middle")])
pieces_fail_first = streamer("pieces_fail_first", [lambda: ZeroDivisionError("at once")])
pieces_exit = streamer("pieces_exit", [b"a", lambda: SystemExit(7)])
close_fails = streamer("close_fails", [b"a"], fail_close=True)
close_late = streamer("close_late", [b"late"])


def many(environ, start_response):
    start_response("200 OK", [])
    return Stream("many", (b"%05d" % i for i in range(int(environ["QUERY_STRING"]))))


def forever(environ, start_response):
    start_response("200 OK", [])
    try:
        while True:
            yield b"x" * 100
    finally:
        closed.append("forever")


def generator(environ, start_response):
    start_response("200 OK", [("X-Late", "1")])
    yield b"gen"
    yield b"erated"


def list_of_many(environ, start_response):
    start_response("200 OK", [])
    return [b"a", b"b", b"", b"c"]


def tuple_of_one(environ, start_response):
    start_response("200 OK", [])
    return (b"tuple",)


def empty_list(environ, start_response):
    start_response("204 No Content", [])
    return []


def list_of_str(environ, start_response):
    start_response("200 OK", [])
    return ["text"]


def not_iterable(environ, start_response):
    start_response("200 OK", [])
    return 7


def what_was_closed(environ, start_response):
    start_response("200 OK", [])
    names = " ".join(closed).encode()
    closed.clear()
    return [names]


# ---- files ----


class File(io.BytesIO):
    sizes = []

    def read(self, size=-1):
        File.sizes.append(size)
        return super().read(size)

    def close(self):
        closed.append("file")
        super().close()


def wrapped_file(environ, start_response):
    headers = [("Content-Length", environ["QUERY_STRING"])] if environ["QUERY_STRING"] else []
    start_response("200 OK", headers)
    del File.sizes[:]
    return environ["wsgi.file_wrapper"](File(b"f" * 200000), 4096)


def file_sizes(environ, start_response):
    start_response("200 OK", [])
    return [repr(File.sizes).encode()]


def disk_file(make):
    """A file with a name and eight times ten digits, opened by `make`, at its sixth byte."""
    named = tempfile.NamedTemporaryFile()
    named.write(b"0123456789" * 8)
    named.flush()
    file = make(named.name)
    kept["named"] = named
    file.seek(5)
    return file


def wrapped_plain(environ, start_response):
    """A file that the host can send; what is opened how, the query says."""
    start_response("200 OK", [])
    file = eval(urllib.parse.unquote(environ["QUERY_STRING"]), globals())
    wrapper = environ["wsgi.file_wrapper"](file)
    wrapper.close = lambda: (closed.append("plain"), file.close())
    return wrapper


def wrapped_text(environ, start_response):
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](io.StringIO("text"))


def wrapper_by_hand(environ, start_response):
    """Middleware iterates the wrapper itself."""
    start_response("200 OK", [])
    wrapper = environ["wsgi.file_wrapper"](io.BytesIO(b"0123456789"), 4)
    assert isinstance(wrapper, environ["wsgi.file_wrapper"])
    return [b"|".join(wrapper)]


# ---- errors ----


def fail(environ, start_response):
    raise ValueError("broken <by> design")


def fail_after_start(environ, start_response):
    start_response("200 OK", [("X-Never", "1")])
    raise ValueError("after start")


def leave(environ, start_response):
    sys.exit(3)


def interrupt(environ, start_response):
    raise KeyboardInterrupt


def abort(environ, start_response):
    os.kill(os.getpid(), signal.SIGABRT)


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text for you")


def fail_unprintable(environ, start_response):
    raise Unprintable


def log(environ, start_response):
    start_response("200 OK", [])
    print("one", "line", file=environ["wsgi.errors"])
    environ["wsgi.errors"].write("no newline \udc80")
    environ["wsgi.errors"].flush()
    environ["wsgi.errors"].writelines(["left ", "over"])
    try:
        environ["wsgi.errors"].write(b"bytes")
    except TypeError:
        environ["wsgi.errors"].write("; TypeError")
    return [b"logged"]


def log_in_thread(environ, start_response):
    """While the application is being called its threads may log and read."""
    start_response("200 OK", [])
    thread = threading.Thread(target=lambda: environ["wsgi.errors"].write(
        "thread read %r\n" % environ["wsgi.input"].read()))
    thread.start()
    thread.join()
    return [b"joined"]


def log_later(environ, start_response):
    """A thread that outlives its request."""
    start_response("200 OK", [])
    go = kept["go"] = threading.Event()
    done = kept["done"] = threading.Event()
    body = environ["wsgi.input"]

    def work():
        go.wait()
        environ["wsgi.errors"].write("from afar\n")
        try:
            body.read()
        except ValueError:
            environ["wsgi.errors"].write("too late to read\n")
        done.set()

    threading.Thread(target=work, daemon=True).start()
    return [b"started"]


def let_it_log(environ, start_response):
    start_response("200 OK", [])
    kept["go"].set()
    kept["done"].wait()
    return [b"done"]


# ---- contexts ----

who = contextvars.ContextVar("who", default="nobody")


def context_stream(environ, start_response):
    """Sets a variable in the call and resets it in the generator, as Flask's
    stream_with_context does; two of these may interleave."""
    start_response("200 OK", [])
    token = who.set(environ["QUERY_STRING"])

    def stream():
        for _ in range(4):
            yield who.get().encode()
        who.reset(token)
        yield who.get().encode()

    return stream()


def context_leak(environ, start_response):
    start_response("200 OK", [])
    before = who.get()
    who.set("leaked")
    return [before.encode()]


# ---- interpreter ----


def interpreter(environ, start_response):
    start_response("200 OK", [])
    lines = [sys.prefix, sys.executable, "%d.%d" % sys.version_info[:2], repr(sys.argv),
             sys.path[0], sys.getfilesystemencoding()]
    return ["\n".join(lines).encode()]


def count_objects(environ, start_response):
    start_response("200 OK", [])
    gc.collect()
    return [str(len(gc.get_objects())).encode()]


def allocated_blocks(environ, start_response):
    start_response("200 OK", [])
    gc.collect()
    return [str(sys.getallocatedblocks()).encode()]


# ---- leaving ----


def at_exit(environ, start_response):
    """Registers everything that must still happen when the worker leaves; each part writes its
    name to the file."""
    import atexit
    import concurrent.futures
    import time
    start_response("200 OK", [])
    path = environ["QUERY_STRING"]

    def note(name):
        with open(path, "a") as file:
            file.write(name + "\n")

    def slow():
        time.sleep(0.2)
        note("thread")

    threading.Thread(target=slow).start()
    kept["pool"] = concurrent.futures.ThreadPoolExecutor(1)
    kept["pool"].submit(time.sleep, 0.1)
    kept["pool"].submit(note, "pool")
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    atexit.register(note, "atexit")
    return [b"registered"]
