"""The pages by which requests are refused."""


def page(status, reason, message):
    """The whole answer to a request that is not taken, to the byte as Gunicorn's."""
    for char, escape in zip("&<>\"'", ["&amp;", "&lt;", "&gt;", "&quot;", "&#x27;"]):
        message = message.replace(char, escape)
    body = (f"<html>\n  <head>\n    <title>{reason}</title>\n  </head>\n  <body>\n"
            f"    <h1><p>{reason}</p></h1>\n    {message}\n  </body>\n</html>\n")
    return (f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: text/html\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()
