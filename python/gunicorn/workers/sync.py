"""For code that imports it; the server brings the worker itself (`worker_class = "sync"`)."""
from gunicorn.workers.base import Worker


class SyncWorker(Worker):
    pass
