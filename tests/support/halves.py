"""Requests to be cut in two (tests/process/test_half_read.py, test_half_sent.py). Their answers are
those of tests/wsgi/relayed.py."""
import hashlib

from sharing import pid_of

READ = 0.1  # seconds: by then a worker that waits has read what was sent to it


def request(target="/?0&half", *fields):
    lines = [f"{'POST' if fields else 'GET'} {target} HTTP/1.1", "Host: t", *fields, "", ""]
    return "\r\n".join(lines).encode()


def upload(body, *fields):
    """The head of a request whose answer is the digest of this body."""
    return request("/digest?half", f"Content-Length: {len(body)}", *fields)


def digest(body):
    return hashlib.sha256(body).hexdigest().encode()


def connection_of(server, pid):
    """A kept one of that worker."""
    while True:
        client = server.client()
        if pid_of(client.get("/")) == pid:
            return client
        client.close()
