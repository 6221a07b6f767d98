"""Reads what is posted to it, in blocks, and tells how much it was."""


def application(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        read, size = environ["wsgi.input"].read, 0
        while block := read(65536):
            size += len(block)
        body = b"%d" % size
    else:
        body = b"Hello, world!\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
