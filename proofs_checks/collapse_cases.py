"""Cases of the topic collapse: unconstrained features, and Gaussian points whose classes may be able to collapse."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from proofs_checks.case import digest
from proofs_checks.exact_data import exact_number, exact_text, read_exact
from theory.errors import LemmataError

FEATURE_FORMAT, GAUSSIAN_FORMAT = "lemmata-feature-case/1", "lemmata-gaussian-case/1"
MODELS = ("ufm", "upfm")
REDUCTIONS = {"mse": "half-mean", "ce": "mean"}
MOST_POINTS, MOST_SAMPLES = 10**6, 10**6
MOST_CLASSES = 128  # for which optima are certified
FEATURE_CASES, GAUSSIAN_CASES = 64, 6


@dataclass(frozen=True)
class FeatureCase:
    """One problem of unconstrained features; see `theory.collapse` for the model.

    Attributes:
        model: "ufm" (features free) or "upfm" (features ≥ 0).
        loss: "ce" or "mse", averaged over the points.
        per_class: the number of points of each class.
        lambda_W, lambda_H: the decay of both layers, exact.
        bias: whether there is a free bias. width: coordinates of a feature.
        name: where the case comes from; seed: what drew it. Neither influences the result.
    """

    model: str
    loss: str
    per_class: tuple[int, ...]
    lambda_W: Fraction
    lambda_H: Fraction
    bias: bool
    width: int
    name: str = ""
    seed: int = 0

    @classmethod
    def create(
        cls,
        model: str,
        loss: str,
        per_class: Sequence[int],
        *,
        lambda_W: Any,
        lambda_H: Any,
        bias: bool = False,
        width: int | None = None,
        name: str = "",
        seed: int = 0,
    ) -> FeatureCase:
        """Check and freeze; ``width`` is the number of classes by default, λ is anything exact.

        Raises:
            LemmataError: an unknown model or loss, fewer than 2 or more than 128 classes, an empty one, λ ≤ 0, width 0.
        """
        for word, value, known in (("model", model, MODELS), ("loss", loss, tuple(REDUCTIONS))):
            if value not in known:
                raise LemmataError(f"{word} {value!r} is unknown: use {' or '.join(known)}")
        sizes = tuple(per_class) if isinstance(per_class, Iterable) else (per_class,)
        if len(sizes) < 2 or not all(_whole(n) and n >= 1 for n in sizes):
            raise LemmataError(
                f"per_class = {sizes!r:.80}: give a positive number of points for each of two classes or more"
            )
        if len(sizes) > MOST_CLASSES:
            raise LemmataError(f"{len(sizes)} classes: use at most {MOST_CLASSES}")
        if sum(sizes) > MOST_POINTS:
            raise LemmataError(f"{sum(sizes)} points: use at most {MOST_POINTS}")
        W, H = exact_number(lambda_W, "lambda_W"), exact_number(lambda_H, "lambda_H")
        for label, number in (("lambda_W", W), ("lambda_H", H)):
            if number <= 0:
                raise LemmataError(f"{label} = {number}: give a positive number")
        columns = len(sizes) if width is None else width
        if not _whole(columns) or columns < 1:
            raise LemmataError(f"width = {columns!r}: give a positive whole number")
        if not isinstance(bias, bool):
            raise LemmataError(f"bias = {bias!r}: give True or False")
        return cls(model, loss, sizes, W, H, bias, columns, name, seed)

    @property
    def reduction(self) -> str:
        """How the loss adds up over points: cross-entropy (1/N), squares (1/2N)."""
        return REDUCTIONS[self.loss]

    @property
    def K(self) -> int:
        """The number of classes."""
        return len(self.per_class)

    @property
    def N(self) -> int:
        """The number of points."""
        return sum(self.per_class)

    @property
    def L_squared(self) -> Fraction:
        """λ_W λ_H."""
        return self.lambda_W * self.lambda_H

    @property
    def L(self) -> float:
        """√(λ_W λ_H), a float where the product is none."""
        return math.sqrt(self.lambda_W) * math.sqrt(self.lambda_H)

    def to_json(self) -> dict[str, Any]:
        """Plain data; λ as exact text."""
        return {
            "format": FEATURE_FORMAT,
            "model": self.model,
            "loss": self.loss,
            "per_class": list(self.per_class),
            "lambda_W": exact_text(self.lambda_W),
            "lambda_H": exact_text(self.lambda_H),
            "bias": self.bias,
            "width": self.width,
            "name": self.name,
            "seed": self.seed,
        }

    @cached_property
    def hash(self) -> str:
        """SHA-256 over everything that influences the result, first 16 hexadecimal digits."""
        return digest(self.to_json())

    @classmethod
    def from_json(cls, data: Any) -> FeatureCase:
        """The inverse of `to_json`.

        Raises:
            LemmataError: the data are no case; the message names the field.
        """
        _require(data, FEATURE_FORMAT, "case of unconstrained features")
        try:
            return cls.create(
                data["model"],
                data["loss"],
                data["per_class"],
                lambda_W=read_exact(data["lambda_W"], "lambda_W"),
                lambda_H=read_exact(data["lambda_H"], "lambda_H"),
                bias=data["bias"],
                width=data["width"],
                name=str(data.get("name", "")),
                seed=int(data.get("seed", 0)),
            )
        except LemmataError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise _malformed("case of unconstrained features", error) from error

    def group(self) -> tuple[Any, ...]:
        """Cases of equal group are measured together."""
        return (self.model, self.loss)


@dataclass(frozen=True)
class GaussianCase:
    """Random points, standard Gaussian: K classes with n points each in d coordinates; how often can a class collapse?

    Attributes:
        samples: instances that are drawn. draw: the seed of the sampler, which does influence the result.
        comparisons: over how many cases the error probability of the test is shared.
    """

    K: int
    n: int
    d: int
    samples: int
    draw: int
    comparisons: int = 1
    name: str = ""
    seed: int = 0

    model: ClassVar[str] = "gaussian-points"
    loss: ClassVar[str] = "none"
    reduction: ClassVar[str] = "none"

    @classmethod
    def create(
        cls,
        *,
        K: int,
        n: int,
        d: int,
        samples: int,
        draw: int = 0,
        comparisons: int = 1,
        name: str = "",
        seed: int = 0,
    ) -> GaussianCase:
        """Check and freeze.

        Raises:
            LemmataError: a number that is not whole, or out of its range.
        """
        limits = {
            "K": (K, 2, 1000),
            "n": (n, 1, 1000),
            "d": (d, 1, 10000),
            "samples": (samples, 1, MOST_SAMPLES),
            "draw": (draw, 0, 2**63),
            "comparisons": (comparisons, 1, 10**9),
        }
        for label, (value, low, high) in limits.items():
            if not (_whole(value) and low <= value <= high):
                raise LemmataError(f"{label} = {value!r}: give a whole number from {low} to {high}")
        return cls(K, n, d, samples, draw, comparisons, name, seed)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        own = {f.name: getattr(self, f.name) for f in fields(self)}
        return {"format": GAUSSIAN_FORMAT, "model": self.model, **own}

    @cached_property
    def hash(self) -> str:
        """SHA-256 over everything that influences the result, first 16 hexadecimal digits."""
        return digest(self.to_json())

    @classmethod
    def from_json(cls, data: Any) -> GaussianCase:
        """The inverse of `to_json`.

        Raises:
            LemmataError: the data are no case; the message names the field.
        """
        _require(data, GAUSSIAN_FORMAT, "case of Gaussian points")
        try:
            own = {f.name: data[f.name] for f in fields(cls)}
            return cls.create(**own | {"name": str(own["name"]), "seed": int(own["seed"])})
        except LemmataError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise _malformed("case of Gaussian points", error) from error

    def group(self) -> tuple[Any, ...]:
        """Cases of equal group are measured together."""
        return (self.model,)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _require(data: Any, wanted: str, what: str) -> None:
    if not isinstance(data, Mapping) or data.get("format") != wanted:
        raise LemmataError(f"not a {what}: expected an object with format {wanted!r}")


def _malformed(what: str, error: Exception) -> LemmataError:
    return LemmataError(
        f"malformed {what}: {type(error).__name__}: {error}; write it with its to_json"
    )


# -- default sets ---------------------------------------------------------------------------------------------------
# sizes of classes: balanced ones, graded ones, and majorities with minorities that can merge
SIZES = (
    (3, 3, 3),
    (4, 4),
    (6, 2, 2),
    (2, 2, 2, 2),
    (5, 3, 1),
    (8, 8, 2, 2, 2),
    (7, 7, 7),
    (9, 4, 4, 4),
)
PARTS = (0.92, 0.5, 1.12, 0.2, 0.75, 1.5)  # of a threshold


def features(model: str, *, count: int = FEATURE_CASES, seed: int = 0) -> list[FeatureCase]:
    """``count`` problems: sizes of classes in turn, both losses, with and without bias, from weak to strong decay.

    L is 0.2 to 1.6 times the threshold √n_j/N of one class, so that classes are alive in some cases and zero in others,
    often close to a threshold, and never within a hundredth of it. Every tenth case has features that are too narrow.
    """
    _check(count)
    out = []
    for index in range(count):
        rng = np.random.default_rng([seed, 11, MODELS.index(model), index])
        sizes = SIZES[(index // 4) % len(SIZES)]
        N, K = sum(sizes), len(sizes)
        loss, bias = ("ce", "mse")[index % 2], bool(index // 2 % 2) and len(set(sizes)) == 1
        thresholds = [math.sqrt(n) / N * f for n in sizes for f in (1.0, math.sqrt((K - 1) / K))]
        part = PARTS[(index // 2 + index // 8) % len(PARTS)]
        while True:
            L = math.sqrt(sizes[rng.integers(K)]) / N * part * rng.uniform(0.96, 1.04)
            if all(abs(L / T - 1) > 0.01 for T in thresholds):
                break
        ratio = math.exp(rng.uniform(-2.0, 2.0))
        out.append(
            FeatureCase.create(
                model,
                loss,
                sizes,
                lambda_W=L * ratio,
                lambda_H=L / ratio,
                bias=bias,
                width=K - 1 if index % 10 == 9 else K,
                name=f"{model} {'·'.join(map(str, sizes))}{' bias' if bias else ''}",
                seed=seed,
            )
        )
    return out


def gaussian(*, count: int = GAUSSIAN_CASES, seed: int = 0) -> list[GaussianCase]:
    """``count`` sizes, each around the number of coordinates d = (K+1)n/2 at which every second class can collapse."""
    _check(count)
    out = []
    for index in range(count):
        K, n = ((2, 6), (3, 4), (4, 3), (2, 9), (3, 6), (2, 3))[index % 6]
        offset = (0, 1, -1, 0, -1, 2)[index % 6]
        d = (K + 1) * n // 2 + offset
        out.append(
            GaussianCase.create(
                K=K,
                n=n,
                d=d,
                samples=2000,
                draw=seed * 10**6 + index,
                comparisons=count,
                name=f"Gaussian K={K} n={n} d={d}",
                seed=seed,
            )
        )
    return out


def ufm(*, count: int = FEATURE_CASES, seed: int = 0) -> list[FeatureCase]:
    """Default cases with free features."""
    return features("ufm", count=count, seed=seed)


def upfm(*, count: int = FEATURE_CASES, seed: int = 0) -> list[FeatureCase]:
    """Default cases with features ≥ 0."""
    return features("upfm", count=count, seed=seed)


def _check(count: int) -> None:
    if count < 1:
        raise LemmataError(f"count = {count}: at least one case is needed")
