#!/usr/bin/python3
"""Measures Licorne beside its peers: servers in turn, in short interleaved rounds.

Each server has one worker, default settings and no access log, and is pinned to core 0; wrk with
its kept connections is pinned to core 1. Absolute figures drift with the machine, so the table
tells medians, and ratios of the rounds in which two servers were measured side by side. Where wrk
itself is the limit, only the CPU columns tell servers apart.
"""
import argparse
import contextlib
import dataclasses
import json
import os
import platform
import statistics
import subprocess
import sys

import servers
from servers import BENCH, HELLO, Server

WSGI = {
    "licorne": servers.licorne(HELLO, "hello:application"),
    "licorne gthread 1": servers.licorne(HELLO, "hello:application",
                                         "--worker-class", "gthread"),
    "licorne gthread 4": servers.licorne(HELLO, "hello:application", "--threads", "4"),
    "gunicorn sync": servers.gunicorn(HELLO, "hello:application"),
    "gunicorn gthread": servers.gunicorn(HELLO, "hello:application",
                                         "--worker-class", "gthread", "--threads", "4"),
    "uwsgi": servers.uwsgi(HELLO, "hello:application"),
    "uwsgi keepalive": servers.uwsgi(HELLO, "hello:application", "--http-keepalive",
                                     "--http-auto-chunked", "--http"),
    "bare loop": servers.bare_loop,
}
FLASK = {
    "licorne": servers.licorne(BENCH, "flask_hello:app"),
    "licorne gthread 4": servers.licorne(BENCH, "flask_hello:app", "--threads", "4"),
    "gunicorn gthread": servers.gunicorn(BENCH, "flask_hello:app",
                                         "--worker-class", "gthread", "--threads", "4"),
    "uwsgi": servers.uwsgi(BENCH, "flask_hello:app"),
}
NATIVE = {
    "licorne": servers.licorne_native,
    "nginx": servers.nginx,
    "bare loop": servers.bare_loop,
}


@dataclasses.dataclass
class Workload:
    title: str
    servers: dict
    reference: str
    script: str = "report.lua"


WORKLOADS = {
    "wsgi": Workload("WSGI hello", WSGI, "gunicorn gthread"),
    "browser": Workload("WSGI hello, a browser's headers", WSGI, "gunicorn gthread",
                        "browser.lua"),
    "flask": Workload("Flask hello", FLASK, "gunicorn gthread"),
    "native": Workload("native hello (nginx: return 200)", NATIVE, "nginx"),
}


def wrk(server, script, seconds, connections):
    """One round; wrk's counts, with the server's CPU time beside them."""
    before = server.cpu_ns()
    done = subprocess.run(
        [servers.program("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "-s",
         str(BENCH / script), f"http://127.0.0.1:{server.port}/"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {servers.CLIENT_CORE}))
    after = server.cpu_ns()
    if done.returncode != 0:
        raise servers.CannotMeasure(f"wrk failed: {done.stdout}{done.stderr}")
    counts = json.loads(done.stdout.strip().splitlines()[-1])
    errors = {kind: counts[kind] for kind in ("connect", "read", "write", "timeout", "status")
              if counts[kind]}
    if counts["requests"] == 0:
        errors["answers"] = 0
    answered = max(counts["requests"], 1)
    return {"rate": counts["requests"] / (counts["microseconds"] / 1e6),
            "cpu_us": (after - before) / 1000 / answered,
            "p99_us": counts["p99_us"], "requests": counts["requests"], "errors": errors}


def measure(workload, options, chosen):
    """{server: [round, ...]}; all servers are up, one at a time is busy."""
    rounds = {name: [] for name in chosen}
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(Server(name, workload.servers[name]))
                   for name in chosen}
        for server in running.values():  # caches, lazy imports
            wrk(server, workload.script, 1, options.connections)
        for number in range(options.rounds):
            for name, server in running.items():
                rounds[name].append(wrk(server, workload.script, options.seconds,
                                        options.connections))
                server.check()
            say_progress(f"{workload.title}: round {number + 1} of {options.rounds}")
    say_progress("")
    return rounds


def say_progress(text):
    if sys.stderr.isatty():
        print(f"\r{text:<70}\r", end="", file=sys.stderr, flush=True)


def paired(above, below, key):
    """The median of the ratios within each round; None if one of the two was not measured."""
    if not above or not below:
        return None
    return statistics.median(a[key] / b[key] for a, b in zip(above, below) if b[key])


def summarize(workload, rounds):
    reference, loop = rounds.get(workload.reference), rounds.get("bare loop")
    rows = {}
    for name, mine in rounds.items():
        rows[name] = {
            "rate": statistics.median(r["rate"] for r in mine),
            "cpu_us": statistics.median(r["cpu_us"] for r in mine),
            "p99_us": statistics.median(r["p99_us"] for r in mine),
            "rate_to_reference": paired(mine, reference, "rate"),
            "cpu_of_reference": paired(reference, mine, "cpu_us"),
            "cpu_to_loop": paired(mine, loop, "cpu_us"),
            "errors": [r["errors"] for r in mine if r["errors"]],
        }
    return rows


def print_table(workload, rows):
    def ratio(value):
        return "–" if value is None else f"{value:.2f}"

    print(f"\n{workload.title} (reference: {workload.reference})")
    print(f"  {'server':<18}{'requests/s':>12}{'p99 ms':>9}{'CPU µs/req':>12}"
          f"{'× requests':>12}{'× by CPU':>10}{'CPU ÷ loop':>12}")
    for name, row in rows.items():
        print(f"  {name:<18}{row['rate']:>12,.0f}{row['p99_us'] / 1000:>9.2f}"
              f"{row['cpu_us']:>12.2f}{ratio(row['rate_to_reference']):>12}"
              f"{ratio(row['cpu_of_reference']):>10}{ratio(row['cpu_to_loop']):>12}")
    for name, row in rows.items():
        if row["errors"]:
            print(f"  INVALID: {name} failed requests in {len(row['errors'])} rounds: "
                  f"{row['errors'][0]}")


def parse(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2, help="of each round")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="a workload (" + ", ".join(WORKLOADS) + ") or a server ("
                             + ", ".join(sorted({*WSGI, *FLASK, *NATIVE})) + "); repeatable")
    parser.add_argument("--json", metavar="FILE", help="write every round to FILE")
    options = parser.parse_args(arguments)
    known = {*WORKLOADS, *WSGI, *FLASK, *NATIVE}
    for name in options.only:
        if name not in known:
            parser.error(f"--only: there is no workload or server {name!r}")
    return options


def choose(options):
    """[(key, workload, servers)], as --only says."""
    keys = [name for name in options.only if name in WORKLOADS] or list(WORKLOADS)
    names = [name for name in options.only if name not in WORKLOADS]
    for key in keys:
        workload = WORKLOADS[key]
        chosen = [name for name in workload.servers if not names or name in names]
        if chosen:
            yield key, workload, chosen


def main():
    options = parse(sys.argv[1:])
    results, is_valid = {}, True
    print(f"{options.rounds} rounds of {options.seconds} s, {options.connections} connections; "
          f"Linux {platform.release()}, Python {platform.python_version()}")
    for key, workload, chosen in choose(options):
        rounds = measure(workload, options, chosen)
        rows = summarize(workload, rounds)
        print_table(workload, rows)
        results[key] = {"summary": rows, "rounds": rounds}
        is_valid = is_valid and not any(row["errors"] for row in rows.values())
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(results, out, indent=1)
    return 0 if is_valid else 1


if __name__ == "__main__":
    sys.exit(servers.main(main))
