"""The master as hooks see it. It takes notes of what the server, which is written in C, does."""
import os
import signal
import socket

from gunicorn.errors import HaltServer
from gunicorn.workers.base import Worker

_instance = None


def instance(script):
    """There is one in each process; it speaks for the configuration that calls."""
    global _instance
    if _instance is None:
        _instance = Arbiter(None)
    _instance.cfg, _instance.log = script.cfg, script.log
    _instance.script = script
    return _instance


class Listener:
    """A listening socket. The server accepts from it; a hook may look."""

    def __init__(self, fd, text):
        self.fd, self.text = fd, text

    def fileno(self):
        return self.fd

    @property
    def sock(self):
        """A socket object of its own, over a copy of the descriptor."""
        return socket.socket(fileno=os.dup(self.fd))

    def getsockname(self):
        with self.sock as sock:
            return sock.getsockname()

    def accept(self):
        with self.sock as sock:
            return sock.accept()

    def __str__(self):
        return self.text


class Arbiter:
    WORKER_BOOT_ERROR = 3
    APP_LOAD_ERROR = 4
    SIGNALS = [getattr(signal, "SIG" + name)
               for name in "HUP QUIT INT TERM TTIN TTOU USR1 USR2 WINCH".split()]
    SIG_NAMES = {getattr(signal, name): name[3:].lower() for name in dir(signal)
                 if name.startswith("SIG") and name[3] != "_"}

    def __init__(self, app):
        self.app = app
        self.cfg = self.log = self.script = None
        self.pid = os.getpid()
        self.WORKERS = {}
        self.LISTENERS = []
        self.num_workers = 0
        self.worker_age = 0
        self.proc_name = None
        self.master_name = "Master"
        self.pidfile = None
        self.master_pid = 0
        self._booting = None

    @property
    def address(self):
        return self.cfg.address

    @property
    def timeout(self):
        return self.cfg.timeout

    @property
    def worker_class(self):
        return self.cfg.worker_class

    def run(self):
        raise HaltServer("the server's own master runs already")

    # ---- what the server tells ----

    def _update(self, details):
        server = details.get("server")
        if server is not None:
            self.num_workers = server["num_workers"]
            self.proc_name, self.master_name = server["proc_name"], server["master_name"]
            if [(each.fd, each.text) for each in self.LISTENERS] != server["listeners"]:
                self.LISTENERS = [Listener(*each) for each in server["listeners"]]
        if self.app is None:
            from gunicorn.app.wsgiapp import WSGIApplication

            self.app = WSGIApplication._of_server(self.cfg)
        self.app.cfg = self.cfg

    def _worker(self, details):
        worker = self.WORKERS.get(details["pid"])
        if worker is None:  # from before a hook was set
            worker = self._new_worker(details["age"])
            worker.pid = details["pid"]
            self.WORKERS[worker.pid] = worker
        return worker

    def _new_worker(self, age):
        worker = Worker(age, self.pid, self.LISTENERS, self.app, self.timeout / 2.0, self.cfg,
                        self.log)
        self.worker_age = max(self.worker_age, age)
        return worker

    @staticmethod
    def _call(hook, *args):
        if hook is not None:
            hook(*args)

    # ---- hooks of the master ----

    def _on_nworkers_changed(self, hook, details):
        self._call(hook, self, details["new"], details["old"])

    def _on_on_starting(self, hook, details):
        self._call(hook, self)

    _on_when_ready = _on_on_reload = _on_pre_exec = _on_on_exit = _on_on_starting

    def _on_pre_fork(self, hook, details):
        self._booting = self._new_worker(details["age"])
        self._call(hook, self, self._booting)

    def _on_forked(self, hook, details):
        """In the master."""
        worker, self._booting = self._booting, None
        worker.pid = details["pid"]
        self.WORKERS[worker.pid] = worker

    def _on_child_exit(self, hook, details):
        worker = self._worker(details)
        del self.WORKERS[worker.pid]
        if not details["failed"]:
            self._call(hook, self, worker)

    # ---- hooks of a worker ----

    def _on_post_fork(self, hook, details):
        from gunicorn.workers import base

        worker, self._booting = self._booting, None
        worker.pid = os.getpid()
        worker.log = self.log
        base.current = worker
        self._call(hook, self, worker)

    def _on_post_worker_init(self, hook, details):
        worker = current_worker()
        worker.booted = True
        worker.wsgi = self.app.callable
        if "worker_abort" in self.script.hooks:
            signal.signal(signal.SIGABRT, worker.handle_abort)
        self._call(hook, worker)

    def _on_worker_int(self, hook, details):
        worker = current_worker()
        if worker.alive:  # once, whether it was idle or in a request
            worker.alive = False
            self._call(hook, worker)

    def _on_worker_abort(self, hook, details):
        worker = current_worker()
        worker.alive = False
        worker.aborted = True
        self._call(hook, worker)

    def _on_worker_exit(self, hook, details):
        worker = current_worker()
        worker.alive = False
        self._call(hook, self, worker)


def current_worker():
    from gunicorn.workers import base

    return base.current
