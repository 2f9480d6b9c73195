"""Machine code is kept once for each state of the sources, in a place that is the user's own."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from numerics import machine_code

HERE = Path(machine_code.__file__).parent
COMPILES = """
import sys
import numpy as np
from numerics import compiled_field
out = np.zeros(2)
compiled_field.lengths(np.ones((2, 2)), out)
print(sum(compiled_field.lengths.stats.cache_misses.values()))
"""


@pytest.fixture
def fresh() -> None:
    machine_code.folder.cache_clear()
    yield
    machine_code.folder.cache_clear()


def test_what_is_installed_twice_is_compiled_once(tmp_path: Path) -> None:
    """Copies of the sources, with other times, share what is kept; a changed one does not."""
    for name in ("a", "b", "c"):
        shutil.copytree(
            HERE, tmp_path / name / "numerics", ignore=shutil.ignore_patterns("__pycache__")
        )
    changed = tmp_path / "c" / "numerics" / "compiled_types.py"
    changed.write_text(changed.read_text(encoding="utf-8") + "\n# another\n", encoding="utf-8")
    misses = []
    for name in ("a", "b", "c"):
        ran = subprocess.run(
            [sys.executable, "-c", COMPILES],
            cwd=tmp_path / name,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept"), "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        misses.append(int(ran.stdout))
    assert misses == [1, 0, 1]
    assert len(list((tmp_path / "kept").iterdir())) == 2


@pytest.mark.usefixtures("fresh")
def test_where_it_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"lemmata-{machine_code.digest()}"
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(machine_code, "user_cache", lambda: tmp_path / "user")
    assert machine_code.folder() == tmp_path / "user" / "compiled" / name
    assert stat.S_IMODE((tmp_path / "user" / "compiled" / name).stat().st_mode) & 0o077 == 0
    machine_code.folder.cache_clear()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "named"))
    assert machine_code.folder() == tmp_path / "named" / name


@pytest.mark.usefixtures("fresh")
def test_nothing_is_run_from_where_others_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / f"lemmata-{machine_code.digest()}"
    shared.mkdir()
    shared.chmod(0o777)
    occupied = tmp_path / "occupied"
    occupied.write_text("", encoding="utf-8")
    monkeypatch.setattr(machine_code, "__file__", str(tmp_path / "package" / "machine_code.py"))
    for place in (tmp_path, occupied):
        machine_code.folder.cache_clear()
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(place))
        assert machine_code.folder() == tmp_path / "package" / "__pycache__" / shared.name
    monkeypatch.setattr(machine_code, "__file__", str(occupied / "machine_code.py"))
    machine_code.folder.cache_clear()
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        assert machine_code.folder() is None


@pytest.mark.usefixtures("fresh")
def test_a_link_is_no_folder_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir(mode=0o700)
    (tmp_path / f"lemmata-{machine_code.digest()}").symlink_to(tmp_path / "mine")
    monkeypatch.setattr(machine_code, "__file__", str(tmp_path / "package" / "machine_code.py"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    found = machine_code.folder()
    assert found is not None and found.parent == tmp_path / "package" / "__pycache__"


@pytest.mark.usefixtures("fresh")
def test_what_is_a_month_old_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what numba wrote, in folders named as ours, in a place of ours."""
    place = tmp_path / "compiled"
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(machine_code, "user_cache", lambda: tmp_path)
    old, recent, kept = (place / f"lemmata-{name * 16}" for name in "abc")
    others = [place / "lemmata-results", place / "other"]
    for made in (old, recent, kept, *others):
        made.mkdir(parents=True, mode=0o700)
        (made / "f.nbi").write_bytes(b"")
    (kept / "notes.txt").write_text("mine", encoding="utf-8")
    for made in (old, recent, kept, *others):
        past = time.time() - (10 if made is recent else 40) * 86400
        os.utime(made, (past, past))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert machine_code.folder() is not None
    assert not old.exists() and (recent / "f.nbi").exists()
    assert (kept / "notes.txt").exists() and all((made / "f.nbi").exists() for made in others)
    named = tmp_path / "named"
    (named / old.name).mkdir(parents=True, mode=0o700)
    os.utime(named / old.name, (past, past))
    machine_code.folder.cache_clear()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(named))
    assert machine_code.folder() is not None and (named / old.name).exists()
