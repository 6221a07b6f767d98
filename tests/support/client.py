"""An HTTP/1.1 client that hides nothing: bytes out, framed responses in."""
import dataclasses
import select
import socket
import time


class BadResponse(Exception):
    """The server sent something that is no complete response."""


@dataclasses.dataclass
class Response:
    version: str
    status: int
    reason: str
    fields: list  # [(name as sent, value)]
    body: bytes

    def field(self, name):
        """The value of the first field of this name in any case, or None."""
        return next((value for n, value in self.fields if n.lower() == name.lower()), None)

    @property
    def is_last(self):
        """Whether the server said that it closes the connection."""
        return (self.field("Connection") or "").lower() == "close"


def drip(client, pieces, pause):
    """Sends the pieces, one after each pause, until the server says something. How many seconds
    that took."""
    began = time.monotonic()
    for piece in pieces:
        if select.select([client.socket], [], [], pause)[0]:
            break
        client.send(piece)
    return time.monotonic() - began


class Client:
    """One connection to ("127.0.0.1", port) or to a unix socket's path. With `buffer` the kernel
    takes about so many bytes before they are asked for."""

    def __init__(self, address, timeout=10, buffer=None):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        if buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        self.left = b""  # received and not yet asked for

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def get(self, path="/", fields=(), method="GET", body=b""):
        """One request on this connection, and its response."""
        lines = [f"{method} {path} HTTP/1.1", "Host: test", *(f"{n}: {v}" for n, v in fields)]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        return self.response(method)

    def response(self, method="GET"):
        """The next response; one without framing is read up to the end of the connection."""
        head = self._until(b"\r\n\r\n")[:-4].decode("latin-1")
        status_line, *lines = head.split("\r\n")
        version, _, status = status_line.partition(" ")
        code, _, reason = status.partition(" ")
        if not version.startswith("HTTP/1.") or not code.isdigit():
            raise BadResponse(f"no status line: {status_line!r}")
        fields = []
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise BadResponse(f"no header field: {line!r}")
            fields.append((name, value.strip()))
        response = Response(version, int(code), reason, fields, b"")
        response.body = self._body(response, method)
        return response

    def _body(self, response, method):
        if method == "HEAD" or response.status in (204, 304) or response.status < 200:
            return b""
        if (response.field("Transfer-Encoding") or "").lower() == "chunked":
            return self._chunks()
        length = response.field("Content-Length")
        return self.rest() if length is None else self._exactly(int(length))

    def _chunks(self):
        pieces = []
        while True:
            size = int(self._until(b"\r\n"), 16)
            pieces.append(self._exactly(size))
            if self._exactly(2) != b"\r\n":
                raise BadResponse("a chunk does not end in CRLF")
            if size == 0:
                return b"".join(pieces)

    def rest(self):
        """Everything up to the end of the connection."""
        while self._receive():
            pass
        data, self.left = self.left, b""
        return data

    def is_closed(self, within=5):
        """Whether the server closes the connection in time, without another byte."""
        self.socket.settimeout(within)
        try:
            return not self.left and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def is_readable(self):
        """Whether the server has sent or closed something that nobody has asked for."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(self.left or poll.poll(0))

    def _receive(self):
        piece = self.socket.recv(65536)
        self.left += piece
        return piece

    def _until(self, mark):
        while mark not in self.left:
            if not self._receive():
                raise BadResponse(f"closed after {self.left[-200:]!r}, before {mark!r}")
        at = self.left.index(mark) + len(mark)
        data, self.left = self.left[:at], self.left[at:]
        return data

    def _exactly(self, size):
        pieces, have = [self.left], len(self.left)
        while have < size:
            piece = self.socket.recv(max(size - have, 65536))
            if not piece:
                raise BadResponse(f"closed after {have} of {size} bytes")
            pieces.append(piece)
            have += len(piece)
        data = b"".join(pieces)
        self.left = data[size:]
        return data[:size]
