"""Files as answers: wsgi.file_wrapper, with sendfile(2) and without."""
import gzip
import os
import time

import pytest

from licorne import APPS, rss_kib, run
from test_http_edges import small_client
from waiting import wait_until

MIB = 1 << 20
LARGE = 3 * MIB + 17


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "small").write_bytes(bytes(range(256)) * 8)
    (folder / "large").write_bytes(os.urandom(LARGE))
    (folder / "empty").touch()
    (folder / "text").write_bytes(b"all lower\n" * 20000)
    (folder / "zipped").write_bytes(gzip.compress(b"plain text " * 100000))
    return folder


@pytest.fixture(params=[[], ["--no-sendfile"], ["--threads", "4"]],
                ids=["sync", "no sendfile", "gthread"])
def server(request, start, files):
    return start(*request.param, "--access-logformat", "%(r)s %(s)s %(b)s", "--chdir", APPS, "files",
                 access_log=True, env={"FILES": str(files)})


def body_of(server, target, fields=(), method="GET"):
    """The body of an answer on a kept connection, which must serve another one afterwards."""
    with server.client() as client:
        body = client.get(target, fields, method).body
        assert client.get("/whole?file=small").body == bytes(range(256)) * 8
        return body


# --- which bytes -----------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["small", "large", "empty"])
@pytest.mark.parametrize("how", ["whole", "unbuffered", "temporary", "in_memory"])
def test_a_file_arrives_as_it_is(server, files, name, how):
    data = (files / name).read_bytes()
    assert body_of(server, f"/{how}?file={name}") == data
    assert body_of(server, f"/{how}?file={name}&length={len(data)}") == data


