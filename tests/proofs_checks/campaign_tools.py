"""What the tests of campaigns share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

Rows = list[dict[str, Any]]


def rows(folder: Path) -> Rows:
    """All rows but for the seconds, in order."""
    out: Rows = []
    for path in sorted((folder / "parts").glob("part-*.parquet")):
        out += pq.read_table(path).to_pylist()
    for row in out:
        del row["seconds"]
    return sorted(out, key=lambda r: (r["target"], r["point"], r["replicate"]))


def part(folder: Path, unit: int) -> Path:
    return folder / "parts" / f"part-{unit:08d}.parquet"
