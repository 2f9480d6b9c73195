"""The folder of a campaign: ``campaign.json``, ``parts/part-UNIT.parquet``, and a lock.

A part appears whole or not at all: it is written beside its place, brought to the disk, and renamed. Its name is the
number of its unit of work, so that no unit is ever there twice; a run that is killed loses the units in flight only.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proofs_checks.campaigns.plan import FORMAT, Plan
from theory.errors import LemmataError

if TYPE_CHECKING:
    import pyarrow as pa

HEAD, PARTS, LOCK = "campaign.json", "parts", ".lock"
PREFIX, SUFFIX, TEMPORARY = "part-", ".parquet", ".writing-"
META = {
    k: f"lemmata.{k}".encode() for k in ("campaign", "unit", "digest")
}  # keys in the schema of a part
MOST_HEAD = 10**8  # bytes


def schema(axes: dict[str, type]) -> pa.Schema:
    """The columns of the results; the axes stand after ``replicate``."""
    import pyarrow as pa

    kinds = {int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_()}
    words = pa.string()
    return pa.schema(
        [
            ("unit", pa.int64()),
            ("target", words),
            ("point", pa.int64()),
            ("replicate", pa.int64()),
            *((axis, kinds[kind]) for axis, kind in axes.items()),
            ("seed", pa.int64()),
            ("case_hash", words),
            ("status", words),
            ("rigor", words),
            ("tightness", pa.float64()),
            ("log_tightness", pa.float64()),
            ("error", pa.float64()),
            ("reason", words),
            ("seconds", pa.float64()),
            ("case", words),
        ]
    )


class Store:
    """The results of one campaign on the disk, while it runs.

    Attributes:
        folder: of the campaign. plan: what is measured. done: the units whose parts are there.
    """

    def __init__(self, folder: Path, plan: Plan, version: str) -> None:
        """Create the folder, or find the parts that are already there.

        Raises:
            LemmataError: another campaign or another version of the package has written there, a part is damaged, or
                the folder cannot be written.
        """
        self.folder, self.plan = folder, plan
        self.schema = schema(plan.axes)
        parts = folder / PARTS
        try:
            head = read_head(folder) if (folder / HEAD).exists() else None
            if head is None and parts.exists() and any(parts.glob(f"{PREFIX}*")):
                raise LemmataError(
                    f"{folder} has results but no {HEAD}; restore it, or use a new folder"
                )
            if head is not None:
                _same(head, plan, version, folder)
            parts.mkdir(parents=True, exist_ok=True)
            for left in parts.glob(f"{TEMPORARY}*"):  # of a run that was killed
                left.unlink(missing_ok=True)
            if head is None:
                data = {
                    "format": FORMAT,
                    "lemmata": version,
                    "hash": plan.hash,
                    "name": plan.spec.name,
                    "identity": plan.identity,
                    "axes": {axis: kind.__name__ for axis, kind in plan.axes.items()},
                    "units": plan.units,
                    "rows": plan.rows,
                }
                _write(folder / HEAD, json.dumps(data, indent=1, allow_nan=False).encode())
        except OSError as error:
            raise _unwritable(folder, error) from error
        self.done: set[int] = set()
        for unit, path in part_files(folder):
            if unit >= plan.units:
                raise _foreign(path, f"the campaign has {plan.units} units")
            check_part(path, plan.hash, unit, self.schema, plan.rows_of(unit))
            self.done.add(unit)

    def write(self, unit: int, rows: Sequence[dict[str, Any]]) -> None:
        """Write the part of a unit.

        Raises:
            LemmataError: the disk is full or does not take it; the remedy is to run again.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        meta = {META["campaign"]: self.plan.hash.encode(), META["unit"]: str(unit).encode()}
        points: dict[int, dict[str, Any]] = {}
        for row in rows:
            if row["point"] not in points:
                points[row["point"]] = self.plan.point(row["point"])
        columns = {
            field.name: pa.array(
                [
                    points[row["point"]][field.name]
                    if field.name in self.plan.axes
                    else row[field.name]
                    for row in rows
                ],
                field.type,
            )
            for field in self.schema
        }
        table = pa.table(columns, schema=self.schema)
        meta[META["digest"]] = _digest(table.to_pylist())
        table = table.replace_schema_metadata(meta)
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        try:
            _write(part_path(self.folder, unit), sink.getvalue())
        except OSError as error:
            raise LemmataError(
                f"part {unit} cannot be written to {self.folder}: {error.strerror or error}; {len(self.done)} of "
                f"{self.plan.units} units are safe: make room, and run the same command again"
            ) from error
        self.done.add(unit)


def part_files(folder: Path) -> Iterator[tuple[int, Path]]:
    """(unit, path) of all parts, in order.

    Raises:
        LemmataError: a file that is no part.
    """
    for path in sorted((folder / PARTS).iterdir()):
        if path.name.startswith(TEMPORARY):
            continue
        digits = path.name.removeprefix(PREFIX).removesuffix(SUFFIX)
        if path.name != f"{PREFIX}{digits}{SUFFIX}" or not (digits.isascii() and digits.isdigit()):
            raise _foreign(path, "its name is none of a part")
        if path != part_path(folder, int(digits)):
            raise _foreign(path, "its name is none of a part")
        yield int(digits), path


