"""Replayable samples for stochastic gradients: a counter-based generator keyed by (seed, lane).

A draw depends on the seed, the lane's own number and the iteration alone: it is the same in any batch, alone, and
after a run is resumed. (Between versions of numpy, ``Generator`` promises nothing.)
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from numerics.descent_types import Ints
from numerics.errors import NumericsError

BLOCK = 16  # iterations that one generator draws at once


@dataclass(frozen=True)
class Sampling:
    """Which rows of the data a stochastic gradient sees.

    Args:
        size: number n of data points. batch: rows per iteration, at most n without replacement.
        seed: >= 0. replace: independent uniform draws; otherwise a stream of random permutations of 0..n-1, cut into
            batches, so that every point comes once per epoch.

    Raises:
        NumericsError: sizes or a seed out of range.
    """

    size: int
    batch: int
    seed: int
    replace: bool = True
    _epochs: dict[tuple[int, int], Ints] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not all(isinstance(k, (int, np.integer)) for k in (self.size, self.batch, self.seed)):
            raise NumericsError("size, batch and seed must be whole numbers")
        if self.size < 1 or self.batch < 1:
            raise NumericsError(f"size {self.size} and batch {self.batch} must be at least 1")
        if not self.replace and self.batch > self.size:
            raise NumericsError(f"batch {self.batch} of {self.size}: use replace=True")
        if not 0 <= self.seed < 2**64:
            raise NumericsError(f"seed {self.seed}: use a whole number from 0 to 2**64 - 1")

    def _generator(self, lane: int, block: int) -> np.random.Generator:
        # One block has 2**128 numbers before it runs into the next.
        counter, key = [0, 0, block, 0], [self.seed, lane]
        bits = np.random.Philox(
            counter=np.array(counter, dtype=np.uint64), key=np.array(key, dtype=np.uint64)
        )
        return np.random.Generator(bits)

    def rows(self, lane: int, k: int) -> Ints:
        """(batch,) rows that lane number ``lane`` sees in iteration ``k``."""
        return self._with(lane, k) if self.replace else self._without(lane, k)

    def _with(self, lane: int, k: int) -> Ints:
        block = self._kept(lane, k // BLOCK, (BLOCK, self.batch))
        return block[k % BLOCK]

    def _without(self, lane: int, k: int) -> Ints:
        place = np.arange(k * self.batch, (k + 1) * self.batch)
        epochs = np.unique(place // self.size)
        rows = [self._kept(lane, int(e), None) for e in epochs]
        return np.concatenate(rows)[place - int(epochs[0]) * self.size]

    def _kept(self, lane: int, block: int, shape: tuple[int, int] | None) -> Ints:
        """Draws of one block or epoch; those before the previous one are forgotten."""
        if (lane, block) not in self._epochs:
            generator = self._generator(lane, block)
            if shape is None:
                self._epochs[lane, block] = generator.permutation(self.size)
            else:
                self._epochs[lane, block] = generator.integers(self.size, size=shape)
            self._epochs.pop((lane, block - 2), None)
        return self._epochs[lane, block]
