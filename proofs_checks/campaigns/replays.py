"""The worst cases of a campaign as files that `lemmata replay` reads."""

from __future__ import annotations

import json
from pathlib import Path

from proofs_checks.campaigns.store import damaged, part_path
from proofs_checks.campaigns.summary import Summary
from proofs_checks.files import write_json


def file_stem(name: str) -> str:
    """The name of a target as a part of a file's name."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)


def write_cases(summary: Summary, folder: Path) -> list[Path]:
    """Write the worst cases of every target that were saved: the violated ones, and the tightest of each unit.

    Raises:
        LemmataError: a damaged part, or a folder that cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = []
    for target in summary.targets.values():
        for _, _, row in target.worst:
            path = part_path(summary.folder, row["unit"])
            try:
                found = pq.read_table(
                    path,
                    columns=["case"],
                    filters=[
                        ("target", "==", target.name),
                        ("point", "==", row["point"]),
                        ("replicate", "==", row["replicate"]),
                    ],
                )["case"].to_pylist()
                if found == [None]:
                    continue
                (text,) = found
                data = json.loads(text)
            except (pa.ArrowException, OSError, ValueError) as error:
                raise damaged(path, error) from error
            out.append(folder / f"{file_stem(target.name)}-{row['case_hash']}.json")
            write_json(out[-1], data)
    return out
