"""Configuration files as tutorials and projects have them, unchanged but for ports and paths."""
import multiprocessing
import os
import shlex
import sys

import pytest

from licorne import run

PYTHON = ("--python", sys.executable)
APP = """
import os
def application(environ, start_response):
    body = os.environ.get("DJANGO_SETTINGS_MODULE", "").encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
app = application
"""
CPUS = multiprocessing.cpu_count()

# (the file, what --print-config then says of some settings)
FILES = {
    "django on a server": ("""
import multiprocessing

bind = "unix:/tmp/gunicorn-{name}.sock"
workers = multiprocessing.cpu_count() * 2 + 1
worker_class = "sync"
timeout = 120
max_requests = 1000
max_requests_jitter = 50
accesslog = "-"
errorlog = "-"
loglevel = "debug"
""", {"workers": str(CPUS * 2 + 1), "timeout": "120", "max_requests_jitter": "50",
      "accesslog": "-", "loglevel": "debug", "bind": "['unix:/tmp/gunicorn-{name}.sock']"}),
    "docker by environment": ("""
import json
import multiprocessing
import os

workers_per_core_str = os.getenv("WORKERS_PER_CORE", "1")
max_workers_str = os.getenv("MAX_WORKERS")
use_max_workers = None
if max_workers_str:
    use_max_workers = int(max_workers_str)
web_concurrency_str = os.getenv("WEB_CONCURRENCY", None)

host = os.getenv("HOST", "0.0.0.0")
port = os.getenv("PORT", "80")
bind_env = os.getenv("BIND", None)
use_loglevel = os.getenv("LOG_LEVEL", "info")
use_bind = bind_env if bind_env else f"{{host}}:{{port}}"

cores = multiprocessing.cpu_count()
workers_per_core = float(workers_per_core_str)
default_web_concurrency = workers_per_core * cores
if web_concurrency_str:
    web_concurrency = int(web_concurrency_str)
    assert web_concurrency > 0
else:
    web_concurrency = max(int(default_web_concurrency), 2)
    if use_max_workers:
        web_concurrency = min(web_concurrency, use_max_workers)
accesslog_var = os.getenv("ACCESS_LOG", "-")
use_accesslog = accesslog_var or None
graceful_timeout_str = os.getenv("GRACEFUL_TIMEOUT", "120")
timeout_str = os.getenv("TIMEOUT", "120")
keepalive_str = os.getenv("KEEP_ALIVE", "5")

loglevel = use_loglevel
workers = web_concurrency
bind = use_bind
errorlog = "-"
worker_tmp_dir = "/dev/shm"
accesslog = use_accesslog
graceful_timeout = int(graceful_timeout_str)
timeout = int(timeout_str)
keepalive = int(keepalive_str)

log_data = {{"loglevel": loglevel, "workers": workers, "host": host, "port": port}}
print(json.dumps(log_data))
""", {"bind": "['0.0.0.0:80']", "graceful_timeout": "120", "keepalive": "5",
      "worker_tmp_dir": "/dev/shm", "workers": str(max(CPUS, 2))}),
    "every GUNICORN_ variable": ("""
import os

os.environ["GUNICORN_BACKLOG"] = "64"
for k, v in os.environ.items():
    if k.startswith("GUNICORN_") and k != "GUNICORN_CMD_ARGS":
        key = k.split("_", 1)[1].lower()
        locals()[key] = v
""", {"backlog": "64"}),
    "flask with threads": ("""
bind = ["127.0.0.1:5000", "[::1]:5000"]
workers = 4
threads = 2
worker_class = "gthread"
worker_connections = 1000
keepalive = 2
daemon = False
raw_env = ["DJANGO_SECRET_KEY=something", "SPAM=eggs"]
pidfile = None
umask = 0
user = None
group = None
tmp_upload_dir = None
errorlog = "-"
loglevel = "info"
accesslog = None
access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
proc_name = None
spew = False
""", {"threads": "2", "worker_class": "gthread", "user": str(os.geteuid()), "accesslog": "None",
      "raw_env": "['DJANGO_SECRET_KEY=something', 'SPAM=eggs']"}),
    "the example that comes with gunicorn": ("""
backlog = 2048
workers = 1

def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)

def pre_fork(server, worker):
    pass

def pre_exec(server):
    server.log.info("Forked child, re-executing.")

def when_ready(server):
    server.log.info("Server is ready. Spawning workers")

def worker_int(worker):
    worker.log.info("worker received INT or QUIT signal")

    import threading, sys, traceback
    id2name = {{th.ident: th.name for th in threading.enumerate()}}
    code = []
    for threadId, stack in sys._current_frames().items():
        code.append("\\n# Thread: %s(%d)" % (id2name.get(threadId, ""), threadId))
        for filename, lineno, name, line in traceback.extract_stack(stack):
            code.append('File: "%s", line %d, in %s' % (filename, lineno, name))
    worker.log.debug("\\n".join(code))

def worker_abort(worker):
    worker.log.info("worker received SIGABRT signal")
""", {"worker_abort": "<worker_abort()>", "pre_exec": "<pre_exec()>"}),
    "prometheus in several processes": ("""
import os

def child_exit(server, worker):
    from prometheus_client import multiprocess
    multiprocess.mark_process_dead(worker.pid)

preload_app = True
""", {"child_exit": "<child_exit()>", "preload_app": "True"}),
    "hidden server and request ids": ("""
import gunicorn
import uuid
gunicorn.SERVER = ""
gunicorn.SERVER_SOFTWARE = ""

def pre_request(worker, req):
    req.headers.append(("X-REQUEST-ID", str(uuid.uuid4())))
""", {"server_header": "", "pre_request": "<pre_request()>"}),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_taken_as_it_is(folder, name):
    text, expected = FILES[name]
    names = {"name": folder.name}
    (folder / "gunicorn.conf.py").write_text(text.format(**names))
    done = run(*PYTHON, "--print-config", "app", folder=folder)
    assert done.returncode == 0, done.stderr
    lines = [line.partition(" = ") for line in done.stdout.splitlines() if " = " in line]
    values = {key.strip(): rest.rpartition("  # ")[0].strip() for key, _, rest in lines}
    for key, value in expected.items():
        assert values[key] == value.format(**names), key


# As they stand in Procfiles, Dockerfiles, units and READMEs, after the word gunicorn.
COMMANDS = [
    "app:app",
    "app:app --log-file -",
    "app:app --log-file=- --access-logfile=-",
    "app:application --bind 0.0.0.0:8000 --workers 3",
    "-w 4 -b 127.0.0.1:4000 app:app",
    "-w 4 'app:app'",
    "--bind :8000 --workers 1 --threads 8 --timeout 0 app:app",
    "--bind=0.0.0.0:80 --workers=2 --worker-class=gthread --threads=4 app:app",
    "-b :5000 --access-logfile - --error-logfile - app:app",
    "--worker-tmp-dir /dev/shm --workers=2 --threads=4 --worker-class=gthread app",
    "--preload --max-requests 1200 --max-requests-jitter 100 app:app",
    "--access-logfile - --workers 3 --bind unix:gunicorn.sock app:application",
    "app:app -k sync -t 120 --keep-alive 5 --graceful-timeout 60",
    "--name shop --user root --group root --log-level=debug app:application",
    "--env DJANGO_SETTINGS_MODULE=shop.settings app:application",
    "-e A=1 -e B=2 --pythonpath .,.. --chdir . app",
    "--limit-request-line 8190 --limit-request-fields 200 --limit-request-field_size 8190 app",
    "--forwarded-allow-ips='*' --proxy-allow-from='*' app:app",
    "--capture-output --enable-stdio-inheritance app:app",
    "--pid pid --umask 007 --backlog 512 --reuse-port app:app",
    "--statsd-host=localhost:8125 --statsd-prefix=shop app:app",
    "--log-syslog --log-syslog-to udp://localhost:514 app:app",
    "--no-sendfile --no-control-socket --worker-connections 100 app:app",
    "--reload --reload-extra-file app.py app:app",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_line_is_taken_as_it_is(folder, command):
    done = run(*PYTHON, "--check-config", *shlex.split(command), folder=folder)
    assert done.returncode == 0, done.stderr
