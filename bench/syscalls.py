#!/usr/bin/python3
"""What one kept request costs a worker: system calls by strace, instructions by callgrind.

Both are counts, not times: they hardly change on a busy machine. The client keeps its connections
busy in lockstep (all ask, all are answered), so that a server's turns look alike in every run.
Instructions are those in user space of all the server's processes, for twice the requests less
those for once, so that starting and stopping cancel each other.
"""
import argparse
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import servers
from servers import HELLO, Server

TARGETS = {
    "licorne, WSGI hello": servers.licorne(HELLO, "hello:application"),
    "licorne, native hello": servers.licorne_native,
    "bare loop": servers.bare_loop,
}
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Client:
    """Kept connections; the answers all have the length of the first one."""

    def __init__(self, port, connections):
        self.sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
        for s in self.sockets:
            s.settimeout(120)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.length = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for s in self.sockets:
            s.close()

    def ask(self, requests):
        for _ in range(requests // len(self.sockets)):
            for s in self.sockets:
                s.sendall(REQUEST)
            for s in self.sockets:
                self.expect_answer(s)

    def expect_answer(self, s):
        answer = b""
        while servers.BODY not in answer:
            piece = s.recv(65536)
            if not piece:
                raise servers.CannotMeasure(f"the connection was closed after {answer!r}")
            answer += piece
        if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(servers.BODY):
            raise servers.CannotMeasure(f"a wrong answer: {answer!r}")


def count_syscalls(name, command, options):
    """{system call: calls per request} of the worker."""
    with Server(name, command) as server, Client(server.port, options.connections) as client:
        client.ask(options.connections)  # all connections are accepted now
        table = server.tmp / "strace"
        strace = subprocess.Popen(
            [servers.program("strace"), "-c", "-f", "-U", "name,calls", "-o", str(table), "-p",
             str(server.worker_pid())], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_until_traced(server.worker_pid(), strace)
        client.ask(options.requests)
        strace.send_signal(signal.SIGINT)
        strace.communicate(timeout=60)
        calls = re.findall(r"^\s*(\w+)\s+(\d+)\s*$", table.read_text(), re.M)
        return {call: int(count) / options.requests for call, count in calls if call != "total"}


def wait_until_traced(pid, strace):
    deadline = time.monotonic() + 10
    while "TracerPid:\t0" in pathlib.Path(f"/proc/{pid}/status").read_text():
        if strace.poll() is not None:
            raise servers.CannotMeasure(f"strace: {strace.stderr.read().decode().strip()}")
        if time.monotonic() > deadline:
            raise servers.CannotMeasure("strace did not attach within 10 s")
        time.sleep(0.05)


def instructions(name, command, requests, options):
    """Of all processes, from the start to the end, with so many requests between."""
    folder = pathlib.Path(servers.tempfile.mkdtemp(prefix="licorne-callgrind-"))
    under = [servers.program("valgrind"), "--tool=callgrind", "--trace-children=yes", "-q",
             f"--callgrind-out-file={folder}/%p"]
    try:
        with Server(name, command, under=under, environment={"PYTHONHASHSEED": "0"},
                    patience=120) as server:
            with Client(server.port, options.connections) as client:
                client.ask(requests)
            server.stop()
        counts = [int(count) for path in folder.iterdir()
                  for count in re.findall(r"^(?:summary|totals): (\d+)", path.read_text(), re.M)[-1:]]
        if not counts:
            raise servers.CannotMeasure(f"callgrind left no counts of {name}")
        return sum(counts)
    finally:
        servers.shutil.rmtree(folder, ignore_errors=True)


def count_instructions(name, command, options):
    once = instructions(name, command, options.requests, options)
    twice = instructions(name, command, 2 * options.requests, options)
    return (twice - once) / options.requests


def measure():
    parser = argparse.ArgumentParser(prog="./dev bench syscalls", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=6400)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--only", action="append", choices=list(TARGETS), metavar="NAME",
                        help=", ".join(TARGETS))
    options = parser.parse_args()
    options.requests -= options.requests % options.connections
    if options.requests <= 0:
        parser.error("--requests must be at least --connections")
    os.sched_setaffinity(0, {servers.CLIENT_CORE})

    print(f"{options.requests} kept requests on {options.connections} connections")
    print(f"  {'server':<24}{'system calls/req':>18}{'instructions/req':>18}  calls")
    for name in options.only or TARGETS:
        calls = count_syscalls(name, TARGETS[name], options)
        user = count_instructions(name, TARGETS[name], options)
        detail = ", ".join(f"{call} {count:.2f}" for call, count
                           in sorted(calls.items(), key=lambda item: -item[1]) if count >= 0.005)
        print(f"  {name:<24}{sum(calls.values()):>18.2f}{user:>18,.0f}  {detail}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(servers.main(measure))
