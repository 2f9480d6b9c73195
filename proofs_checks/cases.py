"""Case sets: data, initialisations and scales on which statements are checked.

Everything is drawn from one seed with `numpy.random.Generator` (PCG64), so a set is the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

import numerics
from proofs_checks import linear_cases
from proofs_checks.batch import Batch
from proofs_checks.case import Case
from proofs_checks.claims.early_alignment import EarlyAlignmentClaim
from proofs_checks.data import Dataset, shipped
from proofs_checks.measure import AnyCase
from proofs_checks.static_models import MODELS, no_data
from theory.early_alignment import ALIGNMENT_TIME, T_DEFINITION
from theory.errors import LemmataError
from theory.linear_networks import IMBALANCE_FLOW, IMBALANCE_FLOW_RELU
from theory.statement import Statement

Float = NDArray[np.float64]
NEURONS = 8
POOL = 8  # the trial of neurons on data that are not separable has 4 h POOL of them
LOSSES = ("exponential", "logistic2")
DEFAULT_CASES = 384  # 64 initialisations × 3 data sets × both losses
DATA_CASES = 128  # 64 initialisations × both losses on the user's data


def orthogonally_separable(
    *, n: int, d: int, seed: int, spread: float = 1.0
) -> tuple[Float, Float]:
    """Points with μ > 0: x_i = y_i z_i with z_i in the positive orthant, ‖z_i‖ in [1/2, 1].

    Args:
        n: number of points, at least 2. d: dimension. spread: in (0, 1]; smaller values put the points closer together,
            so that μ is larger.

    Returns:
        X (n, d) and y (n,) with alternating labels.
    """
    if n < 2 or d < 1 or not 0 < spread <= 1:
        raise LemmataError(
            f"n = {n}, d = {d}, spread = {spread}: need n >= 2, d >= 1 and 0 < spread <= 1"
        )
    rng = np.random.default_rng([seed, n, d])
    z = (1.0 - spread) + spread * np.abs(rng.standard_normal((n, d)))
    z *= (rng.uniform(0.5, 1.0, n) / np.linalg.norm(z, axis=1))[:, None]
    y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    return y[:, None] * z, y


def initialisation(*, h: int, d: int, seed: int | Sequence[int]) -> tuple[Float, Float]:
    """(W0, signs): w_{j0} ~ N(0, I/d) and signs that alternate, so that both occur."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((h, d)) / math.sqrt(d), np.where(np.arange(h) % 2 == 0, 1.0, -1.0)


def alignment_scale(case: Case, *, slack: float = 1.2) -> Case:
    """The same case with ε so small that the window T of the norm bound is ``slack`` times t_c.

    Typical results are log₁₀ ε = -118 (n = 4) to -768 (n = 20); ε is never enlarged.

    Raises:
        LemmataError: the data are not μ-orthogonally separable, so there is no t_c.
    """
    names = ALIGNMENT_TIME.bindings()
    claim = EarlyAlignmentClaim(Batch((case,)), ())
    mu, _ = claim.lane_value(["var", "mu"])
    if not mu[0] > 0:
        raise LemmataError(f"no alignment time: {claim.explain('', 0)}; use data with mu > 0")
    t_c, _ = claim.lane_value(names["t_c"].to_data())
    rate, _ = claim.lane_value(
        ALIGNMENT_TIME.expand(T_DEFINITION.value.args[1]).to_data()
    )  # c_T n X_max
    log_eps = -slack * float(t_c[0] * rate[0]) - 0.5 * math.log(case.h)
    return case.replace(log10_eps=min(log_eps, case.log_eps) / math.log(10.0))


