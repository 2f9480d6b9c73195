"""Cases of one structure side by side: what the batched search moves, and what it holds fixed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from numerics.program_sampling import Space
from proofs_checks.conjectures.case import ConjectureCase

Array = NDArray[np.float64]


class Lanes:
    """Drawn cases of one structure as *bases*: a lane is a point for the free leaves, and the rest of one base.

    Attributes:
        space: of the free leaves. bases: the drawn cases. points: (N, P) of the bases.
    """

    def __init__(self, bases: Sequence[ConjectureCase]) -> None:
        self.bases = tuple(bases)
        leaves = self.bases[0].leaves
        free = [path for path, leaf in leaves.items() if leaf.free and leaf.size]
        self.space = Space(
            tuple(free),
            tuple(leaves[path].shape for path in free),
            tuple(leaves[path].domain for path in free),
        )
        stacked, radii = inputs_of(self.bases)
        self._held = {path: a for path, a in stacked.items() if path not in free}
        self._held_radii = {path: a for path, a in (radii or {}).items() if path not in free}
        self.points: Array = (
            self.space.flat(stacked) if free else np.zeros((len(self.bases), 0), dtype=float)
        )

    def held(self, of: NDArray[np.intp]) -> dict[str, Array]:
        """The inputs that do not move, for lanes that belong to these bases."""
        return {path: a[of] for path, a in self._held.items()}

    def inputs(self, points: Array, of: NDArray[np.intp]) -> dict[str, Array]:
        """Path -> (B, *shape), for the judge."""
        return {**self.held(of), **(self.space.arrays(points) if self.space.names else {})}

    def radii(self, of: NDArray[np.intp]) -> dict[str, Array] | None:
        """Path -> (B, *shape): how far the floats of what is held may be from its exact values."""
        return {path: a[of] for path, a in self._held_radii.items()} or None

    def case(self, point: Array, of: int) -> ConjectureCase:
        """The case of one lane, exactly."""
        base = self.bases[of]
        own = self.space.arrays(point[None]) if self.space.names else {}
        moved = {path: tuple(map(Fraction, a.ravel().tolist())) for path, a in own.items()}
        return base.moved(moved)

    def admitted(self, points: Array, of: NDArray[np.intp]) -> NDArray[np.bool_]:
        """(B,) which lanes the filters of the strategy let pass."""
        guards = [base.guard for base in self.bases]
        if not any(guards):
            return np.ones(len(points), dtype=bool)
        own = self.space.arrays(points) if self.space.names else {}
        flat = {path: a.reshape(len(points), -1) for path, a in own.items()}
        return np.array(
            [
                guard is None or guard.admits({path: a[k].tolist() for path, a in flat.items()})
                for k, guard in enumerate(guards[base] for base in of.tolist())
            ],
            dtype=bool,
        )


def inputs_of(
    cases: Sequence[ConjectureCase],
) -> tuple[dict[str, Array], dict[str, Array] | None]:
    """Inputs and radii for the judge, of cases of one structure as they are."""
    values: dict[str, Array] = {}
    radii: dict[str, Array] = {}
    for path, leaf in cases[0].leaves.items():
        exact = [x for case in cases for x in case.values[path]]
        flat = [_nearest(x) for x in exact]
        full = (len(cases), *leaf.shape)
        a = np.array(flat, dtype=float).reshape(full)
        values[path] = a
        off = [
            math.isfinite(f) and f.as_integer_ratio() != (x.numerator, x.denominator)
            for f, x in zip(flat, exact, strict=True)
        ]
        if any(off):
            radii[path] = np.where(np.array(off).reshape(full), np.spacing(np.abs(a)), 0.0)
    return values, radii or None


def _nearest(x: Fraction) -> float:
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


__all__ = ["Lanes", "inputs_of"]
