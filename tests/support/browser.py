"""A client that does what browsers do: keeps its connection and its cookies, and fills in forms."""
import re
import urllib.parse
import uuid
from http.cookies import SimpleCookie

from client import Client


class Browser:
    """`with Browser(server) as browser:`, for one site."""

    def __init__(self, server, timeout=30):
        self.server, self.timeout = server, timeout
        self.cookies = {}
        self.client = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._hang_up()

    def get(self, path="/", fields=(), method="GET", body=b""):
        if self.client is None:
            self.client = Client(self.server.address, self.timeout)
        fields = [("User-Agent", "tests"), *fields]
        if self.cookies:
            pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
            fields.append(("Cookie", pairs))
        response = self.client.get(path, fields, method, body)
        self._keep_cookies(response)
        if response.is_last:
            self._hang_up()
        return response

    def post(self, path, form):
        """A form as most pages send it."""
        return self.get(path, [("Content-Type", "application/x-www-form-urlencoded")], "POST",
                        urllib.parse.urlencode(form).encode())

    def upload(self, path, form, files):
        """A form with files: {name: (file name, bytes)}."""
        boundary = uuid.uuid4().hex
        parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
                 for name, value in form.items()]
        parts += [f'Content-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n'
                  "Content-Type: application/octet-stream\r\n\r\n".encode() + data
                  for name, (file_name, data) in files.items()]
        body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in parts)
        return self.get(path, [("Content-Type", f"multipart/form-data; boundary={boundary}")],
                        "POST", body + f"--{boundary}--\r\n".encode())

    def _keep_cookies(self, response):
        for name, value in response.fields:
            if name.lower() == "set-cookie":
                for cookie in SimpleCookie(value).values():
                    if cookie["max-age"] == "0" or "1970" in cookie["expires"]:
                        self.cookies.pop(cookie.key, None)
                    else:
                        self.cookies[cookie.key] = cookie.value

    def _hang_up(self):
        if self.client is not None:
            self.client.close()
        self.client = None


def hidden_field(page, name):
    """What a form in this page sends along without showing it."""
    found = re.search(rb'name="%s" value="([^"]*)"' % name.encode(), page)
    assert found, f"no field {name!r} in {page[:2000]!r}"
    return found.group(1).decode()
