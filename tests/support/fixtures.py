"""What each folder of tests that start servers has in its conftest.py."""
import pytest

from licorne import Licorne


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


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its servers said."""
    report = (yield).get_result()
    if report.failed:
        for server in getattr(item, "licorne_servers", []):
            report.sections.append((f"error log of server {server.pid}", server.stderr[-8000:]))
