from gunicorn import glogging


class CustomGunicornLogger(glogging.Logger):
    def access(self, resp, req, environ, request_time):
        # Do not log health checks
        if environ["PATH_INFO"] != "/healthz":
            super().access(resp, req, environ, request_time)


accesslog = "-"
logger_class = CustomGunicornLogger
