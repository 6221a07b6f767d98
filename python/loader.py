"""What the bridge does in Python: everything that happens once, or when something fails.

This text is part of python3-wsgi.so; it is no module that an application could import.
"""
import faulthandler
import importlib
import importlib.machinery
import io
import os
import stat
import sys
import threading  # in the main thread, which it takes note of

APP_LOAD, BOOT = 4, 3  # exit codes of the worker
OURS = "<licorne>"


class FileWrapper:
    """wsgi.file_wrapper. The server reads `filelike` itself when it gets one of these."""

    def __init__(self, filelike, blksize=8192):
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        data = self.filelike.read(self.blksize)
        if data:
            return data
        raise StopIteration

    def __getitem__(self, key):
        data = self.filelike.read(self.blksize)
        if data:
            return data
        raise IndexError


def plain_file(filelike):
    """(descriptor, offset, bytes from there on) of a file object whose read() gives the bytes of a
    regular file as they are. None for all others: what a GzipFile or a stranger's class says of
    its descriptor need not be what it reads."""
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None and type(filelike) is tempfile._TemporaryFileWrapper:
        filelike = filelike.file
    is_buffered = type(filelike) in (io.BufferedReader, io.BufferedRandom)
    try:
        raw = filelike.raw if is_buffered else filelike
        if type(raw) is not io.FileIO or not raw.readable() or "read" in vars(filelike):
            return None
        if is_buffered and raw.writable():
            filelike.flush()
        descriptor, offset = raw.fileno(), filelike.tell()
        about = os.fstat(descriptor)
    except (OSError, ValueError):  # a pipe, or closed: reading tells
        return None
    # Files that are made up as they are read have no blocks; /proc says that they are empty.
    if not stat.S_ISREG(about.st_mode) or about.st_blocks == 0:
        return None
    return descriptor, offset, max(about.st_size - offset, 0)


class OwnPackage:
    """Finds `gunicorn`, and nothing else. Ours comes before one that is installed: only this one
    speaks with the server that runs here."""

    def __init__(self, folder):
        self.folder = folder

    def find_spec(self, name, path=None, target=None):
        if name != "gunicorn":
            return None
        return importlib.machinery.PathFinder.find_spec(name, [self.folder])


def add_package(folder):
    sys.meta_path.insert(0, OwnPackage(folder))


class Refused(Exception):
    """There is no such application: one line says all."""


def prepare(start_dir, chdir, pythonpath, stack_fd, stack_signal, traces_lines):
    """Gunicorn's order: the folder of the start, in front of it the application's (`chdir`), and
    in front of that `pythonpath`, the last entry first."""
    sys.argv = ["licorne"]
    folders = [start_dir, chdir] + [os.path.abspath(p.strip()) for p in pythonpath.split(",") if p.strip()]
    for folder in folders:
        if folder not in sys.path:
            sys.path.insert(0, folder)
    show_stacks(stack_fd if stack_fd >= 0 else sys.stderr, stack_signal)
    open_loggers()
    if traces_lines:
        threading.settrace(trace_line)
        trace_this_thread()


def open_loggers():
    """People give the handlers of "gunicorn.error" to their own loggers."""
    try:
        from gunicorn import glogging
    except ImportError:
        return  # the plugin without its package
    glogging.open_loggers()


def sync_environment(entries):
    """os.environ is what the environment was when Python started; since then the server has
    changed it (raw_env)."""
    now = dict(entry.split(b"=", 1) for entry in entries if b"=" in entry)
    for name in [n for n in os.environb if n not in now]:
        del os.environb[name]
    for name, value in now.items():
        if os.environb.get(name) != value:
            os.environb[name] = value


def show_stacks(file, signal):
    """The master ends a hung worker with SIGABRT: the log then shows the line in which each
    thread was. A crash in a C extension too. Of a slow request it asks with a signal of its own."""
    try:
        faulthandler.enable(file=file, all_threads=True)
        faulthandler.register(signal, file=file, all_threads=True)
    except (AttributeError, OSError, RuntimeError, ValueError):
        pass  # there is no stderr


