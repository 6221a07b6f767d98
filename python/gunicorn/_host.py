"""The door between the server, written in C, and Python: what python/script.c calls.

A Script is one reading of all settings; the server holds one for each configuration in force.
"""
import traceback

import _licorne
from gunicorn import _conf, arbiter, config

DEBUG, INFO, WARNING, ERROR, CRITICAL = range(5)


class Script:
    def __init__(self):
        self.values = {}  # what the configuration file itself said, as objects
        self.cfg = config.Config()
        self.log = None
        self.hooks = {}

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
        self.log = self.cfg.logger_class(self.cfg)
        return None

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

    def has(self, name):
        return name in self.hooks

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
            return "the hook %s raised %s: %s" % (name, type(e).__name__, e)
        return None


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


def note_app(callable_):
    """In a worker that has loaded its application."""
    server = arbiter._instance
    if server is not None and server.app is not None:
        server.app.callable = callable_
