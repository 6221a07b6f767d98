"""TLS: handshakes, certificates, and that encrypted connections do what plain ones do."""
import hashlib
import json
import os
import signal
import socket
import ssl
import subprocess
import time

import pytest

from client import Client
from licorne import APPS, free_port, run
from tls import Authority, Records, TLSClient, openssl, replace
from waiting import wait_until

REQUEST = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"


@pytest.fixture
def serve_tls(serve, pair):
    """serve_tls(*arguments) serves tests/wsgi/served.py with a certificate for localhost."""
    return lambda *arguments, **options: serve("--certfile", pair[0], "--keyfile", pair[1],
                                               *arguments, **options)


@pytest.fixture
def connect(authority):
    """connect(server, ...) makes a TLS client of it."""
    return lambda server, context=None, **options: TLSClient(
        server.address, context or authority.context(), **options)


def alert_of(address, context):
    """What the server says to a client that it does not let in (TLS 1.3: after the handshake)."""
    with pytest.raises(ssl.SSLError) as refused:
        with TLSClient(address, context) as client:
            client.send(REQUEST)
            client.response()
    return str(refused.value)


# --- the handshake ---------------------------------------------------------------------------------

@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_page_comes_encrypted_on_a_kept_connection(serve_tls, connect, authority, version):
    server = serve_tls()
    only = getattr(ssl.TLSVersion, version)
    context = authority.context(minimum_version=only, maximum_version=only)
    with connect(server, context) as client:
        assert client.socket.version() == version.replace("_", ".")
        assert client.get("/").body == b"Hello, world!\n"
        assert client.get("/target?2").body == b"2"
    assert f"Listening at: https://127.0.0.1:{server.port} (" in server.stderr


def test_curl_is_content(serve_tls, authority):
    server = serve_tls()
    got = subprocess.run(["curl", "-sS", "--max-time", "20", "--cacert", authority.pem, "-i",
                          f"https://localhost:{server.port}/"], capture_output=True, check=True)
    assert got.stdout.startswith(b"HTTP/1.1 200 OK\r\n") and got.stderr == b""


def test_older_versions_are_refused_and_logged(serve_tls):
    server = serve_tls()
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_1",
                           "-cipher", "ALL:@SECLEVEL=0"], input=b"", capture_output=True, timeout=20,
                          check=False)
    assert b"alert protocol version" in done.stderr
    server.wait_for_log("TLS handshake with ip=127.0.0.1 failed: [SSL: UNSUPPORTED_PROTOCOL]")


@pytest.mark.parametrize("offered, chosen", [
    (["h2", "http/1.1"], "http/1.1"), (["http/1.0"], "http/1.0"), ([], None)])
def test_alpn_chooses_what_is_spoken(serve_tls, connect, authority, offered, chosen):
    context = authority.context()
    context.set_alpn_protocols(offered)
    with connect(serve_tls(), context) as client:
        assert client.socket.selected_alpn_protocol() == chosen
        assert client.get("/").status == 200


def test_a_client_that_speaks_only_http2_is_told_so(serve_tls, authority):
    context = authority.context()
    context.set_alpn_protocols(["h2"])
    server = serve_tls()
    alert_of(server.address, context)
    server.wait_for_log("[SSL: NO_APPLICATION_PROTOCOL] no application protocol")


