"""A worker as hooks see it, and the base that code written for Gunicorn derives from."""
import os
import random
import signal
import sys

current = None  # the worker that this process is


class Worker:
    SIGNALS = [getattr(signal, "SIG" + name)
               for name in "ABRT HUP QUIT INT TERM USR1 USR2 WINCH CHLD".split()]
    PIPE = []

    def __init__(self, age, ppid, sockets, app, timeout, cfg, log):
        self.age = age
        self.pid = "[booting]"
        self.ppid = ppid
        self.sockets = sockets
        self.app = app
        self.timeout = timeout
        self.cfg = cfg
        self.log = log
        self.booted = False
        self.aborted = False
        self.alive = True
        self.nr = 0
        self.wsgi = None
        self.tmp = WorkerTmp()
        self.max_requests = sys.maxsize
        if cfg is not None and cfg.max_requests > 0:
            self.max_requests = cfg.max_requests + random.randint(0, cfg.max_requests_jitter)

    def __str__(self):
        return "<Worker %s>" % self.pid

    @classmethod
    def setup(cls):
        pass

    @classmethod
    def check_config(cls, cfg, log):
        pass

    def notify(self):
        """The server itself sees that its workers are alive."""
        self.tmp.notify()

    def load_wsgi(self):
        self.wsgi = self.app.wsgi()

    def handle_abort(self, signum, frame):
        """The master ends a worker that hangs: this runs in the hanging code."""
        import faulthandler

        from gunicorn import arbiter

        try:
            faulthandler.dump_traceback(all_threads=True)
        except (AttributeError, OSError, RuntimeError, ValueError):
            pass  # there is no stderr
        server = arbiter._instance
        script = server.script
        script.call("worker_abort", {})
        script.call("worker_exit", {})
        os._exit(1)

    def init_process(self):
        raise NotImplementedError("the server starts its workers itself")

    def run(self):
        raise NotImplementedError("the server runs its workers itself")


class WorkerTmp:
    """Gunicorn's heartbeat file. Here a heartbeat is a number in shared memory."""

    def notify(self):
        pass

    def last_update(self):
        import time

        return time.monotonic()

    def fileno(self):
        raise OSError("workers have no heartbeat file")

    def close(self):
        pass
