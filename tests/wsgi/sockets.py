"""What gunicorn.socket is asked for: the path names the question, the answer is its repr."""
import builtins
import os
import socket
import struct
import threading
import time

kept, unasked, outlived = [], [], []


def application(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    try:
        answer = QUESTIONS[name](environ["gunicorn.socket"], environ)
    except Exception as failure:
        answer = type(failure).__name__
    start_response("200 OK", [])
    return iter([repr(answer).encode()])  # of no length: to HTTP/1.0 over when the connection is


def ends(sock, environ):
    return sock.getpeername(), sock.getsockname(), sock.family, sock.type, sock.proto


def descriptor(sock, environ):
    with socket.socket(fileno=sock.fileno()) as own:
        peer = own.getpeername()
        own.detach()
    return peer == sock.getpeername()


def options(sock, environ):
    """What the last request set."""
    before = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 3)
    return before, struct.unpack("i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 4))


def blocking(sock, environ):
    """Nothing that is set here may block the server, which writes this very answer."""
    before = sock.gettimeout(), sock.getblocking()
    sock.setblocking(True)
    sock.settimeout(None)
    sock.settimeout(0.05)
    try:
        sock.recv(1)
    except socket.timeout:  # before Python 3.10 a TimeoutError was something else
        return before, "nothing to read"


def tls(sock, environ):
    return (sock.version(), sock.cipher(), sock.selected_alpn_protocol(), sock.server_side,
            sock.session_reused, sock.compression())


def certificate(sock, environ):
    return sock.getpeercert()


def der(sock, environ):
    return sock.getpeercert(binary_form=True)


def receive(sock, environ):
    return sock.recv(1)


def absent(sock, environ):
    return hasattr(sock, "getpeercert"), hasattr(sock, "nonsense")


def same(sock, environ):
    unasked.append(sock)
    return [each is sock for each in unasked]


def later(sock, environ):
    return unasked[0].getpeername()


def keep(sock, environ):
    kept.append((sock, sock.getpeername()))
    return "kept"


def closed(sock, environ):
    """What is left of connections that are over."""
    answers = []
    for old, _ in kept:
        try:
            answers.append(old.getpeername())
        except OSError:
            answers.append("closed")
    return answers


def close(sock, environ):
    sock.close()


def slow(sock, environ):
    time.sleep(1)
    return os.getpid()


def ends_at(sock, environ):
    return os.getpid(), sock.getpeername()


def thread(sock, environ):
    found = []
    asker = threading.Thread(target=lambda: found.append(sock.getpeername()))
    asker.start()
    asker.join()
    return found == [sock.getpeername()]


def outlives(sock, environ):
    """Another thread is the first to ask, and is not done when the request is."""
    find = builtins.__import__

    def slowly(name, *arguments, **options):
        if name == "socket":
            time.sleep(0.3)
        return find(name, *arguments, **options)

    def ask():
        builtins.__import__ = slowly
        try:
            outlived.append(sock.getpeername())
        except OSError:
            outlived.append("gone")
        finally:
            builtins.__import__ = find

    threading.Thread(target=ask).start()
    time.sleep(0.1)
    return os.getpid()


def has_outlived(sock, environ):
    return os.getpid(), outlived


def scheme(sock, environ):
    return environ["wsgi.url_scheme"], sorted(k for k in environ if "SSL" in k or "HTTPS" in k)


QUESTIONS = {function.__name__: function for function in (
    ends, descriptor, options, blocking, tls, certificate, der, receive, absent, same, later,
    keep, closed, close, thread, scheme, slow, ends_at, outlives, has_outlived)}