def test_the_ciphers_of_the_setting_are_used(serve_tls, connect, authority):
    server = serve_tls("--ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305")
    context = authority.context(maximum_version=ssl.TLSVersion.TLSv1_2)
    with connect(server, context) as client:
        assert client.socket.cipher()[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"
    context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    assert "HANDSHAKE_FAILURE" in alert_of(server.address, context)


def test_a_handshake_may_come_byte_by_byte(serve_tls, authority):
    with Records(serve_tls().address, authority.context()) as client:
        client.handshake(step=1)
        client.tls.write(REQUEST)
        client.send(step=1)
        assert client.read_until(b"Hello, world!\n").startswith(b"HTTP/1.1 200 OK\r\n")


def test_who_never_speaks_is_sent_away_in_time(serve_tls):
    server = serve_tls("--handshake-timeout", "1", "--log-level", "debug")
    with Client(server.address) as mute, Client(server.address) as stutters:
        stutters.send(b"\x16\x03\x01\x02\x00")
        assert mute.is_closed(within=10) and stutters.is_closed(within=10)
    server.wait_for_log("did not finish the TLS handshake in time", count=2)


def test_200_clients_that_never_speak_delay_nobody(serve_tls, connect):
    server = serve_tls()
    mute = [Client(server.address) for _ in range(200)]
    try:
        for n, client in enumerate(mute):
            if n % 2:
                client.send(b"\x16\x03\x01\x02\x00\x01")
        began = time.monotonic()
        for _ in range(10):
            with connect(server) as client:
                assert client.get("/").status == 200
        assert time.monotonic() - began < 5
    finally:
        for client in mute:
            client.close()


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
def test_plain_http_gets_a_page_that_says_so(serve_tls, method):
    server = serve_tls()
    with Client(server.address) as client:
        client.send(f"{method} / HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        response = client.response()
        assert response.status == 400 and response.is_last
        assert b"The plain HTTP request was sent to HTTPS port" in response.body
        assert client.is_closed()
    server.wait_for_log("[WARNING] Invalid request from ip=127.0.0.1: [SSL: HTTP_REQUEST]")


def test_noise_ends_the_connection_alone(serve_tls, connect):
    server = serve_tls()
    with Client(server.address) as client:
        client.send(bytes(range(128, 256)) * 8)
        client.rest()
    server.wait_for_log("TLS handshake with ip=127.0.0.1 failed: ")
    with connect(server) as client:
        assert client.get("/").status == 200
    assert len(server.workers()) == 1


def test_an_rsa_key_will_do_as_well(serve, authority, connect):
    pem, key = authority.issue("rsa", algorithm=("rsa:2048",))
    with connect(serve("--certfile", pem, "--keyfile", key)) as client:
        assert client.get("/").status == 200


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_key_may_stand_in_the_certificate_file(serve, pair, tmp_path, connect, order):
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(pair[i].read_bytes() for i in order))
    with connect(serve("--certfile", both)) as client:
        assert client.get("/").status == 200


def test_a_unix_socket_is_encrypted_too(start, pair, authority, tmp_path):
    path = str(tmp_path / "socket")
    start("-b", f"unix:{path}", "--certfile", pair[0], "--keyfile", pair[1], "--chdir", APPS,
          "served", bind=False)
    with TLSClient(path, authority.context()) as client:
        assert client.get("/").status == 200


# --- bytes -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("size", [1, 16384, 65536, 65537, 1_000_000, 100_000_000])
def test_what_was_sent_comes_back_as_it_was(serve_tls, connect, size):
    sent = os.urandom(min(size, 1_000_000)) * (size // 1_000_000 or 1)
    server = serve_tls()
    with connect(server, timeout=60) as client:
        response = client.get("/echo", method="POST", body=sent)
        assert hashlib.sha256(response.body).digest() == hashlib.sha256(sent).digest()
        assert client.get("/").status == 200


def test_a_streamed_answer_of_100_mb_arrives_whole(serve_tls, connect):
    with connect(serve_tls(), timeout=60) as client:
        client.send(b"GET /stream?100000000 HTTP/1.1\r\nHost: t\r\n\r\n")
        time.sleep(0.5)  # the client reads later than the server writes
        assert client.response().body == b"x" * 100_000_000


def test_a_file_arrives_whole(serve_tls, connect, tmp_path):
    content = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(content)
    server = serve_tls(env={"SERVED_FILE": str(tmp_path / "file")})
    with connect(server) as client:
        assert client.get("/file").body == content


def test_pipelined_requests_in_one_record_are_answered_in_order(serve_tls, connect):
    with connect(serve_tls()) as client:
        client.send(b"".join(b"GET /target?%d HTTP/1.1\r\nHost: t\r\n\r\n" % n
                             for n in range(100)))
        assert [client.response().body for _ in range(100)] == [b"%d" % n for n in range(100)]


def test_one_request_may_come_in_many_records(serve_tls, authority):
    with Records(serve_tls().address, authority.context()) as client:
        client.handshake()
        for byte in REQUEST:
            client.tls.write(bytes([byte]))
        client.send()
        assert client.read_until(b"Hello, world!\n").startswith(b"HTTP/1.1 200 OK\r\n")


def test_nothing_is_left_lying_when_much_comes_at_once(serve_tls, authority):
    """More than one read takes, all in the socket before the server looks, then silence."""
    body = os.urandom(200_000)
    with Records(serve_tls().address, authority.context(), timeout=30) as client:
        client.handshake()
        client.tls.write(b"GET /slow?0.5 HTTP/1.1\r\nHost: t\r\n\r\n")
        client.tls.write(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 200000\r\n\r\n" + body)
        client.tls.write(b"GET /target?last HTTP/1.1\r\nHost: t\r\n\r\n")
        client.send()
        data = client.read_until(b"\r\n\r\nlast")
        assert body in data


def test_the_first_request_may_come_with_the_end_of_the_handshake(serve_tls, authority):
    with Records(serve_tls().address, authority.context()) as client:
        while True:
            try:
                client.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.send()
                client.receive()
        client.tls.write(REQUEST)
        client.send()  # Finished and request in one
        assert client.read_until(b"Hello, world!\n")


def test_a_slow_body_is_answered_with_408(serve_tls, connect):
    with connect(serve_tls("--body-timeout", "1")) as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nab")
        assert client.response().status == 408


def test_half_a_record_is_no_excuse_after_the_deadline(serve_tls, authority):
    with Records(serve_tls("--keep-alive", "1", "--header-timeout", "1").address,
                 authority.context()) as client:
        client.handshake()
        client.tls.write(REQUEST)
        record = client.outgoing.read()
        client.socket.sendall(record[:10])
        client.socket.settimeout(10)
        while client.receive():
            pass  # tickets, goodbye, and then the end


@pytest.mark.parametrize("options", [
    ("--threads", "4"), ("--no-request-buffering",),
    ("--threads", "4", "--no-request-buffering")], ids=" ".join)
def test_threads_and_pulled_bodies_are_no_different(serve_tls, connect, authority, options):
    """Whoever reads and whoever writes, be it at the same time."""
    sent = os.urandom(1_000_000) * 8
    server = serve_tls(*options)
    with connect(server, timeout=60) as client, Records(server.address, authority.context(),
                                                        timeout=60) as raw:
        assert client.get("/echo", method="POST", body=sent).body == sent
        assert client.get("/stream?5000000").body == b"x" * 5_000_000
        raw.handshake()
        raw.tls.write(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 200000\r\n\r\n")
        raw.tls.write(sent[:200_000])
        raw.tls.write(b"GET /target?last HTTP/1.1\r\nHost: t\r\n\r\n")
        raw.send()
        assert sent[:200_000] in raw.read_until(b"\r\n\r\nlast")


# --- the end ----------------------------------------------------------------------------------------

def test_the_server_says_goodbye_properly(serve_tls, connect):
    with connect(serve_tls("--keep-alive", "1")) as client:
        assert client.get("/").status == 200
        assert client.rest() == b""  # a ragged end would raise
    with connect(serve_tls()) as client:
        assert client.get("/", [("Connection", "close")]).is_last
        assert client.rest() == b""


def test_an_answer_that_breaks_off_does_not_end_well(serve_tls, connect):
    """Without length or chunks only the goodbye tells a whole answer from half of one."""
    server = serve_tls()
    with connect(server) as client:
        client.send(b"GET /break HTTP/1.0\r\n\r\n")
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            while client._receive():
                pass
        assert b"200 OK" in client.left and client.left.endswith(b"begun")


def test_a_client_that_leaves_without_goodbye_gets_its_answer_all_the_same(serve_tls, authority):
    with Records(serve_tls().address, authority.context()) as client:
        client.handshake()
        client.tls.write(b"GET /slow?0.3 HTTP/1.1\r\nHost: t\r\n\r\n")
        client.send()
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")


def test_without_suppress_ragged_eofs_it_does_not(serve_tls, authority, tmp_path):
    (tmp_path / "c.ini").write_text("[server]\nsuppress_ragged_eofs = false\n")
    with Records(serve_tls("-c", tmp_path / "c.ini").address, authority.context()) as client:
        client.handshake()
        client.tls.write(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n")
        client.send()
        client.socket.shutdown(socket.SHUT_WR)
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            while client.read():
                pass


def test_a_stop_does_not_wait_for_those_who_have_not_spoken(serve_tls, connect):
    server = serve_tls("--handshake-timeout", "30")
    with Client(server.address), connect(server) as client:
        client.get("/")
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 5


# --- clients' certificates ---------------------------------------------------------------------------

def test_a_demanded_certificate_opens_the_door(serve_tls, connect, authority):
    server = serve_tls("--cert-reqs", "2", "--ca-certs", authority.pem)
    with connect(server, authority.context(authority.issue("alice", "alice"))) as client:
        assert client.get("/").status == 200
    assert "CERTIFICATE_REQUIRED" in alert_of(server.address, authority.context())
    server.wait_for_log("[SSL: PEER_DID_NOT_RETURN_A_CERTIFICATE]")


def test_a_strangers_certificate_does_not(serve_tls, authority, tmp_path):
    server = serve_tls("--cert-reqs", "1", "--ca-certs", authority.pem)
    stranger = Authority(tmp_path / "other", "Other CA").issue("eve", "eve")
    assert "UNKNOWN_CA" in alert_of(server.address, authority.context(stranger))
    server.wait_for_log("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: ")


def test_an_optional_certificate_may_be_missing(serve_tls, connect, authority):
    server = serve_tls("--cert-reqs", "1", "--ca-certs", authority.pem)
    with connect(server) as client:
        assert client.get("/").status == 200


def test_an_old_session_does_not_get_round_a_new_demand(serve_tls, connect, authority, tmp_path):
    """A ticket from before the reload that asks for certificates must not stand in for one."""
    ini = tmp_path / "c.ini"
    ini.write_text("[server]\ncert_reqs = 0\n")
    server = serve_tls("-c", ini)
    context = authority.context(maximum_version=ssl.TLSVersion.TLSv1_2)
    with connect(server, context) as client:
        assert client.get("/").status == 200
        session = client.socket.session
    ini.write_text(f"[server]\ncert_reqs = 2\nca_certs = {authority.pem}\n")
    old = server.workers()
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(1, without=old)
    with pytest.raises(ssl.SSLError):
        connect(server, context, session=session).get("/")


# --- sessions -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_session_goes_on_with_any_worker_and_after_a_reload(serve_tls, connect, authority,
                                                               version):
    server = serve_tls("-w", "2")
    server.wait_for_workers(2)
    only = getattr(ssl.TLSVersion, version)
    context = authority.context(minimum_version=only, maximum_version=only)
    with connect(server, context) as client:
        first = client.get("/pid").body
        session = client.socket.session

    def resumed_by():
        with connect(server, context, session=session) as again:
            pid = again.get("/pid").body
            assert again.socket.session_reused
            return pid
    wait_until(lambda: resumed_by() != first, 20, "the other worker answers")
    old = server.workers()
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(2, without=old)
    assert int(resumed_by()) not in old


# --- renewal --------------------------------------------------------------------------------------------

@pytest.fixture
def renewable(authority, tmp_path):
    """Paths whose content the test changes."""
    pem, key = tmp_path / "server.pem", tmp_path / "server.key"
    for path, issued in zip((pem, key), authority.issue("first")):
        path.write_bytes(issued.read_bytes())
    return pem, key


def test_a_renewed_certificate_is_used_without_a_reload(serve, connect, authority, renewable):
    pem, key = renewable
    server = serve("-w", "2", "--certfile", pem, "--keyfile", key)
    server.wait_for_workers(2)
    workers = server.workers()
    with connect(server) as kept:
        old = kept.serial()
        fresh_pem, fresh_key = authority.issue("second", days=300)
        replace(key, fresh_key.read_bytes())
        replace(pem, fresh_pem.read_bytes())
        server.wait_for_log("was re-read, expires 20")

        for _ in range(8):  # either worker
            def is_new():
                with connect(server) as client:
                    assert client.get("/").status == 200
                    return client.serial() != old
            wait_until(is_new, 10, "the new certificate")
        assert kept.get("/").status == 200 and kept.serial() == old
    assert server.workers() == workers
    assert "WARNING" not in server.stderr


def test_links_that_are_switched_are_noticed(serve, connect, authority, tmp_path):
    """As Kubernetes does it: a folder behind a link, replaced as a whole."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for file, issued in zip(("tls.crt", "tls.key"), authority.issue(name)):
            (tmp_path / name / file).write_bytes(issued.read_bytes())
    (tmp_path / "now").symlink_to("one")
    server = serve("--certfile", tmp_path / "now/tls.crt", "--keyfile", tmp_path / "now/tls.key")
    with connect(server) as client:
        old = client.serial()
    (tmp_path / "next").symlink_to("two")
    os.replace(tmp_path / "next", tmp_path / "now")
    server.wait_for_log("was re-read")

    def is_new():
        with connect(server) as client:
            return client.serial() != old
    wait_until(is_new, 10, "the new certificate")


def test_a_pair_that_does_not_fit_changes_nothing(serve, connect, authority, renewable):
    pem, key = renewable
    server = serve("--certfile", pem, "--keyfile", key)
    with connect(server) as client:
        old = client.serial()
    fresh_pem, fresh_key = authority.issue("third")
    replace(pem, fresh_pem.read_bytes())
    server.wait_for_log("[WARNING] Changed certificates are not used: keyfile = ")
    assert "the private key does not belong to the certificate" in server.stderr
    with connect(server) as client:
        assert client.serial() == old
    time.sleep(2.5)  # the next look
    assert server.stderr.count("Changed certificates are not used") == 1
    replace(key, fresh_key.read_bytes())
    server.wait_for_log("was re-read")


def test_a_reload_reads_certificates_anew(serve, connect, authority, renewable):
    pem, key = renewable
    server = serve("--certfile", pem, "--keyfile", key)
    with connect(server) as client:
        old = client.serial()
    workers = server.wait_for_workers(1)
    for path, issued in zip(renewable, authority.issue("fourth")):
        path.write_bytes(issued.read_bytes())
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(1, without=workers)
    with connect(server) as client:
        assert client.serial() != old


def test_a_reload_with_a_broken_key_changes_nothing(serve, connect, renewable):
    pem, key = renewable
    server = serve("--certfile", pem, "--keyfile", key)
    workers = server.wait_for_workers(1)
    key.write_text("no key\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log(f"Not reloaded: keyfile = {key}: holds no private key")
    with connect(server) as client:
        assert client.get("/").status == 200
    assert server.workers() == workers


def test_a_reload_may_begin_to_encrypt(serve, connect, pair, tmp_path):
    ini = tmp_path / "c.ini"
    ini.write_text("[server]\n")
    server = serve("-c", ini)
    assert server.get("/").status == 200
    ini.write_text(f"[server]\ncertfile = {pair[0]}\nkeyfile = {pair[1]}\n")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log(f"Listening at: https://127.0.0.1:{server.port}")
    with connect(server) as client:
        assert client.get("/").status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_key_that_root_alone_may_read_serves_another_user(serve, connect, authority, renewable,
                                                            tmp_path):
    pem, key = renewable
    key.chmod(0o600)
    tmp_path.chmod(0o755)
    server = serve("--certfile", pem, "--keyfile", key, "--user", "nobody", "-w", "2")
    [pid, _] = server.wait_for_workers(2)
    assert os.stat(f"/proc/{pid}").st_uid != 0
    with connect(server) as client:
        old = client.serial()
    for path, issued in zip((key, pem), reversed(authority.issue("fifth"))):
        replace(path, issued.read_bytes())
        path.chmod(0o600)

    def is_new():
        with connect(server) as client:
            return client.serial() != old
    wait_until(is_new, 15, "the new certificate")


# --- what cannot be served ---------------------------------------------------------------------------

def refusal(*arguments):
    done = run("--chdir", APPS, "-b", f"127.0.0.1:{free_port()}", *arguments, "served")
    assert done.returncode == 1
    [error] = [line for line in done.stderr.splitlines() if line]
    assert error.startswith("Error: ")
    return error


def test_wrong_files_are_named(pair, authority, tmp_path):
    pem, key = pair
    other = authority.issue("other")[1]
    locked, empty, fifo = tmp_path / "locked.key", tmp_path / "empty", tmp_path / "fifo"
    openssl("pkey", "-in", key, "-aes128", "-passout", "pass:secret", "-out", locked)
    empty.write_text("")
    os.mkfifo(fifo)

    assert f"certfile = {tmp_path}/no.pem: No such file or directory" in refusal(
        "--certfile", tmp_path / "no.pem", "--keyfile", key)
    assert f"certfile = {tmp_path}: is not a regular file" in refusal("--certfile", tmp_path)
    assert "is not a regular file" in refusal("--certfile", fifo)
    assert f"certfile = {empty}: holds no certificate" in refusal("--certfile", empty)
    assert f"certfile = {pem}: holds no private key" in refusal("--certfile", pem)
    assert f"keyfile = {other}: the private key does not belong to the certificate" in refusal(
        "--certfile", pem, "--keyfile", other)
    assert f"keyfile = {locked}: the private key is encrypted" in refusal(
        "--certfile", pem, "--keyfile", locked)
    assert f"ca_certs = {empty}: holds no certificate" in refusal(
        "--certfile", pem, "--keyfile", key, "--ca-certs", empty)
    assert "ciphers = NONSENSE: OpenSSL cannot use this: no cipher match" in refusal(
        "--certfile", pem, "--keyfile", key, "--ciphers", "NONSENSE")


def test_wrong_settings_are_named(pair):
    assert "keyfile" in refusal("--keyfile", pair[1])
    assert "3 is none of 0, 1, 2" in refusal("--certfile", pair[0], "--cert-reqs", "3")
    assert "2 needs ca_certs" in refusal("--certfile", pair[0], "--keyfile", pair[1],
                                         "--cert-reqs", "2")


def test_check_config_reads_certificates_too(pair):
    done = run("--chdir", APPS, "--certfile", pair[0], "--keyfile", "/no.key", "--check-config",
               "served")
    assert done.returncode == 1 and "keyfile = /no.key: No such file" in done.stderr


def test_a_certificate_that_is_about_to_expire_is_mentioned(serve, authority):
    pem, key = authority.issue("soon", days=3)
    server = serve("--certfile", pem, "--keyfile", key)
    server.wait_for_log(f"[WARNING] The certificate {pem} (CN = localhost) expires soon: 20")


# --- proxies ---------------------------------------------------------------------------------------

def test_a_proxy_announces_its_client_inside_the_encryption(serve_tls, connect):
    server = serve_tls("--proxy-protocol")
    with connect(server) as client:
        client.send(b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 443\r\n")
        for _ in range(2):
            seen = json.loads(client.get("/environ").body)
            assert (seen["REMOTE_ADDR"], seen["REMOTE_PORT"]) == ("192.0.2.7", "51234")
            assert seen["wsgi.url_scheme"] == "https"


@pytest.mark.parametrize("fields, scheme", [
    ((), "https"),
    ((("X-Forwarded-Proto", "https"),), "https"),
    ((("X-Forwarded-Proto", "http"),), "http"),
])
def test_a_trusted_proxy_knows_the_scheme_better(serve_tls, connect, fields, scheme):
    with connect(serve_tls()) as client:
        assert json.loads(client.get("/environ", fields).body)["wsgi.url_scheme"] == scheme
    with connect(serve_tls("--forwarded-allow-ips", "192.0.2.1")) as client:
        assert json.loads(client.get("/environ", fields).body)["wsgi.url_scheme"] == "https"
