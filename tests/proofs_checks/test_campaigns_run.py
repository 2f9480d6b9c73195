"""Campaigns that are interrupted, repeated, mixed up or damaged: nothing is lost, doubled or passed over."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from proofs_checks.campaigns import executors, store
from proofs_checks.campaigns.executors import Cluster
from proofs_checks.campaigns.run import CampaignRun, Interrupted, campaign
from proofs_checks.campaigns.store import locked
from proofs_checks.campaigns.summary import summarise
from tests.proofs_checks.campaign_tools import part, rows
from theory.errors import LemmataError

SPEC = """
[campaign]
target = "margins/telescoping"
replicates = 5
chunk = 4
[grid]
d = [1, 2, 3]
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.toml"
    path.write_text(SPEC)
    return path


def test_every_case_has_one_row_and_a_second_run_repeats_nothing(
    go: Callable[..., CampaignRun], tmp_path: Path
) -> None:
    counts: list[int] = []

    def start(total: int, there: int) -> Callable[[int], None]:
        assert (total, there) == (15, 0)
        return counts.append

    run = go(start=start)
    assert (run.units, run.rows, run.found) == (4, 15, 0) and sum(counts) == 15
    found = rows(tmp_path / "out")
    assert [(r["d"], r["replicate"]) for r in found] == [
        (d, k) for d in (1, 2, 3) for k in range(5)
    ]
    assert all(r["status"] == "holds" and r["rigor"] == "proved" for r in found)
    assert len({r["case_hash"] for r in found}) == len({r["seed"] for r in found}) == 15
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "parts").iterdir()}
    assert go().found == 4
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "parts").iterdir()}


def test_missing_parts_are_measured_again_and_come_out_the_same(
    go: Callable[..., CampaignRun], tmp_path: Path
) -> None:
    go()
    out = tmp_path / "out"
    before = rows(out)
    part(out, 1).unlink()
    (out / "parts" / ".writing-abc").write_bytes(b"half a part")
    assert go().found == 3
    assert rows(out) == before
    assert not (out / "parts" / ".writing-abc").exists()


class Stopping(ThreadPoolExecutor):
    """Ctrl-C while a unit is handed out."""

    def __init__(self, after: int) -> None:
        super().__init__(1)
        self.after = after

    def submit(self, function: Any, /, *args: Any, **options: Any) -> Future[Any]:
        if self.after == 0:
            self.shutdown(wait=True)  # everything handed out is finished, and nobody has looked
            raise KeyboardInterrupt
        self.after -= 1
        return super().submit(function, *args, **options)


def test_ctrl_c_writes_what_is_finished(spec: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="2 of 4 units") as stop:
        campaign(spec, tmp_path / "out", executor=Stopping(after=2))
    assert (stop.value.done, stop.value.units) == (2, 4)
    assert len(rows(tmp_path / "out")) == 8
    with ThreadPoolExecutor(1) as pool:
        assert campaign(spec, tmp_path / "out", executor=pool).found == 2


def test_another_spec_or_version_in_the_same_folder_is_refused(
    go: Callable[..., CampaignRun], spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go()
    before = rows(tmp_path / "out")
    spec.write_text(SPEC.replace("replicates = 5", "replicates = 6"))
    with pytest.raises(LemmataError, match=r"replicates: 5 there, 6 here\); use a new folder"):
        go()
    spec.write_text(SPEC.replace("[campaign]", '[campaign]\nname = "renamed"'))
    assert go().found == 4  # a name changes nothing
    monkeypatch.setattr("proofs_checks.campaigns.work.version", lambda: "0.0.0")
    with pytest.raises(LemmataError, match=r"and this is 0\.0\.0"):
        go()
    assert rows(tmp_path / "out") == before


def test_two_runs_on_one_folder_exclude_each_other(
    go: Callable[..., CampaignRun], tmp_path: Path
) -> None:
    with locked(tmp_path / "out"), pytest.raises(LemmataError, match="another run is writing"):
        go()
    assert go().found == 0


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def of_another_unit(path: Path) -> None:
    shutil.copy(part(path.parent.parent, 0), path)


def of_another_tool(path: Path) -> None:
    import pyarrow as pa

    pq.write_table(pa.table({"a": [1, 2]}), path)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (truncated, "is damaged.*delete this file"),
        (emptied, "is damaged.*delete this file"),
        (of_another_unit, "another unit of work"),
        (of_another_tool, "belongs to another campaign"),
    ],
)
def test_a_bad_part_is_named_with_the_remedy(
    go: Callable[..., CampaignRun], tmp_path: Path, harm: Callable[[Path], None], words: str
) -> None:
    go()
    out = tmp_path / "out"
    harm(part(out, 1))
    for read in (go, lambda: summarise(out)):
        with pytest.raises(LemmataError, match=words) as caught:
            read()
        assert "part-00000001.parquet" in str(caught.value)
    part(out, 1).unlink()
    go()
    assert len(rows(out)) == 15


