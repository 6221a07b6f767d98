"""Which requests are taken: limits, error pages to the byte, and the settings that change them."""
import json
import re
import time

import pytest

from licorne import APPS, Licorne
from pages import page


def answer_to(server, data):
    """Every byte that comes back, up to the end of the connection."""
    with server.client() as client:
        client.send(data)
        return client.rest()


def environ(server, fields=(), path="/environ"):
    return json.loads(server.get(path, fields).body)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One server with the default settings, for tests that only ask it."""
    server = Licorne("--chdir", APPS, "served", folder=tmp_path_factory.mktemp("server"),
                     access_log=True)
    server.wait_until_listening()
    yield server
    try:
        server.stop()
    finally:
        server.kill()


# --- error pages ---------------------------------------------------------------------------------

HEADERS = "Request Header Fields Too Large"

PAGES = {
    "line": (b"GET /\r\n", 400, "Bad Request",
             "Invalid Request Line 'Invalid HTTP request line: 'GET /''"),
    "no line": (b"\r\n", 400, "Bad Request",
                "Invalid Request Line 'Invalid HTTP request line: '''"),
    "control byte": (b"GET /\x01 HTTP/1.1\r\n", 400, "Bad Request",
                     r"Invalid Request Line 'Invalid HTTP request line: 'GET /\x01 HTTP/1.1''"),
    "method": (b"get / HTTP/1.1\r\n", 400, "Bad Request",
               "Invalid Method 'Invalid HTTP method: 'get''"),
    "version": (b"GET / HTTP/2.0\r\n", 400, "Bad Request",
                "Invalid HTTP Version 'Invalid HTTP Version: (2, 0)'"),
    "prior knowledge": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n", 400, "Bad Request",
                        "Invalid Request Line 'Invalid HTTP request line: 'PRI * HTTP/2.0''"),
    "long line": (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n", 400, "Bad Request",
                  "Request Line is too large (5014 > 4094)"),
    "name": (b"GET / HTTP/1.1\r\nHost : a\r\n", 400, "Bad Request",
             "Invalid HTTP header name: 'Host '"),
    "no colon": (b"GET / HTTP/1.1\r\n<b>\"&\r\n", 400, "Bad Request",
                 "Invalid HTTP Header: '<b>\"&'"),
    "no name": (b"GET / HTTP/1.1\r\n: a\r\n", 400, "Bad Request", "Invalid HTTP Header: ': a'"),
    "value": (b"GET / HTTP/1.1\r\nX: a\x00\r\n", 400, "Bad Request", "Invalid HTTP Header: 'X'"),
    "folding": (b"GET / HTTP/1.1\r\nXy: a\r\n b\r\n", 400, "Bad Request",
                "Obsolete line folding is unacceptable: 'XY'"),
    "folded length": (b"GET / HTTP/1.1\r\nContent-Length:\r\n 1\r\n", 400, "Bad Request",
                      "Obsolete line folding is unacceptable: 'CONTENT-LENGTH'"),
    "blank first": (b"GET / HTTP/1.1\r\n X: a\r\n", 400, "Bad Request",
                    "Invalid HTTP header name: ' X'"),
    "CR LF CR": (b"GET / HTTP/1.1\r\nHost: a\r\n\rX\r\n", 400, "Bad Request",
                 r"Invalid HTTP Header: '\rX'"),
    "bare LF": (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n", 400, "Bad Request",
                "Invalid HTTP Header: 'Host: a'"),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400, "Bad Request",
                  "Invalid HTTP Header: 'HOST'"),
    "two types": (b"GET / HTTP/1.1\r\nContent-Type: a\r\nContent-Type: a\r\n", 400, "Bad Request",
                  "Invalid HTTP Header: 'CONTENT-TYPE'"),
    "two lengths": (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n", 400,
                    "Bad Request", "Invalid HTTP Header: 'CONTENT-LENGTH'"),
    "length": (b"GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n", 400, "Bad Request",
               "Invalid HTTP Header: 'CONTENT-LENGTH'"),
    "length and coding": (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n",
                          400, "Bad Request", "Invalid HTTP Header: 'CONTENT-LENGTH'"),
    "coding in 1.0": (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 400, "Bad Request",
                      "Invalid HTTP Header: 'TRANSFER-ENCODING'"),
    "chunked twice": (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n", 400,
                      "Bad Request", "Invalid HTTP Header: 'TRANSFER-ENCODING'"),
    "field size": (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n", 431, HEADERS,
                   "Error parsing headers: 'limit request headers fields size'"),
    "fields": (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101, 431, HEADERS,
               "Error parsing headers: 'limit request headers fields'"),
    "all headers": (b"GET / HTTP/1.1\r\n" + (b"X_Y: " + b"y" * 8000 + b"\r\n") * 110, 431,
                    HEADERS, "Error parsing headers: 'max buffer headers'"),
    "schemes": (b"GET / HTTP/1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n", 400,
                "Bad Request", "Contradictory scheme headers"),
    "coding": (b"GET / HTTP/1.1\r\nTransfer-Encoding: x\r\n", 501, "Bad Request",
               "Unsupported transfer coding: 'x'"),
    "no coding": (b"GET / HTTP/1.1\r\nTransfer-Encoding:\r\n", 501, "Bad Request",
                  "Unsupported transfer coding: ''"),
    "no-break space": (b"GET / HTTP/1.1\r\nTransfer-Encoding: \xa0chunked\r\n", 501, "Bad Request",
                       r"Unsupported transfer coding: '\xa0chunked'"),
    "expectation": (b"GET / HTTP/1.1\r\nExpect: x\r\n", 417, "Expectation Failed",
                    "Unable to comply with expectation: 'x'"),
    "head gets a page": (b"HEAD / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400, "Bad Request",
                         "Invalid HTTP Header: 'HOST'"),
}


@pytest.mark.parametrize("head, status, reason, message", PAGES.values(), ids=PAGES.keys())
def test_what_is_not_taken_gets_gunicorns_page(shared, head, status, reason, message):
    assert answer_to(shared, head + b"\r\n") == page(status, reason, message)


@pytest.mark.parametrize("size, status", [(4094, 200), (4095, 400)])
def test_a_request_line_may_be_4094_bytes_long(shared, size, status):
    line = b"GET /?" + b"x" * (size - len("GET /? HTTP/1.1")) + b" HTTP/1.1"
    assert len(line) == size
    answer = answer_to(shared, line + b"\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("size, status", [(8188, 200), (8189, 431)])
def test_a_field_may_be_8188_characters_long(shared, size, status):
    field = b"X: " + b"x" * (size - 3)
    answer = answer_to(shared, b"GET / HTTP/1.1\r\nConnection: close\r\n" + field + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("count, status", [(100, 200), (101, 431)])
def test_a_request_may_have_100_fields(shared, count, status):
    fields = b"Connection: close\r\n" + b"X: y\r\n" * (count - 1) + b"Dropped_One: z\r\n" * 10
    answer = answer_to(shared, b"GET / HTTP/1.1\r\n" + fields + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("size", [4095, 4098, 20_000])
@pytest.mark.parametrize("step", [4096, 4097, 100_000])
def test_a_long_line_is_refused_alike_wherever_it_was_cut(shared, size, step):
    """Nobody waits for its end to see how long it is, so only the number tells where."""
    text = b"GET /" + b"x" * (size - 5) + b"\r\n"
    with shared.client() as client:
        for i in range(0, len(text), step):
            client.send(text[i:i + step])
            time.sleep(0.02)
        answer = client.rest().decode()
    shown = int(re.search(r"too large \((\d+) ", answer)[1])
    assert answer.encode() == page(400, "Bad Request",
                                   f"Request Line is too large ({shown} > 4094)")
    assert 4094 < shown <= size


def test_an_endless_line_is_refused_at_the_limit(shared):
    answer = answer_to(shared, b"GET /" + b"x" * 4092)
    assert answer == page(400, "Bad Request", "Request Line is too large (4097 > 4094)")


# --- bodies ---------------------------------------------------------------------------------------

def test_a_coding_that_ends_nowhere_does_not_hide_a_second_request(shared):
    """The answer arrives although the client goes on sending: the server reads that, and closes."""
    with shared.client() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n")
        for _ in range(20):
            client.send(b"GET /target?second HTTP/1.1\r\nHost: t\r\n\r\n" * 50)
            time.sleep(0.005)
        response = client.response()
        assert (response.status, response.body, response.is_last) == (200, b"", True)
        assert client.rest() == b""


def test_an_upgrade_is_an_ordinary_request(shared):
    answer = answer_to(shared, b"GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                               b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
                               b"GET /target?next HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 2 and answer.endswith(b"next")


@pytest.mark.parametrize("arguments", [(), ("-k", "gthread", "--threads", "2")])
@pytest.mark.parametrize("body", [
    b"Content-Length: 300000\r\n\r\n" + b"x" * 300_000,
    b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n",
], ids=["length", "chunks"])
def test_a_body_that_cannot_be_kept_is_an_internal_error(serve, tmp_path, body, arguments):
    upload = tmp_path / "upload"
    upload.mkdir()
    server = serve("--tmp-upload-dir", upload, *arguments)
    upload.rmdir()
    with server.client() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\n" + body)
        assert client.rest() == page(500, "Internal Server Error", "")
    server.wait_for_log(f"a request body in tmp_upload_dir = {upload}: No such file or directory")
    assert server.get("/").status == 200


@pytest.mark.parametrize("arguments", [(), ("-k", "gthread", "--threads", "2")])
def test_a_large_body_of_single_bytes_is_whole(serve, arguments):
    server = serve(*arguments)
    sent = bytes(n % 251 for n in range(100_000))
    with server.client() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + b"".join(b"1\r\n%c\r\n" % byte for byte in sent) + b"0\r\n\r\n")
        assert client.response().body == sent


TOO_LARGE = page(413, "Content Too Large", "Request body is too large (11 > 10)")


@pytest.fixture
def small(serve):
    return serve("--limit-request-body", "10", access_log=True)


def test_a_body_up_to_the_limit_is_taken(small):
    assert small.get("/echo", method="POST", body=b"0123456789").body == b"0123456789"
    chunked = (b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
               b"4\r\n0123\r\n6\r\n456789\r\n0\r\n\r\n")
    assert answer_to(small, chunked).endswith(b"0123456789")


def test_a_longer_body_is_refused_before_it_is_read(small):
    head = b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 11\r\n\r\n"
    assert answer_to(small, head) == TOO_LARGE
    # Not even asked for.
    asking = head.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    assert answer_to(small, asking) == TOO_LARGE
    small.wait_for_log("Invalid request from ip=127.0.0.1: Request body is too large (11 > 10)")


def test_a_chunked_body_is_refused_as_soon_as_it_is_too_long(small):
    head = b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert answer_to(small, head + b"a\r\n0123456789\r\n1\r\n") == TOO_LARGE


def test_a_streamed_body_has_the_same_limit(serve):
    server = serve("--limit-request-body", "10", "--no-request-buffering")
    head = b"POST /echo HTTP/1.1\r\nHost: t\r\n"
    assert answer_to(server, head + b"Content-Length: 11\r\n\r\n") == TOO_LARGE
    assert answer_to(server, head + b"Transfer-Encoding: chunked\r\n\r\n"
                                    b"a\r\n0123456789\r\n1\r\n") == TOO_LARGE


def test_a_client_that_sends_all_of_a_refused_body_sees_the_answer(small):
    with small.client() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3000000\r\n\r\n")
        for _ in range(30):
            client.send(b"x" * 100_000)
        response = client.response()
        assert (response.status, response.reason) == (413, "Content Too Large")
        assert client.rest() == b""


# --- settings that let more in --------------------------------------------------------------------

def test_unconventional_requests_may_be_permitted(serve):
    server = serve("--permit-unconventional-http-method", "--permit-unconventional-http-version",
                   "--permit-obsolete-folding", "--strip-header-spaces")
    answer = answer_to(server, b"gEt /environ HTTP/1.1\r\nHost \t: t\r\nX-Folded: a\r\n  b\r\n"
                               b"Connection: close\r\n\r\n")
    seen = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert seen["REQUEST_METHOD"] == "gEt"
    assert seen["HTTP_HOST"] == "t" and seen["HTTP_X_FOLDED"] == "a b"

    answer = answer_to(server, b"GET /environ HTTP/2.3\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/2.3 200 OK\r\n")
    assert b'"SERVER_PROTOCOL": "HTTP/2.3"' in answer


def test_methods_may_be_turned_into_capitals(serve):
    server = serve("--permit-unconventional-http-method", "--casefold-http-method")
    with server.client() as client:
        client.send(b"pOsT /environ HTTP/1.1\r\nContent-Length: 2\r\n\r\n")
        time.sleep(0.05)
        client.send(b"ok")
        assert json.loads(client.response().body)["REQUEST_METHOD"] == "POST"


def test_a_folded_field_of_a_slow_client_is_whole(serve):
    server = serve("--permit-obsolete-folding")
    with server.client() as client:
        for byte in b"GET /environ HTTP/1.1\r\nX-Folded: a\r\n b\r\n\tc\r\n\r\n":
            client.send(bytes([byte]))
        assert json.loads(client.response().body)["HTTP_X_FOLDED"] == "a b c"


def test_limits_are_settings(serve):
    server = serve("--limit-request-line", "20", "--limit-request-fields", "2",
                   "--limit-request-field_size", "30")
    assert answer_to(server, b"GET /1234567 HTTP/1.1\r\n\r\n") == \
        page(400, "Bad Request", "Request Line is too large (21 > 20)")
    assert answer_to(server, b"GET / HTTP/1.1\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n") == \
        page(431, HEADERS, "Error parsing headers: 'limit request headers fields'")
    assert answer_to(server, b"GET / HTTP/1.1\r\nA: " + b"x" * 26 + b"\r\n\r\n") == \
        page(431, HEADERS, "Error parsing headers: 'limit request headers fields size'")


def test_a_request_line_without_limit_may_be_long(serve):
    server = serve("--limit-request-line", "0")
    assert server.get("/target?" + "x" * 100_000).body == b"x" * 100_000


# --- underscores ----------------------------------------------------------------------------------

REMOTE_USER = [("REMOTE_USER", "ann"), ("X-Other", "x")]


def test_a_dropped_field_is_reported_once_with_the_setting_that_keeps_it(serve):
    server = serve()
    for _ in range(3):
        seen = environ(server, [("REMOTE_USER", "ann"), ("Remote_User", "bob")])
        assert "HTTP_REMOTE_USER" not in seen
    line = ("[WARNING] Header field REMOTE_USER of a trusted proxy is dropped, because its name "
            "has an underscore; add it to forwarder_headers to let it through\n")
    server.wait_for_log(line)
    assert server.stderr.lower().count("header field remote_user") == 1


def test_strangers_do_not_fill_the_log_with_dropped_fields(serve):
    server = serve("--forwarded-allow-ips", "192.0.2.1")
    assert environ(server, [(f"X_{n}", "y") for n in range(50)])["REQUEST_METHOD"] == "GET"
    server.wait_for_log("[INFO] Header fields of yet other names are dropped; no more of them")
    assert server.stderr.count("header_map = dangerous") == 16


@pytest.mark.parametrize("arguments, seen", [
    (["--header-map", "dangerous"], "ann"),
    (["--forwarder-headers", "REMOTE_USER"], "ann"),
    (["--forwarder-headers", "*"], "ann"),
    (["--forwarder-headers", "*", "--forwarded-allow-ips", "192.0.2.0/24"], None),
    (["--header-map", "dangerous", "--forwarded-allow-ips", ""], "ann"),
])
def test_who_may_send_underscores_is_a_setting(serve, arguments, seen):
    server = serve(*arguments)
    assert environ(server, REMOTE_USER).get("HTTP_REMOTE_USER") == seen


def test_underscores_may_be_refused(serve):
    server = serve("--header-map", "refuse")
    assert answer_to(server, b"GET / HTTP/1.1\r\nRemote_User: ann\r\n\r\n") == \
        page(400, "Bad Request", "Invalid HTTP header name: 'REMOTE_USER'")
    assert environ(server, [("SCRIPT_NAME", "")])["HTTP_SCRIPT_NAME"] == ""


# --- trust ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("trusted, scheme", [
    ("127.0.0.0/8", "https"), ("*", "https"), ("10.0.0.0/8, 127.0.0.1", "https"),
    ("192.0.2.1", "http"), ("", "http")])
def test_whom_to_trust_is_a_list_of_addresses_and_networks(serve, trusted, scheme):
    server = serve("--forwarded-allow-ips", trusted)
    assert environ(server, [("X-Forwarded-Proto", "https")])["wsgi.url_scheme"] == scheme


def test_the_environment_may_say_whom_to_trust(serve):
    server = serve(env={"FORWARDED_ALLOW_IPS": "192.0.2.1"})
    assert environ(server, [("X-Forwarded-Proto", "https")])["wsgi.url_scheme"] == "http"


@pytest.mark.parametrize("form", ["X-MY-PROTO=https", "{'X-MY-PROTO': 'https'}"])
def test_which_fields_tell_the_scheme_is_a_setting(serve, tmp_path, form):
    (tmp_path / "my.ini").write_text(f"[server]\nsecure_scheme_headers = {form}\n")
    server = serve("-c", tmp_path / "my.ini")

    def scheme(*fields):
        return environ(server, fields)["wsgi.url_scheme"]
    assert scheme(("X-My-Proto", "https")) == "https"
    assert scheme(("X-My-Proto", "HTTPS")) == "http"
    assert scheme(("X-Forwarded-Proto", "https")) == "http"
    assert scheme() == "http"


def test_a_proxy_on_a_unix_socket_is_trusted(start, tmp_path):
    path = tmp_path / "socket"
    server = start("-b", f"unix:{path}", "--chdir", APPS, "--forwarded-allow-ips", "192.0.2.1",
                   "served", bind=False)
    server.address = str(path)
    assert environ(server, [("X-Forwarded-Proto", "https")])["wsgi.url_scheme"] == "https"
