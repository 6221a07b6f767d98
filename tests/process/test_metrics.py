"""The server's figures as Prometheus reads them: added up over its workers, never going back."""
import os
import signal
import time

import pytest

from client import Client
from control import Control
from licorne import APPS, BUILD, HELLO_MODULE, run
from waiting import wait_until

parser = pytest.importorskip("prometheus_client.parser")

CTL = BUILD / "bin" / "licornectl"


def read(text):
    """{name: {labels as sorted pairs: value}}, after checking every line by its format."""
    figures, types = {}, {}
    for family in parser.text_string_to_metric_families(text):
        assert family.documentation and family.type in ("counter", "gauge", "histogram"), family
        types[family.name] = family.type
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in figures.get(sample.name, {}), sample
            figures.setdefault(sample.name, {})[labels] = sample.value
    return figures


def one(figures, name, **labels):
    return figures[name][tuple(sorted(labels.items()))]


def asked(server):
    with Control(server.control_path) as control:
        answer = control.ask("metrics")
    assert answer["content_type"] == "text/plain; version=0.0.4; charset=utf-8"
    return read(answer["text"])


def wait_for_idle(server, count):
    wait_until(lambda: one(asked(server), "licorne_workers", state="idle") == count, 10,
               f"{count} idle workers")


# ---- what is told ----------------------------------------------------------------------------

def test_requests_are_counted_by_class_and_time(serve):
    server = serve("-w", "2")
    wait_for_idle(server, 2)
    for _ in range(5):
        assert server.get("/").status == 200
    wait_until(lambda: one(asked(server), "licorne_requests_total", **{"class": "2xx"}) == 5)
    assert server.get("/%zz\x01", method="GET").status == 400
    wait_until(lambda: one(asked(server), "licorne_requests_total", **{"class": "4xx"}) == 1)
    figures = asked(server)
    name = "licorne_request_duration_seconds"
    assert one(figures, f"{name}_count") == 6
    assert one(figures, f"{name}_bucket", le="+Inf") == 6
    assert one(figures, f"{name}_bucket", le="60") == 6
    assert 0 < one(figures, f"{name}_sum") < 60
    counts = [value for _, value in sorted(figures[f"{name}_bucket"].items(),
                                           key=lambda item: float(item[0][0][1]))]
    assert counts == sorted(counts) and len(counts) == 18
    assert one(figures, "licorne_connections_accepted_total") >= 6
    assert one(figures, "licorne_response_body_bytes_total") > 0
    assert {dict(labels)["class"] for labels in figures["licorne_requests_total"]} == {
        "none", "1xx", "2xx", "3xx", "4xx", "5xx"}


def test_the_program_tells_who_it_is_and_since_when(start):
    before = time.time()
    server = start(HELLO_MODULE)
    figures = asked(server)
    [labels] = figures["licorne_build_info"]
    assert dict(labels)["program"] == "licorne"
    assert before - 1 < one(figures, "process_start_time_seconds") < time.time() + 1
    assert figures["process_start_time_seconds"] == asked(server)["process_start_time_seconds"]


@pytest.mark.parametrize("kind, threads", [([], 1), (["--threads", "3"], 3)])
def test_who_is_busy_can_be_seen(start, kind, threads):
    server = start("--chdir", APPS, "-w", "2", *kind, "served")
    wait_for_idle(server, 2)
    figures = asked(server)
    assert one(figures, "licorne_threads", state="idle") == 2 * threads
    assert one(figures, "licorne_workers_wanted") == 2
    with server.client() as client:
        client.send(b"GET /slow?3 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: one(asked(server), "licorne_workers", state="busy") == 1)
        figures = asked(server)
        assert one(figures, "licorne_workers", state="idle") == 1
        assert one(figures, "licorne_threads", state="busy") == 1
        assert one(figures, "licorne_threads", state="idle") == 2 * threads - 1
        assert one(figures, "licorne_requests_in_flight") == 1
        assert one(figures, "licorne_connections") == 1


def test_connections_that_wait_to_be_accepted_are_counted(start, tmp_path):
    """A worker that is stopped accepts nobody."""
    path = tmp_path / 'a"\\b.sock'
    server = start("-b", f"unix:{path}", "--backlog", "11", HELLO_MODULE)
    [worker] = server.wait_for_workers(1)
    assert server.get("/").status == 200
    tcp, unix = f"127.0.0.1:{server.port}", f"unix:{path}"
    assert one(asked(server), "licorne_listen_queue_length", listener=tcp) == 0
    assert one(asked(server), "licorne_listen_queue_limit", listener=tcp) == 11
    os.kill(worker, signal.SIGSTOP)
    try:
        with Client(server.address), Client(server.address), Client(str(path)):
            wait_until(lambda: one(asked(server), "licorne_listen_queue_length",
                                   listener=tcp) == 2)
            figures = asked(server)
            if (("listener", unix),) in figures["licorne_listen_queue_length"]:
                assert one(figures, "licorne_listen_queue_length", listener=unix) == 1
    finally:
        os.kill(worker, signal.SIGCONT)


# ---- workers come and go -----------------------------------------------------------------------

def test_no_counter_goes_back_when_workers_are_replaced(start):
    server = start("-w", "2", "--max-requests", "7", HELLO_MODULE)
    wait_for_idle(server, 2)
    seen = {}

    def look():
        figures = asked(server)
        for name, samples in figures.items():
            if not name.endswith(("_total", "_bucket", "_count", "_sum")):
                continue
            for labels, value in samples.items():
                assert value >= seen.get((name, labels), 0), (name, labels)
                seen[name, labels] = value
        return figures
    for _ in range(60):
        assert server.get("/").status == 200
        look()
    wait_until(lambda: one(look(), "licorne_requests_total", **{"class": "2xx"}) == 60)
    wait_until(lambda: one(look(), "licorne_worker_restarts_total", cause="max_requests") >= 4)
    server.send_signal(signal.SIGHUP)
    server.wait_for_log("Booting worker", count=8)
    wait_until(lambda: one(look(), "licorne_reloads_total") == 1)
    assert one(look(), "licorne_requests_total", **{"class": "2xx"}) == 60


def test_restarts_are_told_by_cause(start):
    server = start("-w", "2", HELLO_MODULE)
    wait_for_idle(server, 2)
    os.kill(server.workers()[0], signal.SIGKILL)
    wait_until(lambda: one(asked(server), "licorne_worker_restarts_total", cause="signal") == 1)
    causes = {dict(labels)["cause"]: value
              for labels, value in asked(server)["licorne_worker_restarts_total"].items()}
    assert causes == {"max_requests": 0, "memory": 0, "boot": 0, "timeout": 0, "signal": 1, "exit": 0}
    wait_until(lambda: one(asked(server), "licorne_workers_started_total") == 3)


def test_licornectl_prints_them_as_they_are(start):
    server = start(HELLO_MODULE)
    done = run("-s", server.control_path, "metrics", program=CTL)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("# HELP licorne_build_info ")
    assert one(read(done.stdout), "licorne_workers_wanted") == 1
