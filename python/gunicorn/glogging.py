"""Logs as Python code sees them.

The server writes its logs itself, in a process of their own: what is said here is passed on to it.
Where the user brings a logger of his own (logger_class, logconfig and the like), that process
hands every record to the handlers which were set up here instead.
"""
import base64
import binascii
import json
import logging
import logging.config
import os
import re
import sys
import threading
import time
import traceback

try:
    import _licorne
except ImportError:  # not in a process of the server
    _licorne = None

LEVELS = ((logging.CRITICAL, 4), (logging.ERROR, 3), (logging.WARNING, 2), (logging.INFO, 1),
          (logging.DEBUG, 0))

CONFIG_DEFAULTS = {
    "version": 1,
    "disable_existing_loggers": False,
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["error_console"], "propagate": True,
                           "qualname": "gunicorn.error"},
        "gunicorn.access": {"level": "INFO", "handlers": ["console"], "propagate": True,
                            "qualname": "gunicorn.access"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "generic",
                    "stream": "ext://sys.stdout"},
        "error_console": {"class": "logging.StreamHandler", "formatter": "generic",
                          "stream": "ext://sys.stderr"},
    },
    "formatters": {
        "generic": {"format": "%(asctime)s [%(process)d] [%(levelname)s] %(message)s",
                    "datefmt": "[%Y-%m-%d %H:%M:%S %z]", "class": "logging.Formatter"},
    },
}


def loggers():
    return logging.getLogger("gunicorn.error"), logging.getLogger("gunicorn.access")


# ---- files that are moved away ----------------------------------------------------------------


def file_handlers():
    """Of all loggers, each once: those of the server may pass records on to others."""
    named = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    return list({id(handler): handler for logger in [logging.root, *named]
                 for handler in logger.handlers
                 if isinstance(handler, logging.FileHandler)}.values())


def was_moved(handler):
    """Whether its file is no longer the one of that name."""
    if handler.stream is None:
        return False
    try:
        return not os.path.samestat(os.fstat(handler.stream.fileno()),
                                    os.stat(handler.baseFilename))
    except (OSError, ValueError):  # it is gone, or closed
        return True


def reopen(handler):
    handler.acquire()
    try:
        handler.close()
        handler.stream = handler._open()
    finally:
        handler.release()


# ---- to the server's own logger --------------------------------------------------------------


class ServerHandler(logging.Handler):
    """The server adds time, pid and level."""

    def emit(self, record):
        try:
            level = next((ours for least, ours in LEVELS if record.levelno >= least), 0)
            _licorne.log(level, self.format(record))
        except Exception:
            self.handleError(record)


class AccessHandler(logging.Handler):
    def emit(self, record):
        try:
            _licorne.log_access(self.format(record))
        except Exception:
            self.handleError(record)


def pass_on():
    """Both loggers lead to the server, and nowhere else."""
    for logger, kind in zip(loggers(), (ServerHandler, AccessHandler)):
        logger.handlers[:] = [kind()]
        logger.filters[:] = []
        logger.propagate = False


def open_loggers():
    """In a worker, before the application looks at them."""
    error, access = loggers()
    if not any(isinstance(handler, ServerHandler) for handler in error.handlers):
        pass_on()
    error.setLevel(next((level for level, ours in reversed(LEVELS) if _licorne.log_enabled(ours)),
                        logging.CRITICAL))
    access.setLevel(logging.INFO)


# ---- a logger of the user's -------------------------------------------------------------------


class SafeAtoms(dict):
    """What an access line can say: quoted, and "-" for what is not there."""

    def __init__(self, atoms):
        super().__init__((key, value.replace('"', '\\"') if isinstance(value, str) else value)
                         for key, value in atoms.items())

    def __getitem__(self, key):
        if key.startswith("{"):
            key = key.lower()
        return super().__getitem__(key) if key in self else "-"