def load(spec, chdir, executable, defaults):
    """(application, 0, None, None), or (None, exit code, text for the log, the same in short)."""
    try:
        if spec.startswith("paste:"):
            return deploy(spec[len("paste:"):], defaults), 0, None, None
        return find(spec, chdir), 0, None, None
    except Refused as refusal:
        return None, APP_LOAD, str(refusal), str(refusal)
    except BaseException as e:  # SystemExit too: an application must not end the server
        _broken.extend(files_of(e))
        _broken.extend(folders_for(e, chdir))
        return None, BOOT, explain(e, spec, chdir, executable), in_short(e)


def deploy(path, defaults):
    """The application that a PasteDeploy file names: PATH or PATH#NAME."""
    try:
        from paste.deploy import loadapp
    except ImportError as e:
        raise Refused("paste: PasteDeploy cannot be imported (%s): install it where %s finds it"
                      % (e, sys.executable)) from None
    app = loadapp("config:" + path, relative_to=os.getcwd(),
                  global_conf=dict(line.split("=", 1) for line in defaults.splitlines()))
    if not callable(app):
        raise Refused("Application object must be callable.")
    return app


# ---- spew ----


def trace_line(frame, event, arg):
    """Prints `module:number: line`, as Gunicorn's spew does."""
    if event == "line":
        import linecache

        name = frame.f_globals.get("__name__", "[unknown]")
        path = frame.f_globals.get("__file__")
        if path is None:
            line = "Unknown code named [%s].  VM instruction #%d" % (
                frame.f_code.co_name, frame.f_lasti)
        else:
            line = linecache.getline(path, frame.f_lineno)
        print("%s:%s: %s" % (name, frame.f_lineno, line.rstrip()))
    return trace_line


def trace_this_thread():
    sys.settrace(trace_line)


# ---- finding it ----


def find(spec, chdir):
    if spec.startswith("run:"):
        return of_script()
    module_name, _, expression = spec.partition(":")
    if ":" not in spec:
        expression = "application"
    module = import_module(module_name, expression, chdir)
    name, args, kwargs = parse(expression)
    try:
        app = getattr(module, name)
    except AttributeError:
        near = near_attribute(module, name)
        hint = " Did you mean '%s:%s'?" % (module_name, near) if near else ""
        raise Refused("Failed to find attribute %r in %r.%s" % (name, module_name, hint)) from None
    if args is not None:
        app = call_factory(app, args, kwargs)
    if app is None:
        raise Refused("Failed to find application object: %r" % expression)
    if not callable(app):
        raise Refused("Application object must be callable.")
    return app


def of_script():
    """What load() of the user's own gunicorn.app.base application gives."""
    from gunicorn.app import base

    sys.argv = base.arguments()
    app = base.captured.wsgi()
    if not callable(app):
        raise Refused("Application object must be callable.")
    return app


def import_module(name, expression, chdir):
    try:
        return importlib.import_module(name)
    except ImportError:
        if name.endswith(".py") and os.path.exists(os.path.join(chdir, name)):
            stem = name[:-3].replace("/", ".")
            text = "Failed to find application, did you mean '%s:%s'?" % (stem, expression)
            raise ImportError(text) from None
        raise


def parse(expression):
    """`name` or `name(literals)`."""
    if expression.isidentifier():
        return expression, None, None

    import ast

    unknown = Refused("Failed to parse %r as an attribute name or function call." % expression)
    try:
        call = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError):
        raise unknown from None
    if isinstance(call, ast.Name):
        return call.id, None, None
    if not isinstance(call, ast.Call):
        raise unknown
    if not isinstance(call.func, ast.Name):
        raise Refused("Function reference must be a simple name: %r" % expression)
    try:
        args = [ast.literal_eval(arg) for arg in call.args]
        kwargs = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except ValueError:
        text = "Failed to parse arguments as literal values: %r" % expression
        raise Refused(text) from None
    return call.func.id, args, kwargs


