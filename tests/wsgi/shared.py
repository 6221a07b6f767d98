"""Says which process answers what, after as many seconds as it is asked for."""
import os
import time


def application(environ, start_response):
    seconds, _, rest = environ["QUERY_STRING"].partition("&")
    time.sleep(float(seconds or 0))
    body = rest.encode("latin-1")
    ends = (environ[name] for name in ("REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT"))
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-Pid", str(os.getpid())),
                              ("X-Port", environ.get("REMOTE_PORT", "")),
                              ("X-Ends", " ".join(ends))])
    return [body]
