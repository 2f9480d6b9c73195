"""Writes the shipped data set: twelve zeros and twelve ones of scikit-learn's bundled digits.

Source: UCI Optical Recognition of Handwritten Digits (test part), E. Alpaydin and C. Kaynak, 1998,
CC BY 4.0, as 8 by 8 counts in 0..16. Rule: the first twelve samples of each of the digits 0 and 1
in file order, kept in file order; then the pixels that are constant over these samples are dropped,
because a constant feature is refused as input. No value is changed.

Usage (needs the extra ``bench``): python benchmarks/make_digits.py [OUTPUT.csv]
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

PER_CLASS = 12
DEFAULT = Path(__file__).parents[1] / "proofs_checks" / "datasets" / "digits_0_1.csv"


def rows() -> tuple[list[str], list[list[int]]]:
    """Header (kept pixels, then ``digit``) and one row of integers per sample."""
    bunch = load_digits()
    pixels = bunch.data.astype(int)
    if not np.array_equal(pixels, bunch.data):
        raise ValueError("the bundled digits are no longer integers: look at the source again")
    chosen = np.sort(
        np.concatenate([np.flatnonzero(bunch.target == c)[:PER_CLASS] for c in (0, 1)])
    )
    points, labels = pixels[chosen], bunch.target[chosen]
    kept = np.flatnonzero(np.ptp(points, axis=0) > 0)
    header = [f"p{k // 8}{k % 8}" for k in kept] + ["digit"]
    return header, [
        [*map(int, point[kept]), int(label)] for point, label in zip(points, labels, strict=True)
    ]


def main(arguments: list[str]) -> None:
    """Write the file and say what is in it."""
    target = Path(arguments[0]) if arguments else DEFAULT
    header, body = rows()
    with target.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(body)
    print(f"{target}: {len(body)} samples, {len(header) - 1} pixels")


if __name__ == "__main__":
    main(sys.argv[1:])
