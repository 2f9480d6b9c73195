"""Campaigns whose processes are killed, and whose cluster loses a worker: nothing is lost or doubled."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from proofs_checks.campaigns import work
from proofs_checks.campaigns.plan import Plan, plan
from proofs_checks.campaigns.run import campaign
from proofs_checks.campaigns.spec import read
from proofs_checks.campaigns.summary import summarise

SPEC = """
[campaign]
target = "margins/telescoping"
replicates = 25
[grid]
d = [1, 2]
size = {from = 1, to = 100, steps = 20, scale = "log"}
[random]
samples = 10
eta = {low = 0.001, high = 2.0, scale = "log"}
"""
CASES = 10_000
RUN = "import sys; from proofs_checks.campaigns.run import campaign; campaign(sys.argv[1], sys.argv[2], jobs=2)"
KILLS = 3
PATIENCE = 120.0  # seconds; a loaded machine is slow

# with `if __name__` so that workers, which import the main module again, do not run it
MAIN = f"if __name__ == '__main__':\n    {RUN}\n"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.toml"
    path.write_text(SPEC)
    return path


def parts(folder: Path) -> list[Path]:
    return sorted((folder / "parts").glob("part-*.parquet"))


def wait_for(count: int, folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while len(parts(folder)) < count:
        assert time.monotonic() < end, f"{len(parts(folder))} of {count} parts"
        time.sleep(0.01)


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(c) for t in tasks for c in t.read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def check(folder: Path, ready: Plan) -> None:
    """Exactly the rows of the design, and those that a process by itself measures."""
    rows: list[dict[str, Any]] = [r for p in parts(folder) for r in pq.read_table(p).to_pylist()]
    cases = [(r["point"], r["replicate"]) for r in rows]
    assert len(cases) == CASES and set(cases) == {
        (p, k) for p in range(ready.points) for k in range(ready.spec.replicates)
    }
    assert len({r["case_hash"] for r in rows}) > CASES * 0.99
    for unit in random.Random(0).sample(range(ready.units), 3):
        own = [r for r in rows if r["unit"] == unit]
        again = work.measure(ready.job(unit))
        for row, same in zip(own, again, strict=True):
            assert all(row[k] == same[k] for k in same if k != "seconds")
            assert {a: row[a] for a in ready.axes} == ready.point(row["point"])
    found = summarise(folder)
    assert found.complete and found.exit_code == 0
    assert found.targets["margins/telescoping"].all.counts == {"holds": CASES}


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_a_campaign_survives_kill_9_again_and_again(spec: Path, tmp_path: Path) -> None:
    ready, out, rng = plan(read(spec)), tmp_path / "out", random.Random(1)
    assert ready.rows == CASES
    script = tmp_path / "main.py"
    script.write_text(MAIN)
    command = [sys.executable, str(script), str(spec), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for kill in range(KILLS):
        before = {p: p.stat().st_mtime_ns for p in parts(out)} if out.exists() else {}
        run = subprocess.Popen(command, env=environment)
        wait_for(len(before) + rng.randrange(1, ready.units // (KILLS + 2)), out)
        workers = children(run.pid)
        time.sleep(rng.random() * 0.05)
        run.kill()
        assert run.wait() == -signal.SIGKILL, f"run {kill} ended by itself"
        end = time.monotonic() + PATIENCE
        while any(map(alive, workers)):  # workers do not outlive the run
            assert time.monotonic() < end
            time.sleep(0.05)
        for path in parts(out):  # what is there is whole
            assert pq.read_table(path).num_rows == ready.rows_of(int(path.stem[5:]))
        assert before.items() <= {p: p.stat().st_mtime_ns for p in parts(out)}.items()
    assert 0 < len(parts(out)) < ready.units
    before = {p: p.stat().st_mtime_ns for p in parts(out)}
    assert subprocess.run(command, env=environment).returncode == 0
    assert before.items() <= {p: p.stat().st_mtime_ns for p in parts(out)}.items()
    check(out, ready)


def test_a_campaign_survives_the_loss_of_a_dask_worker(spec: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    ready, out = plan(read(spec)), tmp_path / "out"
    killed: list[int] = []
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        silence_logs=50,
    ) as cluster:
        victim = next(iter(cluster.workers.values())).pid

        def kill() -> None:
            wait_for(ready.units // 3, out)
            os.kill(victim, signal.SIGKILL)
            killed.append(len(parts(out)))

        thread = threading.Thread(target=kill)
        thread.start()
        run = campaign(spec, out, scheduler=cluster.scheduler_address)
        thread.join()
    assert killed and ready.units // 3 <= killed[0] < ready.units, "killed mid-way"
    assert run.found == 0 and not alive(victim)
    check(out, ready)


def test_a_worker_process_that_is_killed_costs_nothing(spec: Path, tmp_path: Path) -> None:
    import multiprocessing

    ready, out = plan(read(spec)), tmp_path / "out"
    others = {c.pid for c in multiprocessing.active_children()}

    def kill() -> None:
        wait_for(ready.units // 3, out)
        own = [c for c in multiprocessing.active_children() if c.pid not in others]
        os.kill(own[0].pid or 0, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    campaign(spec, out, jobs=2)
    thread.join()
    check(out, ready)
