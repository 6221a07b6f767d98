"""Applications that send 103 Early Hints."""
import threading
import time


def ok(start_response, body=b"ok"):
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def two(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload; as=style")])
    environ["wsgi.early_hints"]([("Link", "</a.js>; rel=preload"), ("X-Other", "caf\xe9")])
    return ok(start_response)


def slow(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</style.css>")])
    time.sleep(1)
    return ok(start_response)


def behind_start_response(environ, start_response):
    """The head has not left yet."""
    body = ok(start_response)
    environ["wsgi.early_hints"]([("Link", "</style.css>")])
    return body


def late(environ, start_response):
    write = start_response("200 OK", [("Content-Length", "4")])
    write(b"he")
    environ["wsgi.early_hints"]([("Link", "</style.css>")])
    return [b"re"]


def split(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</style.css>\r\nSet-Cookie: mine=1")])
    return ok(start_response)


def reads(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</style.css>")])
    return ok(start_response, environ["wsgi.input"].read())


def outlived(environ, start_response):
    """The hint of another thread takes longer than the request."""
    def slowly():
        time.sleep(0.3)
        yield "Link", "</style.css>"

    threading.Thread(target=environ["wsgi.early_hints"], args=(slowly(),)).start()
    time.sleep(0.1)
    return ok(start_response)


class SlowPair:
    def __iter__(self):
        time.sleep(0.3)
        return iter(("X-Late", "1"))


def slow_fields():
    time.sleep(0.3)
    yield "X-Late", "1"


raised = []


def started_late(environ, start_response):
    """Another thread starts the response, and its headers are not ready before the response is."""
    fields = {"pair": [SlowPair()], "fields": slow_fields()}[environ["QUERY_STRING"]]

    def start():
        try:
            start_response("200 OK", fields)
        except Exception as e:
            raised.append(str(e))

    threading.Thread(target=start).start()
    time.sleep(0.1)
    return ok(start_response)


def was_raised(environ, start_response):
    return ok(start_response, "\n".join(raised).encode())


def sleeps(environ, start_response):
    time.sleep(0.6)
    return ok(start_response)


def application(environ, start_response):
    return globals()[environ["PATH_INFO"][1:]](environ, start_response)
