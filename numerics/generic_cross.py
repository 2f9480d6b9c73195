"""What happens where a switch function vanishes: cross, slide, or not decided.

With K switches that vanish together (within the error), the field is looked at in all 2^K patterns.
They are crossed when the speed of each has one sign in all of these patterns: then the order does
not matter. The error is multiplied by the norm of the saltation matrix
I + (F_after - F_before) grad(g)^T / <grad(g), F_before> of each crossing (Leine and Nijmeijer,
"Dynamics and Bifurcations of Non-Smooth Mechanical Systems", 2004, section 7.4), with a second-order
term. Otherwise the trajectory stops: no consistent pattern is a sliding mode, several are a
solution that is not unique.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.generic_field import Fields, host, norms
from numerics.problem import FlowStatus

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

MOST_TOGETHER = 6


@dataclass(frozen=True)
class Place:
    """A lane at a moment when switches vanish.

    Args:
        y: (N,) state. pattern: (S,) before. together: indices of the switches that vanish.
        value: their values. floor: bounds on the errors of these, not 0. radius: error of y.
        stiffness, force: |H| and |F| on the step before.
    """

    y: Tensor
    pattern: Tensor
    together: tuple[int, ...]
    value: Array
    floor: Array
    radius: float
    stiffness: float
    force: float


@dataclass(frozen=True)
class Flip:
    """One switch that changes its sign; as ``SwitchEvent``."""

    switch: int
    active: bool
    speed_before: float
    speed_after: float
    t_error: float


@dataclass(frozen=True)
class Outcome:
    """The pattern (S,) after the moment with the new radius, or the status that ends the lane."""

    pattern: Tensor
    radius: float
    flips: tuple[Flip, ...] = ()
    status: FlowStatus | None = None
    reason: str = ""


def cross(fields: Fields, places: list[Place]) -> list[Outcome]:
    """Decide all places, with one batched evaluation of the field."""
    done: dict[int, Outcome] = {}
    rows: list[tuple[int, Tensor]] = []
    for p, place in enumerate(places):
        count = len(place.together)
        if count > MOST_TOGETHER:
            text = f"{count} switches vanish together; perturb the start"
            done[p] = Outcome(place.pattern, place.radius, (), FlowStatus.grazing, text)
            continue
        for bits in product((False, True), repeat=count):
            pattern = place.pattern.clone()
            pattern[list(place.together)] = torch.tensor(bits, dtype=torch.bool).to(pattern.device)
            rows.append((p, pattern))
    if rows:
        y = torch.stack([places[p].y for p, _ in rows])
        patterns = torch.stack([pattern for _, pattern in rows])
        slopes = fields.slope(y, patterns)
        speeds = fields.speed(y, patterns, slopes)
        first = 0
        for p, place in enumerate(places):
            if p in done:
                continue
            last = first + 2 ** len(place.together)
            chosen = list(place.together)
            done[p] = _decide(
                fields,
                place,
                host(slopes[first:last]),
                host(speeds[first:last][:, chosen]),
            )
            first = last
    return [done[p] for p in range(len(places))]


def _decide(fields: Fields, place: Place, slopes: Array, speeds: Array) -> Outcome:
    """One place, given the field (2^K, N) and the speeds (2^K, K) in all patterns."""
    count = len(place.together)
    bits = np.array(list(product((False, True), repeat=count)))
    names = ", ".join(map(str, place.together))
    if not np.isfinite(speeds).all():
        text = f"the field is not finite where the switches {names} vanish"
        return Outcome(place.pattern, place.radius, (), FlowStatus.diverged, text)
    slowest = np.abs(speeds).min(axis=0)
    steep = _norms(fields, place)
    with np.errstate(all="ignore"):
        late = place.floor / slowest  # how far apart in time crossings may be
        wobble = 2.0 * steep * place.stiffness * (place.radius + late * place.force)
    if not (np.isfinite(late).all() and (slowest > wobble).all()):
        text = f"the switches {names} vanish with a speed that is 0 within its error"
        return Outcome(place.pattern, place.radius, (), FlowStatus.grazing, text)
    consistent = ((speeds > 0) == bits).all(axis=1)
    if not ((speeds > 0) == (speeds[:1] > 0)).all():
        if not consistent.any():
            text = f"all patterns of the switches {names} push back: no solution without sliding"
            return Outcome(place.pattern, place.radius, (), FlowStatus.sliding, text)
        if consistent.sum() > 1:
            text = f"several patterns of the switches {names} continue the trajectory"
            return Outcome(place.pattern, place.radius, (), FlowStatus.nonunique, text)
        text = f"the outcome depends on the order in which the switches {names} vanish"
        return Outcome(place.pattern, place.radius, (), FlowStatus.grazing, text)
    return _crossed(place, bits, slopes, speeds, steep, late)


def _crossed(
    place: Place, bits: Bools, slopes: Array, speeds: Array, steep: Array, late: Array
) -> Outcome:
    """Flip the switches one after the other."""
    chosen = list(place.together)
    before = place.pattern[chosen].cpu().numpy()
    target = speeds[0] > 0
    radius, current = place.radius, before.copy()
    flips = []
    for k, switch in enumerate(chosen):
        if target[k] == current[k]:
            continue
        row = _row(bits, current)
        current[k] = target[k]
        after = _row(bits, current)
        change = float(np.linalg.norm(slopes[after] - slopes[row]))
        factor = saltation(change, steep[k], speeds[row, k], speeds[after, k])
        speed = min(abs(speeds[row, k]), abs(speeds[after, k]))
        # On each side of the kink the field changes while the crossing time is uncertain.
        second = late[k] * place.stiffness * (1.0 + steep[k] * place.force / speed)
        radius = radius * factor * (1.0 + 2.0 * second) + change * abs(place.value[k]) / speed
        flips.append(
            Flip(switch, bool(target[k]), speeds[row, k], speeds[after, k], float(late[k]))
        )
    if len(chosen) > 1 and flips:
        jump = max(float(np.linalg.norm(a - b)) for a in slopes for b in slopes)
        radius += jump * float(late.max())
    pattern = place.pattern.clone()
    pattern[chosen] = torch.as_tensor(target, device=pattern.device)
    return Outcome(pattern, radius, tuple(flips))


def _row(bits: Bools, pattern: Bools) -> int:
    return int(np.flatnonzero((bits == pattern).all(axis=1))[0])


def _norms(fields: Fields, place: Place) -> Array:
    """(K,) norms of the gradients of the switches that vanish."""
    count = len(place.together)
    gradients = fields.switch_gradients(
        place.y.expand(count, -1),
        place.pattern.expand(count, -1),
        torch.as_tensor(place.together, device=place.y.device),
    )
    return norms(gradients)


def saltation(change: float, steep: float, before: float, after: float) -> float:
    """Spectral norm of I + (F_after - F_before) grad(g)^T / before.

    Args:
        change: |F_after - F_before|. steep: |grad(g)|. before, after: the speeds of g.
    """
    # With u v^T the perturbation, the singular values other than 1 have the product |1 + u.v| and
    # the sum of squares 2 + 2 u.v + |u|^2 |v|^2.
    size = change * steep / abs(before)
    along = (after - before) / before
    squares, twice = 2.0 + 2.0 * along + size * size, 2.0 * abs(1.0 + along)
    return max(
        1.0, 0.5 * (math.sqrt(max(squares + twice, 0.0)) + math.sqrt(max(squares - twice, 0.0)))
    )
