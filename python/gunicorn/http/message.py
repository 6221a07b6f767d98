"""The request that pre_request and post_request get."""
from urllib.parse import unquote_to_bytes


class Message:
    pass


class Request(Message):
    """What a hook changes here reaches the application's environ."""

    def __init__(self, method, uri, version, scheme, headers, remote_addr, peer_addr, number):
        self.method = method
        self.uri = uri
        self.version = version
        self.scheme = scheme
        self.headers = headers  # [(UPPER-CASE NAME, value)]
        self.remote_addr = remote_addr
        self.peer_addr = peer_addr
        self.req_number = number
        self.path, self.query, self.fragment = split_target(uri)
        self.body = None
        self.trailers = []
        self.proxy_protocol_info = None
        self._came = self._facts()

    def _facts(self):
        return (self.method, self.uri, self.path, self.query, self.scheme, list(self.headers))

    def _apply(self, environ):
        """After the hook: its changes to the request, in the environ that was made without them."""
        self.body = environ.get("wsgi.input")
        if self._facts() == self._came:
            return
        method, uri, path, query, scheme, headers = self._came
        if self.method != method:
            environ["REQUEST_METHOD"] = self.method
        if self.uri != uri:
            environ["RAW_URI"] = self.uri
        if self.query != query:
            environ["QUERY_STRING"] = self.query or ""
        if self.scheme != scheme:
            environ["wsgi.url_scheme"] = self.scheme
        if self.path != path:
            environ["PATH_INFO"] = unquote_to_bytes(self.path).decode("latin-1")
        if self.headers != headers:
            self._apply_headers(environ, headers)

    def _apply_headers(self, environ, before):
        """Only the fields that changed: the others are as the server's own rules made them."""
        changed = {name for name, _ in before + self.headers
                   if values_of(name, before) != values_of(name, self.headers)}
        for name in changed:
            key = name.upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = "HTTP_" + key
            values = values_of(name, self.headers)
            if values:
                environ[key] = ",".join(values)
            else:
                environ.pop(key, None)


def values_of(name, headers):
    return [str(value) for each, value in headers if each == name]


def split_target(uri):
    rest, _, fragment = uri.partition("#")
    path, _, query = rest.partition("?")
    if not path.startswith("/") and "://" in path:
        path = "/" + path.partition("://")[2].partition("/")[2]
    return path, query, fragment
