"""A stand-in for a daemon beside the server: syslog, statsd."""
import socket

from waiting import wait_until


class Daemon:
    """A socket that keeps every packet (datagrams) or every NUL-ended text (streams)."""

    def __init__(self, family, kind, address):
        self.socket = socket.socket(family, kind)
        self.socket.bind(address)
        self.socket.setblocking(False)
        self.is_stream = kind == socket.SOCK_STREAM
        if self.is_stream:
            self.socket.listen()
        self.peers, self.packets, self.rest = [], [], b""

    def receive(self):
        sources = [self.socket]
        if self.is_stream:
            try:
                peer = self.socket.accept()[0]
                peer.setblocking(False)
                self.peers.append(peer)
            except BlockingIOError:
                pass
            sources = self.peers
        for source in sources:
            try:
                while data := source.recv(65536):
                    if self.is_stream:
                        *texts, self.rest = (self.rest + data).split(b"\0")
                        self.packets += [text + b"\0" for text in texts]
                    else:
                        self.packets.append(data)
            except BlockingIOError:
                pass
        return self.packets

    def wait_for(self, text, seconds=15):
        text = text.encode()

        def came():
            return next((p for p in self.receive() if text in p), None)
        return wait_until(came, seconds, f"{text} among {len(self.packets)} packets")

    def close(self):
        for s in [self.socket, *self.peers]:
            s.close()
