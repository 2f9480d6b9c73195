"""Cases without time at a point of a design: features, Gaussian points, convex training, parities, steps."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import numpy as np

from proofs_checks.campaigns.rules import Draw
from proofs_checks.collapse_cases import FeatureCase, GaussianCase
from proofs_checks.margin_cases import GRID, ParityCase, PerceptronCase, UpdateCase
from proofs_checks.relu_cases import ReluCase
from theory.errors import LemmataError

RELU_GRID = 2.0**-12  # entries on it keep exact numbers short
RELU_PARTS = {"less decay": 0.9, "more decay": 1.2, "perturbed": 1.0}  # of β
TRIES = 1000  # draws of a point on the right side


def features(draw: Draw) -> FeatureCase:
    """Unconstrained features with minority and majority classes; λ_W/λ_H is drawn from e⁻⁴ to e⁴."""
    K, small = draw["K"], draw["n"]
    large = max(small, math.floor(small * draw["ratio"] + 0.5))
    minorities = draw["minorities"] or max(K // 2, 1)
    if minorities >= K:
        raise LemmataError(f"{minorities} minority classes of K = {K}: give at most {K - 1}")
    sizes = (large,) * (K - minorities) + (small,) * minorities
    rng = np.random.default_rng([draw.seed, 5])
    L = draw.number("lambda", draw["lambda_rel"] * math.sqrt(large) / sum(sizes))
    ratio = math.exp(rng.uniform(-2.0, 2.0))
    return FeatureCase.create(
        draw.model,
        draw["loss"] or draw.losses[0],
        sizes,
        lambda_W=L * ratio,
        lambda_H=L / ratio,
        bias=draw["bias"],
        width=draw["width"] or K,
        name=f"{draw.model} {K - minorities}×{large} {minorities}×{small}",
        seed=draw.seed,
    )


def gaussian(draw: Draw) -> GaussianCase:
    """Gaussian points, by default at the number of coordinates at which every second class can collapse."""
    K, n = draw["K"], draw["n"]
    d = draw["d"] or max((K + 1) * n // 2, 1)
    return GaussianCase.create(
        K=K,
        n=n,
        d=d,
        samples=draw["trials"],
        draw=draw.seed,
        comparisons=draw.comparisons,
        name=f"Gaussian K={K} n={n} d={d}",
        seed=draw.seed,
    )


def relu(draw: Draw) -> ReluCase:
    """A network on Gaussian data, to be compared with the optimum for β: an optimum for 0.9 or 1.2 β, one that is 2 %
    off, or a random network."""
    n, d, kind = draw["n"], draw["d"], draw["network"]
    rng = np.random.default_rng([draw.seed, 6])
    X, y = _grid(rng.standard_normal((n, d))), _grid(rng.standard_normal(n))
    beta = float(_grid(np.array(draw["beta_rel"] * np.linalg.norm(X.T @ np.abs(y)))))
    if beta <= 0:
        raise LemmataError(
            f"beta_rel = {draw['beta_rel']:g} gives a β that rounds to 0; give a larger one"
        )
    if kind == "random":
        W = _grid(0.5 * rng.standard_normal((draw["neurons"], d)))
        v = _grid(0.5 * rng.standard_normal(draw["neurons"]))
    else:
        from proofs_checks.relu_training import convex_relu

        found = convex_relu(X, y, beta=RELU_PARTS[kind] * beta, certify=False)
        W, v = np.asarray(found.W, dtype=float), np.asarray(found.v, dtype=float)
        if not len(v):  # the optimum is the zero network, which a case needs one neuron for
            W, v = np.zeros((1, d)), np.zeros(1)
        elif kind == "perturbed":
            W = W + 0.02 * rng.standard_normal(W.shape) * np.abs(W).max()
            v = v + 0.02 * rng.standard_normal(v.shape) * np.abs(v).max()
    return ReluCase.create(X, y, beta=beta, W=W, v=v, name=f"{kind} n={n} d={d}", seed=draw.seed)


def _grid(a: np.ndarray) -> np.ndarray:
    rounded: np.ndarray = np.round(a / RELU_GRID) * RELU_GRID
    return rounded


def parity(draw: Draw) -> ParityCase:
    """A parity; nothing about it is random."""
    d, k, bias = draw["d"], draw["k"], draw["bias"]
    return ParityCase(d, k, bias, f"parity {k} of {d}{' bias' if bias else ''}", draw.seed)


def perceptron(draw: Draw) -> PerceptronCase:
    """Points at least ``margin`` ‖u‖ from the plane of u, on the side of their labels but for ``flips`` of them.

    Raises:
        LemmataError: more flips than points, or a margin that no drawn point has.
    """
    n, d, flips = draw["n"], draw["d"], draw["flips"]
    if flips > n:
        raise LemmataError(f"flips = {flips} of n = {n} points; give fewer flips")
    rng = random.Random(f"perceptron {draw.seed}")
    u = [_entry(rng, 1) for _ in range(d)]
    if not any(u):
        u[0] = Fraction(1)
    least = Fraction(draw["margin"]) ** 2 * sum((t * t for t in u), Fraction(0))
    points: list[list[Fraction]] = []
    y: list[int] = []
    tries = 0
    while len(points) < n:
        tries += 1
        if tries > TRIES * n:
            raise LemmataError(
                f"margin = {draw['margin']:g}: hardly any point is that far away; give less"
            )
        x = [_entry(rng, 2) for _ in range(d)]
        side = sum((s * t for s, t in zip(u, x, strict=True)), Fraction(0))
        if side and side * side >= least:
            right = (side > 0) == (len(points) >= flips)
            points.append(x)
            y.append(1 if right else -1)
    return PerceptronCase.create(
        points, y, u, passes=draw["passes"], name=f"drawn n={n} d={d}", seed=draw.seed
    )


def update(draw: Draw) -> UpdateCase:
    """Three random vectors, and a step size between 1/64 and 2 where there is no axis for it."""
    rng = random.Random(f"update {draw.seed}")
    size = max(int(draw["size"]), 1)
    w, w_bar, g = ([_entry(rng, size) for _ in range(draw["d"])] for _ in range(3))
    eta = Fraction(rng.randint(1, 2 * GRID), GRID)
    eta = eta if draw["eta"] is None else Fraction(draw["eta"])
    return UpdateCase.create(w, w_bar, g, eta, name=f"drawn d={draw['d']}", seed=draw.seed)


def _entry(rng: random.Random, size: int) -> Fraction:
    return Fraction(rng.randint(-size * GRID, size * GRID), GRID)
