#!/usr/bin/python3
"""Whether a request waits behind another while a sibling worker is idle.

pair    Two requests of a second at once, with two workers: 1 s is fair, 2 s is not. On fresh
        connections, and on two kept ones of the same worker; also with TLS, whose kept
        connections cannot leave the worker that shook hands.
mixed   Requests of 1 ms, one in a hundred of 100 ms, at half of what two processes can do. They
        arrive at random, whether earlier ones have been answered or not, and each waits from its
        arrival on, so what waits in front of a server counts too. "one queue" is a calculation: two
        servers that take from one queue in the order of arrival, with the same requests.
share   Kept connections among four workers: the largest share over a fair one, and how long
        connecting and asking on all of them took.

Servers take turns, in short rounds, pinned to core 0; the client is on core 1. The work is
sleeping: two workers on one core do not get into each other's way.
"""
import argparse
import collections
import contextlib
import heapq
import os
import random
import selectors
import socket
import statistics
import sys
import threading
import time

import servers
from servers import BENCH, CannotMeasure, Server
from table import print_table

KEPT = ("--keep-alive", "75")
GTHREAD = ("--worker-class", "gthread", "--threads")
APP = (BENCH, "sleepy:application", "--workers", "2")


def uwsgi(port, tmp):
    return [*servers.uwsgi(BENCH, "sleepy:application")(port, tmp), "--processes", "2"]


PAIR = {
    "licorne sync": servers.licorne(*APP, *KEPT),
    "licorne gthread, 1 thread": servers.licorne(*APP, *KEPT, *GTHREAD, "1"),
    "gunicorn sync": servers.gunicorn(*APP),
    "gunicorn gthread, 1 thread": servers.gunicorn(*APP, *KEPT, *GTHREAD, "1"),
    "uwsgi": uwsgi,
    "licorne sync, TLS": servers.encrypted(servers.licorne(*APP, *KEPT)),
    "licorne gthread, 1 thread, TLS": servers.encrypted(servers.licorne(*APP, *KEPT, *GTHREAD,
                                                                        "1")),
    "gunicorn gthread, 1 thread, TLS": servers.encrypted(servers.gunicorn(*APP, *KEPT, *GTHREAD,
                                                                          "1")),
}
MIXED = {
    "licorne sync": servers.licorne(*APP, *KEPT),
    "licorne gthread, 4 threads": servers.licorne(*APP, *KEPT, *GTHREAD, "4"),
    "gunicorn sync": servers.gunicorn(*APP),
    "gunicorn gthread, 4 threads": servers.gunicorn(*APP, *KEPT, *GTHREAD, "4"),
    "uwsgi": uwsgi,
}
SHARE = {
    "licorne sync": servers.licorne(BENCH, "sleepy:application", "--workers", "4", *KEPT),
    "licorne gthread, 4 threads": servers.licorne(BENCH, "sleepy:application", "--workers", "4",
                                                  *KEPT, *GTHREAD, "4"),
    "gunicorn gthread, 4 threads": servers.gunicorn(BENCH, "sleepy:application", "--workers",
                                                    "4", *KEPT, *GTHREAD, "4"),
}
QUICK_MS, SLOW_MS, SLOW_SHARE = 1, 100, 0.01


# --- a client ------------------------------------------------------------------------------------

