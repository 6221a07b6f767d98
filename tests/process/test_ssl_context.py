"""The hook ssl_context of gunicorn.conf.py: its rules are those of encrypted connections."""
import signal
import ssl
import sys

import pytest

from licorne import APPS, free_port, run
from tls import TLSClient
from waiting import wait_until

HOOK = """
import ssl
def ssl_context(config, default_ssl_context_factory):
    context = default_ssl_context_factory()
    assert config.certfile and config.is_ssl
{change}
    return context
"""


def written(folder, change):
    path = folder / "gunicorn.conf.py"
    path.write_text(HOOK.format(change="\n".join("    " + line for line in change.splitlines())))
    return path


@pytest.fixture
def serve_hooked(serve, pair, tmp_path):
    """serve_hooked(change, *arguments): `change` is what the hook does to `context`."""
    return lambda change, *arguments: serve("-c", written(tmp_path, change), "--certfile", pair[0],
                                            "--keyfile", pair[1], "--python", sys.executable,
                                            *arguments)


def version_of(server, context):
    with TLSClient(server.address, context) as client:
        assert client.get("/").body == b"Hello, world!\n"
        return client.socket.version()


def refused(server, context):
    with pytest.raises((ssl.SSLError, ConnectionError)) as failure:
        version_of(server, context)
    return str(failure.value)


@pytest.mark.parametrize("arguments", [(), ("--threads", "2")])
def test_the_example_of_gunicorns_documentation(serve_hooked, authority, arguments):
    server = serve_hooked("context.minimum_version = ssl.TLSVersion.TLSv1_3", *arguments)
    assert version_of(server, authority.context()) == "TLSv1.3"
    old = authority.context(maximum_version=ssl.TLSVersion.TLSv1_2)
    assert "PROTOCOL_VERSION" in refused(server, old)


def test_a_greatest_version(serve_hooked, authority):
    server = serve_hooked("context.maximum_version = ssl.TLSVersion.TLSv1_2")
    assert version_of(server, authority.context()) == "TLSv1.2"


def test_options(serve_hooked, authority):
    server = serve_hooked("context.options |= ssl.OP_NO_TLSv1_3")
    assert version_of(server, authority.context()) == "TLSv1.2"


def test_ciphers(serve_hooked, authority):
    server = serve_hooked("context.set_ciphers('ECDHE-ECDSA-CHACHA20-POLY1305')")
    context = authority.context(maximum_version=ssl.TLSVersion.TLSv1_2)
    with TLSClient(server.address, context) as client:
        assert client.socket.cipher()[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"
    context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    assert "HANDSHAKE_FAILURE" in refused(server, context)


def test_what_it_leaves_alone_is_as_the_settings_say(serve_hooked, authority):
    server = serve_hooked("pass", "--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384")
    context = authority.context(maximum_version=ssl.TLSVersion.TLSv1_2)
    with TLSClient(server.address, context) as client:
        assert client.socket.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    assert version_of(server, authority.context()) == "TLSv1.3"


def test_a_demand_for_certificates(serve_hooked, authority):
    server = serve_hooked("context.verify_mode = ssl.CERT_REQUIRED", "--ca-certs", authority.pem)
    assert "CERTIFICATE_REQUIRED" in refused(server, authority.context())
    assert version_of(server, authority.context(authority.issue("alice", "alice"))) == "TLSv1.3"


def test_a_reload_asks_it_again(serve_hooked, authority, tmp_path):
    server = serve_hooked("pass")
    old = authority.context(maximum_version=ssl.TLSVersion.TLSv1_2)
    assert version_of(server, old) == "TLSv1.2"
    first = server.wait_for_workers(1)
    written(tmp_path, "context.minimum_version = ssl.TLSVersion.TLSv1_3")
    server.send_signal(signal.SIGHUP)
    server.wait_for_workers(1, without=first)
    wait_until(lambda: first[0] not in server.workers(), 15, "the old worker's end")
    assert "PROTOCOL_VERSION" in refused(server, old)

    serving = server.workers()
    written(tmp_path, "raise OSError('no such policy')")
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("ssl_context: no such policy")
    assert server.workers() == serving
    assert version_of(server, authority.context()) == "TLSv1.3"


def test_without_encryption_it_is_not_called(serve, tmp_path):
    server = serve("-c", written(tmp_path, "raise OSError"), "--python", sys.executable)
    assert server.get("/").status == 200


@pytest.mark.parametrize("change, why", [
    ("context.load_cert_chain('a.pem')", "load_cert_chain: connections are encrypted by the server "
     "itself; set certfile and keyfile"),
    ("context.load_verify_locations('a.pem')", "set ca_certs"),
    ("context.sni_callback = print", "sni_callback"),
    ("context.set_alpn_protocols(['h2'])", "only http/1.1 is spoken"),
    ("context.verify_mode = ssl.CERT_REQUIRED", "verify_mode: set ca_certs"),
    ("context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF", "verify_flags"),
    ("context.minimum_version = ssl.TLSVersion.TLSv1_1", "TLS 1.2 is the least that is spoken"),
    ("context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)",
     "it has to return what default_ssl_context_factory() has returned, not SSLContext"),
    ("context = None", "not NoneType"),
    ("context.set_ciphers('NONSENSE')", "No cipher can be selected."),
])
def test_what_cannot_be_carried_over_ends_the_start(pair, tmp_path, change, why):
    done = run("--chdir", APPS, "-b", f"127.0.0.1:{free_port()}", "-c", written(tmp_path, change),
               "--certfile", pair[0], "--keyfile", pair[1], "--python", sys.executable, "served")
    assert done.returncode == 1
    assert "Error: " in done.stderr and "ssl_context: " in done.stderr
    assert why in done.stderr
