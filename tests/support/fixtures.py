"""What each folder of tests that start servers has in its conftest.py."""
import functools

import pytest

from licorne import APPS, Licorne
from sharing import serving_all
from tls import Authority, TLSClient


@pytest.fixture
def start(tmp_path, request):
    """start(*arguments, ...) makes a running Licorne; all are stopped and checked at the end."""
    servers = []

    def start(*arguments, wait=True, **options):
        server = Licorne(*arguments, folder=tmp_path / f"server{len(servers)}", **options)
        servers.append(server)
        return server.wait_until_listening() if wait else server

    request.node.licorne_servers = servers
    yield start
    try:
        for server in servers:
            server.stop()
    finally:
        for server in servers:
            server.kill()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """Issues certificates that the clients of authority.context() trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority):
    """The paths of a server's certificate for localhost and of its key."""
    return authority.issue("server")


@pytest.fixture
def share_as(start, request):
    """share_as(kind, *arguments) serves tests/wsgi/relayed.py, by workers each of which can do one
    thing at a time, once all of them have answered; with is_encrypted to clients that encrypt."""
    def share_as(kind, *arguments, workers=2, is_encrypted=False, certificate=None, **options):
        if kind == "gthread":
            arguments = ("-k", "gthread", "--threads", "1", *arguments)
        if is_encrypted:
            pem, key = request.getfixturevalue("pair")
            arguments = ("--certfile", pem, "--keyfile", key, *arguments)
        server = start("-w", workers, "--keep-alive", "60", "--chdir", APPS, *arguments, "relayed",
                       **options)
        server.connect = server.client  # without encryption
        if is_encrypted:
            server.context = request.getfixturevalue("authority").context(certificate)
            server.client = lambda **settings: TLSClient(server.address, server.context,
                                                         **settings)
        return serving_all(server, workers)
    return share_as


@pytest.fixture(params=["sync", "gthread"])
def share_both(request, share_as):
    """share_both(*arguments): by either kind of worker."""
    return functools.partial(share_as, request.param)


@pytest.fixture(params=["plain", "encrypted"])
def share_all(request, share_both):
    """share_all(*arguments): by either kind of worker, to either kind of client."""
    return functools.partial(share_both, is_encrypted=request.param == "encrypted")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its servers said."""
    report = (yield).get_result()
    if report.failed:
        for server in getattr(item, "licorne_servers", []):
            report.sections.append((f"error log of server {server.pid}", server.stderr[-8000:]))
