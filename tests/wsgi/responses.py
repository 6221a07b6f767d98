"""One small application for each rule of how responses are made: those that keep to WSGI, and
those that do not. `application` calls the one that the path names."""
import sys
import time


def application(environ, start_response):
    return APPLICATIONS[environ["PATH_INFO"].strip("/")](environ, start_response)


APPLICATIONS = {}


def application_named(function):
    APPLICATIONS[function.__name__] = function
    return function


def answers(name, status="200 OK", headers=(), body=(b"ok",)):
    """An application that does nothing but answer so."""
    def answer(environ, start_response):
        start_response(status, headers if headers is None else list(headers))
        return body
    APPLICATIONS[name] = answer


class Body:
    """Pieces that come one by one; exceptions among them are raised. Tells when it is closed."""

    def __init__(self, environ, *pieces):
        self.name, self.errors = environ["PATH_INFO"], environ["wsgi.errors"]
        self.pieces = iter(pieces)

    def __iter__(self):
        return self

    def __next__(self):
        piece = next(self.pieces)
        if isinstance(piece, BaseException):
            raise piece
        return piece

    def close(self):
        self.errors.write(f"closed {self.name}\n")


def streams(name, *pieces, status="200 OK", headers=()):
    def stream(environ, start_response):
        start_response(status, list(headers))
        return Body(environ, *pieces)
    APPLICATIONS[name] = stream


# --- what keeps to the rules --------------------------------------------------------------------

answers("plain", headers=[("Content-Type", "text/plain"), ("Content-Length", "2")])
answers("cookies", headers=[("Set-Cookie", "b=2"), ("x-lower", "1"), ("Set-Cookie", "a=1"),
                            ("X-UPPER", "2")])
answers("latin", headers=[("X-Latin", "\t caf\u00e9\t and more \t")])
answers("reason", status="299 Caf\u00e9  of our own")
answers("no_reason", status="200")
answers("empty", body=[])
answers("two", body=[b"two", b" pieces"])
answers("tuple", body=(b"in a ", b"tuple"))
answers("no_content", status="204 No Content", headers=[("Content-Length", "5"), ("X-A", "1")],
        body=[b"five!"])
answers("not_modified", status="304 Not Modified", headers=[("Content-Length", "5"),
                                                            ("ETag", '"x"')], body=[b"five!"])
answers("not_modified_unknown", status="304 Not Modified", body=[])
answers("hop_by_hop", headers=[
    (name, "x") for name in ("Connection", "Keep-Alive", "Proxy-Authenticate",
                             "proxy-authorization", "TE", "Trailers", "Transfer-Encoding",
                             "Upgrade", "Server", "DATE")] + [("X-Kept", "1")])
streams("pieces", b"one", b"", b"0123456789abcdef" * 2, b"end")
streams("nothing")
streams("empty_pieces", b"", b"")
streams("pieces_length", b"four", b"teen bytes", headers=[("Content-Length", "14")])
streams("too_long", b"0123456789", b"and too much", headers=[("Content-Length", "12")])
answers("too_long_at_once", headers=[("Content-Length", "2")], body=[b"okay"])


@application_named
def closing(environ, start_response):
    """Ends the connection, as far as an application can ask for that: not at all."""
    start_response("200 OK", [("Connection", "close"), ("Content-Length", "2")])
    return [b"ok"]


@application_named
def exc_info_in_time(environ, start_response):
    start_response("200 OK", [("X-First", "1"), ("Content-Length", "1000")])
    try:
        raise ValueError("thought better of it")
    except ValueError:
        start_response("503 Sorry", [("X-Second", "2")], sys.exc_info())
    return [b"sorry"]


@application_named
def recovers(environ, start_response):
    """From a header of its own that was refused."""
    try:
        start_response("200 OK", [("X-Bad", "a\nb")])
    except ValueError:
        start_response("503 Sorry", [])
    return [b"sorry"]


@application_named
def writes(environ, start_response):
    write = start_response("200 OK", [])
    write(b"one, ")
    write(b"two, ")
    return [b"three"]


@application_named
def late_start(environ, start_response):
    """Generators start when they are asked for the first piece."""
    start_response("200 OK", [("X-Late", "1")])
    yield b"started late"


@application_named
def endless(environ, start_response):
    def pieces():
        while True:
            yield b"x" * 10_000
            time.sleep(0.001)
    start_response("200 OK", [])
    return Body(environ, *()) if environ["REQUEST_METHOD"] == "HEAD" else Endless(environ, pieces())


class Endless(Body):
    def __init__(self, environ, pieces):
        super().__init__(environ)
        self.pieces = pieces


