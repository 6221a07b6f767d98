"""Workers that take their time to become ready: how long they may, and whether all at once."""
import signal
import time

import pytest

from licorne import APPS, free_port
from test_metrics import wait_for_idle
from test_monitor import ask
from waiting import slack, wait_until

HANGS = """
import os, time
if os.path.exists(os.path.join(os.path.dirname(__file__), "hang")):
    time.sleep(60)
from served import application
"""


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "late.py").write_text(HANGS)
    return folder


@pytest.fixture
def serve_late(start, site):
    return lambda *arguments, **options: start("--chdir", site, "--pythonpath", APPS, *arguments,
                                               "late", **options)


def test_a_worker_that_hangs_while_it_boots_is_aborted_and_tried_again(serve_late, site):
    (site / "hang").touch()
    server = serve_late("--boot-timeout", "2")
    server.wait_for_log("WORKER BOOT TIMEOUT (pid:")
    assert "not ready after 2 s; its stack:" in server.stderr
    wait_until(lambda: 'late.py", line 4 in <module>' in server.stderr, 10, "the line it was in")
    server.wait_for_log("The next worker starts in ")
    assert server.process.poll() is None, "the server goes on"
    (site / "hang").unlink()
    wait_until(lambda: server.workers() and server.get("/").status in (200, 404), 30)
    assert server.stderr.count("BOOT TIMEOUT") <= 3


def test_nobody_hurries_a_worker_by_default(serve_late, site):
    (site / "late.py").write_text("import time\ntime.sleep(2.5)\nfrom served import application\n")
    server = serve_late("--timeout", "1")
    assert server.get("/pid").status == 200
    assert "TIMEOUT" not in server.stderr


def test_a_reload_to_workers_that_hang_is_withdrawn(serve_late, site):
    server = serve_late("--boot-timeout", "2", "-w", "2")
    wait_for_idle(server, 2)
    old = server.wait_for_workers(2)
    (site / "hang").touch()
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("WORKER BOOT TIMEOUT (pid:", seconds=30)
    server.wait_for_log("a worker was not ready after 2 s (boot_timeout)")
    wait_until(lambda: server.workers() == old, 20, "only the old workers are there")
    assert server.get("/pid").status == 200


def test_workers_are_started_one_after_another(start):
    port = free_port()
    began = time.monotonic()
    server = start("--chdir", APPS, "-w", "3", "--boot-stagger", "1", "--metrics-bind",
                   f"127.0.0.1:{port}", "served")
    server.wait_for_workers(1)
    assert server.get("/pid").status == 200  # the first does not wait for the others
    wait_until(lambda: ask(("127.0.0.1", port), "/readyz").status == 200)
    server.wait_for_workers(3)
    assert 2 <= time.monotonic() - began < 8 + 2 * slack()


def test_workers_are_started_together_by_default(serve_late):
    began = time.monotonic()
    server = serve_late("-w", "3")
    server.wait_for_workers(3)
    assert time.monotonic() - began < 2 + 2 * slack()
