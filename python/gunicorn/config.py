"""Settings as Python code sees them: the table, the rules for a value's type, and `cfg`.

The names, types and defaults come from the server's own table, in _settings.py. What a value may
say (a known word, a folder that exists) is checked by the server, for all sources alike.
"""
import copy
import importlib
import inspect
import os

from gunicorn import util
from gunicorn._settings import SETTINGS
from gunicorn.errors import ConfigError

# Positional parameters of each hook.
HOOKS = {
    "on_starting": (1,), "on_reload": (1,), "when_ready": (1,), "pre_fork": (2,),
    "post_fork": (2,), "post_worker_init": (1,), "worker_int": (1,), "worker_abort": (1,),
    "pre_exec": (1,), "pre_request": (2,), "post_request": (4, 3, 2), "child_exit": (2,),
    "worker_exit": (2,), "nworkers_changed": (3,), "on_exit": (1,), "ssl_context": (2,),
    "on_dirty_starting": (1,), "dirty_post_fork": (2,), "dirty_worker_init": (1,),
    "dirty_worker_exit": (2,),
}
# True and False instead of a word.
WORDS = {"proxy_protocol": ("auto", "off"), "http2_cleartext": ("prior-knowledge", "off")}
# Gunicorn's own loggers, by all of their names: what they do the server does.
LOGGERS_OF_THE_SERVER = ("simple", "egg:gunicorn#simple", "statsd", "egg:gunicorn#statsd",
                         "gunicorn.glogging.Logger", "gunicorn.instrument.statsd.Statsd")
# Lists as one text: None is an empty one, and not the default.
TEXT_LISTS = ("forwarded_allow_ips", "proxy_allow_ips", "forwarder_headers")
DICTS = ("logconfig_dict", "secure_scheme_headers")


# ---- what a value may be ----


def validate_bool(val):
    if val is None or isinstance(val, bool):
        return val
    if not isinstance(val, str):
        raise TypeError("Invalid type for casting: %s" % (val,))
    if val.lower().strip() == "true":
        return True
    if val.lower().strip() == "false":
        return False
    raise ValueError("Invalid boolean: %s" % val)


def validate_dict(val):
    if not isinstance(val, dict):
        raise TypeError("Value is not a dictionary: %s" % (val,))
    return val


def validate_pos_int(val):
    val = int(val) if isinstance(val, int) else int(val, 0)
    if val < 0:
        raise ValueError("Value must be positive: %s" % val)
    return val


def validate_string(val):
    if val is None:
        return None
    if not isinstance(val, str):
        raise TypeError("Not a string: %s" % (val,))
    return val.strip()


def validate_list_string(val):
    if not val:
        return []
    if isinstance(val, str):
        val = [val]
    if not isinstance(val, (list, tuple)):
        raise TypeError("Not a list of strings: %s" % (val,))
    return [validate_string(v) for v in val]


def validate_class(val):
    if inspect.isfunction(val) or inspect.ismethod(val):
        val = val()
    return val if inspect.isclass(val) else validate_string(val)


def validate_callable(*arities):
    """Exactly so many positional parameters; None of `arities` fits means that the first was
    meant."""
    def validate(val):
        if isinstance(val, str):
            val = imported(val)
        if not callable(val):
            raise TypeError("Value is not callable: %s" % (val,))
        if util.positionals(val) not in arities:
            raise TypeError("Value must have an arity of: %s" % arities[0])
        return val
    return validate


def imported(path):
    """The object that a dotted string names."""
    module, dot, name = path.strip().rpartition(".")
    if not dot:
        raise TypeError("Value '%s' is not import string. "
                        "Format: module[.submodules...].object" % path)
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as e:
        raise TypeError("Can not load '%s' from '%s'%s" % (name, module, ": %s" % e)) from e


def validate_bytes(val):
    """A number, or a text such as "10M", which the server reads."""
    if isinstance(val, str):
        return int(val) if val.strip().isdigit() else val.strip()
    return validate_pos_int(val)


VALIDATORS = {
    "bool": validate_bool, "int": validate_pos_int, "seconds": validate_pos_int,
    "bytes": validate_bytes,
    "mode": validate_pos_int, "list": validate_list_string, "user": util.user_id,
    "group": util.group_id,
}


