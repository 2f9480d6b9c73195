"""Attacks on statements about neural collapse: unconstrained features, and Gaussian points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from proofs_checks.collapse_cases import FeatureCase, GaussianCase
from proofs_checks.conjectures.attack_models import (
    LARGE_LEVEL,
    Cost,
    PlainAdaptor,
    Random,
    length,
    nearby,
)
from theory.errors import LemmataError
from theory.statement import Statement

FEW = 4
SAMPLES = 2000
MORE = 4  # times as many samples confirm a violation


class FeatureAdaptor(PlainAdaptor[FeatureCase]):
    """Few classes with few points, decay around the thresholds √n_j/N."""

    def draw(self, rng: Random, level: int) -> Sequence[FeatureCase]:
        """Balanced classes and two or more sizes; bias where the statement admits one."""
        out = []
        for _ in range(FEW):
            K = int(rng.integers(2, 4 + min(level, LARGE_LEVEL) // 3))
            top = 3 + min(level, LARGE_LEVEL)
            sizes = [int(rng.integers(1, top))] * K
            if "balanced" not in self.hypotheses and rng.random() < 0.7:
                sizes = [int(x) for x in rng.choice([1, 2, int(rng.integers(2, top))], K)]
            sizes.sort(reverse=True)
            N = sum(sizes)
            part = rng.choice([0.05, 0.2, 0.5, 0.75, 0.92, 1.08, 1.5, 3.0])
            edge = math.sqrt(sizes[int(rng.integers(K))]) / N * float(part)
            L = Fraction(edge).limit_denominator(int(rng.choice([10, 100, 1000]))) or Fraction(1, 9)
            ratio = Fraction(int(rng.choice([1, 1, 2, 4])))
            out.append(self._made(sizes, L * ratio, L / ratio, self._bias(rng, sizes)))
        return [c for c in out if c is not None]

    def _bias(self, rng: Random, sizes: Sequence[int]) -> bool:
        if "no bias" in self.hypotheses:
            return False
        if "free bias" in self.hypotheses:
            return True
        if "balanced where the bias is free" in self.hypotheses and len(set(sizes)) > 1:
            return False
        return bool(rng.random() < 0.3)

    def _made(
        self, sizes: Sequence[int], W: Fraction, H: Fraction, bias: bool, loss: str = ""
    ) -> FeatureCase | None:
        try:
            return FeatureCase.create(
                self.statement.setting.model,
                loss or self.losses[0],
                sizes,
                lambda_W=W,
                lambda_H=H,
                bias=bias,
            )
        except LemmataError:
            return None

    def mutate(self, case: FeatureCase, rng: Random, scale: float) -> Sequence[FeatureCase]:
        """The decay moved."""
        out = []
        for _ in range(FEW):
            factor = Fraction(math.exp(scale * rng.standard_normal()))
            W, H = ((x * factor).limit_denominator(10**6) for x in (case.lambda_W, case.lambda_H))
            out.append(self._made(case.per_class, W, H, case.bias, case.loss))
        return [c for c in out if c is not None]

    def simpler(self, case: FeatureCase) -> Iterator[FeatureCase]:
        """Fewer classes, fewer points, simpler decay."""
        sizes, W, H = list(case.per_class), case.lambda_W, case.lambda_H
        options = []
        if len(sizes) > 2:
            options += [(sizes[:k] + sizes[k + 1 :], W, H) for k in range(len(sizes))]
        options += [([max(1, n // 2) for n in sizes], W, H), ([max(1, n - 1) for n in sizes], W, H)]
        options += [([*sizes[:k], n - 1, *sizes[k + 1 :]], W, H) for k, n in enumerate(sizes)]
        L = Fraction(case.L)
        for q in (1, 2, 4, 5, 10, 20, 50, 100, 1000):
            options.append((sizes, L.limit_denominator(q), L.limit_denominator(q)))
        options += [(sizes, w, H) for w in nearby(W)] + [(sizes, W, h) for h in nearby(H)]
        for new, w, h in options:
            made = self._made(new, w, h, case.bias, case.loss) if min(new) > 0 else None
            if made is not None:
                yield made

    def shapes(self, case: FeatureCase) -> dict[str, list[int]]:
        """The sizes of the classes and the two numbers."""
        return {"per_class": [case.K], "lambda_W": [], "lambda_H": []}

    def cost(self, case: FeatureCase) -> Cost:
        """Points (each is a column of the problem), then the decay."""
        decay = length(case.lambda_W) + length(case.lambda_H)
        return case.N + case.K, decay


class GaussianAdaptor(PlainAdaptor[GaussianCase]):
    """Sizes around the number of coordinates at which every second class can collapse.

    An attack makes many tests. The error probability ALPHA is shared over all of them: the i-th test has the share
    6/(π² i²) of it, so that an attack of any length refutes a true statement with a probability of at most ALPHA
    before, and of at most ALPHA² after a violation is confirmed on fresh samples.
    """

    def __init__(self, statement: Statement) -> None:
        super().__init__(statement)
        self._tests = 0

    def _share(self) -> int:
        """The next test's number of comparisons."""
        self._tests += 1
        return math.ceil(self._tests**2 * math.pi**2 / 6)

    def _made(self, K: int, n: int, d: int, rng: Random) -> GaussianCase:
        draw = int(rng.integers(2**31))
        return GaussianCase.create(
            K=K, n=n, d=max(d, 1), samples=SAMPLES, draw=draw, comparisons=self._share()
        )

    def draw(self, rng: Random, level: int) -> Sequence[GaussianCase]:
        """Sizes in which both answers are frequent."""
        out = []
        for _ in range(FEW):
            K, n = int(rng.integers(2, 5)), int(rng.integers(1, 4 + min(level, LARGE_LEVEL)))
            out.append(self._made(K, n, (K + 1) * n // 2 + int(rng.integers(-2, 3)), rng))
        return out

    def mutate(self, case: GaussianCase, rng: Random, scale: float) -> Sequence[GaussianCase]:
        """Other samples of nearby dimensions."""
        return [self._made(case.K, case.n, case.d + off, rng) for off in (-1, 0, 1)]

    def simpler(self, case: GaussianCase) -> Iterator[GaussianCase]:
        """Smaller sizes, with the same samples' seed."""
        for K in range(2, case.K + 1):
            for n in range(1, case.n + 1):
                for d in range(n, case.d + 1):
                    if K * n * d < case.K * case.n * case.d:
                        yield replace(case, K=K, n=n, d=d, comparisons=self._share())

    def prepare(self, case: GaussianCase) -> GaussianCase:
        """With its share of the error probability."""
        return replace(case, comparisons=self._share())

    def again(self, case: GaussianCase) -> GaussianCase:
        """Fresh samples, more of them."""
        return replace(
            case,
            draw=case.draw + 2**32,
            samples=MORE * case.samples,
            comparisons=self._share(),
        )

    def shapes(self, case: GaussianCase) -> dict[str, list[int]]:
        """The points of one sample."""
        return {"points": [case.K * case.n, case.d]}

    def cost(self, case: GaussianCase) -> Cost:
        """Entries of the points of one sample."""
        return case.K * case.n * case.d, 0
