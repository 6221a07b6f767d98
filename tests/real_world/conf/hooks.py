import os

bind = "0.0.0.0:" + os.getenv("PORT", "8000")
workers = 1
access_log_format = '%(h)s "%(r)s" %(s)s %(M)sms'
accesslog = "-"


def on_starting(server):
    server.log.info("hook on_starting")


def when_ready(server):
    server.log.info("hook when_ready")


def pre_fork(server, worker):
    server.log.info("hook pre_fork")


def post_fork(server, worker):
    server.log.info("hook post_fork")


def post_worker_init(worker):
    worker.log.info("hook post_worker_init")


def pre_request(worker, req):
    worker.log.info("hook pre_request %s %s" % (req.method, req.path))


def post_request(worker, req, environ, resp):
    worker.log.info("hook post_request %s", resp.status)


def worker_exit(server, worker):
    server.log.info("hook worker_exit")


def child_exit(server, worker):
    server.log.info("hook child_exit")


def on_exit(server):
    server.log.info("hook on_exit")
