"""Output that appears complete or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from theory.errors import LemmataError

FIGURES = (".pdf", ".png", ".svg")


@contextmanager
def staged_directory(target: Path | None, *, stale: Sequence[str] = ()) -> Iterator[Path | None]:
    """A temporary directory whose files move to ``target`` when the block ends without an error.

    It lies on the same file system, so every file appears in one step. Files of the same names in
    an existing ``target`` are replaced and all others are kept, but for those named ``stale``: what an earlier run of
    the same command left there would be taken for this one's. Without a target, yields None.

    Raises LemmataError before the block runs if ``target`` is a file or cannot be written.
    """
    if target is None:
        yield None
        return
    if target.exists() and not target.is_dir():
        raise LemmataError(f"{target} is a file: name a folder for the output")
    place = target.absolute() if target.exists() else target.absolute().parent
    while not place.exists():
        place = place.parent
    try:
        staging = Path(tempfile.mkdtemp(prefix=".lemmata-", dir=place))
    except OSError as error:
        raise LemmataError(
            f"cannot write to {target}: {error.strerror}: name another folder for the output"
        ) from None
    try:
        yield staging
        _publish(staging, target, stale)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _publish(staging: Path, target: Path, stale: Sequence[str]) -> None:
    for folder, folders, files in os.walk(staging):
        for kind, names in (("folder", files), ("file", folders)):
            for place in (target / Path(folder).relative_to(staging) / name for name in names):
                if place.is_dir() if kind == "folder" else place.is_file():
                    raise LemmataError(
                        f"cannot write to {target}: {place} is a {kind}: remove it, or name another folder for the "
                        "output"
                    )
    try:
        for name in stale:
            if not (staging / name).exists():
                (target / name).unlink(missing_ok=True)
        for folder, _, files in os.walk(staging):
            destination = target / Path(folder).relative_to(staging)
            destination.mkdir(parents=True, exist_ok=True)
            for name in files:
                os.replace(Path(folder) / name, destination / name)
    except OSError as error:
        raise LemmataError(
            f"cannot write to {target}: {error.strerror}: name another folder for the output"
        ) from None


def figure_path(target: Path | None) -> Path | None:
    """``target`` if a figure can be written there, refused early otherwise.

    Raises LemmataError for a folder, an unknown kind of file, or a folder that does not exist.
    """
    if target is None:
        return None
    if target.is_dir():
        raise LemmataError(f"{target} is a folder: name a file such as {target / 'profile.png'}")
    if target.suffix.lower() not in FIGURES:
        raise LemmataError(f"{target} is no kind of figure: end its name in {', '.join(FIGURES)}")
    if not target.absolute().parent.is_dir():
        raise LemmataError(f"the folder of {target} does not exist: create it first")
    return target
