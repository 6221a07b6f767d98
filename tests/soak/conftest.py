"""As the process tests, for longer."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from fixtures import pytest_runtest_makereport, start  # noqa: E402, F401
