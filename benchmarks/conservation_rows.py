"""Models whose conservation laws are known, and how many the literature gives; for `benchmarks.conservation_laws`.

Sources: Marcotte, Gribonval & Peyré, "Abide by the Law and Follow the Flow" (NeurIPS 2023) [M23], "Keep the Momentum"
(ICML 2024) [M24], "Transformative or Conservative?" (2025) [M25].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from theory.conservation import builders
from theory.conservation.model import Model


@dataclass(frozen=True)
class Row:
    """One model and what is known about its laws.

    Attributes:
        case: its name. model: makes it.
        laws: number of functionally independent laws, or the interval (lower, upper) where none is known.
        formula: where this comes from.
        lie: dimension of the Lie algebra; D - laws where the number is known, whatever the source gives.
        linear: number of linearly independent laws of the ansatz, if it differs from ``laws``.
        degree: of the ansatz, if it is not the model's own.
        like: a model with the same laws, variable by variable.
    """

    case: str
    model: Callable[[], Model]
    laws: int | tuple[int, int]
    formula: str
    lie: int | None = None
    linear: int | None = None
    degree: int | None = None
    like: Callable[[], Model] | None = None

    @property
    def interval(self) -> tuple[int, int]:
        """Expected bounds."""
        return self.laws if isinstance(self.laws, tuple) else (self.laws, self.laws)


def factorisation_laws(n: int, m: int, r: int) -> int:
    """k(2r + 1 - k)/2 with k = min(n + m, r), the rank of (U; V) [M23]."""
    k = min(n + m, r)
    return k * (2 * r + 1 - k) // 2


def triangular(r: int) -> int:
    """r(r + 1)/2: symmetric matrices."""
    return r * (r + 1) // 2


def _factorisation(n: int, m: int, r: int, lie: int, **more: Any) -> Row:
    return Row(
        f"U Vᵀ ({n},{m},{r})",
        lambda: builders.matrix_factorisation(n, m, r),
        factorisation_laws(n, m, r),
        "k(2r+1-k)/2, k = min(n+m, r)",
        lie,
        **more,
    )


def _linear(*widths: int, lie: int) -> Row:
    expected = sum(map(triangular, widths[1:-1]))
    return Row(
        _listed("linear", widths), lambda: builders.linear(widths), expected, "Σ r(r+1)/2", lie
    )


def _relu(*widths: int, bias: bool = False, lie: int | None = None) -> Row:
    return Row(
        _listed("ReLU", widths) + ", biases" * bias,
        lambda: builders.relu(widths, bias=bias),
        sum(widths[1:-1]),
        "one per hidden neuron",
        lie,
    )


def _momentum(*widths: int, laws: int, tau: int = 1, formula: str = "Σ r(r-1)/2") -> Row:
    return Row(
        f"momentum τ = {tau}, {_listed('linear', widths)}",
        lambda: builders.linear(widths).with_momentum(Fraction(tau)),
        laws,
        formula,
    )


def _cross_entropy(n: int, m: int, r: int) -> Row:
    return Row(
        f"cross-entropy, U Vᵀ ({n},{m},{r})",
        lambda: builders.matrix_factorisation(n, m, r).with_cross_entropy(),
        triangular(r) + r,
        "r(r+1)/2 + r",
        # UᵀU - VᵀV, the r sums of the columns of V, and the products of these sums
        linear=2 * triangular(r) + r,
    )


def _attention(d_model: int, d_head: int) -> Row:
    return Row(
        f"attention, d = {d_model}, head {d_head}",
        lambda: builders.attention(d_model, d_head),
        2 * triangular(d_head),
        "QQᵀ - KKᵀ, VVᵀ - OOᵀ",
    )


def _conv(length: int, size: int, channels: int, outputs: int) -> Row:
    return Row(
        f"conv, filter {length} on {size}, {channels} channels, {outputs} out",
        lambda: builders.conv(length, size, channels, outputs),
        channels,
        "one per channel",
    )


def _skip(d: int, h: int) -> Row:
    return Row(
        f"x + V relu(U x), d = {d}, h = {h}",
        lambda: builders.residual(d, [h]),
        h,
        "those without the skip",
        like=lambda: builders.relu((d, h, d)),
    )


def _listed(name: str, widths: Sequence[int]) -> str:
    return f"{name} [{','.join(map(str, widths))}]"


ROWS: tuple[Row, ...] = (
    _factorisation(2, 2, 2, 5),
    _factorisation(3, 3, 2, 9),
    _factorisation(4, 4, 3, 18),
    _factorisation(5, 5, 4, 30),
    _factorisation(2, 2, 6, 6, linear=21),
    _factorisation(1, 1, 3, 1, linear=9),  # u_i v_j - u_j v_i besides UᵀU - VᵀV
    Row(
        "U Vᵀ (2,2,2), degree 4",
        lambda: builders.matrix_factorisation(2, 2, 2),
        factorisation_laws(2, 2, 2),
        "products of the quadratic laws",
        5,
        linear=triangular(3),
        degree=4,
    ),
    Row(
        "U Vᵀ (4,4,3), degree 4",
        lambda: builders.matrix_factorisation(4, 4, 3),
        factorisation_laws(4, 4, 3),
        "products of the quadratic laws",
        18,
        linear=triangular(6),
        degree=4,
    ),
    _linear(2, 2, 2, 2, lie=6),
    _linear(3, 3, 3, 3, lie=15),
    _linear(2, 3, 3, 2, lie=9),
    _linear(5, 5, 5, lie=35),
    *(_relu(d, h, d) for h in (2, 3) for d in (2, 3)),
    _relu(2, 2, 2, bias=True, lie=8),
    _relu(3, 2, 3, bias=True, lie=12),
    _relu(2, 3, 2, bias=True, lie=12),
    _relu(3, 3, 3, bias=True, lie=18),
    _relu(2, 3, 2, 2),
    _relu(2, 2, 5, 3),
    *(
        Row(f"NMF ({n},{r},{m})", lambda s=(n, r, m): builders.nmf(*s), r, "r, of degree 1")
        for n, r, m in ((2, 2, 2), (3, 2, 3), (4, 3, 2))
    ),
    *(
        Row(f"ICNN d = {d}, h = {h}, {m} out", lambda s=(d, h, m): builders.icnn(*s), h, "h")
        for d, h, m in ((2, 2, 2), (3, 3, 2))
    ),
    _momentum(2, 2, 2, laws=1),
    _momentum(2, 2, 2, laws=1, tau=0),
    _momentum(3, 3, 3, laws=3),
    _momentum(2, 2, 2, 2, laws=2),
    _momentum(1, 2, 1, laws=2, formula="exceptional [M24]"),
    _momentum(1, 3, 1, laws=6, formula="exceptional [M24]"),
    *(
        Row(
            f"momentum τ = 1, {_listed('ReLU', widths)}",
            lambda widths=widths: builders.relu(widths).with_momentum(Fraction(1)),
            0,
            "none",
        )
        for widths in ((2, 2, 2), (2, 3, 2))
    ),
    _cross_entropy(2, 2, 2),
    _cross_entropy(3, 3, 2),
    _cross_entropy(4, 4, 3),
    _attention(2, 2),
    _attention(4, 2),
    _conv(3, 6, 2, 2),
    _conv(3, 5, 3, 1),
    _skip(2, 2),
    _skip(3, 2),
    Row(
        "two residual scalar blocks, one sign",
        lambda: builders.residual(1, [1, 1]),
        3,
        "3, one with logarithms [M25]",
    ),
    # One more law exists here, and it is not polynomial up to degree 6: the bounds must not meet.
    Row("linear [1,2,2,1]", lambda: builders.linear((1, 2, 2, 1)), (6, 7), "exceptional: interval"),
    Row("NMF (1,2,1)", lambda: builders.nmf(1, 2, 1), (2, 3), "exceptional: interval"),
)
