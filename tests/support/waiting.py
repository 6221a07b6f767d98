"""Waiting for something to become true, at most for so long."""
import time


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
