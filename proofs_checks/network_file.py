"""Two-layer networks in NPZ files: W (m, d), one row per neuron, and v (m,), the output weights."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proofs_checks.files import replace_with
from theory.errors import LemmataError

Float = NDArray[np.float64]


def read_network(path: str | Path) -> tuple[Float, Float]:
    """W and v of a file.

    Raises:
        LemmataError: missing or unreadable file, other arrays, shapes that do not fit, entries that are not finite.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            if not isinstance(data, np.lib.npyio.NpzFile) or not {"W", "v"} <= set(data.files):
                raise LemmataError(
                    f"{path} has no arrays W and v: save it with numpy.savez(W=, v=)"
                )
            W, v = (np.asarray(data[k], dtype=np.float64) for k in ("W", "v"))
    except LemmataError:
        raise
    except FileNotFoundError:
        raise LemmataError(f"file not found: {path}: name an NPZ file with W and v") from None
    except (OSError, ValueError, TypeError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise LemmataError(
            f"{path} is no NPZ file with numeric arrays W and v ({error!s:.80}): save it with numpy.savez(W=, v=)"
        ) from None
    if W.ndim != 2 or v.shape != W.shape[:1]:
        raise LemmataError(
            f"{path}: W has shape {W.shape} and v {v.shape}: give W (m, d), a row per neuron, and v (m,)"
        )
    if not (np.isfinite(W).all() and np.isfinite(v).all()):
        raise LemmataError(f"{path}: a weight is not finite: train or save the network again")
    return W, v


def write_network(path: Path, W: ArrayLike, v: ArrayLike) -> None:
    """Write W and v, whole or not at all."""
    write_arrays(path, W=W, v=v)


def write_arrays(path: Path, **arrays: ArrayLike | None) -> None:
    """Write named arrays as NPZ, whole or not at all; None is left out."""
    given = {k: np.asarray(a, dtype=np.float64) for k, a in arrays.items() if a is not None}

    def fill(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez(file, **given)  # type: ignore[arg-type]

    replace_with(path, fill)