class Logger:
    LOG_LEVELS = {
        "critical": logging.CRITICAL, "error": logging.ERROR, "warning": logging.WARNING,
        "info": logging.INFO, "debug": logging.DEBUG,
    }
    loglevel = logging.INFO
    error_fmt = r"%(asctime)s [%(process)d] [%(levelname)s] %(message)s"
    datefmt = r"[%Y-%m-%d %H:%M:%S %z]"
    access_fmt = "%(message)s"
    syslog_fmt = "[%(process)d] %(message)s"
    atoms_wrapper_class = SafeAtoms

    def __init__(self, cfg):
        self.error_log, self.access_log = loggers()
        self.error_log.propagate = self.access_log.propagate = False
        self.error_handlers, self.access_handlers = [], []
        self.logfile = None
        self.lock = threading.Lock()
        self.cfg = cfg
        self.setup(cfg)

    def setup(self, cfg):
        self.loglevel = self.LOG_LEVELS.get((cfg.loglevel or "info").lower(), logging.INFO)
        self.error_log.setLevel(self.loglevel)
        self.access_log.setLevel(logging.INFO)
        if not is_users(cfg):
            return  # the server writes
        self._set_handler(self.error_log, cfg.errorlog,
                          logging.Formatter(self.error_fmt, self.datefmt))
        if cfg.accesslog is not None:
            self._set_handler(self.access_log, cfg.accesslog,
                              logging.Formatter(self.access_fmt), stream=sys.stdout)
        if cfg.logconfig_dict:
            self._configure("logconfig_dict", cfg.logconfig_dict)
        elif cfg.logconfig_json:
            self._configure_by_json(cfg.logconfig_json)
        elif cfg.logconfig:
            self._configure_by_file(cfg.logconfig)

    def _configure(self, name, changes):
        try:
            logging.config.dictConfig({**CONFIG_DEFAULTS, **changes})
        except (AttributeError, ImportError, TypeError, ValueError) as e:
            cause = ": %s" % e.__cause__ if e.__cause__ is not None else ""
            raise RuntimeError("%s: %s%s" % (name, e, cause)) from e

    def _configure_by_json(self, path):
        if not os.path.exists(path):
            return  # as Gunicorn
        try:
            with open(path, encoding="utf-8") as file:
                changes = json.load(file)
        except ValueError as e:
            raise RuntimeError("logconfig_json: %s: %s" % (path, e)) from e
        self._configure("logconfig_json: %s" % path, changes)

    def _configure_by_file(self, path):
        if not os.path.exists(path):
            raise RuntimeError("log config file doesn't exist: %r" % path)
        defaults = {"__file__": path, "here": os.path.dirname(os.path.abspath(path))}
        try:
            logging.config.fileConfig(path, defaults=defaults, disable_existing_loggers=False)
        except Exception as e:
            raise RuntimeError("logconfig: %s: %s: %s" % (path, type(e).__name__, e)) from e

    def _get_gunicorn_handler(self, log):
        return next((h for h in log.handlers if getattr(h, "_gunicorn", False)), None)

    def _set_handler(self, log, output, fmt, stream=None):
        """In place of the one that an earlier call has set."""
        old = self._get_gunicorn_handler(log)
        if old is not None:
            log.handlers.remove(old)
        if output is None:
            return
        if output == "-":
            handler = logging.StreamHandler(stream)
        else:
            handler = logging.FileHandler(output)
        handler.setFormatter(fmt)
        handler._gunicorn = True
        log.addHandler(handler)

    # ---- messages ----

    def critical(self, msg, *args, **kwargs):
        self.error_log.critical(msg, *args, **kwargs)

    def error(self, msg, *args, **kwargs):
        self.error_log.error(msg, *args, **kwargs)

    def warning(self, msg, *args, **kwargs):
        self.error_log.warning(msg, *args, **kwargs)

    def info(self, msg, *args, **kwargs):
        self.error_log.info(msg, *args, **kwargs)

    def debug(self, msg, *args, **kwargs):
        self.error_log.debug(msg, *args, **kwargs)

    def exception(self, msg, *args, **kwargs):
        self.error_log.exception(msg, *args, **kwargs)

    def log(self, lvl, msg, *args, **kwargs):
        if isinstance(lvl, str):
            lvl = self.LOG_LEVELS.get(lvl.lower(), logging.INFO)
        self.error_log.log(lvl, msg, *args, **kwargs)

    # ---- requests ----

    def atoms(self, resp, req, environ, request_time):
        """What `access_log_format` may name."""
        status = resp.status
        atoms = {
            "h": environ.get("REMOTE_ADDR", "-"), "l": "-", "u": self._get_user(environ) or "-",
            "t": self.now(),
            "r": "%s %s %s" % (environ["REQUEST_METHOD"], environ["RAW_URI"],
                               environ["SERVER_PROTOCOL"]),
            "s": status.split(None, 1)[0] if isinstance(status, str) else status,
            "m": environ.get("REQUEST_METHOD"), "U": environ.get("PATH_INFO"),
            "q": environ.get("QUERY_STRING"), "H": environ.get("SERVER_PROTOCOL"),
            "b": str(resp.sent) if resp.sent else "-", "B": resp.sent,
            "f": environ.get("HTTP_REFERER", "-"), "a": environ.get("HTTP_USER_AGENT", "-"),
            "T": request_time.seconds,
            "D": request_time.seconds * 1000000 + request_time.microseconds,
            "M": request_time.seconds * 1000 + request_time.microseconds // 1000,
            "L": "%d.%06d" % (request_time.seconds, request_time.microseconds),
            "p": "<%s>" % os.getpid(),
        }
        atoms.update(("{%s}i" % name.lower(), value) for name, value in req.headers)
        atoms.update(("{%s}o" % name.lower(), value) for name, value in resp.headers)
        atoms.update(("{%s}e" % name.lower(), value) for name, value in environ.items())
        return atoms

    def access(self, resp, req, environ, request_time):
        """Called for each request where a class of the user's makes the lines; otherwise the
        server does, which is quicker."""
        if not wants_access(self.cfg):
            return
        atoms = self.atoms_wrapper_class(self.atoms(resp, req, environ, request_time))
        try:
            self.access_log.info(self.cfg.access_log_format, atoms)
        except Exception:
            self.error(traceback.format_exc())

    def now(self):
        return time.strftime("[%d/%b/%Y:%H:%M:%S %z]")

    def _get_user(self, environ):
        kind, _, coded = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            return base64.b64decode(coded.strip()).split(b":", 1)[0].decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return None

    def reopen_files(self):
        """SIGUSR1: in the process that writes the logs."""
        for handler in file_handlers():
            reopen(handler)

    def close_on_exec(self):
        """Python's files are not inherited anyway."""


