"""Hypothesis profiles: ``dev`` is quick and the default, ``ci`` is thorough.

``HYPOTHESIS_PROFILE=ci python -m pytest`` selects the thorough one. Neither has a deadline: timing
on a shared machine is no property of the code. ``ci`` is derandomised so that a run is repeatable.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "dev", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "ci",
    deadline=None,
    max_examples=50,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

# What tests verify is remembered for this run alone, and by all of its workers: they inherit the variable.
if "LEMMATA_CACHE" not in os.environ:
    os.environ["LEMMATA_CACHE"] = tempfile.mkdtemp(prefix="lemmata-tests-")
    atexit.register(shutil.rmtree, os.environ["LEMMATA_CACHE"], ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    """Where several processes test, the engine is compiled before they start."""
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        return
    subprocess.run([sys.executable, "-m", "tests.warm_up"], cwd=config.rootpath, check=True)