def check_part(path: Path, campaign: str, unit: int, wanted: pa.Schema, rows: int | None) -> None:
    """Refuse a part that is truncated, of another campaign, or has other columns.

    Raises:
        LemmataError: naming the file and the remedy.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            found, count = file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged(path, error) from error
    meta = found.metadata or {}
    if meta.get(META["campaign"], b"").decode() != campaign:
        raise _foreign(path, "it belongs to another campaign")
    if meta.get(META["unit"]) != str(unit).encode():
        raise _foreign(path, "it belongs to another unit of work")
    if not found.equals(wanted):
        raise _foreign(path, "it has other columns")
    if rows is not None and count != rows:
        raise _foreign(path, f"it has {count} rows instead of {rows}")


def part_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a part, which have to be those that were written: Parquet alone does not notice every flipped byte.

    Raises:
        LemmataError: naming the file and the remedy.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            rows: list[dict[str, Any]] = file.read().to_pylist()
            meta = file.schema_arrow.metadata or {}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damaged(path, error) from error
    if meta.get(META["digest"]) != _digest(rows):
        raise damaged(path, ValueError("its rows are not those that were written"))
    return rows


def _digest(rows: Sequence[dict[str, Any]]) -> bytes:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest().encode()


def damaged(path: Path, error: Exception) -> LemmataError:
    """What to say about a part that cannot be read."""
    words = " ".join(str(error).split())
    return LemmataError(
        f"{path} is damaged ({words:.200}); delete this file and run the campaign again: it repeats this unit only"
    )


def read_head(folder: Path) -> dict[str, Any]:
    """``campaign.json``, checked.

    Raises:
        LemmataError: it is missing or no description of a campaign.
    """
    path = folder / HEAD
    try:
        if path.stat().st_size > MOST_HEAD:
            raise LemmataError(f"{path} is too large to be the description of a campaign")
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise LemmataError(
            f"{folder} has no {HEAD}: it is no folder of a campaign; make one with `lemmata campaign SPEC.toml -o DIR`"
        ) from error
    except OSError as error:
        raise LemmataError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise LemmataError(
            f"{path} is no JSON ({error}); restore it, or use a new folder"
        ) from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise LemmataError(f"{path} is no description of a campaign; use a new folder")
    kinds = {"hash": str, "lemmata": str, "identity": dict, "axes": dict, "units": int, "rows": int}
    for key, kind in kinds.items():
        if not isinstance(data.get(key), kind):
            raise LemmataError(f"{path}: {key} is missing or malformed; restore it")
    return data


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder alone; the lock ends with the process, however it ends.

    Raises:
        LemmataError: another run holds it, or the folder cannot be written.
    """
    try:
        import fcntl
    except ImportError as error:
        raise LemmataError(
            "campaigns need file locks of POSIX; run them on Linux or macOS"
        ) from error
    if folder.exists() and not folder.is_dir():
        raise LemmataError(f"{folder} is a file: name a folder for the results")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LemmataError(
                f"another run is writing to {folder}; wait until it ends, or stop it"
            ) from error
        except OSError as error:
            raise _unwritable(folder, error) from error
        yield
    finally:
        os.close(handle)


def part_path(folder: Path, unit: int) -> Path:
    """Where the part of a unit is."""
    return folder / PARTS / f"{PREFIX}{unit:08d}{SUFFIX}"


def _write(path: Path, data: Any) -> None:
    """Write bytes so that the file is there whole and for good, or not at all."""
    handle, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    # the new name is on the disk only when its folder is
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _same(head: dict[str, Any], plan: Plan, version: str, folder: Path) -> None:
    if head["hash"] != plan.hash:
        then, now = head["identity"], json.loads(json.dumps(plan.identity))
        keys = [k for k in now if then.get(k) != now[k]]
        what = "; ".join(f"{k}: {then.get(k)!s:.60} there, {now[k]!s:.60} here" for k in keys)
        raise LemmataError(
            f"{folder} holds another campaign ({what or 'another order of axes'}); use a new folder, or the SPEC of "
            "that campaign"
        )
    if head["lemmata"] != version:
        raise LemmataError(
            f"{folder} was started with lemmata {head['lemmata']}, and this is {version}; verdicts of two versions are "
            "not mixed: use that version, or a new folder"
        )


def _foreign(path: Path, why: str) -> LemmataError:
    return LemmataError(
        f"{path} is no part of this campaign: {why}; move this file elsewhere and run the campaign again"
    )


def _unwritable(folder: Path, error: OSError) -> LemmataError:
    return LemmataError(
        f"{folder} cannot be written: {error.strerror or error}; name another folder"
    )
