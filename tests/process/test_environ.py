"""What a WSGI application is told of a request, key by key."""
import json

import pytest

from licorne import APPS
from pages import page


def ask(server, request):
    with server.client() as client:
        client.send(request.encode("latin-1") if isinstance(request, str) else request)
        return json.loads(client.response().body)


@pytest.fixture
def server(serve):
    return serve()


@pytest.fixture
def on_unix(start, tmp_path):
    path = tmp_path / "the socket"
    server = start("-b", f"unix:{path}", "--chdir", APPS, "served", bind=False)
    server.address = str(path)
    return server


def test_the_request_line(server):
    seen = ask(server, "GET /environ?a=%20b&c HTTP/1.1\r\nHost: t\r\n\r\n")
    assert seen["REQUEST_METHOD"] == "GET"
    assert seen["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert seen["RAW_URI"] == "/environ?a=%20b&c"
    assert seen["PATH_INFO"] == "/environ"
    assert seen["QUERY_STRING"] == "a=%20b&c"
    assert seen["SCRIPT_NAME"] == ""
    assert ask(server, "GET /environ HTTP/1.0\r\n\r\n")["SERVER_PROTOCOL"] == "HTTP/1.0"


@pytest.mark.parametrize("target, path, query", [
    ("/environ#f?x", "/environ", ""),
    ("/%65nviron/?#", "/environ/", ""),
    ("http://other:9/environ?x#y", "/environ", "x"),
    ("HTTP://u:p@[::1]/environ", "/environ", ""),
    ("//environ//", "//environ//", ""),
])
def test_targets(server, target, path, query):
    seen = ask(server, f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n")
    assert (seen["RAW_URI"], seen["PATH_INFO"], seen["QUERY_STRING"]) == (target, path, query)
    assert seen["HTTP_HOST"] == "t"  # the authority of a target does not replace it


@pytest.mark.parametrize("target, path", [
    ("/environ/%C3%A4%00%2f%zz%4", "/environ/\xc3\xa4\x00/%zz%4"),
    ("/environ/\xff", "/environ/\xc3\xbf"),
])
def test_paths_are_decoded_to_bytes(serve, tmp_path, target, path):
    (tmp_path / "shows.py").write_text("""
import json
def application(environ, start_response):
    body = json.dumps({k: v for k, v in environ.items() if isinstance(v, str)}).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
""")
    server = serve("--pythonpath", tmp_path, "shows")
    seen = ask(server, f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n")
    assert (seen["RAW_URI"], seen["PATH_INFO"]) == (target, path)


def test_fields(server):
    seen = ask(server, "POST /environ HTTP/1.1\r\nHost: t\r\nx-lower: \tvalue \r\nX-Twice: a\r\n"
                       "X-TWICE: b, c\r\nCookie: a=1\r\nCookie: b=2\r\nX-Empty:\r\nX-Empty:\r\n"
                       "X-Latin: \xe4\r\nProxy: evil\r\nConnection: close\r\n"
                       "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")
    assert seen["HTTP_X_LOWER"] == "value"
    assert seen["HTTP_X_TWICE"] == "a,b, c"
    assert seen["HTTP_COOKIE"] == "a=1,b=2"
    assert seen["HTTP_X_EMPTY"] == ","
    assert seen["HTTP_X_LATIN"] == "\xe4"
    assert seen["HTTP_PROXY"] == "evil" and seen["HTTP_CONNECTION"] == "close"
    assert seen["CONTENT_TYPE"] == "text/plain" and seen["CONTENT_LENGTH"] == "2"
    assert "HTTP_CONTENT_TYPE" not in seen and "HTTP_CONTENT_LENGTH" not in seen


def test_fields_that_were_not_sent_are_not_there(server):
    seen = ask(server, "GET /environ HTTP/1.1\r\n\r\n")
    assert not [key for key in seen if key.startswith(("HTTP_", "CONTENT_", "PROXY_"))]


def test_fields_about_the_transfer_are_shown(server):
    seen = ask(server, "POST /environ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
                       "Expect: 100-continue\r\n\r\n0\r\n\r\n")
    assert seen["HTTP_TRANSFER_ENCODING"] == "chunked"
    assert seen["HTTP_EXPECT"] == "100-continue"
    assert "CONTENT_LENGTH" not in seen


def test_a_name_with_an_underscore_never_replaces_a_key_of_cgi(serve):
    server = serve("--forwarder-headers", "*")
    seen = ask(server, "GET /environ HTTP/1.1\r\nREMOTE_ADDR: 9.9.9.9\r\nPATH_INFO: /x\r\n"
                       "CONTENT_TYPE: a\r\nServer_Name: b\r\n\r\n")
    assert seen["REMOTE_ADDR"] == "127.0.0.1" and seen["PATH_INFO"] == "/environ"
    assert seen["HTTP_REMOTE_ADDR"] == "9.9.9.9" and seen["HTTP_PATH_INFO"] == "/x"
    assert seen["HTTP_CONTENT_TYPE"] == "a" and "CONTENT_TYPE" not in seen
    assert seen["HTTP_SERVER_NAME"] == "b" and seen["SERVER_NAME"] == "127.0.0.1"


# --- who speaks to whom ---------------------------------------------------------------------------

def test_both_ends_of_a_connection(server):
    with server.client() as client:
        client.send(b"GET /environ HTTP/1.1\r\nHost: other:1\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n")
        seen = json.loads(client.response().body)
        assert seen["REMOTE_PORT"] == str(client.socket.getsockname()[1])
    assert seen["REMOTE_ADDR"] == "127.0.0.1"
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("127.0.0.1", str(server.port))


@pytest.mark.parametrize("fields, name, port", [
    ("Host: shop\r\n", "shop", "80"),
    ("Host: shop:8000\r\n", "shop", "8000"),
    ("Host: shop\r\nX-Forwarded-Proto: https\r\n", "shop", "443"),
    ("Host: [2001:db8::1]\r\n", "[2001:db8::1]", "80"),
    ("Host: [2001:db8::1]:8000\r\n", "[2001:db8::1]", "8000"),
])
def test_the_server_on_a_unix_socket_is_what_the_client_calls_it(on_unix, fields, name, port):
    seen = ask(on_unix, f"GET /environ HTTP/1.1\r\n{fields}\r\n")
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == (name, port)
    assert seen["REMOTE_ADDR"] == "" and "REMOTE_PORT" not in seen


@pytest.mark.parametrize("fields", ["", "Host:\r\n"])
def test_the_server_on_a_unix_socket_without_a_name_is_the_socket(on_unix, fields):
    seen = ask(on_unix, f"GET /environ HTTP/1.1\r\n{fields}\r\n")
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == (on_unix.address, "")


def test_sockets_of_both_kinds_do_not_mix(start, tmp_path):
    path = tmp_path / "socket"
    server = start("-b", f"unix:{path}", "--chdir", APPS, "-b", "127.0.0.1:0", "served",
                   bind=False)
    port = int(server.stderr.split("http://127.0.0.1:")[1].split()[0].rstrip(",/)"))
    for _ in range(2):
        server.address = ("127.0.0.1", port)
        tcp = ask(server, "GET /environ HTTP/1.1\r\nHost: t\r\n\r\n")
        assert (tcp["SERVER_NAME"], tcp["SERVER_PORT"]) == ("127.0.0.1", str(port))
        assert tcp["REMOTE_ADDR"] == "127.0.0.1" and "REMOTE_PORT" in tcp
        server.address = str(path)
        unix = ask(server, "GET /environ HTTP/1.1\r\nHost: t\r\n\r\n")
        assert (unix["SERVER_NAME"], unix["SERVER_PORT"]) == ("t", "80")
        assert unix["REMOTE_ADDR"] == "" and "REMOTE_PORT" not in unix


# --- where the application is mounted -------------------------------------------------------------

def test_a_trusted_proxy_says_where_the_application_is_mounted(server):
    seen = ask(server, "GET /shop/environ?a HTTP/1.1\r\nSCRIPT_NAME: /shop\r\n\r\n")
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("/shop", "/environ")
    assert seen["HTTP_SCRIPT_NAME"] == "/shop" and seen["RAW_URI"] == "/shop/environ?a"
    # The next one does not remember it.
    assert ask(server, "GET /environ HTTP/1.1\r\n\r\n")["SCRIPT_NAME"] == ""


def test_a_stranger_does_not(serve):
    server = serve("--forwarded-allow-ips", "192.0.2.1")
    seen = ask(server, "GET /environ HTTP/1.1\r\nSCRIPT_NAME: /environ\r\nScript-Name: /x\r\n\r\n")
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("", "/environ")
    assert seen["HTTP_SCRIPT_NAME"] == "/x"


def test_the_environment_may_say_it_too(serve):
    server = serve(env={"SCRIPT_NAME": "/shop"})
    seen = ask(server, "GET /shop/environ HTTP/1.1\r\n\r\n")
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("/shop", "/environ")
    seen = ask(server, "GET /s/environ HTTP/1.1\r\nSCRIPT_NAME: /s\r\n\r\n")
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("/s", "/environ")


@pytest.mark.parametrize("fields, env", [(b"SCRIPT_NAME: /a\r\n", {}), (b"", {"SCRIPT_NAME": "/a"})])
def test_a_path_that_is_not_mounted_there_is_a_configuration_problem(serve, fields, env):
    server = serve(env=env)
    with server.client() as client:
        client.send(b"GET /b HTTP/1.1\r\n" + fields + b"\r\n")
        expected = page(500, "Bad Request", "Configuration problem: Request path '/b' does not "
                                            "start with SCRIPT_NAME '/a'")
        assert client.rest() == expected
    server.wait_for_log("Configuration problem: Request path '/b'")


# --- the scheme -----------------------------------------------------------------------------------

@pytest.mark.parametrize("fields, scheme", [
    ("", "http"),
    ("X-Forwarded-Proto: https\r\n", "https"),
    ("x-forwarded-ssl: on\r\n", "https"),
    ("X-Forwarded-Protocol: ssl\r\n", "https"),
    ("X-Forwarded-Proto: HTTPS\r\n", "http"),
    ("X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: on\r\n", "https"),
    ("X-Forwarded-Proto: http\r\nX-Forwarded-Ssl: off\r\n", "http"),
])
def test_the_scheme(server, fields, scheme):
    assert ask(server, f"GET /environ HTTP/1.1\r\n{fields}\r\n")["wsgi.url_scheme"] == scheme
