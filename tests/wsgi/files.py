"""Answers that are files: PATH_INFO says how, the query names the file, relative to FILES."""
import gzip
import io
import os
import tempfile
from urllib.parse import parse_qs


def whole(path, environ):
    return open(path, "rb")


def rest(path, environ):
    """From byte 1000 on, a part of it read ahead already."""
    file = open(path, "rb")
    file.read(1000)
    return file


def unbuffered(path, environ):
    return open(path, "rb", buffering=0)


def updated(path, environ):
    """The last write is still in the buffer of the file object."""
    file = open(path, "r+b")
    file.write(b"new")
    file.seek(0)
    file.write(b"N")
    file.seek(0)
    return file


def temporary(path, environ):
    file = tempfile.NamedTemporaryFile()
    file.write(open(path, "rb").read())
    file.seek(0)
    return file


def unzipped(path, environ):
    return gzip.open(path)


def in_memory(path, environ):
    return io.BytesIO(open(path, "rb").read())


def lying(path, environ):
    """What it reads is not what lies in the file."""
    class Upper(io.BufferedReader):
        def read(self, size=-1):
            return super().read(size).upper()

    return Upper(io.FileIO(path))


def pipe(path, environ):
    reader, writer = os.pipe()
    os.write(writer, open(path, "rb").read()[:1000])
    os.close(writer)
    return open(reader, "rb")


def application(environ, start_response):
    asked = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    path = os.path.join(os.environ["FILES"], asked["file"]) if "file" in asked else None
    name = environ["PATH_INFO"][1:]
    if name == "position":
        # The position of the file object, and of its descriptor, behind the answer before.
        body = repr(kept and (kept.tell(), os.lseek(kept.fileno(), 0, os.SEEK_CUR))).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    file = globals()[name](path, environ)
    fields = [("Content-Type", "x/y")]
    if "length" in asked:
        fields.append(("Content-Length", asked["length"]))
    if "seek" in asked:
        file.seek(int(asked["seek"]))
    write = start_response(asked.get("status", "200 OK"), fields)
    if "write" in asked:
        write(asked["write"].encode())
    wrapper = environ["wsgi.file_wrapper"](file)
    keep(wrapper, file)
    if "truncate" in asked:
        size = int(asked["truncate"])
        wrapper.close = lambda: os.truncate(path, size)
    return wrapper


kept = None


def keep(wrapper, file):
    """Not closed, so that a later request can ask where it stands."""
    global kept
    kept = file
    wrapper.close = lambda: None
