"""Applications that read their request's body while it comes, or do not."""
import threading
import time

seen = []  # what /seen tells, and forgets


def answer(start_response, body, status="200 OK"):
    start_response(status, [("Content-Length", str(len(body)))])
    return [body]


def size(environ, start_response):
    """How much comes, in blocks."""
    total = 0
    while block := environ["wsgi.input"].read(65536):
        total += len(block)
    return answer(start_response, b"%d" % total)


def all_of_it(environ, start_response):
    return answer(start_response, environ["wsgi.input"].read())


def lines(environ, start_response):
    body = environ["wsgi.input"]
    return answer(start_response, b"|".join([body.readline(), body.readline(3), *body]))


def first(environ, start_response):
    """As many bytes as the query says, and not one more."""
    return answer(start_response, environ["wsgi.input"].read(int(environ["QUERY_STRING"])))


def echo(environ, start_response):
    """Each block goes back as soon as it is there."""
    start_response("200 OK", [])
    body = environ["wsgi.input"]
    return iter(lambda: body.read(int(environ["QUERY_STRING"] or 65536)), b"")


def nothing(environ, start_response):
    return answer(start_response, b"not read")


def slow(environ, start_response):
    time.sleep(0.3)
    return answer(start_response, b"slow")


def refuses(environ, start_response):
    return answer(start_response, b"too large", "413 Content Too Large")


def catches(environ, start_response):
    """What reading raises, and what it raises then."""
    told = []
    for _ in range(2):
        try:
            told.append(repr(environ["wsgi.input"].read()))
        except OSError as e:
            told.append("%s: %s" % (type(e).__name__, e))
    return answer(start_response, "\n".join(told).encode())


def begins(environ, start_response):
    """Has begun to answer when reading fails."""
    write = start_response("200 OK", [])
    write(b"begun")
    return [environ["wsgi.input"].read()]


def naps(environ, start_response):
    """Takes its time before each line."""
    lines = []
    for _ in range(3):
        time.sleep(0.7)
        lines.append(environ["wsgi.input"].readline())
    return answer(start_response, b"".join(lines))


def drips(environ, start_response):
    """Answers a letter at a time."""
    start_response("200 OK", [])
    for letter in b"drip":
        time.sleep(0.7)
        yield bytes([letter])


def confesses(environ, start_response):
    """Tells the log that it reads, and why it could not."""
    print("is reading", file=environ["wsgi.errors"], flush=True)
    try:
        environ["wsgi.input"].read()
    except (OSError, SystemExit) as e:
        print("could not read:", type(e).__name__, file=environ["wsgi.errors"])
        raise
    return answer(start_response, b"")


def counts(environ, start_response):
    """How often another thread got its turn while the client was slow."""
    count, is_over = 0, False

    def run():
        nonlocal count
        while not is_over:
            count += 1
            time.sleep(0.01)

    thread = threading.Thread(target=run)
    thread.start()
    environ["wsgi.input"].read()
    is_over = True
    thread.join()
    return answer(start_response, b"%d" % count)


def in_a_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    return thread


def counts_meanwhile(environ, start_response):
    """The same while a thread of the application's own is the one that reads."""
    count, reader = 0, in_a_thread(environ["wsgi.input"].read)
    while reader.is_alive():
        count += 1
        time.sleep(0.01)
    return answer(start_response, b"%d" % count)


def leaves_a_reader(environ, start_response):
    """Answers while a thread of its own still reads: whatever the server is asked to do, it does when
    that is over."""
    read = []
    in_a_thread(lambda: read.append(environ["wsgi.input"].read(4)))
    time.sleep(0.2)
    start_response("200 OK", [])
    yield b"%d " % len(read)
    in_a_thread(lambda: read.append(environ["wsgi.input"].read(4)))
    time.sleep(0.2)
    yield b" ".join(read)


def is_left_behind(environ, start_response):
    in_a_thread(environ["wsgi.input"].read)
    time.sleep(0.2)
    return answer(start_response, b"left")


class Closing:
    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return self.items

    def close(self):
        seen.append("closed")


def closing_echo(environ, start_response):
    def items():
        try:
            yield from echo(environ, start_response)
        except OSError as e:
            seen.append(type(e).__name__)
            raise

    return Closing(items())


def told(environ, start_response):
    body = " ".join(seen).encode()
    seen.clear()
    return answer(start_response, body)


def application(environ, start_response):
    assert environ["wsgi.input_terminated"] is True
    return globals()[environ["PATH_INFO"][1:]](environ, start_response)
