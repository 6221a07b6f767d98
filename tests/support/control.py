"""A client of the control socket: frames of JSON, as Gunicorn's gunicornc sends them."""
import json
import socket
import struct
import time


class Refused(Exception):
    """The server's own words."""


class Control:
    def __init__(self, path, timeout=20):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.socket.connect(path)
                break
            except BlockingIOError:  # as many wait already as the socket's queue holds
                assert time.monotonic() < deadline
                time.sleep(0.01)
        self.last_id = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.socket.close()

    def send(self, payload):
        """One frame around these bytes."""
        self.socket.sendall(struct.pack(">I", len(payload)) + payload)

    def send_command(self, command, *args):
        self.last_id += 1
        self.send(json.dumps({"id": self.last_id, "command": command, "args": args}).encode())

    def receive(self):
        """The next answer; None when the server has closed."""
        head = self._read(4)
        return head and json.loads(self._read(*struct.unpack(">I", head)))

    def _read(self, size):
        data = b""
        while len(data) < size:
            try:
                piece = self.socket.recv(size - len(data))
            except ConnectionResetError:
                piece = b""
            if not piece:
                return None
            data += piece
        return data

    def ask(self, command, *args):
        """The data of the answer."""
        self.send_command(command, *args)
        answer = self.receive()
        assert answer is not None, "the server has closed the connection"
        assert answer["id"] == self.last_id
        if answer["status"] != "ok":
            raise Refused(answer["error"])
        return answer["data"]
