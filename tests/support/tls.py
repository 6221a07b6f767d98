"""Certificates for tests, and a client that encrypts."""
import os
import pathlib
import socket
import ssl
import subprocess

from client import Client


def openssl(*arguments, stdin=b""):
    """The openssl tool; its standard output."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True,
                          timeout=30, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Authority:
    """Issues certificates into `folder`; its own is `ca.pem` there."""

    def __init__(self, folder, name="Test CA"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pem, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", self.key, "-out", self.pem, "-days", 30, "-subj", f"/CN={name}",
                # From 3.13 on Python's ssl takes RFC 5280 at its word.
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, file, name="localhost", days=30, names=("DNS:localhost", "IP:127.0.0.1"),
              algorithm=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        """FILE.pem and FILE.key; their paths."""
        pem, key = self.folder / f"{file}.pem", self.folder / f"{file}.key"
        request = openssl("req", "-new", "-newkey", *algorithm, "-nodes", "-keyout", key,
                          "-subj", f"/CN={name}")
        extensions = self.folder / f"{file}.ext"
        extensions.write_text("basicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash\n"
                              "authorityKeyIdentifier=keyid\n"
                              + ("subjectAltName=" + ",".join(names) + "\n" if names else ""))
        openssl("x509", "-req", "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-days",
                days, "-out", pem, "-extfile", extensions, stdin=request)
        return pem, key

    def context(self, certificate=None, **settings):
        """For a client that trusts this authority and shows `certificate`, a (pem, key)."""
        context = ssl.create_default_context(cafile=str(self.pem))
        # An end without goodbye is an error; older ssl modules do not know that it may be none.
        context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
        if certificate:
            context.load_cert_chain(*map(str, certificate))
        for name, value in settings.items():
            setattr(context, name, value)
        return context


class TLSClient(Client):
    """One encrypted connection."""

    def __init__(self, address, context, server_name="localhost", timeout=10, session=None):
        super().__init__(address, timeout)
        try:
            self.socket = context.wrap_socket(self.socket, server_hostname=server_name,
                                              session=session, suppress_ragged_eofs=False)
        except BaseException:
            self.socket.close()
            raise

    def serial(self):
        """Of the certificate that the server showed."""
        return self.socket.getpeercert()["serialNumber"]


class Records:
    """The bytes of an encrypted connection in the caller's hand: what leaves when, and in which
    pieces."""

    def __init__(self, address, context, server_name="localhost", timeout=10):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=server_name)
        self.socket = socket.create_connection(address, timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.socket.close()

    def send(self, step=None):
        """What OpenSSL wants to say, `step` bytes at a time."""
        data = self.outgoing.read()
        for at in range(0, len(data), step or max(len(data), 1)):
            self.socket.sendall(data[at:at + (step or len(data))])

    def receive(self):
        data = self.socket.recv(65536)
        self.incoming.write(data) if data else self.incoming.write_eof()
        return data

    def handshake(self, step=None):
        while True:
            try:
                self.tls.do_handshake()
                self.send(step)
                return self
            except ssl.SSLWantReadError:
                self.send(step)
                self.receive()

    def read(self, size=65536):
        """Decrypted bytes; b"" at a proper end."""
        while True:
            try:
                return self.tls.read(size)
            except ssl.SSLWantReadError:
                self.receive()

    def read_until(self, mark):
        data = b""
        while mark not in data:
            piece = self.read()
            assert piece, f"closed after {data[-200:]!r}, before {mark!r}"
            data += piece
        return data


def replace(path, text):
    """As certbot and friends do it: readers see the old or the new, nothing between."""
    fresh = pathlib.Path(f"{path}.new")
    fresh.write_bytes(text)
    os.replace(fresh, path)