@application_named
def endless_write(environ, start_response):
    write = start_response("200 OK", [])
    try:
        while True:
            write(b"x" * 10_000)
    except OSError as error:
        environ["wsgi.errors"].write(f"write raised {type(error).__name__}\n")
        raise


# --- what does not, before anything has left ------------------------------------------------------

for number, status in enumerate(["200 OK\r\nX-Admin: 1", "200 OK\nX-Admin: 1", "200 OK\r",
                                 "200 O\0K", "200 \x7f", "OK", "", "20 OK", "2000 OK", "200OK",
                                 " 200 OK", "099 Low", "200 \u20ac", b"200 OK", 200, None]):
    answers(f"bad_status_{number}", status=status)
BAD_STATUSES = number + 1

for number, header in enumerate([
        ("X\r\nX-Admin", "1"), ("X\nY", "1"), ("X\0", "1"), ("X:", "1"), ("X Y", "1"), ("", "1"),
        ("X\u00e9", "1"), ("\u20ac", "1"), (b"X", "1"), (None, "1"),
        ("X-A", "1\r\nX-Admin: 1"), ("X-A", "1\nX-Admin: 1"), ("X-A", "1\r"), ("X-A", "\0"),
        ("X-A", "\x1f"), ("X-A", "\x7f"), ("X-A", "\u20ac"), ("X-A", b"1"), ("X-A", 1),
        ("X-A", None), ("X-A",), ("X-A", "1", "2"), "X", None,
        ("Content-Length", "+2"), ("Content-Length", "2, 2"), ("Content-Length", "-1"),
        ("Content-Length", ""), ("Content-Length", "two"), ("Content-Length", "9" * 40)]):
    answers(f"bad_header_{number}", headers=[("X-Before", "admin"), header])
BAD_HEADERS = number + 1

answers("two_lengths", headers=[("Content-Length", "2"), ("content-length", "3")])
answers("headers_none", headers=None)
answers("str_item", body=["text"])
answers("int_item", body=[65])
answers("none_item", body=[None])
answers("body_none", body=None)
answers("body_number", body=7)
answers("body_str", body="text")
streams("str_first", "text", b"bytes")
streams("bytearray_first", bytearray(b"mutable"))
streams("raises_first", ZeroDivisionError("before the first piece"))
streams("exits_first", SystemExit(3))


@application_named
def starts_twice(environ, start_response):
    start_response("200 OK", [("X-Admin", "1")])
    start_response("200 OK", [])
    return [b"ok"]


@application_named
def never_starts(environ, start_response):
    return [b"ok"]


@application_named
def never_starts_pieces(environ, start_response):
    return Body(environ, b"o", b"k")


@application_named
def never_starts_nothing(environ, start_response):
    return []


@application_named
def raises(environ, start_response):
    raise ZeroDivisionError("at once")


@application_named
def raises_after_start(environ, start_response):
    start_response("200 OK", [("X-Admin", "1")])
    raise ZeroDivisionError("after start_response")


@application_named
def exits(environ, start_response):
    sys.exit(3)


@application_named
def interrupts(environ, start_response):
    raise KeyboardInterrupt


@application_named
def writes_text(environ, start_response):
    start_response("200 OK", [("X-Admin", "1")])("text")
    return []


@application_named
def wrong_arguments(environ, start_response):
    start_response("200 OK")
    return []


@application_named
def returns_nothing(environ, start_response):
    start_response("200 OK", [])


# --- what does not, when something has left -------------------------------------------------------

streams("raises_later", b"begun", ZeroDivisionError("in the middle"))
streams("raises_later_length", b"begun", ZeroDivisionError("in the middle"),
        headers=[("Content-Length", "100")])
streams("exits_later", b"begun", SystemExit(3))
streams("str_later", b"begun", "text")
streams("too_short", b"begun", headers=[("Content-Length", "100")])
answers("too_short_at_once", headers=[("Content-Length", "100")], body=[b"begun"])


@application_named
def writes_then_raises(environ, start_response):
    start_response("200 OK", [])(b"begun")
    raise ZeroDivisionError("after write")


@application_named
def exc_info_too_late(environ, start_response):
    start_response("200 OK", [])
    yield b"begun"
    try:
        raise ZeroDivisionError("when all is too late")
    except ZeroDivisionError:
        start_response("500 Oops", [("X-Admin", "1")], sys.exc_info())
    yield b"never"


@application_named
def close_raises(environ, start_response):
    class Failing(Body):
        def close(self):
            super().close()
            raise ZeroDivisionError("in close")
    start_response("200 OK", [("Content-Length", "2")])
    return Failing(environ, b"o", b"k")