class Connection:
    """Asks, and takes an answer when there is one."""

    def __init__(self, port, tls=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket)
        self.answer = b""

    def ask(self, ms=0):
        self.answer = b""
        query = f"?{ms}" if ms else ""
        self.socket.sendall(f"GET /{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())

    def receive(self):
        """One read; True when the answer is complete."""
        piece = self.socket.recv(65536)
        self.answer += piece
        if self.answer.endswith(servers.BODY):
            if not self.answer.startswith(b"HTTP/1.1 200 "):
                raise CannotMeasure(f"a wrong answer: {self.answer!r}")
            return True
        if not piece:
            raise ConnectionError(f"closed after {self.answer!r}")
        return False

    @property
    def is_kept(self):
        return b"connection: close" not in self.answer.lower()

    @property
    def pid(self):
        return int(self.answer.split(b"X-Pid: ")[1].split(b"\r\n")[0])

    def get(self, ms=0):
        self.ask(ms)
        while not self.receive():
            pass
        return self

    def close(self):
        self.socket.close()


# --- pair ----------------------------------------------------------------------------------------

def ask_at_once(connections, ms):
    """Seconds until all are answered."""
    threads = [threading.Thread(target=connection.get, args=(ms,)) for connection in connections]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began


def kept_pair(port, tls):
    """Two kept connections of the same worker; None if the server keeps none."""
    by_pid = collections.defaultdict(list)
    for _ in range(100):
        connection = Connection(port, tls).get()
        if not connection.is_kept:
            return None
        by_pid[connection.pid].append(connection)
        for pair in by_pid.values():
            if len(pair) == 2:
                return pair
    raise CannotMeasure("no worker has two of a hundred connections")


def measure_pair(options):
    seconds = collections.defaultdict(list)
    for _ in range(options.rounds):
        for name, command in PAIR.items():
            if name not in options.servers:
                continue
            with Server(name, command) as server:
                time.sleep(1)  # until the second worker serves too
                fresh = [Connection(server.port, server.tls) for _ in range(2)]
                seconds[name, "fresh"].append(ask_at_once(fresh, 1000))
                kept = kept_pair(server.port, server.tls)
                if kept is not None:
                    seconds[name, "kept"].append(ask_at_once(kept, 1000))
    rows = []
    for name in options.servers:
        if name in PAIR:
            rows.append([name, *(f"{min(s):.2f} – {max(s):.2f}" if s else "keeps none"
                                 for s in (seconds[name, "fresh"], seconds[name, "kept"]))])
    print_table(f"Two requests of 1 s at once, two workers, {options.rounds} times: seconds",
                ["server", "fresh connections", "kept, of one worker"], rows)


# --- mixed ---------------------------------------------------------------------------------------

def arrivals(seconds, rate, seed):
    """[(when, milliseconds of work)]"""
    dice = random.Random(seed)
    now, plan = 0.0, []
    while now < seconds:
        now += dice.expovariate(rate)
        plan.append((now, SLOW_MS if dice.random() < SLOW_SHARE else QUICK_MS))
    return plan


def one_queue(plan, overhead=0.0):
    """The waits that two servers with one queue need."""
    free, waits = [0.0, 0.0], []
    for when, ms in plan:
        end = max(when, heapq.heappop(free)) + ms / 1000 + overhead
        heapq.heappush(free, end)
        waits.append((end - when, ms))
    return waits


class OpenLoop:
    """Sends each request when its time has come, on a kept connection that is free, else on a
    new one."""

    def __init__(self, port, connections, seed):
        self.port = port
        self.idle = [Connection(port).get() for _ in range(connections)]
        self.idle = [connection for connection in self.idle if connection.is_kept]
        self.dice = random.Random(seed)
        self.selector = selectors.DefaultSelector()
        self.busy = {}
        self.waits = []

    def run(self, plan):
        began = time.perf_counter()
        for when, ms in plan:
            self.take_answers(began + when)
            self.send(began + when, ms)
        while self.busy:
            self.take_answers(time.perf_counter() + 1)
        return self.waits

    def send(self, when, ms):
        connection = None
        if self.idle:
            at = self.dice.randrange(len(self.idle))
            self.idle[at], self.idle[-1] = self.idle[-1], self.idle[at]
            connection = self.idle.pop()
        else:
            connection = Connection(self.port)
        connection.ask(ms)
        self.busy[connection] = (when, ms)
        self.selector.register(connection.socket, selectors.EVENT_READ, connection)

    def take_answers(self, until):
        while self.busy or time.perf_counter() < until:
            left = until - time.perf_counter()
            if left <= 0:
                return
            ready = self.selector.select(left)
            for key, _ in ready:
                self.take(key.data)
            if not ready and not self.busy:
                return

    def take(self, connection):
        if not connection.receive():
            return
        now = time.perf_counter()
        self.selector.unregister(connection.socket)
        when, ms = self.busy.pop(connection)
        self.waits.append((now - when, ms))
        if connection.is_kept:
            self.idle.append(connection)
        else:
            connection.close()

    def close(self):
        for connection in self.idle:
            connection.close()


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def figures(waits):
    """p50, p99 and the maximum of the quick ones' milliseconds, and p50 of the slow ones'."""
    quick = [wait * 1000 for wait, ms in waits if ms == QUICK_MS]
    slow = [wait * 1000 for wait, ms in waits if ms == SLOW_MS]
    return [statistics.median(quick), quantile(quick, 0.99), quantile(quick, 0.999), max(quick),
            statistics.median(slow)]


def measure_mixed(options):
    mean_ms = QUICK_MS + SLOW_SHARE * (SLOW_MS - QUICK_MS)
    rate = options.load * 2 * 1000 / mean_ms
    chosen = [name for name in MIXED if name in options.servers]
    waits = collections.defaultdict(list)
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(Server(name, MIXED[name])) for name in chosen}
        for number in range(options.rounds):
            plan = arrivals(options.seconds, rate, number)
            waits["one queue"].append(figures(one_queue(plan)))
            for name, server in running.items():
                client = OpenLoop(server.port, options.connections, number)
                waits[name].append(figures(client.run(plan)))
                client.close()
                time.sleep(0.2)
    rows = []
    for name in ["one queue", *chosen]:
        medians = [statistics.median(column) for column in zip(*waits[name])]
        ratio = statistics.median(mine[1] / bound[1] for mine, bound
                                  in zip(waits[name], waits["one queue"]))
        rows.append([name, *(f"{value:.1f}" for value in medians), f"{ratio:.2f}"])
    print_table(f"{rate:.0f} requests a second, {1 - SLOW_SHARE:.0%} of {QUICK_MS} ms and "
                f"{SLOW_SHARE:.0%} of {SLOW_MS} ms, {options.connections} kept connections: "
                "milliseconds, medians of rounds",
                ["server", "p50 of the quick", "p99", "p99.9", "longest", "p50 of the slow",
                 "p99 ÷ one queue"], rows)