def test_a_file_without_a_length_is_one_chunk(server, files):
    with server.client() as client:
        client.send(b"GET /whole?file=large HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        head, _, body = client.rest().partition(b"\r\n\r\n")
    assert b"\r\nTransfer-Encoding: chunked\r\n" in head
    assert body == b"%X\r\n%s\r\n0\r\n\r\n" % (LARGE, (files / "large").read_bytes())


def test_an_empty_file_ends_once(server):
    with server.client() as client:
        client.send(b"GET /whole?file=empty HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        head, _, body = client.rest().partition(b"\r\n\r\n")
    assert (b"\r\nContent-Length: 0" in head, body) in ((True, b""), (False, b"0\r\n\r\n"))


def test_a_file_to_http_1_0_ends_with_the_connection(server, files):
    with server.client() as client:
        client.send(b"GET /whole?file=large HTTP/1.0\r\n\r\n")
        assert client.rest().partition(b"\r\n\r\n")[2] == (files / "large").read_bytes()


def test_what_was_read_already_is_not_sent_again(server, files):
    for name in "small", "large":
        assert body_of(server, f"/rest?file={name}") == (files / name).read_bytes()[1000:]


def test_a_range_is_a_seek_and_a_length(server, files):
    """A byte range (RFC 9110, 14) needs nothing else of the server."""
    data = (files / "large").read_bytes()
    for first, size in ((0, 1), (5, 100), (1000, 2 * MIB), (LARGE - 9, 9), (77, 16384)):
        with server.client() as client:
            response = client.get(f"/whole?file=large&seek={first}&length={size}"
                                  "&status=206+Partial+Content")
            assert (response.status, response.body) == (206, data[first:first + size])


def test_a_write_may_come_before_the_file(server, files):
    data = (files / "large").read_bytes()
    assert body_of(server, "/whole?file=large&write=hello") == b"hello" + data
    assert body_of(server, f"/whole?file=large&write=hello&length={LARGE}") == \
        b"hello" + data[:LARGE - 5]


def test_what_waits_in_the_file_objects_buffer_is_sent(server, files):
    assert body_of(server, "/updated?file=large")[:4] == b"New" + (files / "large").read_bytes()[3:4]


def test_head_gets_no_byte_of_it(server):
    with server.client() as client:
        head = client.get(f"/whole?file=large&length={LARGE}", method="HEAD")
        assert (head.status, head.field("Content-Length")) == (200, str(LARGE))
        assert client.get("/whole?file=small").status == 200


def test_the_position_of_the_file_stays(server):
    with server.client() as client:
        client.get(f"/unbuffered?file=large&seek=12&length={MIB}")
        assert client.get("/position").body == b"(12, 12)"


# --- which files -----------------------------------------------------------------------------------

def test_a_descriptor_that_does_not_tell_what_is_read_is_read(server, files):
    assert body_of(server, "/unzipped?file=zipped") == b"plain text " * 100000
    assert body_of(server, "/lying?file=text") == b"ALL LOWER\n" * 20000
    assert body_of(server, "/pipe?file=large") == (files / "large").read_bytes()[:1000]


def test_a_file_that_is_made_up_as_it_is_read_is_read(server):
    assert body_of(server, "/whole?file=/proc/sys/kernel/ostype") == b"Linux\n"


# --- files that are not what was promised --------------------------------------------------------------

def test_a_file_longer_than_its_length_is_cut(server, files):
    for name in "small", "large":
        with server.client() as client:
            assert client.get(f"/whole?file={name}&length=100").body == \
                (files / name).read_bytes()[:100]
            assert client.get("/whole?file=small").status == 200
    assert "Content-Length" not in server.stderr


def test_a_file_shorter_than_its_length_closes_the_connection(server, files):
    for name in "small", "empty", "large":
        size = (files / name).stat().st_size
        with server.client() as client:
            client.send(b"GET /whole?file=%s&length=%d HTTP/1.1\r\nHost: t\r\n\r\n"
                        % (name.encode(), size + 1))
            assert client.rest().partition(b"\r\n\r\n")[2] == (files / name).read_bytes()
        server.wait_for_log("shorter than its Content-Length")


@pytest.mark.parametrize("length", ["", "&length=50000000"])
def test_a_file_that_is_cut_while_it_is_sent_closes_the_connection(server, files, length):
    (files / "cut").write_bytes(b"x" * 50_000_000)
    client = small_client(server)
    client.sendall(f"GET /whole?file=cut{length}&truncate=1000 HTTP/1.1\r\nHost: t\r\n\r\n".encode())
    time.sleep(0.3)
    got = b""
    try:
        while piece := client.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    client.close()
    assert len(got) < 50_000_000 and not got.endswith(b"0\r\n\r\n")
    server.wait_for_log("the file became shorter while it was sent; the connection is closed")


# --- clients -----------------------------------------------------------------------------------------

def test_slow_readers_cost_no_memory_and_nobody_waits_for_them(server, files):
    (files / "huge").write_bytes(b"x" * (40 * MIB))
    worker = server.wait_for_workers(1)[0]
    assert server.get("/whole?file=small").status == 200
    before = rss_kib(worker)
    clients = [small_client(server) for _ in range(20)]
    for client in clients:
        client.sendall(b"GET /whole?file=huge HTTP/1.1\r\nHost: t\r\n\r\n")
    for _ in range(5):
        assert server.get("/whole?file=small").status == 200
    assert rss_kib(worker) - before < 4096
    for client in clients:
        client.close()

    def has_no_file():
        return not any("huge" in os.readlink(f"/proc/{worker}/fd/{fd}")
                       for fd in os.listdir(f"/proc/{worker}/fd")
                       if os.path.lexists(f"/proc/{worker}/fd/{fd}"))
    server.get("/whole?file=small")  # the last one that the application keeps
    wait_until(has_no_file, 10, "the files of clients that have gone are closed")


def test_the_access_log_counts_the_bytes(server):
    server.get("/whole?file=large")
    server.get("/whole?file=empty")
    server.get("/whole?file=large&length=100")
    server.stop()
    assert server.access_lines() == [
        f"GET /whole?file=large HTTP/1.1 200 {LARGE}",
        "GET /whole?file=empty HTTP/1.1 200 0",
        "GET /whole?file=large&length=100 HTTP/1.1 200 100"]


# --- the setting ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, env, config, is_on", [
    ([], {}, "", True),
    ([], {"SENDFILE": "no"}, "", False),
    ([], {"SENDFILE": "y"}, "", True),
    (["--no-sendfile"], {"SENDFILE": "1"}, "", False),
    ([], {}, "sendfile = true", True),
    ([], {}, "sendfile = false", False),
    ([], {"SENDFILE": "0"}, "sendfile = on", True),
])
def test_sendfile_is_on_by_default_and_true_means_on(tmp_path, arguments, env, config, is_on):
    (tmp_path / "c.ini").write_text(f"[server]\n{config}\n")
    shown = run("-c", tmp_path / "c.ini", "--print-config", *arguments, "mine", env=env)
    assert [line.split()[2] for line in shown.stdout.splitlines()
            if line.startswith("sendfile ")] == [str(is_on)]