# ---- in the process that writes the logs ----------------------------------------------------


def is_users(cfg):
    """Whether the server's records go to handlers of the user's."""
    return bool(cfg.logconfig or cfg.logconfig_json or cfg.logconfig_dict
                or cfg.logger_class is not Logger)


def wants_access(cfg):
    return bool(cfg.accesslog or cfg.logconfig or cfg.logconfig_json or cfg.logconfig_dict)


def makes_access(log):
    """Whether its class wants to see each request."""
    kind = type(log)
    return (kind.access is not Logger.access or kind.atoms is not Logger.atoms
            or kind.atoms_wrapper_class is not SafeAtoms) and wants_access(log.cfg)


class Sink:
    """The handlers of the user's, put aside in all processes but the one that writes."""
    LINE = re.compile(r"\[[^]]*\] \[(\d+)\] \[([A-Z]+)\] (.*)", re.S)

    def __init__(self, log):
        self.log = log
        self.kept = [(logger, logger.handlers[:], logger.filters[:], logger.propagate,
                      logger.level) for logger in loggers()]
        self.level = log.error_log.getEffectiveLevel()  # a configuration has the last word on it
        self.is_open = False
        pass_on()

    def least(self):
        """The server's own number of the level below which there is no use for a record."""
        return next((ours for level, ours in reversed(LEVELS) if level >= self.level),
                    LEVELS[0][1])

    def open(self):
        self.is_open = True
        for logger, handlers, filters, propagate, level in self.kept:
            logger.handlers[:], logger.filters[:] = handlers, filters
            logger.propagate = propagate
            logger.setLevel(level)
        # Who was forked later than the files were opened, in the place of one who had died.
        for handler in filter(was_moved, file_handlers()):
            reopen(handler)

    def write(self, is_access, text):
        """A record of the server's: "[time] [pid] [LEVEL] text", a finished access line, or what
        an application has written to wsgi.errors."""
        if not self.is_open:
            self.open()
        text = text[:-1] if text.endswith("\n") else text
        error, access = loggers()
        line = None if is_access else self.LINE.fullmatch(text)
        if is_access:
            if access.isEnabledFor(logging.INFO):
                self.handle(access, logging.INFO, text, os.getppid())
        elif line is not None:
            # Who said it knows the level in force, also after a reload.
            level = logging.getLevelName(line.group(2))
            self.handle(error, level if isinstance(level, int) else logging.INFO, line.group(3),
                        int(line.group(1)))
        else:
            self.write_raw(error, text + "\n")

    @staticmethod
    def handle(logger, level, message, pid):
        record = logger.makeRecord(logger.name, level, "(licorne)", 0, message, (), None)
        record.process = pid
        logger.handle(record)

    @staticmethod
    def write_raw(logger, text):
        for handler in logger.handlers:
            if getattr(handler, "stream", None) is not None:
                handler.acquire()
                try:
                    handler.stream.write(text)
                    handler.flush()
                except Exception:
                    handler.handleError(None)
                finally:
                    handler.release()
