#!/usr/bin/python3
"""What slow and idle clients do to the others, and what memory a waiting connection takes.

First, each server in turn is asked for a page again and again, on a new connection each time, by
itself and beside a crowd: connections that send nothing, and as many that send one byte of a head
every second. One worker, pinned to core 0; probe and crowd are processes of their own on core 1.
A probe is given up after --patience; where that happens the figure says so.

Then Licorne's worker holds many connections that wait. The memory of each is what the worker's
private and shared dirty pages grow by (smaps_rollup), divided; the kernel's sockets and their
buffers are not in it.
"""
import argparse
import http.client
import multiprocessing
import os
import pathlib
import re
import sys
import time

import servers
from servers import HELLO, CannotMeasure, Server
from table import print_table

sys.path.insert(0, str(servers.ROOT / "tests" / "support"))
from crowd import Crowd, allow_files, connect  # noqa: E402 (the path comes first)

ROOM = ["--keep-alive", "75", "--worker-connections", "20000"]
SERVERS = {
    "licorne": servers.licorne(HELLO, "hello:application", *ROOM, "--header-timeout", "600"),
    "gunicorn sync": servers.gunicorn(HELLO, "hello:application"),
    "gunicorn gthread": servers.gunicorn(HELLO, "hello:application", *ROOM, "--worker-class",
                                         "gthread", "--threads", "4"),
    "uwsgi": servers.uwsgi(HELLO, "hello:application"),
}
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\n\r\n"
WAITING = {
    "kept, after a request": REQUEST,
    "never used": b"",
    "a short piece of a head": REQUEST[:40],
    "1 KB of a head": REQUEST[:-2] + b"X-Padding: " + b"x" * 940,
    "4 KB of a head": REQUEST[:-2] + b"X-Padding: " + b"x" * 4000,
}


# --- the others ---------------------------------------------------------------------------------

def ask(port, patience):
    """Milliseconds until the answer is there; None if it does not come in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    began = time.perf_counter()
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        if answer.read() != servers.BODY or answer.status != 200:
            raise CannotMeasure(f"a wrong answer: {answer.status}")
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return (time.perf_counter() - began) * 1000


def probe(port, options):
    """[milliseconds or None, ...] of requests one after another, with little pauses."""
    samples, until = [], time.monotonic() + options.seconds
    while time.monotonic() < until:
        samples.append(ask(port, options.patience))
        time.sleep(0.005)
    return samples


def stand_around(port, count, is_there, may_go):
    with Crowd(("127.0.0.1", port), idle=count, slow=count, waits=False):
        is_there.set()
        may_go.wait()


def probe_beside_crowd(port, options):
    """All are forked from here, so they may open as many files as this process."""
    forked = multiprocessing.get_context("fork")
    is_there, may_go = forked.Event(), forked.Event()
    crowd = forked.Process(target=stand_around, daemon=True,
                           args=(port, options.connections, is_there, may_go))
    crowd.start()
    try:
        is_there.wait(30)
        time.sleep(1.5)  # the first bytes are there, as far as the server lets them
        return probe(port, options)
    finally:
        may_go.set()
        crowd.join(30)


def figures(samples, options):
    """Cells: how many were answered, p50, p99 and the slowest in milliseconds."""
    answered = [ms for ms in samples if ms is not None]
    ordered = sorted(answered) + [None] * (len(samples) - len(answered))

    def cell(ms):
        return f"> {options.patience * 1000:.0f}" if ms is None else f"{ms:.2f}"

    return [f"{len(answered)}/{len(samples)}", cell(ordered[len(ordered) // 2]),
            cell(ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)]), cell(ordered[-1])]


def measure_latency(options):
    rows = []
    for name in options.only or SERVERS:
        with Server(name, SERVERS[name]) as server:
            rows.append([name, "nobody", *figures(probe(server.port, options), options)])
            beside = figures(probe_beside_crowd(server.port, options), options)
            rows.append([name, f"{options.connections} idle + {options.connections} slow",
                         *beside])
    print_table("Requests beside slow and idle clients",
                ["server", "beside", "answered", "p50 ms", "p99 ms", "max ms"], rows)


# --- memory ---------------------------------------------------------------------------------------

def dirty_bytes(pid):
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return 1024 * sum(int(kib) for kib in
                      re.findall(r"^(?:Private|Shared)_Dirty:\s+(\d+)", text, re.M))


def settled(pid):
    """Once it stays the same for half a second."""
    before = None
    for _ in range(60):
        now = dirty_bytes(pid)
        if now == before:
            return now
        before = now
        time.sleep(0.5)
    raise CannotMeasure("the worker's memory does not come to rest")


def wait_there(sockets, data):
    """Sends `data` on all; a complete request is answered before the next one goes."""
    for s in sockets:
        s.sendall(data)
        if data.endswith(b"\r\n\r\n") and not s.recv(65536).endswith(servers.BODY):
            raise CannotMeasure("a wrong answer")


def bytes_per_connection(data, count):
    with Server("licorne", SERVERS["licorne"]) as server:
        pid = server.worker_pid()
        for s in connect(("127.0.0.1", server.port), 300):  # pools and caches are full
            with s:
                wait_there([s], REQUEST)
        server.check()
        before = settled(pid)
        sockets = connect(("127.0.0.1", server.port), count)
        wait_there(sockets, data)
        server.check()
        grown = settled(pid) - before
        for s in sockets:
            s.close()
        return grown / count


def measure_memory(options):
    rows = [[name, f"{bytes_per_connection(data, options.waiting):,.0f}"]
            for name, data in WAITING.items()]
    print_table(f"Licorne's memory for each of {options.waiting:,} waiting connections",
                ["connection", "bytes"], rows)


def measure():
    parser = argparse.ArgumentParser(prog="./dev bench slow", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=500,
                        help="of the crowd that are idle; as many more are slow")
    parser.add_argument("--seconds", type=float, default=5, help="of each round of requests")
    parser.add_argument("--patience", type=float, default=2, help="seconds for one request")
    parser.add_argument("--waiting", type=int, default=5000,
                        help="connections whose memory is measured; 0 leaves that out")
    parser.add_argument("--only", action="append", choices=list(SERVERS), metavar="NAME",
                        help=", ".join(SERVERS))
    options = parser.parse_args()
    try:
        allow_files(max(2 * options.connections, options.waiting) + 200)
    except OSError as error:
        raise CannotMeasure(str(error)) from None
    os.sched_setaffinity(0, {servers.CLIENT_CORE})
    measure_latency(options)
    if options.waiting > 0:
        measure_memory(options)
    return 0


if __name__ == "__main__":
    sys.exit(servers.main(measure))
