"""The door between the server, written in C, and Python: what python/script.c calls.

A Script is one reading of all settings; the server holds one for each configuration in force.
"""
import os
import sys
import traceback

import _licorne
from gunicorn import _conf, arbiter, config, glogging

DEBUG, INFO, WARNING, ERROR, CRITICAL = range(5)


class Script:
    def __init__(self):
        self.values = {}  # what the configuration file itself said, as objects
        self.cfg = config.Config()
        self.log = None
        self.hooks = {}
        self.sink = None  # of a logger of the user's own
        self.makes_access = False
        self.tls = None  # gunicorn._tls.rules

    # ---- settings ----

    def read(self, asked, start_dir):
        """([(name, texts, place)], None), or (None, what is wrong)."""
        try:
            self.values, found, warnings = _conf.read(asked, start_dir)
        except _conf.Failure as failure:
            if failure.details:
                _licorne.log_raw(failure.details)
            return None, str(failure)
        for text in warnings:
            _licorne.log(WARNING, text)
        return found, None

    def conclude(self, final):
        """`final`: (name, texts, whether the file had the last word) of every setting, all
        sources taken together. None, or what is wrong."""
        chdir = next(texts[0] for name, texts, _ in final if name == "chdir")
        if chdir not in sys.path:
            sys.path.insert(0, chdir)
        for name, texts, is_ours in final:
            setting = self.cfg.settings[name]
            keeps = callable(setting.validator) and (name in config.HOOKS or name in config.DICTS
                                                     or name in ("worker_class", "logger_class"))
            if is_ours and keeps and name in self.values:
                setting.value = self.values[name]
                continue
            try:
                setting.value = self.typed(setting, texts)
            except Exception as e:
                return "%s: %s" % (name, e)
        self.hooks = {name: self.cfg.settings[name].value for name in config.HOOKS
                      if self.cfg.settings[name].value is not None}
        return self.open_log() or self.open_tls()

    def open_tls(self):
        if not (self.cfg.ssl_context and self.cfg.is_ssl):
            return None
        from gunicorn import _tls

        try:
            self.tls = _tls.rules(self.cfg)
        except Exception as e:
            _licorne.log_raw("".join(traceback.format_exception(
                type(e), e, own_frames(e.__traceback__))))
            return "ssl_context: %s" % (str(e) or type(e).__name__)
        return None

    def open_log(self):
        here = os.getcwd()
        try:
            os.chdir(self.cfg.chdir)  # where relative names of logs begin
            self.log = self.cfg.logger_class(self.cfg)
        except Exception as e:
            if not isinstance(e, RuntimeError):
                _licorne.log_raw("".join(traceback.format_exception(
                    type(e), e, own_frames(e.__traceback__))))
            return str(e) or type(e).__name__
        finally:
            os.chdir(here)
        if glogging.is_users(self.cfg):
            self.makes_access = glogging.makes_access(self.log)
            self.sink = glogging.Sink(self.log)
        else:
            glogging.pass_on()
        return None

    def wants_calls(self):
        """Whether there is anybody to tell of what happens."""
        return bool(self.hooks) or self.makes_access

    def logging(self):
        """(whether the user's handlers write the logs, whether his class makes access lines,
        the least level that his logger lets through)"""
        return self.sink is not None, self.makes_access, self.sink.least() if self.sink else INFO

    # ---- logs, in the process that writes them ----

    def write_log(self, is_access, text):
        self.sink.write(is_access, text)

    def reopen_logs(self):
        if not self.sink.is_open:
            self.sink.open()
        self.log.reopen_files()

    @staticmethod
    def typed(setting, texts):
        if setting.kind == "list":
            return list(texts)
        if not texts:
            return None if setting.name not in config.DICTS else {}
        if setting.name in config.DICTS:
            import ast

            return config.validate_dict(ast.literal_eval(texts[0]))
        if setting.kind in ("int", "seconds", "bytes", "mode", "user", "group"):
            return int(texts[0])
        return setting.validator(texts[0])

    # ---- hooks ----

    def call(self, name, details):
        """None, or what went wrong, which is in the log then."""
        server = arbiter.instance(self)
        server._update(details)
        try:
            getattr(server, "_on_" + name)(self.hooks.get(name), details)
        except BaseException as e:  # SystemExit too: only the server ends its processes
            text = traceback.format_exception(type(e), e, own_frames(e.__traceback__))
            _licorne.log(ERROR, "Exception in %s hook\n%s" % (name, "".join(text).rstrip("\n")))
            return "the hook %s raised %s" % (name, summary(e))
        return None


def summary(exception):
    """As the last line of a traceback has it: without a colon where there is nothing to say."""
    kind, text = type(exception).__name__, str(exception)
    return "%s: %s" % (kind, text) if text else kind


def own_frames(tb):
    """Without those of this package, which only pass the call on."""
    first = tb
    while tb is not None and tb.tb_frame.f_globals.get("__name__", "").startswith("gunicorn."):
        tb = tb.tb_next
    return tb or first


def request_hooks(script):
    """In a worker: what each request begins with, or None."""
    from gunicorn import _requests

    return _requests.hooks_of(script)


def interrupted():
    """In a worker that has a request in hand and was told to leave at once."""
    server = arbiter._instance
    if server is not None and "worker_int" in server.script.hooks:
        server.script.call("worker_int", {})


def note_app(callable_):
    """In a worker that has loaded its application."""
    server = arbiter._instance
    if server is not None and server.app is not None:
        server.app.callable = callable_
