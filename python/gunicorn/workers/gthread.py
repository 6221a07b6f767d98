"""For code that imports it; the server brings the worker itself (`worker_class = "gthread"`)."""
from gunicorn.workers.base import Worker


class ThreadWorker(Worker):
    pass
