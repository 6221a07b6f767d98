"""Waiting for something to become true, at most for so long."""
import os
import time

import sanitizers


def wait_until(condition, seconds=10, what=None):
    """Returns the first true value of `condition()`; fails with `what` when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or condition.__name__}")
        time.sleep(0.02)


def slack():
    """Seconds that a promise of time may take longer here: none on a quiet machine, without
    sanitizers."""
    is_quiet = os.getloadavg()[0] < os.cpu_count()
    return 0 if is_quiet and not sanitizers.BUILT_IN else 3