def on(
    X: ArrayLike,
    y: ArrayLike,
    *,
    count: int = DATA_CASES,
    seed: int = 0,
    h: int = NEURONS,
    losses: Sequence[str] = LOSSES,
    name: str = "data",
) -> list[Case]:
    """``count`` cases on one data set: initialisations in turn with every loss.

    The window T of the norm bound is log(1/(√h ε)) / (4 n X_max); log(1/(√h ε)) is drawn uniformly from [1/4, 8] and
    the initial directions are scaled so that ε ≤ 1/(4 √h X_max W_max²) holds with a factor drawn from [1, 100]. Where
    the data are μ-orthogonally separable, every second initialisation has instead the scale at which alignment is
    decidable.

    Where they are not, solutions with σ'(0) = 0 may end in finite time because kinks face each other (sliding). In the
    early phase the neurons move as they do for ε → 0, each by itself; a trial run finds how long each exists, networks
    are put together from neurons that exist long enough, and ε is enlarged where there are not enough of them.
    """
    if count < 1 or h < 1:
        raise LemmataError(f"count = {count}, h = {h}: both must be at least 1")
    points, labels = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
    X_max = float(np.linalg.norm(points, axis=1).max())
    if X_max == 0:
        raise LemmataError("all points are zero; drop them")
    networks = -(-count // len(losses))
    rng = np.random.default_rng([seed, 1])
    lengths = rng.uniform(0.25, 8.0, networks)
    factors = 10.0 ** -rng.uniform(0.0, 2.0, networks)
    separable = _separable(points, labels)
    if separable:
        starts = [
            initialisation(h=h, d=points.shape[1], seed=[seed, which]) for which in range(networks)
        ]
    else:
        starts, lengths = _existing(points, labels, lengths, h, seed)
    out = []
    for index in range(count):
        which, loss = divmod(index, len(losses))
        W0, signs = starts[which]
        log_eps = -float(lengths[which]) - 0.5 * math.log(h)
        largest = 1.0 / (4.0 * math.exp(log_eps) * math.sqrt(h) * X_max)  # of W_max²
        W0 = W0 * math.sqrt(factors[which] * largest) / np.linalg.norm(W0, axis=1).max()
        case = Case.create(
            points,
            labels,
            W0=W0,
            signs=signs,
            log10_eps=log_eps / math.log(10.0),
            loss=losses[loss],
            name=name,
            seed=seed,
        )
        out.append(alignment_scale(case) if separable and which % 2 == 1 else case)
    return out


def _existing(
    X: Float, y: Float, lengths: Float, h: int, seed: int
) -> tuple[list[tuple[Float, Float]], Float]:
    """Networks whose neurons exist, in the limit ε → 0, for the length of the phase; see `on`.

    Returns:
        (W0, signs) and the length log(1/(√h ε)) of each network, shortened where too few neurons exist for the wanted
        one. The longest stated phase is log(1/ε) / (4 n X_max); three tenths of the time are kept as a margin.
    """
    pool_W, pool_s = initialisation(h=4 * h * POOL, d=X.shape[1], seed=[seed, 2])
    rate = 4.0 * X.shape[0] * float(np.linalg.norm(X, axis=1).max())
    extra = 0.5 * math.log(h)
    trial = Batch(
        tuple(
            Case.create(X, y, W0=[w], signs=[s], log10_eps=-150.0)
            for w, s in zip(pool_W, pool_s, strict=True)
        )
    )
    result = numerics.integrate(trial.problem(), until=(float(lengths.max()) + extra) / rate / 0.7)
    exists = np.where(result.ok, np.inf, 0.7 * rate * result.t) - extra
    rng = np.random.default_rng([seed, 4])
    starts, chosen_lengths = [], []
    for length in lengths:
        order = rng.permutation(exists.size)
        fit = order[exists[order] >= length]
        if fit.size < h:
            fit = np.argsort(-exists, kind="stable")[:h]
            length = max(float(exists[fit].min()), 0.05)
        starts.append((pool_W[fit[:h]], pool_s[fit[:h]]))
        chosen_lengths.append(float(length))
    return starts, np.array(chosen_lengths)


def _separable(X: Float, y: Float) -> bool:
    Z = X * y[:, None]
    return bool(np.isin(y, (-1.0, 1.0)).all() and len(set(y)) == 2 and (Z @ Z.T).min() > 0)


def on_dataset(
    dataset: Dataset, *, count: int = DATA_CASES, seed: int = 0, h: int = NEURONS
) -> list[Case]:
    """Cases on a loaded data set; see `on`."""
    return on(dataset.X, dataset.y, count=count, seed=seed, h=h, name=dataset.name)


def default(*, count: int = DEFAULT_CASES, seed: int = 0) -> list[Case]:
    """The default case set, ``count`` cases spread evenly over three data sets and both losses.

    The data sets are two synthetic μ-orthogonally separable ones (n = 4, d = 2 and n = 8, d = 5) and the shipped digits
    (not separable), with their rows normalised.
    """
    if count < 1:
        raise LemmataError(f"count = {count}: at least one case is needed")
    sets = _default_sets(seed)
    shares = [count // 3 + (1 if k < count % 3 else 0) for k in range(3)]
    return [
        c
        for (X, y, name), share in zip(sets, shares, strict=True)
        if share
        for c in on(X, y, count=share, seed=seed, name=name)
    ]


def _default_sets(seed: int) -> list[tuple[Float, Float, str]]:
    """(X, y, name) of the default case sets."""
    digits = shipped()
    return [
        (*orthogonally_separable(n=4, d=2, seed=seed, spread=0.6), "separable n=4 d=2"),
        (*orthogonally_separable(n=8, d=5, seed=seed, spread=0.6), "separable n=8 d=5"),
        (digits.X / np.linalg.norm(digits.X, axis=1, keepdims=True), digits.y, digits.name),
    ]


def three_points(*, eps: float = 1e-3, h: int = 20, seed: int = 0) -> Case:
    """The three-point example of Boursier & Flammarion with a hidden bias (a last coordinate equal to 1).

    x = (-3/4, -1/2, 1/8), y = (1.1, 0.1, 0.8), loss (1/n) Σ (f - y)². Training from a small balanced initialisation
    stops at the least-squares line, mean squared error 512/2925, although a network with zero loss exists.

    Source: "Early alignment in two-layer networks training is a two-edged sword" (2024), Section 5.
    """
    W0, signs = initialisation(h=h, d=2, seed=[seed, 3])
    x = np.array([-0.75, -0.5, 0.125])
    return Case.create(
        np.stack([x, np.ones(3)], axis=1),
        [1.1, 0.1, 0.8],
        W0=W0,
        signs=signs,
        eps=eps,
        loss="squared",
        reduction="mean",
        name="three points",
        seed=seed,
    )


# -- what the command line uses -----------------------------------------------------------------------------------
NETWORKS, NEURONS_ALONE, LINEAR = "two-layer-relu", "neurons", "linear"  # kinds of case sets
_DEFAULT = {
    NETWORKS: DEFAULT_CASES,
    NEURONS_ALONE: linear_cases.NEURON_CASES,
    LINEAR: linear_cases.LINEAR_CASES,
}


def groups(statements: Sequence[Statement]) -> dict[str, list[int]]:
    """Positions of the statements that share a set of cases, by the kind of the set.

    The kind follows the model of a statement; statements about single ReLU neurons have a set with unbalanced starts.

    Raises:
        LemmataError: there is no case set for a model.
    """
    out: dict[str, list[int]] = {}
    for position, s in enumerate(statements):
        kind = NEURONS_ALONE if s.claim == IMBALANCE_FLOW_RELU.claim else s.setting.model
        if kind not in _DEFAULT and kind not in MODELS:
            raise LemmataError(
                f"{s.id} speaks of the model {kind!r}, for which there are no default cases; it has to be one of "
                f"{', '.join((NETWORKS, LINEAR, *MODELS))}, or give cases to lemmata.check"
            )
        out.setdefault(kind, []).append(position)
    return out


def group_size(kind: str, dataset: Dataset | None, count: int | None) -> int:
    """How many cases a group of statements has."""
    default = MODELS[kind].count if kind in MODELS else _DEFAULT[kind]
    return count or (default if dataset is None else min(default, DATA_CASES))


def for_group(
    kind: str,
    statements: Sequence[Statement],
    dataset: Dataset | None,
    *,
    count: int | None = None,
    seed: int = 0,
) -> Sequence[AnyCase]:
    """The cases of a group of statements: on the user's data, or the default set of its kind.

    Raises:
        LemmataError: the data are too large for one of the statements, or its model has no use for them.
    """
    size = group_size(kind, dataset, count)
    if kind in MODELS:
        if dataset is not None:
            raise no_data(kind)
        return MODELS[kind].default(count=size, seed=seed)
    if kind == LINEAR:
        if dataset is None:
            return linear_cases.linear(count=size, seed=seed)
        if any(s.claim == IMBALANCE_FLOW.claim for s in statements):
            linear_cases.require_flow(dataset)
        return linear_cases.linear_on(dataset, count=size, seed=seed)
    if kind == NEURONS_ALONE:
        sets = _default_sets(seed) if dataset is None else [(dataset.X, dataset.y, dataset.name)]
        return linear_cases.neurons(sets, count=size, seed=seed)
    if dataset is not None:
        return on_dataset(dataset, count=size, seed=seed)
    return default(count=size, seed=seed)


def for_statement(
    statement: Statement, dataset: Dataset | None, *, count: int | None = None, seed: int = 0
) -> Sequence[AnyCase]:
    """The cases that one statement is measured on by default."""
    (kind,) = groups([statement])
    return for_group(kind, [statement], dataset, count=count, seed=seed)
