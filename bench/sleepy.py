"""Sleeps for as many milliseconds as it is asked to; the X-Pid field says which process did."""
import os
import time

BODY = b"Hello, world!\n"


def application(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"] or 0) / 1000)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY))),
                              ("X-Pid", str(os.getpid()))])
    return [BODY]
