"""Reads a configuration file: runs it, and turns its names into settings."""
import ast
import difflib
import importlib
import importlib.machinery
import importlib.util
import inspect
import os
import sys
import traceback
import types

import gunicorn
from gunicorn import config, util
from gunicorn.app import base

OUR_SERVER = gunicorn.SERVER
SCRIPT = "run:"  # what BaseApplication.run() names instead of a file


class Failure(Exception):
    """`details` go to the log as they are, then comes one line."""

    def __init__(self, line, details=""):
        super().__init__(line)
        self.details = details


def read(asked, start_dir):
    """(values by setting, [(name, texts, place)], warnings)"""
    if start_dir not in sys.path:
        sys.path.insert(0, start_dir)
    gunicorn.SERVER = OUR_SERVER  # what an earlier reading has set is no longer said

    if asked.startswith(SCRIPT):
        return read_script(asked, start_dir)
    if asked.startswith("python:"):
        names, path = run_module(asked[len("python:"):])
        shown = asked[len("python:"):]
    else:
        shown = os.path.normpath(asked[len("file:"):] if asked.startswith("file:") else asked)
        path = os.path.join(start_dir, shown)
        names = run_file(path, shown)
    lines = lines_of(path)

    def place(name):
        return "%s:%d" % (shown, lines[name]) if name in lines else shown

    values, found = take(names, place)
    return values, found + server_header(shown), warnings_for(names, place)


# ---- running it ----


def run_file(path, shown):
    if not os.path.exists(path):
        raise Failure("%r doesn't exist" % shown)
    if not path.endswith((".py", ".pyc")):
        util.warn("configuration file should have a valid Python extension.\n")
    kind = (importlib.machinery.SourcelessFileLoader if path.endswith(".pyc")
            else importlib.machinery.SourceFileLoader)
    spec = importlib.util.spec_from_file_location("__config__", path,
                                                  loader=kind("__config__", path))
    module = importlib.util.module_from_spec(spec)
    sys.modules["__config__"] = module
    try:
        # Never a cached one: its time stamp has seconds, and people edit and reload in less.
        if path.endswith(".pyc"):
            spec.loader.exec_module(module)
        else:
            with open(path, "rb") as file:
                exec(compile(file.read(), path, "exec"), module.__dict__)
    except BaseException as e:  # SystemExit too: a reload must not end the server
        raise unreadable(shown, path, e) from None
    return vars(module)


def run_module(name):
    try:
        module = importlib.import_module(name)
    except BaseException as e:
        raise unreadable(name, None, e) from None
    return vars(module), getattr(module, "__file__", None)


def unreadable(shown, path, exception):
    """Its own frames only, and their last line in short."""
    kind = type(exception).__name__
    frames = exception.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    while frames is not None and "importlib" in frames.tb_frame.f_code.co_filename:
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(exception), exception, frames))
    line = getattr(exception, "lineno", None) if isinstance(exception, SyntaxError) else None
    for frame in traceback.extract_tb(frames):
        if path is None or frame.filename == path:
            line = frame.lineno
    what = exception.msg if isinstance(exception, SyntaxError) else str(exception)
    return Failure("%s%s: %s%s" % (shown, ":%d" % line if line else "", kind,
                                   ": " + what.split("\n")[0] if what else ""),
                   "Failed to read config file: %s\n%s\n" % (shown, text.rstrip("\n")))


def lines_of(path):
    """The line where the file binds each of its names for the last time."""
    lines = {}
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, TypeError, ValueError):
        return lines
    note(tree.body, lines)
    return lines


def note(statements, lines):
    for each in statements:
        if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            lines[each.name] = each.lineno
            continue
        if isinstance(each, (ast.Import, ast.ImportFrom)):
            for alias in each.names:
                lines[(alias.asname or alias.name).split(".")[0]] = each.lineno
        for field in ("targets", "target"):
            targets = getattr(each, field, None) or []
            for target in targets if isinstance(targets, list) else [targets]:
                for node in ast.walk(target):
                    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                        lines[node.id] = each.lineno
        for field in ("body", "orelse", "finalbody"):
            note(getattr(each, field, None) or [], lines)
        for handler in getattr(each, "handlers", []):
            note(handler.body, lines)


# ---- its names ----


def take(names, place):
    """The settings among them, by the rules for their types."""
    cfg = config.Config()
    values, found = {}, []
    for name, value in list(names.items()):
        if name not in cfg.settings:
            continue
        try:
            cfg.set(name, value)
            values[name] = cfg.settings[name].value
            texts = to_texts(values[name])
        except Exception as e:
            raise Failure("%s: %s: %s" % (place(name), name, e),
                          "Invalid value for %s: %s\n\n" % (name, value)) from None
        if texts is not None and (value is not None or name in config.TEXT_LISTS):
            found.append((name, texts, place(name)))
    return values, found


def to_texts(value):
    """In the notation of the server's other files; None leaves the setting as it is."""
    if value is None:
        return None
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, (list, tuple)):
        return [str(v) for v in value] or [""]
    if isinstance(value, type):
        return ["%s.%s" % (value.__module__, value.__qualname__)]
    if callable(value):
        return ["<%s()>" % config.qualname(value)]
    return [str(value)]


def server_header(place):
    if gunicorn.SERVER == OUR_SERVER:
        return []
    return [("server_header", [str(gunicorn.SERVER)], place)]


def warnings_for(names, place):
    """Names that look like a setting which somebody misspelt."""
    known = list(config.make_settings())
    warnings = []
    for name, value in names.items():
        is_helper = (isinstance(value, types.ModuleType) or inspect.isclass(value)
                     or (callable(value) and name not in known))
        if name in known or name.startswith("_") or is_helper or not name.islower():
            continue
        near = difflib.get_close_matches(name, known, 1, 0.85)
        if near:
            warnings.append("%s: there is no setting %r: did you mean %r?"
                            % (place(name), name, near[0]))
    return warnings


# ---- a program of the user's ----


def read_script(asked, start_dir):
    """Runs the program up to its BaseApplication.run(), which leaves the application behind."""
    shown = asked[len(SCRIPT):]
    try:
        application = base.capture(shown)
    except BaseException as e:
        raise unreadable(shown, shown, e) from None
    if application is None:
        raise Failure("%s: no application calls run() there" % shown)
    values, found = {}, []
    defaults = config.make_settings()
    for name, setting in application.cfg.settings.items():
        if setting.value != defaults[name].default:
            values[name] = setting.value
            texts = to_texts(setting.value)
            if texts is not None:
                found.append((name, texts, os.path.basename(shown)))
    found.append(("wsgi_app", [asked], os.path.basename(shown)))
    return values, found + server_header(os.path.basename(shown)), []