def test_flipped_bytes_of_the_data_are_noticed(
    go: Callable[..., CampaignRun], tmp_path: Path
) -> None:
    go()
    out = tmp_path / "out"
    sound, before = part(out, 1).read_bytes(), summarise(out).to_json()
    footer = int.from_bytes(sound[-8:-4], "little") + 8
    places = range(4, len(sound) - footer, 13)
    noticed = 0
    for place in places:
        part(out, 1).write_bytes(sound[:place] + bytes([sound[place] ^ 0x55]) + sound[place + 1 :])
        try:
            assert summarise(out).to_json() == before  # bytes that mean nothing
        except LemmataError as error:
            assert "part-00000001.parquet" in str(error)
            noticed += 1
    assert noticed > len(places) / 4  # the others say nothing about the rows


@pytest.mark.parametrize("name", ["part-1.parquet", "part-00000099.parquet", "notes.txt"])
def test_a_foreign_file_among_the_parts_is_named(
    go: Callable[..., CampaignRun], tmp_path: Path, name: str
) -> None:
    go()
    shutil.copy(part(tmp_path / "out", 1), tmp_path / "out" / "parts" / name)
    with pytest.raises(LemmataError, match=f"{name} is no part of this campaign"):
        go()


def test_a_full_disk_says_what_is_safe(
    go: Callable[..., CampaignRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = store._write, Counter[str]()

    def full(path: Path, data: Any) -> None:
        calls[path.suffix] += 1
        if calls[".parquet"] == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, data)

    monkeypatch.setattr(store, "_write", full)
    with pytest.raises(LemmataError, match="2 of 4 units are safe: make room"):
        go()
    monkeypatch.undo()
    assert go().found == 2


def test_a_place_that_is_no_folder_is_refused(
    go: Callable[..., CampaignRun], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LemmataError, match="is a file: name a folder"):
        go(out=tmp_path / "file")
    with pytest.raises(LemmataError, match="cannot be written"):
        go(out=tmp_path / "file" / "below")
    with pytest.raises(LemmataError, match=r"no campaign\.json"):
        summarise(tmp_path)


def test_results_without_their_description_are_not_continued(
    go: Callable[..., CampaignRun], tmp_path: Path
) -> None:
    go()
    head = tmp_path / "out" / "campaign.json"
    for content, words in (("{", "no JSON"), ("{}", "no description"), (None, "results but no")):
        head.unlink() if content is None else head.write_text(content)
        with pytest.raises(LemmataError, match=words):
            go()


def test_executors_exclude_each_other(spec: Path, tmp_path: Path, thread: Executor) -> None:
    with pytest.raises(LemmataError, match="exclude each other"):
        campaign(spec, tmp_path / "out", executor=thread, jobs=2)
    with pytest.raises(LemmataError, match="jobs = 0"):
        campaign(spec, tmp_path / "out", jobs=0)


def test_a_scheduler_that_is_none_is_refused() -> None:
    pytest.importorskip("distributed")
    for address in ("localhost", "tcp://", "tcp://host:port", "http://127.0.0.1:80"):
        with pytest.raises(LemmataError, match="tcp://HOST:PORT"):
            Cluster(address)
    with pytest.raises(LemmataError, match="no scheduler answers at tcp://127"):
        Cluster("tcp://127.0.0.1:9")


def test_the_libraries_of_a_cluster_do_not_talk(capsys: pytest.CaptureFixture[str]) -> None:
    """Their parts have handlers and levels of their own."""
    log = logging.getLogger("distributed.of_a_test")
    handler = logging.StreamHandler(sys.stderr)
    log.addHandler(handler)
    log.setLevel(logging.WARNING)
    try:
        with executors._quiet():
            log.error("a scheduler is gone")
        assert capsys.readouterr().err == ""
        log.error("afterwards")
        assert "afterwards" in capsys.readouterr().err
    finally:
        log.removeHandler(handler)


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(LemmataError, match=r"pip install 'lemmata\[cluster\]'"):
        Cluster("tcp://127.0.0.1:8786")
