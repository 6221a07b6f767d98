"""The helpers that configuration files and extensions take from Gunicorn."""
import importlib
import inspect
import io
import os
import pwd
import grp
import socket
import sys
import time
from email.utils import formatdate


def http_date(timestamp=None):
    return formatdate(time.time() if timestamp is None else timestamp, localtime=False, usegmt=True)


def is_ipv6(address):
    try:
        socket.inet_pton(socket.AF_INET6, address)
    except (OSError, ValueError):
        return False
    return True


def parse_address(netloc, default_port="8000"):
    """One entry of `bind` as a socket address: a path, a number for fd://, or (host, port)."""
    path = netloc.split("unix://", 1)[-1] if netloc.startswith("unix://") else netloc
    if netloc.startswith("unix:"):
        return path.split("unix:", 1)[-1]
    if netloc.startswith("fd://"):
        try:
            return int(netloc[5:])
        except ValueError:
            raise RuntimeError("%r is not a valid file descriptor." % netloc[5:]) from None
    if netloc.startswith("tcp://"):
        netloc = netloc[6:]
    host, port = netloc, default_port
    if "[" in netloc and "]" in netloc:
        host = netloc.split("]")[0][1:].lower()
        port = (netloc.split("]:") + [default_port])[1]
    elif ":" in netloc:
        host, port = netloc.split(":")[:2]
        host = host.lower()
    elif netloc == "":
        host = "0.0.0.0"
    try:
        return host.lower(), int(port)
    except ValueError:
        raise RuntimeError("%r is not a valid port number." % port) from None


def positionals(function):
    """How many positional parameters a call needs to fill; *args do not count."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in kinds for p in inspect.signature(function).parameters.values())


get_arity = positionals


def load_class(uri, default="gunicorn.workers.sync.SyncWorker", section="gunicorn.workers"):
    """A class as it is, or the one that a dotted path names."""
    if inspect.isclass(uri):
        return uri
    module, dot, name = uri.rpartition(".")
    if not dot:
        raise RuntimeError("class uri %r invalid or not found: a dotted path is needed" % uri)
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as e:
        raise RuntimeError("class uri %r invalid or not found: %s" % (uri, e)) from e


def import_app(module):
    """The object that MODULE:NAME names."""
    name, _, attribute = module.partition(":")
    found = importlib.import_module(name)
    for part in (attribute or "application").split("."):
        found = getattr(found, part)
    return found


def getcwd():
    """$PWD where it names the working directory: the way that the user knows."""
    pwd_variable = os.environ.get("PWD")
    try:
        here, named = os.stat(os.getcwd()), os.stat(pwd_variable)
        if (here.st_dev, here.st_ino) == (named.st_dev, named.st_ino):
            return pwd_variable
    except (OSError, TypeError):
        pass
    return os.getcwd()


def to_bytestring(value, encoding="utf8"):
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise TypeError("%r is not a string" % value)
    return value.encode(encoding)


def bytes_to_str(value):
    return value if isinstance(value, str) else value.decode("latin1")


def unquote_to_wsgi_str(text):
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(text).decode("latin-1")


def has_fileno(obj):
    try:
        obj.fileno()
    except (AttributeError, OSError, io.UnsupportedOperation):
        return False
    return True


def close(sock):
    try:
        sock.close()
    except OSError:
        pass


def warn(text):
    print("!!!", file=sys.stderr)
    for number, line in enumerate(text.splitlines()):
        print("!!! %s%s" % ("" if number else "WARNING: ", line), file=sys.stderr)
    print("!!!\n", file=sys.stderr, flush=True)


def get_username(uid):
    return pwd.getpwuid(uid).pw_name


def set_owner_process(uid, gid, initgroups=False):
    """Makes this process the user's, groups first."""
    if gid:
        if uid and initgroups:
            os.initgroups(get_username(uid), gid)
        elif gid != os.getgid():
            os.setgid(gid)
    if uid and uid != os.getuid():
        os.setuid(uid)


def user_id(value):
    if value is None:
        return os.geteuid()
    if isinstance(value, int):
        return value
    if value.isdigit():
        return int(value)
    try:
        return pwd.getpwnam(value).pw_uid
    except KeyError:
        from gunicorn.errors import ConfigError

        raise ConfigError("No such user: '%s'" % value) from None


def group_id(value):
    if value is None:
        return os.getegid()
    if isinstance(value, int):
        return value
    if value.isdigit():
        return int(value)
    try:
        return grp.getgrnam(value).gr_gid
    except KeyError:
        from gunicorn.errors import ConfigError

        raise ConfigError("No such group: '%s'" % value) from None