def call_factory(factory, args, kwargs):
    try:
        return factory(*args, **kwargs)
    except TypeError as e:
        # Its own frame is in the traceback if the call got as far as into it.
        tb = e.__traceback__
        while tb is not None:
            if tb.tb_frame.f_code is getattr(factory, "__code__", None):
                raise
            tb = tb.tb_next
        if not hasattr(factory, "__code__") and e.__traceback__.tb_next is not None:
            raise
        raise Refused("TypeError: %s" % e) from None


# ---- explaining why not ----


def near(name, candidates):
    import difflib

    found = difflib.get_close_matches(name, sorted(candidates), 1)
    return found[0] if found else None


def near_attribute(module, name):
    public = [n for n in vars(module) if not n.startswith("_") and callable(getattr(module, n))]
    usual = [n for n in ("application", "app", "wsgi_app", "create_app", "make_app") if n in public]
    found = near(name, public) or (usual[0] if usual else None)
    return found + "()" if found in ("create_app", "make_app") else found


def modules_in(folder):
    """Names that an import would find there."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                stem, extension = os.path.splitext(entry.name)
                if extension == ".py" and stem != "__init__":
                    yield stem
                elif entry.is_dir() and entry.name.isidentifier():
                    yield entry.name
    except OSError:
        return


def near_module(missing, spec, chdir):
    """Another spelling of the application that could be imported, or None."""
    module_name, colon, expression = spec.partition(":")
    if module_name != missing and not module_name.startswith(missing + "."):
        return None
    parent, _, last = missing.rpartition(".")
    folders = getattr(sys.modules.get(parent), "__path__", []) if parent else searched(chdir)
    found = near(last, {name for folder in folders for name in modules_in(folder)})
    if not found:
        return None
    better = (parent + "." if parent else "") + found
    return better + module_name[len(missing):] + colon + expression


def searched(chdir):
    """sys.path without the standard library."""
    library = os.path.dirname(os.__file__)
    own = (library, os.path.join(library, "lib-dynload"))
    return [p or chdir for p in sys.path if p not in own and not p.endswith(".zip")]


def with_access(folder):
    """People start as root, name a user, and wonder about modules that are plainly there."""
    try:
        os.scandir(folder).close()
    except PermissionError:
        return "%s (which user %d may not read)" % (folder, os.geteuid())
    except OSError:
        pass
    return folder


def is_machinery(code):
    name = code.co_filename
    return (name == OURS or name.startswith("<frozen importlib")
            or name == importlib.__file__)


def trim(exception, seen=()):
    """Takes the frames of the import machinery, and ours, out of the traceback."""
    if exception is None or exception in seen:
        return
    frames, tb = [], exception.__traceback__
    while tb is not None:
        if not is_machinery(tb.tb_frame.f_code):
            frames.append(tb)
        tb = tb.tb_next
    for this, following in zip(frames, frames[1:] + [None]):
        this.tb_next = following
    exception.__traceback__ = frames[0] if frames else None
    trim(exception.__cause__, (*seen, exception))
    trim(exception.__context__, (*seen, exception))


def place(exception):
    """"/srv/app/shop.py, line 3": the user's code that it came from, or None."""
    if isinstance(exception, SyntaxError) and exception.filename:
        return "%s, line %s" % (exception.filename, exception.lineno)
    tb = exception.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    if tb is None:
        return None
    return "%s, line %d" % (tb.tb_frame.f_code.co_filename, tb.tb_lineno)


def described(exception):
    """Its kind and the first line of its text."""
    try:
        text = exception.msg if isinstance(exception, SyntaxError) else str(exception)
    except Exception:
        text = ""
    return type(exception).__name__, text.split("\n")[0]


