"""Fixtures of several test files: campaigns on one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from proofs_checks.campaigns.run import CampaignRun, campaign


@pytest.fixture
def thread() -> Iterator[Executor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def go(spec: Path, tmp_path: Path, thread: Executor) -> Callable[..., CampaignRun]:
    def run(**changes: Any) -> CampaignRun:
        return campaign(spec, changes.pop("out", tmp_path / "out"), executor=thread, **changes)

    return run
