"""What tests/process/test_under_load.py does, at full length: `./dev soak [SECONDS]`."""
import os
import random
import time

import pytest

import trials
from licorne import rss_kib
from trials import start_kind, under_load

SECONDS = int(os.environ.get("LICORNE_SOAK_SECONDS", "300"))
PYTHON_KINDS = ["sync", "gthread"]


@pytest.mark.parametrize("kind", trials.KINDS)
def test_twenty_reloads(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind)
    with under_load(server) as load:
        trials.reloads(server, 20)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("kind", PYTHON_KINDS)
def test_twenty_reloads_of_an_application_that_takes_5_seconds_to_import(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind)
    trials.write_app(tmp_path, import_seconds=5)
    with under_load(server) as load:
        trials.reloads(server, 20, seconds=60)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("kind", PYTHON_KINDS)
def test_a_burst_of_twenty_while_it_is_imported(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind)
    trials.write_app(tmp_path, import_seconds=5)
    with under_load(server) as load:
        trials.burst_of_reloads(server, 20)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("kind", trials.KINDS)
def test_many_bursts(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind)
    with under_load(server) as load:
        for _ in range(10):
            trials.burst_of_reloads(server, 20)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("kind", trials.KINDS)
def test_more_and_fewer_workers(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind)
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


@pytest.mark.parametrize("kind", trials.KINDS)
@pytest.mark.parametrize("how", ["WINCH, QUIT", "TERM"] * 3)
def test_upgrades(start, tmp_path, kind, how):
    server = start_kind(start, tmp_path, kind)
    with under_load(server) as load:
        new = trials.upgrade(server, load, how)
    new.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("kind", trials.KINDS)
def test_twenty_thousand_requests_with_workers_that_answer_ten(start, tmp_path, kind):
    server = start_kind(start, tmp_path, kind, "--max-requests", "10")
    with under_load(server) as load:
        trials.wait_for_recycled(server, load, requests=20_000, workers=200)
    server.stop()
    load.assert_written_once(server.access_path)


@pytest.mark.parametrize("kind", trials.KINDS)
def test_anything_at_any_time(start, tmp_path, kind):
    """In an order that the seed in the report repeats; and the master does not grow."""
    seed = random.randrange(10**6)
    print(f"the seed is {seed}")
    dice = random.Random(seed)
    server = start_kind(start, tmp_path, kind)
    logs, count = {server.access_path}, 0
    with under_load(server) as load:
        trials.reloads(server, 3)
        size, end = rss_kib(server.pid), time.monotonic() + SECONDS / len(trials.KINDS)
        while time.monotonic() < end:
            what = dice.choice(["reload", "burst", "workers", "rotation", "nothing"])
            if what == "reload":
                trials.reloads(server, 1)
            elif what == "burst":
                trials.burst_of_reloads(server, dice.randrange(2, 10))
            elif what == "workers":
                trials.more_and_fewer(server, load)
            elif what == "rotation":
                count += 1
                logs.add(trials.rotate(server, f"access.log.{count}"))
            load.wait_for_answers(dice.randrange(1, 200))
        assert rss_kib(server.pid) < size + 8 * 1024
    server.stop()
    load.assert_written_once(*logs)
