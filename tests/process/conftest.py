"""Process tests: each starts the real server and speaks to it through real sockets."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import licorne  # noqa: E402 (the path comes first)
from fixtures import (authority, pair, pytest_runtest_makereport, share_all,  # noqa: E402, F401
                      share_as, share_both, start)
from licorne import APPS  # noqa: E402


@pytest.fixture
def serve(start):
    """serve(*arguments) serves tests/wsgi/served.py."""
    return lambda *arguments, **options: start("--chdir", APPS, *arguments, "served", **options)


@pytest.fixture(params=["sync", "gthread"])
def both_kinds(request, monkeypatch):
    """pytestmark = pytest.mark.usefixtures("both_kinds"): the module's tests run with each."""
    if request.param == "gthread":
        monkeypatch.setattr(licorne, "DEFAULTS", ["--threads", "4"])
