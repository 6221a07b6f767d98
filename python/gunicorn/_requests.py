"""pre_request and post_request: what they get, and when."""
import os
import signal
from datetime import datetime

from gunicorn import arbiter, util
from gunicorn.http.message import Request
from gunicorn.http.wsgi import Response

def hooks_of(script):
    """The function with which each request begins, or None when no hook wants to know."""
    pre, post = script.hooks.get("pre_request"), script.hooks.get("post_request")
    if pre is None and post is None and not script.makes_access:
        return None
    log = script.log if script.makes_access else None
    arity = util.positionals(post) if post is not None else 0
    worker = arbiter.current_worker()

    def begin(method, uri, version, scheme, headers, remote_addr, remote_port):
        peer = remote_addr if remote_port is None else (remote_addr, int(remote_port))
        worker.nr += 1
        request = Request(method, uri, version, scheme, headers, peer, peer, worker.nr)
        return Hooked(worker, pre, post, arity, request, log)

    return begin


class Hooked:
    """One request on its way."""
    __slots__ = "worker", "pre", "post", "arity", "request", "response", "environ", "log", "since"

    def __init__(self, worker, pre, post, arity, request, log):
        self.log, self.since = log, datetime.now() if log is not None else None
        self.worker, self.pre, self.post, self.arity = worker, pre, post, arity
        self.request, self.response, self.environ = request, None, {}

    def before(self):
        if self.pre is not None:
            self.pre(self.worker, self.request)

    def change(self, environ):
        self.environ = environ
        self.response = Response(self.request)
        self.request._apply(environ)

    def start(self, status, headers):
        self.response.status = status
        self.response.headers = list(headers)

    def after(self, sent):
        if self.response is not None:
            self.response._end(sent)
            if self.log is not None:
                self.write_access_line()
        if self.post is not None:
            arguments = (self.worker, self.request, self.environ, self.response)
            try:
                self.post(*arguments[:self.arity])
            except Exception:
                self.worker.log.exception("Exception in post_request hook")
        if not self.worker.alive:
            leave(self.worker)

    def write_access_line(self):
        if self.response.status is None:
            self.response.status = "500 Internal Server Error"  # what the client has got
        try:
            self.log.access(self.response, self.request, self.environ,
                            datetime.now() - self.since)
        except Exception:
            self.worker.log.exception("Exception in the access log")


def leave(worker):
    """A hook has said worker.alive = False: it finishes what it has, and another takes its
    place."""
    worker.alive = True
    worker.log.info("Autorestarting worker: a hook asked for it.")
    os.kill(os.getpid(), signal.SIGTERM)
