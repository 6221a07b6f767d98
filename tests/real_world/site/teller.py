"""What the sites here are made of: an application that tells all about itself."""
import json
import os
import sys
import time


def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(float(environ["QUERY_STRING"]))
    if environ["PATH_INFO"] == "/print":
        print("printed by the application", flush=True)
    told = {
        "pid": os.getpid(), "cwd": os.getcwd(), "uid": os.getuid(), "gid": os.getgid(),
        "groups": os.getgroups(), "path": sys.path, "created": CREATED,
        "threads": environ["wsgi.multithread"], "processes": environ["wsgi.multiprocess"],
        "scheme": environ["wsgi.url_scheme"], "env": dict(os.environ),
        "environ": {key: value for key, value in environ.items() if isinstance(value, str)},
    }
    body = json.dumps(told).encode()
    start_response("200 OK", [("Content-Type", "application/json"),
                              ("Content-Length", str(len(body)))])
    return [body]


CREATED = []


def create_app(*positional, **named):
    CREATED.extend([list(positional), named])
    return application
