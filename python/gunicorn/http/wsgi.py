"""The response that post_request gets."""
from gunicorn import SERVER, SERVER_SOFTWARE


class Response:
    def __init__(self, req):
        self.req = req
        self.version = SERVER
        self.status = None
        self.headers = []
        self.headers_sent = False
        self.sent = 0
        self.chunked = False
        self.response_length = None

    @property
    def status_code(self):
        return int(self.status.split()[0]) if self.status else None

    def _end(self, sent):
        self.sent = sent
        self.headers_sent = self.status is not None
        for name, value in self.headers:
            if name.lower() == "content-length":
                self.response_length = int(value)
        self.chunked = (self.response_length is None and self.req.version >= (1, 1)
                        and self.req.method != "HEAD"
                        and self.status_code not in (None, 204, 304))


__all__ = ["Response", "SERVER", "SERVER_SOFTWARE"]
