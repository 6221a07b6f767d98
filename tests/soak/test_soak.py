"""What tests/process/test_under_load.py does, at full length: `./dev soak [SECONDS]`."""
import os
import random
import signal
import time

import pytest

import trials
from licorne import rss_kib
from trials import SETUPS, start_kind, under_load
from waiting import wait_until

SECONDS = int(os.environ.get("LICORNE_SOAK_SECONDS", "300"))
PYTHON_KINDS = ["sync", "gthread"]

# Each way of serving once, where all of them would take too long.
MIXED = ["native", "native tls", "sync", "sync unix preload", "gthread unix",
         "gthread tls preload"]


@pytest.mark.parametrize("setup", SETUPS)
def test_twenty_reloads(start, tmp_path, setup):
    server = start_kind(start, tmp_path, setup)
    with under_load(server) as load:
        trials.reloads(server, 20)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("setup", PYTHON_KINDS + ["sync preload"])
def test_twenty_reloads_of_an_application_that_takes_5_seconds_to_import(start, tmp_path, setup):
    server = start_kind(start, tmp_path, setup)
    trials.write_app(tmp_path, import_seconds=5)
    with under_load(server) as load:
        trials.reloads(server, 20, seconds=60)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("setup", PYTHON_KINDS + ["gthread preload"])
def test_bursts_of_twenty_while_it_is_imported(start, tmp_path, setup):
    server = start_kind(start, tmp_path, setup)
    trials.write_app(tmp_path, import_seconds=5)
    with under_load(server) as load:
        for _ in range(3):
            trials.burst_of_reloads(server, 20, seconds=150)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("setup", SETUPS)
def test_many_bursts(start, tmp_path, setup):
    server = start_kind(start, tmp_path, setup)
    with under_load(server) as load:
        for _ in range(10):
            trials.burst_of_reloads(server, 20)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("setup", MIXED)
def test_more_and_fewer_workers(start, tmp_path, setup):
    server = start_kind(start, tmp_path, setup)
    with under_load(server) as load:
        trials.more_and_fewer(server, load, rounds=10)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("kind", trials.KINDS)
def test_a_hundred_rotations(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind)
    with under_load(server) as load:
        paths = trials.rotations(server, 100)
    server.stop()
    load.assert_written_once(*paths)


HOWS = ["TERM", "TERM at once", "WINCH, QUIT", "rollback", "WINCH, TERM", "WINCH, rollback"]


@pytest.mark.parametrize("setup", MIXED)
def test_upgrades_in_a_row(start, tmp_path, setup):
    server = start_kind(start, tmp_path, setup)
    server.is_portable = False
    pid = server.pid
    with under_load(server) as load:
        for how in HOWS * 2:
            new = trials.upgrade(server, load, how, pid)
            pid = new.pid if new else pid
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: trials.has_left(pid), 20, "the last master has left")
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("setup", MIXED)
def test_twenty_thousand_requests_with_workers_that_answer_ten(start, tmp_path, setup):
    server = start_kind(start, tmp_path, setup, "--max-requests", "10")
    with under_load(server) as load:
        trials.wait_for_recycled(server, load, requests=20_000, workers=200)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("setup", MIXED)
def test_reloads_while_workers_are_recycled(start, tmp_path, setup):
    server = start_kind(start, tmp_path, setup, "--max-requests", "50",
                        "--max-requests-jitter", "50")
    with under_load(server) as load:
        for _ in range(40):
            server.send_signal(signal.SIGHUP)
            load.wait_for_answers(10)
    server.stop()
    load.assert_written_once(server.access_path)


# --- violence ------------------------------------------------------------------------------------

@pytest.mark.parametrize("setup", MIXED)
def test_killed_workers_take_with_them_only_what_they_had_in_hand(start, tmp_path, setup):
    server = start_kind(start, tmp_path, setup)
    with under_load(server, loses=True) as load:
        kills = trials.kill_workers(server, load, 30)
    server.stop()
    load.assert_lost_only_at(kills)
    load.assert_written_once(server.access_path, lost_at_most=30 * load.connections)


@pytest.mark.parametrize("kind", trials.KINDS)
def test_killed_loggers_take_nothing_with_them(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind)
    with under_load(server) as load:
        trials.kill_loggers(server, load, 30)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("kind", trials.KINDS)
def test_a_logger_that_stands_still_holds_up_nobody(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind)
    [logger] = server.children("logger")
    with under_load(server) as load:
        for _ in range(3):
            with trials.paused(logger, 5):
                load.wait_for_answers(20)
                trials.reloads(server, 1)
            load.wait_for_answers(20)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("kind", trials.KINDS)
def test_a_disk_that_is_full_for_a_while_holds_up_nobody(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind)
    [logger] = server.children("logger")
    with under_load(server) as load:
        for number in range(3):
            with trials.full_disk(logger, server.access_path, seconds=3):
                server.wait_for_log(f"cannot write to {server.access_path}", count=number + 1)
                trials.reloads(server, 1)
                load.wait_for_answers(20)
            server.wait_for_log("can be written again; no record was lost", count=number + 1)
    server.stop()
    load.assert_written_once(server.access_path)


# --- everything ----------------------------------------------------------------------------------

@pytest.mark.parametrize("setup", MIXED)
def test_anything_at_any_time(start, tmp_path, setup):
    """In an order that the seed in the report repeats; and the master does not grow."""
    seed = random.randrange(10**6)
    print(f"the seed is {seed}")
    dice = random.Random(seed)
    server = start_kind(start, tmp_path, setup, "--max-requests", "2000",
                        "--max-requests-jitter", "2000")
    logs, count = {server.access_path}, 0
    with under_load(server) as load:
        for _ in range(3):
            server.send_signal(signal.SIGHUP)
            load.wait_for_answers(50)
        size, end = rss_kib(server.pid), time.monotonic() + SECONDS / len(MIXED)
        while time.monotonic() < end:
            what = dice.choice(["HUP", "burst", "TTIN", "TTOU", "rotation", "logger", "nothing"])
            if what == "burst":
                for _ in range(dice.randrange(2, 10)):
                    server.send_signal(signal.SIGHUP)
                    time.sleep(dice.uniform(0, 0.2))
            elif what == "rotation":
                count += 1
                logs.add(trials.rotate(server, f"access.log.{count}"))
            elif what == "logger":
                trials.kill_loggers(server, load, 1)
            elif what != "nothing":
                server.send_signal(getattr(signal, f"SIG{what}"))
            load.wait_for_answers(dice.randrange(1, 50))
        assert rss_kib(server.pid) < size + 8 * 1024
    server.stop()
    load.assert_written_once(*logs)