def explain(exception, spec, chdir, executable):
    """First what and where in one line, then the user's frames."""
    trim(exception)
    kind, text = described(exception)
    what = "%s: %s" % (kind, text) if text and not isinstance(exception, ImportError) else text
    where = place(exception)
    line = "Exception in worker process: %s (%sapplication %s)" % (
        what or kind, where + "; " if where else "", spec)
    if isinstance(exception, ModuleNotFoundError) and exception.name:
        better = near_module(exception.name, spec, chdir)
        if better:
            line += "; did you mean '%s'?" % better
        line += "; looked in: " + ", ".join(map(with_access, searched(chdir)))
    line += "; interpreter %s (%d.%d.%d)" % ((executable,) + sys.version_info[:3])

    has_more = exception.__traceback__ is not None or isinstance(exception, SyntaxError)
    return line + "\n" + format_exception(exception) if has_more else line


def in_short(exception):
    """What it is, and where: for those who ask over the control socket."""
    kind, text = described(exception)
    where = place(exception)
    return kind + (": " + text if text else "") + (" (%s)" % where if where else "")


def format_exception(exception):
    import traceback

    lines = traceback.format_exception(type(exception), exception, exception.__traceback__)
    return "".join(lines).rstrip("\n")


# ---- gunicorn.socket ----

def socket_classes():
    """Made when somebody asks: the socket module is not everybody's."""
    import socket

    class Connection(socket.socket):
        """A duplicate of the connection's descriptor. The server shares what lies behind it and
        must never be blocked, so that what is to block here does so by polling."""

        AS_GOOD_AS_EVER = 100 * 365 * 86400.0

        def __init__(self, descriptor):
            super().__init__(proto=0, fileno=os.dup(descriptor))
            self.settimeout(None)

        def settimeout(self, value):
            super().settimeout(self.AS_GOOD_AS_EVER if value is None else value)

        def gettimeout(self):
            value = super().gettimeout()
            return None if value == self.AS_GOOD_AS_EVER else value

        timeout = property(gettimeout)

        def setblocking(self, flag):
            self.settimeout(None if flag else 0.0)

        def getblocking(self):
            return self.gettimeout() != 0.0

        def close(self):
            """Of the connection, as the name says."""
            try:
                self.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            super().close()

    class TLSConnection(Connection):
        """What ssl.SSLSocket tells. Its bytes are the server's alone."""

        server_side, server_hostname = True, None

        def __init__(self, descriptor, tls, ends):
            super().__init__(descriptor)
            # Another worker may have the client's own socket, and this be the way there.
            self._ends = ends if self.family == socket.AF_UNIX else None
            (self._version, *self._cipher, self._alpn, self.session_reused,
             self._certificate) = tls
            self._decoded = None

        def getpeername(self):
            return super().getpeername() if self._ends is None else name_of(*self._ends[:2])

        def getsockname(self):
            return super().getsockname() if self._ends is None else name_of(*self._ends[2:])

        def setsockopt(self, level, *option):
            if self._ends is None or level == socket.SOL_SOCKET:
                super().setsockopt(level, *option)

        def version(self):
            return self._version

        def cipher(self):
            return tuple(self._cipher)

        def selected_alpn_protocol(self):
            return self._alpn

        def selected_npn_protocol(self):
            return None

        def compression(self):
            return None

        def getpeercert(self, binary_form=False):
            if not self._certificate:
                return None
            if binary_form:
                return self._certificate
            if self._decoded is None:
                self._decoded = decode_certificate(self._certificate)
            return dict(self._decoded)

    def name_of(address, port):
        return (address, int(port), 0, 0) if ":" in address else (address, int(port))

    def refuse(self, *arguments, **names):
        raise OSError("the server itself reads and writes this encrypted connection")

    for name in ("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into",
                 "send", "sendall", "sendto", "sendmsg", "sendfile", "makefile", "read", "write",
                 "pending", "unwrap", "do_handshake"):
        setattr(TLSConnection, name, refuse)
    return Connection, TLSConnection


def open_connection(descriptor, tls, ends):
    global connection_classes

    if connection_classes is None:
        connection_classes = socket_classes()
    if tls is None:
        return connection_classes[0](descriptor)
    return connection_classes[1](descriptor, tls, ends)


