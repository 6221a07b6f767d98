"""A program that is its own server: class Site(BaseApplication), then Site().run().

run() starts the server in place of the program. The server then runs the program once more, up to
run(), for its settings (again at each reload), and takes the application from load() in
its workers. So what stands before run() must bear being run twice.
"""
import json
import os
import runpy
import sys

from gunicorn import util
from gunicorn.config import Config

ARGUMENTS = "LICORNE_SCRIPT_ARGV"  # how the program was called, for the process that runs it again

_capturing = False
captured = None  # the application whose run() was called


class _Captured(BaseException):
    """Leaves the program at its run()."""


def _server():
    here = os.path.dirname(os.path.abspath(__file__))
    beside = os.path.normpath(os.path.join(here, "../../../../../bin/licorne"))
    return beside if os.access(beside, os.X_OK) else "licorne"


def execute(arguments):
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    command = [_server(), "--python", sys.executable, *arguments]
    try:
        os.execvp(command[0], command)
    except OSError as e:
        raise RuntimeError("cannot start %s: %s" % (command[0], e)) from e


def _program():
    """How to run it again: a file's path, or -m and a module's name."""
    main = sys.modules["__main__"]
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name:
        name = spec.name
        return "-m" + (name[:-len(".__main__")] if name.endswith(".__main__") else name)
    path = getattr(main, "__file__", None)
    if not path:
        raise RuntimeError("run() needs a program in a file: the server has to run it, too")
    return os.path.abspath(path)


def arguments(program=None):
    """The program's own sys.argv."""
    return json.loads(os.environ.get(ARGUMENTS, "null")) or [program or "licorne"]


def capture(program):
    """Runs the program as the main one; its application, or None."""
    global _capturing, captured
    _capturing, captured = True, None
    saved = sys.argv
    sys.argv = arguments(program)
    try:
        if program.startswith("-m"):
            runpy.run_module(program[2:], run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, os.path.dirname(program))
            _run_as_main(program)
    except _Captured:
        pass
    finally:
        _capturing = False
        sys.argv = saved
    return captured


def _run_as_main(path):
    """Its module stays, as that of a running program does: what it defined is still in use."""
    import types

    main = types.ModuleType("__main__")
    main.__file__ = path
    main.__builtins__ = __builtins__
    sys.modules["__main__"] = main
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    exec(code, main.__dict__)


class BaseApplication:
    def __init__(self, usage=None, prog=None):
        self.usage = usage
        self.cfg = None
        self.callable = None
        self.prog = prog
        self.logger = None
        self.do_load_config()

    def do_load_config(self):
        self.load_default_config()
        self.load_config()

    def load_default_config(self):
        self.cfg = Config(self.usage, prog=self.prog)

    def init(self, parser, opts, args):
        raise NotImplementedError

    def load_config(self):
        raise NotImplementedError

    def load(self):
        raise NotImplementedError

    def reload(self):
        self.do_load_config()

    def wsgi(self):
        if self.callable is None:
            self.callable = self.load()
        return self.callable

    def run(self):
        global captured
        if _capturing:
            captured = self
            raise _Captured
        os.environ[ARGUMENTS] = json.dumps(sys.argv)
        execute(["-c", "run:" + _program()])


class Application(BaseApplication):
    """One that takes the server's own options as well."""

    def chdir(self):
        os.chdir(self.cfg.chdir)
        if self.cfg.chdir not in sys.path:
            sys.path.insert(0, self.cfg.chdir)

    def load_config(self):
        pass  # file, variables and options are read by the server

    def load_config_from_file(self, filename):
        from gunicorn import _conf

        values, _, _ = _conf.read(filename, util.getcwd())
        for name, value in values.items():
            self.cfg.settings[name].value = value
        return values

    def run(self):
        global captured
        if _capturing:
            captured = self
            raise _Captured
        os.environ[ARGUMENTS] = json.dumps(sys.argv)
        execute(["-c", "run:" + _program(), *sys.argv[1:]])
