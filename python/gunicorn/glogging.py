"""server.log and worker.log: what is written here goes to the server's logs."""
import logging

try:
    import _licorne
except ImportError:  # not in a process of the server
    _licorne = None

LEVELS = ((logging.CRITICAL, 4), (logging.ERROR, 3), (logging.WARNING, 2), (logging.INFO, 1))


def server_level(levelno):
    for least, level in LEVELS:
        if levelno >= least:
            return level
    return 0


class ServerHandler(logging.Handler):
    """The server writes time, pid and level itself; a formatter of the user's has the message."""

    def emit(self, record):
        try:
            _licorne.log(server_level(record.levelno), self.format(record))
        except Exception:
            self.handleError(record)


class AccessHandler(logging.Handler):
    def emit(self, record):
        try:
            _licorne.log_access(self.format(record))
        except Exception:
            self.handleError(record)


def open_loggers():
    """"gunicorn.error" and "gunicorn.access", as the application's own logging knows them."""
    error, access = logging.getLogger("gunicorn.error"), logging.getLogger("gunicorn.access")
    if _licorne is not None:
        for logger, kind in ((error, ServerHandler), (access, AccessHandler)):
            if not any(isinstance(handler, kind) for handler in logger.handlers):
                logger.addHandler(kind())
                logger.propagate = False
        error.setLevel(next((level for level, ours in reversed(LEVELS)
                             if _licorne.log_enabled(ours)), logging.CRITICAL)
                       if not _licorne.log_enabled(0) else logging.DEBUG)
        access.setLevel(logging.INFO)
    return error, access


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
    atoms_wrapper_class = dict

    def __init__(self, cfg):
        self.error_log, self.access_log = open_loggers()
        self.error_handlers, self.access_handlers = [], []
        self.logfile = None
        self.cfg = cfg
        self.setup(cfg)

    def setup(self, cfg):
        self.loglevel = self.LOG_LEVELS.get((cfg.loglevel or "info").lower(), logging.INFO)
        self.error_log.setLevel(self.loglevel)

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

    def access(self, resp, req, environ, request_time):
        """The server itself writes a line for each request."""

    def now(self):
        import time

        return time.strftime("[%d/%b/%Y:%H:%M:%S %z]")

    def reopen_files(self):
        """SIGUSR1 to the master does that."""

    def close_on_exec(self):
        pass