connection_classes = None


def decode_certificate(der):
    """As getpeercert() has it. The ssl module decodes the certificates of its own connections,
    and files."""
    import _ssl
    import ssl
    import tempfile

    with tempfile.NamedTemporaryFile(mode="w", suffix=".pem") as file:
        file.write(ssl.DER_cert_to_PEM_cert(der))
        file.flush()
        return _ssl._test_decode_cert(file.name)


# ---- leaving ----


def handle_interrupts(handler):
    """In the worker; processes that the application forks end by these signals at once."""
    import _signal

    both = (_signal.SIGINT, _signal.SIGQUIT)
    for number in both:
        if _signal.getsignal(number) in (_signal.SIG_DFL, None):  # None: it is the server's
            _signal.signal(number, handler)

    def forget():
        for number in both:
            if _signal.getsignal(number) is handler:
                _signal.signal(number, _signal.SIG_DFL)

    os.register_at_fork(after_in_child=forget)


def finish(limit):
    """What Python does when a program ends: wait for threads, run atexit, write out what is
    buffered. In a thread, because some of it may never end. False: it has not."""
    thread = threading.Thread(target=wind_up, name="licorne-finish", daemon=True)
    thread.start()
    thread.join(limit)
    return not thread.is_alive()


def wind_up():
    import atexit

    # Pools (concurrent.futures) first let their threads know, as threading._shutdown does; that
    # itself would wait for the main thread.
    steps = list(reversed(getattr(threading, "_threading_atexits", [])))
    steps += [join_threads, atexit._run_exitfuncs, flush_output]
    for step in steps:
        try:
            step()
        except BaseException:
            sys.excepthook(*sys.exc_info())


def join_threads():
    for thread in threading.enumerate():
        is_own = thread in (threading.main_thread(), threading.current_thread())
        if not thread.daemon and not is_own:
            thread.join()


def flush_output():
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


# ---- files that are moved away ----


def reopen_files():
    """Those of every logger's handlers, as far as the application uses logging at all."""
    logging = sys.modules.get("logging")
    if logging is None:
        return
    named = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    handlers = {handler for logger in [logging.root, *named] for handler in logger.handlers
                if isinstance(handler, logging.FileHandler)}
    for handler in handlers:
        with handler.lock:
            if handler.stream is None:  # it opens its file with the first record
                continue
            try:
                fresh = handler._open()
            except OSError:
                import traceback
                traceback.print_exc()
                continue
            handler.stream.close()
            handler.stream = fresh


# ---- what to watch for changes ----

_named = set()
_broken = []  # files that an import did not get through


def files_of(exception):
    """Where it came from: a file with a syntax error is no module yet."""
    while exception is not None:
        if isinstance(exception, SyntaxError) and exception.filename:
            yield exception.filename
        tb = exception.__traceback__
        while tb is not None:
            yield tb.tb_frame.f_code.co_filename
            tb = tb.tb_next
        exception = exception.__cause__ or exception.__context__


def folders_for(exception, chdir):
    """Where a module that is missing may come to be, each with a slash behind it."""
    name = getattr(exception, "name", None)
    if not isinstance(exception, ModuleNotFoundError) or not name:
        return []
    parent = sys.modules.get(name.rpartition(".")[0])
    folders = searched(chdir) if parent is None else getattr(parent, "__path__", [])
    return [os.path.join(os.path.abspath(folder), "") for folder in folders]


def sources():
    """The files of all modules, as far as they were not returned before."""
    found = []
    modules = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    for path in modules + _broken:
        if not isinstance(path, str) or path in _named:
            continue
        _named.add(path)
        if path.endswith("/"):
            if os.path.isdir(path):
                found.append(path)
            continue
        if path.endswith((".pyc", ".pyo")):
            path = path[:-1]
        # Its own file may be changed, or the link that leads there.
        for way in {os.path.abspath(path), os.path.realpath(path)}:
            if os.path.isfile(way):
                found.append(way)
    del _broken[:]
    return found
