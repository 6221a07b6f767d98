"""Exceptions that applications and configuration files may raise or catch."""


class HaltServer(BaseException):
    def __init__(self, reason, exit_status=1):
        self.reason = reason
        self.exit_status = exit_status

    def __str__(self):
        return "<HaltServer %r %d>" % (self.reason, self.exit_status)


class ConfigError(Exception):
    """A setting has a value that it cannot have."""


class AppImportError(Exception):
    """The application cannot be loaded."""
