"""Networks in NPZ files: what is written is read back, and bad files are refused with a remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from proofs_checks.network_file import read_network, write_arrays, write_network
from theory.errors import LemmataError

W, V = np.array([[0.1, 2.0], [3.0, -4.0]]), np.array([1.0, -0.5])


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "net.npz"
    write_network(path, W, V)
    again_w, again_v = read_network(path)
    assert (again_w == W).all() and (again_v == V).all()
    write_arrays(path, W=W, b=None)
    with np.load(path) as data:
        assert data.files == ["W"]
    assert [p.name for p in path.parent.iterdir()] == ["net.npz"]


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"W": W}, "no arrays W and v"),
        ({"W": W, "v": V[:1]}, "give W"),
        ({"W": W[0], "v": V}, "give W"),
        ({"W": W * np.nan, "v": V}, "not finite"),
        ({"W": np.array([["a"]]), "v": V[:1]}, "is no NPZ file with numeric"),
        ({"W": np.array([[None]]), "v": V[:1]}, "is no NPZ file with numeric"),
    ],
)
def test_bad_networks(tmp_path: Path, arrays: dict[str, np.ndarray], match: str) -> None:
    path = tmp_path / "net.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(LemmataError, match=match):
        read_network(path)


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(LemmataError, match="file not found"):
        read_network(tmp_path / "none.npz")
    text = tmp_path / "text.npz"
    text.write_text("W v")
    with pytest.raises(LemmataError, match="no NPZ file"):
        read_network(text)
    single = tmp_path / "single.npy"
    np.save(single, W)
    with pytest.raises(LemmataError, match=r"no arrays W and v|no NPZ file"):
        read_network(single)
    torn = tmp_path / "torn.npz"
    write_network(torn, W, V)
    torn.write_bytes(torn.read_bytes()[:80])
    with pytest.raises(LemmataError, match="no NPZ file"):
        read_network(torn)
    with pytest.raises(LemmataError, match="no NPZ file"):
        read_network(tmp_path)
