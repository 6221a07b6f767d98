"""Process tests: each starts the real server and speaks to it through real sockets."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import licorne  # noqa: E402 (the path comes first)
from licorne import APPS, Licorne  # noqa: E402


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


@pytest.fixture
def serve(start):
    """serve(*arguments) serves tests/wsgi/served.py."""
    return lambda *arguments, **options: start("--chdir", APPS, *arguments, "served", **options)


@pytest.fixture(params=["sync", "gthread"])
def both_kinds(request, monkeypatch):
    """pytestmark = pytest.mark.usefixtures("both_kinds"): the module's tests run with each."""
    if request.param == "gthread":
        monkeypatch.setattr(licorne, "DEFAULTS", ["--threads", "4"])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its servers said."""
    report = (yield).get_result()
    if report.failed:
        for server in getattr(item, "licorne_servers", []):
            report.sections.append((f"error log of server {server.pid}", server.stderr[-8000:]))