def validator(name, kind):
    if name in HOOKS:
        return validate_callable(*HOOKS[name])
    if name in DICTS:
        return validate_dict
    if name in ("worker_class", "logger_class"):
        return validate_class
    if name in WORDS:
        yes, no = WORDS[name]
        return lambda val: (yes if val else no) if isinstance(val, bool) else validate_string(val)
    if name in TEXT_LISTS:
        return lambda val: "" if val is None else validate_string(val)
    if name == "ssl_version":
        return lambda val: val
    return VALIDATORS.get(kind, validate_string)


# ---- settings ----


class Setting:
    def __init__(self, name, kind, section, default):
        self.name, self.kind, self.section = name, kind, section
        self.default = None
        self.validator = validator(name, kind)
        if name in HOOKS:
            self.default = None
        elif name in DICTS:
            self.default = eval(default, {}) if default else {}  # our own table's text
        elif kind in ("user", "group", "list") or default is not None:
            self.default = self.of_text([] if default is None and kind == "list" else default)
        self.value = copy.copy(self.default)

    def of_text(self, text):
        """What the server's own notation says."""
        if self.kind == "mode" and isinstance(text, str):
            return int(text, 8 if text[:1] == "0" else 10)
        return self.validator(text)

    def get(self):
        return self.value

    def set(self, val):
        if not callable(self.validator):
            raise TypeError("Invalid validator: %s" % self.name)
        self.value = self.validator(val)

    def __repr__(self):
        return "<%s.%s object at %x with value %r>" % (
            type(self).__module__, type(self).__name__, id(self), self.value)


def make_settings(ignore=None):
    return {name: Setting(name, kind.lower(), *rest) for name, kind, *rest in SETTINGS
            if name not in (ignore or ())}


class Config:
    """cfg: every setting as an attribute, and what follows from several."""

    def __init__(self, usage=None, prog=None):
        self.settings = make_settings()
        self.usage = usage
        self.prog = prog or "gunicorn"
        self.env_orig = os.environ.copy()

    def __getattr__(self, name):
        settings = self.__dict__.get("settings", {})
        if name not in settings:
            raise AttributeError("No configuration setting for: %s" % name)
        return settings[name].get()

    def __setattr__(self, name, value):
        if name != "settings" and name in self.__dict__.get("settings", ()):
            raise AttributeError("Invalid access!")
        super().__setattr__(name, value)

    def __str__(self):
        width = max(map(len, self.settings))
        return "\n".join("%-*s = %s" % (width, name, shown(self.settings[name].value))
                         for name in sorted(self.settings))

    def set(self, name, value):
        if name not in self.settings:
            raise AttributeError("No configuration setting for: %s" % name)
        self.settings[name].set(value)

    def get_cmd_args_from_env(self):
        import shlex

        return shlex.split(os.environ.get("GUNICORN_CMD_ARGS", ""))

    @property
    def worker_class_str(self):
        worker_class = self.settings["worker_class"].get()
        if isinstance(worker_class, type):
            return worker_class.__name__
        return "gthread" if worker_class == "sync" and self.threads > 1 else worker_class

    @property
    def address(self):
        return [util.parse_address(entry) for entry in self.settings["bind"].get()]

    @property
    def uid(self):
        return self.settings["user"].get()

    @property
    def gid(self):
        return self.settings["group"].get()

    @property
    def proc_name(self):
        return self.settings["proc_name"].get() or self.settings["default_proc_name"].get()

    @property
    def is_ssl(self):
        return bool(self.certfile or self.keyfile)

    @property
    def ssl_options(self):
        return {name: setting.get() for name, setting in self.settings.items()
                if setting.section == "SSL"}

    @property
    def env(self):
        pairs = [entry.split("=", 1) for entry in self.settings["raw_env"].get()]
        for pair in pairs:
            if len(pair) != 2:
                raise RuntimeError("environment setting %r invalid" % pair[0])
        return dict(pairs)

    @property
    def paste_global_conf(self):
        entries = self.settings["raw_paste_global_conf"].get()
        return dict(entry.split("=", 1) for entry in entries) or None

    @property
    def logger_class(self):
        from gunicorn import glogging

        chosen = self.settings["logger_class"].get()
        if chosen is None or chosen in LOGGERS_OF_THE_SERVER:
            return glogging.Logger
        return util.load_class(chosen)


def shown(value):
    """As --print-config has it."""
    return "<%s()>" % qualname(value) if callable(value) else str(value)


def qualname(value):
    return getattr(value, "__qualname__", None) or type(value).__qualname__


__all__ = ["Config", "ConfigError", "HOOKS", "Setting", "make_settings"]