# --- share ---------------------------------------------------------------------------------------

def share_once(port, count):
    connections = []
    began = time.perf_counter()
    for _ in range(count):
        connections.append(Connection(port))
    for connection in connections:
        connection.ask()
    for connection in connections:
        while not connection.receive():
            pass
    seconds = time.perf_counter() - began
    shares = collections.Counter(connection.pid for connection in connections)
    for connection in connections:
        connection.close()
    return max(shares.values()) / (count / 4), seconds


def measure_share(options):
    rows = []
    for name in SHARE:
        if name not in options.servers:
            continue
        with Server(name, SHARE[name]) as server:
            time.sleep(1)
            found = []
            for _ in range(options.rounds * 3):
                found.append(share_once(server.port, options.connections))
                time.sleep(0.1)
        shares = [share for share, _ in found]
        rows.append([name, f"{statistics.median(shares):.2f}", f"{max(shares):.2f}",
                     f"{statistics.median(seconds for _, seconds in found) * 1000:.1f}"])
    print_table(f"{options.connections} kept connections, four workers: largest share over a fair "
                "one", ["server", "median", "worst", "ms for all"], rows)


# --- the command ---------------------------------------------------------------------------------

PARTS = {"pair": measure_pair, "mixed": measure_mixed, "share": measure_share}


def parse():
    known = list(dict.fromkeys([*PAIR, *MIXED, *SHARE]))
    parser = argparse.ArgumentParser(prog="./dev bench fair", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=5, help="of each round of `mixed`")
    parser.add_argument("--load", type=float, default=0.5, help="of what two processes can do")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="a part (" + ", ".join(PARTS) + ") or a server (" + ", ".join(known)
                             + "); repeatable")
    options = parser.parse_args()
    for name in options.only:
        if name not in PARTS and name not in known:
            parser.error(f"--only: there is no part or server {name!r}")
    options.parts = [name for name in options.only if name in PARTS] or list(PARTS)
    options.servers = [name for name in options.only if name in known] or known
    return options


def main():
    options = parse()
    os.sched_setaffinity(0, {servers.CLIENT_CORE})
    for part in options.parts:
        PARTS[part](options)
    return 0


if __name__ == "__main__":
    sys.exit(servers.main(main))
