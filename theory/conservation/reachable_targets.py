"""What a target asks of the neurons of a two-layer ReLU network, and whether enough of them can serve."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from theory.conservation.reachable_weights import Weights

Vector = tuple[Fraction, ...]


@dataclass(frozen=True)
class Demand:
    """One neuron that a target needs, a different one for each demand.

    Attributes:
        sign: of its outer weight; None if any will do (several outputs).
        side: of its inner weight, for a single input without bias; None if any will do.
    """

    sign: int | None = None
    side: int | None = None

    @property
    def text(self) -> str:
        """``v > 0``, and the like."""
        names = {1: "> 0", -1: "< 0"}
        parts = [f"v {names[self.sign]}" if self.sign else "v of any sign"]
        return " and ".join(parts + ([f"w {names[self.side]}"] if self.side else []))


@dataclass(frozen=True)
class Reach:
    """Whether the components of the reachable set keep training from a target.

    Attributes:
        obstructed: proved: no point of the set that training can reach is the target. False is no promise.
        reason: the counts behind it.
        demands: what the target needs. assignment: per demand, a neuron that can serve it; None if obstructed.
        loud: neurons outside the assignment that cannot fall silent at any finite time.
    """

    obstructed: bool
    reason: str
    demands: tuple[Demand, ...]
    assignment: tuple[int, ...] | None
    loud: tuple[int, ...]


def match(
    demands: Sequence[Demand], order: Sequence[int], serves: Callable[[int, Demand], bool]
) -> tuple[int, ...] | None:
    """A neuron for each demand, all different (bipartite matching), or None where no choice exists.

    Args:
        order: the neurons; a demand takes the first free one that serves it.
    """
    taken: dict[int, int] = {}  # neuron -> demand
    for start in range(len(demands)):
        parent: dict[int, int] = {}  # neuron -> the demand that would take it
        queue, end = deque([start]), None
        while queue and end is None:
            demand = queue.popleft()
            for k in order:
                if k in parent or not serves(k, demands[demand]):
                    continue
                parent[k] = demand
                if k not in taken:
                    end = k
                    break
                queue.append(taken[k])
        if end is None:
            return None
        owned = {demand: k for k, demand in taken.items()}
        neuron: int | None = end
        while neuron is not None:
            demand = parent[neuron]
            taken[neuron] = demand
            neuron = owned.get(demand)
    chosen = {demand: k for k, demand in taken.items()}
    return tuple(chosen[i] for i in range(len(demands)))


def demands_of(target: Weights, *, bias: bool) -> tuple[Demand, ...]:
    """Neurons that every two-layer network computing the target's function on R^d needs.

    relu(⟨w, x⟩ + b) has one kink, of strength ‖w‖, on the hyperplane ⟨w, x⟩ + b = 0. Kinks add up over the neurons of a
    hyperplane, so a hyperplane where the target's total Σ v ‖w‖ is positive needs a neuron with v > 0, one where it is
    negative needs one with v < 0, and different hyperplanes need different neurons. If all totals have one sign, the
    function may still need a neuron of the other: a value of that sign is looked for at finitely many points, and at
    infinity in finitely many directions. All of this is necessary; that it suffices is not claimed.

    For one input without bias the hyperplane is {0}, and the values at 1 and -1 each need a neuron of their sign whose
    w points to their side.

    Args:
        bias: the trained network has hidden biases.
    """
    if target.d == 1 and not bias:
        sides = [(side, _value(target, (Fraction(side),))) for side in (1, -1)]
        return tuple(
            Demand(_sign(value[0]) if target.m == 1 else None, side)
            for side, value in sides
            if any(value)
        )
    kinks = _kinks(target)
    signs = [_sign(total[0]) if target.m == 1 else None for total in kinks.values() if any(total)]
    slope, constant = _affine(target)
    if target.m > 1:
        # Without a kink in total, a function that is not constant needs two neurons on one hyperplane.
        flat = 2 if any(map(any, slope)) else int(any(constant))
        return (Demand(),) * (len(signs) or flat)
    directions = [tuple(s * x for x in w) for w in (*target.W, slope[0]) for s in (1, -1)]
    values = {_sign(_value(target, x)[0]) for x in (*directions, (Fraction(0),) * target.d)}
    values |= {_sign(_value(replace(target, b=None), x)[0]) for x in directions}
    signs += [s for s in (1, -1) if s in values and s not in signs]
    return tuple(Demand(s) for s in signs)


def _kinks(target: Weights) -> dict[Vector, Vector]:
    """Total strength (m,) on each hyperplane, in units of ‖r‖ with r the key, (w, b) / its first nonzero entry."""
    totals: dict[Vector, Vector] = {}
    for w, b, v in _neurons(target):
        scale = next((x for x in w if x != 0), None)
        if scale is not None:
            key = tuple(x / scale for x in (*w, b))
            old = totals.get(key, (Fraction(0),) * target.m)
            totals[key] = tuple(t + abs(scale) * x for t, x in zip(old, v, strict=True))
    return totals


def _affine(target: Weights) -> tuple[tuple[Vector, ...], Vector]:
    """Slope (m, d) and constant (m,) of what remains without Σ total · relu(⟨r, x⟩): relu(-z) = relu(z) - z."""
    slope = [[Fraction(0)] * target.d for _ in range(target.m)]
    constant = [Fraction(0)] * target.m
    for w, b, v in _neurons(target):
        scale = next((x for x in w if x != 0), None)
        for o, x in enumerate(v):
            if scale is None:
                constant[o] += x * max(b, Fraction(0))
            elif scale < 0:
                constant[o] += x * b
                slope[o] = [s + x * c for s, c in zip(slope[o], w, strict=True)]
    return tuple(map(tuple, slope)), tuple(constant)


def _neurons(target: Weights) -> list[tuple[Vector, Fraction, Vector]]:
    biases = target.b or (Fraction(0),) * target.h
    return list(zip(target.W, biases, target.V, strict=True))


def _value(target: Weights, x: Vector) -> Vector:
    """(m,) the target's outputs at x, exactly."""
    total = [Fraction(0)] * target.m
    for w, b, v in _neurons(target):
        z = sum((a * c for a, c in zip(w, x, strict=True)), b)
        if z > 0:
            total = [t + z * a for t, a in zip(total, v, strict=True)]
    return tuple(total)


def _sign(x: Fraction) -> int:
    return (x > 0) - (x < 0)
