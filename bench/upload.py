#!/usr/bin/python3
"""How fast large uploads arrive, and what memory they take.

One body is posted over loopback to a WSGI application that reads it in blocks of 64 KiB; the time
ends with the application's answer. The worker is pinned to core 0, the client to core 1. The peak
is the worker's VmHWM: what it was after small requests, and how much the uploads added.
--server-options go to Licorne's command line, to measure one of its settings.
"""
import argparse
import os
import pathlib
import re
import shlex
import socket
import statistics
import sys
import time

import servers
from servers import BENCH, CannotMeasure, Server
from table import print_table

MIB = 1 << 20
APPLICATION = "upload_app:application"


def commands(options):
    return {
        "licorne": servers.licorne(BENCH, APPLICATION, *shlex.split(options.server_options)),
        "gunicorn gthread": servers.gunicorn(BENCH, APPLICATION, "--worker-class", "gthread",
                                             "--threads", "4", "--timeout", "120"),
        "uwsgi": servers.uwsgi(BENCH, APPLICATION),
    }


def post(port, size, block):
    """Seconds from the first byte to the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as s:
        began = time.perf_counter()
        s.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                  b"Content-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(block)):
            s.sendall(block)
        answer = b""
        while piece := s.recv(65536):
            answer += piece
        seconds = time.perf_counter() - began
    if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(b"\r\n\r\n%d" % size):
        raise CannotMeasure(f"a wrong answer: {answer[-500:]!r}")
    return seconds


def peak_kib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+)", text, re.M).group(1))


def measure_one(name, command, options):
    block, size = os.urandom(MIB), options.mib * MIB
    with Server(name, command) as server:
        pid = server.worker_pid()
        for _ in range(20):
            server.check()
        post(server.port, MIB, block)
        before = peak_kib(pid)
        seconds = [post(server.port, size, block) for _ in range(options.rounds)]
        grown = peak_kib(pid) - before
    return [name, f"{size / 1e9 / statistics.median(seconds):.2f}",
            f"{size / 1e9 / min(seconds):.2f}", f"{before / 1024:.1f}", f"{grown / 1024:+.1f}"]


def measure():
    parser = argparse.ArgumentParser(prog="./dev bench upload", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024, help="size of the body")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server-options", default="", metavar="OPTIONS",
                        help="for Licorne, in one word: --server-options='--timeout 60'")
    parser.add_argument("--only", action="append", metavar="NAME",
                        help="licorne, gunicorn gthread or uwsgi; repeatable")
    options = parser.parse_args()
    known = commands(options)
    for name in options.only or []:
        if name not in known:
            parser.error(f"--only: there is no server {name!r}")
    os.sched_setaffinity(0, {servers.CLIENT_CORE})
    with_options = f"; licorne with {options.server_options}" if options.server_options else ""
    print_table(f"POST of {options.mib} MiB, {options.rounds} rounds{with_options}",
                ["server", "GB/s, median", "GB/s, best", "peak RSS MiB", "grown by MiB"],
                [measure_one(name, known[name], options) for name in options.only or known])
    return 0


if __name__ == "__main__":
    sys.exit(servers.main(measure))
