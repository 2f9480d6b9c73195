"""Case sets of the topic linear-networks: linear networks, and ReLU networks that start unbalanced.

Drawn from one seed with `numpy.random.Generator` (PCG64), so a set is the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import numerics
from numerics.evaluate import freeze
from proofs_checks.batch import Batch
from proofs_checks.case import LOSSES, Case
from proofs_checks.claims.linear_networks import require_small
from proofs_checks.claims.trajectory import TrajectoryClaim
from proofs_checks.data import Dataset
from proofs_checks.linear_case import LinearCase
from theory.errors import LemmataError
from theory.linear_networks import MOVED, NEURON_HORIZON

Float = NDArray[np.float64]
LINEAR_CASES = 48  # twice every shape with every kind of start, in part
NEURON_CASES = 64
HIDDEN = 3  # hidden units on a user's data
NEURONS = 6
ATTEMPTS, LARGER = (
    32,
    8,
)  # draws of a network until it reaches its horizon, from the latter on with a larger ε
SHARP = 1e-11  # relative error bound of the weights that leaves the statement decided
# (n, h, m): h smaller and larger than n and m, one unit, one input, one output, over-parametrised
SHAPES = (
    (2, 2, 2),
    (4, 2, 3),
    (2, 5, 3),
    (3, 1, 4),
    (1, 3, 1),
    (4, 3, 1),
    (2, 6, 2),
    (3, 4, 3),
)
KINDS = (
    "generic",
    "balanced",
    "unbalanced",
    "rank one",
    "tiny",
    "huge",
    "zero layer",
    "zero unit",
    "degenerate data",
)
# of the length of time in which the fastest direction grows by the factor e
DURATION = 4.0


def linear(*, count: int = LINEAR_CASES, seed: int = 0) -> list[LinearCase]:
    """``count`` linear networks: the shapes in turn with the kinds of start."""
    _check(count)
    return [numbered(index, seed=seed) for index in range(count)]


def numbered(index: int, *, seed: int = 0) -> LinearCase:
    """The linear network with this number in the set of a seed."""
    (n, h, m), kind = SHAPES[index % len(SHAPES)], KINDS[index % len(KINDS)]
    rng = np.random.default_rng([seed, 5, index])
    s = max(n, m) + 1
    A, B = rng.standard_normal((s, n)) / math.sqrt(s), rng.standard_normal((s, m))
    W1, W2 = rng.standard_normal((n, h)) / math.sqrt(h), rng.standard_normal((h, m)) / math.sqrt(h)
    if kind == "balanced":
        # W1 = U C and W2 = Cᵀ Vᵀ with orthonormal columns of U, V: W1ᵀW1 = W2W2ᵀ up to rounding
        k = min(n, h, m)
        U, V = (np.linalg.qr(rng.standard_normal((size, k)))[0] for size in (n, m))
        C = rng.standard_normal((k, h))
        W1, W2 = U @ C, C.T @ V.T
    elif kind == "unbalanced":
        W1, W2 = 8.0 * W1, W2 / 8.0
    elif kind == "rank one":
        W1 = np.outer(W1[:, 0], rng.standard_normal(h))
    elif kind == "tiny":
        W1, W2 = 1e-8 * W1, 1e-8 * W2
    elif kind == "huge":
        W1, W2 = 1e4 * W1, 1e4 * W2
    elif kind == "zero layer":
        W1 = np.zeros_like(W1)
    elif kind == "zero unit":
        W1[:, 0] = 0.0
        if h > 1:  # otherwise the whole network would be zero
            W2[0] = 0.0
    elif kind == "degenerate data":
        A = np.outer(A[:, 0], np.ones(n))
    return timed(A, B, W1, W2, name=f"{kind} {n}×{h}×{m}", seed=seed)


def timed(A: Float, B: Float, W1: Float, W2: Float, *, name: str, seed: int) -> LinearCase:
    """A case whose horizon and step size fit the speed of its flow.

    The rate ‖∇‖ + ‖M‖ (‖W1‖² + ‖W2‖²) bounds how fast the weights move relative to their size; a small start needs
    longer to reach the size of the data.
    """
    case = LinearCase.create(A, B, W1=W1, W2=W2, eta=1.0, name=name, seed=seed)
    M, N = case.quadratic
    size = float(np.sum(case.W1**2) + np.sum(case.W2**2))
    curvature, force = float(np.linalg.norm(M, 2)), float(np.linalg.norm(N, 2))
    rate = force + curvature * size + float(np.linalg.norm(M @ case.W1 @ case.W2, 2))
    wait = math.log1p(force / (curvature * size))
    return case.replace(horizon=(DURATION + 0.5 * wait) / rate, eta=0.25 / rate)


def require_flow(dataset: Dataset) -> None:
    """Refuse a data set on which the gradient flow of `linear_on` is too large.

    Raises:
        LemmataError: it has too many columns; the message says what to do.
    """
    require_small(dataset.d, HIDDEN, 1)


def linear_on(dataset: Dataset, *, count: int, seed: int = 0) -> list[LinearCase]:
    """Linear networks with one output on a data set: its points are the inputs, its labels ±1 the targets."""
    _check(count)
    out = []
    d = dataset.d
    for index in range(count):
        rng = np.random.default_rng([seed, 6, index])
        scale = 10.0 ** rng.uniform(-3.0, 0.0)
        W1 = scale * rng.standard_normal((d, HIDDEN)) / math.sqrt(d)
        W2 = scale * rng.standard_normal((HIDDEN, 1))
        out.append(timed(dataset.X, dataset.y[:, None], W1, W2, name=dataset.name, seed=seed))
    return out


def neurons(
    datasets: Sequence[tuple[Float, Float, str]],
    *,
    count: int = NEURON_CASES,
    seed: int = 0,
    h: int = NEURONS,
) -> list[Case]:
    """ReLU networks on data sets (X, y, name): every loss in turn, three of four starts unbalanced.

    Outer weights of an unbalanced start are drawn by themselves, as large as the norms of the inner ones, 8 times
    smaller or 8 times larger. ε is drawn from 10⁻³ to 1, and from 10⁻⁶⁰ to 10⁻³ in every seventh network.

    Solutions with σ'(0) = 0 may end in finite time because kinks face each other (sliding), and a kink that is hardly
    crossed costs the error bound; without active neurons nothing moves. A trial run finds which networks move and reach
    their horizon with an error bound; the others are drawn again, up to ATTEMPTS times in all, with fewer and fewer
    neurons and at last with a larger ε.
    """
    _check(count)
    chosen = [
        _neurons(index, 0, datasets[index % len(datasets)], seed, h) for index in range(count)
    ]
    open_cases = list(range(count))
    for attempt in range(1, ATTEMPTS):
        good = _reach_their_horizon([chosen[index] for index in open_cases])
        open_cases = [index for index, ok in zip(open_cases, good, strict=True) if not ok]
        for index in open_cases:
            chosen[index] = _neurons(
                index, attempt, datasets[index % len(datasets)], seed, max(1, h - attempt // 2)
            )
    return chosen


def _neurons(
    index: int, attempt: int, dataset: tuple[Float, Float, str], seed: int, h: int
) -> Case:
    X, y, name = dataset
    rng = np.random.default_rng([seed, 7, index, attempt])
    W0 = rng.standard_normal((h, X.shape[1])) / math.sqrt(X.shape[1])
    if not (X @ W0.T > 0).any():  # no neuron is active, and nothing would move
        W0 = -W0
    outer = rng.standard_normal(h)
    which = (index // len(LOSSES)) % 4
    low, high = (-60.0, -3.0) if index % 7 == 6 else (-3.0, 0.0)
    if attempt >= LARGER:  # large starts have short horizons
        low, high = -1.0, 0.5
    start: dict[str, Any] = (
        {"signs": np.where(outer > 0, 1.0, -1.0)}
        if which == 0
        else {"v0": outer * (1.0, 0.125, 8.0)[which - 1]}
    )
    return Case.create(
        X,
        y,
        W0=W0,
        log10_eps=float(rng.uniform(low, high)),
        loss=LOSSES[index % len(LOSSES)],
        name=name,
        seed=seed,
        **start,
    )


def _reach_their_horizon(cases: Sequence[Case]) -> list[bool]:
    """For each network whether it gets there with a sharp error bound, and has moved by then."""
    groups: dict[object, list[int]] = {}
    for index, case in enumerate(cases):
        groups.setdefault(case.group(), []).append(index)
    good = [False] * len(cases)
    horizon = freeze(NEURON_HORIZON.to_data())
    for members in groups.values():
        batch = Batch(tuple(cases[index] for index in members))
        until, _ = TrajectoryClaim(batch, ()).lane_value(horizon)
        with np.errstate(all="ignore"):
            end = numerics.integrate(batch.problem(), until=until)
            size = np.sqrt(np.sum(end.W**2, axis=2) + end.V**2)
            sharp = (end.radius <= SHARP * size).all(axis=1)
            squares = np.ldexp(end.V, end.exponent) ** 2
            before = np.stack([cases[index].v0 for index in members]) ** 2
            moved = np.abs(squares - before) / (np.sum(batch.W0**2, axis=2) + squares)
            moves = moved.max(axis=1) > float(MOVED)
        for index, ok in zip(members, end.ok & sharp & moves, strict=True):
            good[index] = bool(ok)
    return good


def _check(count: int) -> None:
    if count < 1:
        raise LemmataError(f"count = {count}: at least one case is needed")
