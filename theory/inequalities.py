"""The inequality library: named inequalities with side conditions and proofs that a machine re-runs.

An `Entry` builds its relation and side conditions from arguments (``build``), and carries a ``proof``: a
list of `theory.inequality_proofs.Check` objects plus the argument that joins them. The test-suite runs
every proof and also tries to falsify every entry numerically.

Arguments: real numbers a, b, z, m, ... (any expression), vectors, or for sums over an index a term
and ``over = (index, 1, size)``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy
from sympy import Expr

from theory.inequality_proofs import Check, Increasing, Squares, Zero, on_range
from theory.symbols import Indicator, Inner, Norm, Rel, Relu, Vec, eq, is_vector, le, lt

Abs, exp, log, Rational = sympy.Abs, sympy.exp, sympy.log, sympy.Rational


@dataclass(frozen=True)
class Claim:
    """An instantiated inequality: under ``conditions``, ``relation``."""

    relation: Rel
    conditions: tuple[Rel, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One inequality.

    Attributes:
        parameters: names of the arguments of ``build``.
        kinds: what each parameter is: "real", "vector", or "term" (a real number with an index).
        build: arguments -> `Claim`.
        checks: machine-checked parts of the proof.
        argument: how they give the inequality.
    """

    name: str
    text: str
    parameters: tuple[str, ...]
    kinds: tuple[str, ...]
    build: Callable[..., Claim]
    checks: tuple[Check, ...]
    argument: str

    def prove(self) -> None:
        """Run the machine-checked parts.

        Raises:
            DerivationError: one of them fails.
        """
        for check in self.checks:
            check.run(self.name)


LIBRARY: dict[str, Entry] = {}
_Z = sympy.Symbol("z", nonnegative=True)
_M = sympy.Symbol("m", positive=True)
_A, _B = sympy.symbols("a b", real=True)
_P, _Q = sympy.symbols("p q", nonnegative=True)
_U, _V = Vec("a"), Vec("b")


def _add(
    name: str,
    text: str,
    kinds: dict[str, str],
    build: Callable[..., Claim],
    checks: list[Check],
    argument: str,
) -> None:
    LIBRARY[name] = Entry(
        name, text, tuple(kinds), tuple(kinds.values()), build, tuple(checks), argument
    )


# -- vectors --------------------------------------------------------------------------------------------------------
_REJECT = _U - Inner(_U, _V) / Norm(_V) ** 2 * _V
_LAGRANGE = Zero(
    Norm(_U) ** 2 * Norm(_V) ** 2 - Inner(_U, _V) ** 2 - Norm(_V) ** 2 * Norm(_REJECT) ** 2
)

_add(
    "cauchy_schwarz",
    "<a,b> <= |a||b|",
    {"a": "vector", "b": "vector"},
    lambda a, b: Claim(le(Inner(a, b), Norm(a) * Norm(b))),
    [_LAGRANGE],
    "|a|²|b|² - <a,b>² = |b|² |a - b<a,b>/|b|²|² >= 0 for b != 0; for b = 0 both sides vanish.",
)
_add(
    "cauchy_schwarz_abs",
    "|<a,b>| <= |a||b|",
    {"a": "vector", "b": "vector"},
    lambda a, b: Claim(le(Abs(Inner(a, b)), Norm(a) * Norm(b))),
    [_LAGRANGE],
    "The squares compare by the identity of cauchy_schwarz, and both sides are non-negative.",
)
_add(
    "triangle",
    "|a + b| <= |a| + |b|, vectors or numbers",
    {"a": "vector", "b": "vector"},
    lambda a, b: Claim(le(size_of(a + b), size_of(a) + size_of(b))),
    [
        Zero(
            (Norm(_U) + Norm(_V)) ** 2
            - Norm(_U + _V) ** 2
            - 2 * (Norm(_U) * Norm(_V) - Inner(_U, _V))
        ),
        _LAGRANGE,
    ],
    "The squares differ by 2(|a||b| - <a,b>) >= 0 (cauchy_schwarz); numbers are vectors of dimension 1.",
)
_add(
    "triangle_sum",
    "|Σ_i a_i| <= Σ_i |a_i|, vectors or numbers",
    {"a": "term", "over": "range"},
    lambda a, over: Claim(le(size_of(sympy.Sum(a, over)), sympy.Sum(size_of(a), over))),
    [
        Zero(
            (Norm(_U) + Norm(_V)) ** 2
            - Norm(_U + _V) ** 2
            - 2 * (Norm(_U) * Norm(_V) - Inner(_U, _V))
        ),
        _LAGRANGE,
    ],
    "Induction over the number of terms: one term is an equality, one more term is the triangle inequality.",
)
_add(
    "projection",
    "|a - b<a,b>/|b|²| <= |a| for b != 0",
    {"a": "vector", "b": "vector"},
    lambda a, b: Claim(le(Norm(a - Inner(a, b) / Norm(b) ** 2 * b), Norm(a)), (lt(0, Norm(b)),)),
    [Zero(Norm(_U) ** 2 - Norm(_REJECT) ** 2 - (Inner(_U, _V) / Norm(_V)) ** 2)],
    "The squares differ by (<a,b>/|b|)² >= 0, and both sides are non-negative.",
)


def size_of(a: Expr) -> Expr:
    """Norm of a vector, absolute value of a number."""
    return Norm(a) if is_vector(a) else Abs(a)


# -- squares --------------------------------------------------------------------------------------------------------
_add(
    "am_gm",
    "2ab <= a² + b²",
    {"a": "real", "b": "real"},
    lambda a, b: Claim(le(2 * a * b, a**2 + b**2)),
    [Squares(_A**2 + _B**2 - 2 * _A * _B, ((1, _A - _B),))],
    "The gap is (a - b)².",
)
_add(
    "geometric_mean",
    "sqrt(ab) <= (a+b)/2 for a, b >= 0",
    {"a": "real", "b": "real"},
    lambda a, b: Claim(le(sympy.sqrt(a) * sympy.sqrt(b), (a + b) / 2), (le(0, a), le(0, b))),
    [
        Squares(
            (_P + _Q) / 2 - sympy.sqrt(_P) * sympy.sqrt(_Q),
            ((Rational(1, 2), sympy.sqrt(_P) - sympy.sqrt(_Q)),),
        )
    ],
    "The gap is (√a - √b)²/2.",
)
_add(
    "equal_squares",
    "a = b for a, b >= 0 with a² = b²",
    {"a": "real", "b": "real"},
    lambda a, b: Claim(eq(a, b), (le(0, a), le(0, b), eq(a**2, b**2))),
    [Zero((_P - _Q) * (_P + _Q) - (_P**2 - _Q**2))],
    "(a - b)(a + b) = 0; if a + b = 0 then a = b = 0.",
)
_add(
    "ordered_squares",
    "a <= b for b >= 0 with a² <= b²",
    {"a": "real", "b": "real"},
    lambda a, b: Claim(le(a, b), (le(0, b), le(a**2, b**2))),
    [Zero((_B - _A) * (_B + _A) - (_B**2 - _A**2))],
    "If a > b >= 0 then a + b > 0 and b² - a² = (b - a)(b + a) < 0.",
)

_add(
    "positive_root",
    "0 < a for a >= 0 with 0 < a²",
    {"a": "real"},
    lambda a: Claim(lt(0, a), (le(0, a), lt(0, a**2))),
    [Zero(sympy.Integer(0) ** 2)],
    "a = 0 would give a² = 0.",
)

# -- absolute values, ReLU ------------------------------------------------------------------------------------------
_add(
    "le_abs",
    "a <= |a|",
    {"a": "real"},
    lambda a: Claim(le(a, Abs(a))),
    [Zero(Abs(_P) - _P), Zero(Abs(-_P) - (-_P) - 2 * _P)],
    "For a = p >= 0 the gap is 0, for a = -p it is 2p.",
)
_add(
    "relu_le_abs",
    "relu(z) <= |z|",
    {"z": "real"},
    lambda z: Claim(le(Relu(z), Abs(z))),
    [Zero(Abs(_P) - _P), Zero(Abs(-_P) - _P)],
    "For z = p >= 0 both sides are p, for z = -p they are 0 and p >= 0.",
)
_add(
    "indicator_le_one",
    "1[z > 0] <= 1",
    {"z": "real"},
    lambda z: Claim(le(Indicator(z), 1)),
    [Zero(Indicator(_A) ** 2 - Indicator(_A))],
    "The indicator takes the values 0 and 1, the roots of s² = s.",
)
_add(
    "sign_le_one",
    "|sign(a)| <= 1",
    {"a": "real"},
    lambda a: Claim(le(Abs(sympy.sign(a)), 1)),
    [Zero(Abs(sympy.Integer(k)) * (Abs(sympy.Integer(k)) - 1)) for k in (-1, 0, 1)],
    "The sign takes the values -1, 0 and 1.",
)
_add(
    "signed_abs",
    "a = sign(a)|a|",
    {"a": "real"},
    lambda a: Claim(eq(a, sympy.sign(a) * Abs(a))),
    [Zero(Abs(_P) - _P), Zero(-Abs(-_P) + _P)],
    "a = p >= 0 gives p = p (and 0 = 0), a = -p gives -p = -p.",
)

# -- exponential, logarithm, tanh -----------------------------------------------------------------------------------
_ONE_PLUS = [
    Increasing("z >= 0", exp(_Z) - 1 - _Z, _Z),
    Increasing("-z <= 0", exp(-_Z) - 1 + _Z, _Z),
]
_RATIO = Increasing("(e^z - 1)/z grows: its derivative's numerator", _Z * exp(_Z) - exp(_Z) + 1, _Z)
_add(
    "one_plus_le_exp",
    "1 + z <= e^z",
    {"z": "real"},
    lambda z: Claim(le(1 + z, exp(z))),
    list(_ONE_PLUS),
    "For both signs of z the gap vanishes at 0 with non-negative successive derivatives.",
)
_add(
    "log_one_plus_le",
    "log(1 + z) <= z for z > -1",
    {"z": "real"},
    lambda z: Claim(le(log(1 + z), z), (lt(0, 1 + z),)),
    list(_ONE_PLUS),
    "Take logarithms in 1 + z <= e^z; the logarithm increases.",
)
_add(
    "exp_mono",
    "e^a <= e^b for a <= b",
    {"a": "real", "b": "real"},
    lambda a, b: Claim(le(exp(a), exp(b)), (le(a, b),)),
    [*_ONE_PLUS, Zero(exp(_B) - exp(_A) - exp(_A) * (exp(_B - _A) - 1))],
    "e^b - e^a = e^a (e^(b-a) - 1) >= e^a (b - a) >= 0.",
)
_add(
    "log_mono",
    "log a <= log b for 0 < a <= b",
    {"a": "real", "b": "real"},
    lambda a, b: Claim(le(log(a), log(b)), (lt(0, a), le(a, b))),
    list(_ONE_PLUS),
    "The logarithm is the inverse of the increasing exponential.",
)
_add(
    "exp_lipschitz",
    "|e^-z - 1| <= 2|z| for |z| <= 1",
    {"z": "real"},
    lambda z: Claim(le(Abs(exp(-z) - 1), 2 * Abs(z)), (le(Abs(z), 1),)),
    [_ONE_PLUS[1], _RATIO, on_range("e - 1 <= 2", sympy.E - 1, 2, {})],
    "z >= 0: 1 - e^-z <= z. z = -a: (e^a - 1)/a grows, so it is at most e - 1 <= 2 on (0, 1].",
)
_add(
    "exp_lipschitz_on",
    "|e^-z - 1| <= ((e^m - 1)/m)|z| for |z| <= m",
    {"z": "real", "m": "real"},
    lambda z, m: Claim(le(Abs(exp(-z) - 1), (exp(m) - 1) / m * Abs(z)), (lt(0, m), le(Abs(z), m))),
    [*_ONE_PLUS, _RATIO],
    "z >= 0: 1 - e^-z <= z <= ((e^m - 1)/m) z since e^m >= 1 + m. z = -a: (e^a - 1)/a grows on (0, m].",
)
_add(
    "tanh_half",
    "|tanh(z/2)| <= |z|/2",
    {"z": "real"},
    lambda z: Claim(le(Abs(sympy.tanh(z / 2)), Abs(z) / 2)),
    [
        Increasing("z >= 0", _Z / 2 - sympy.tanh(_Z / 2), _Z),
        on_range(
            "away from 0, numerically too", sympy.tanh(_M / 2), _M / 2, {"m": (Rational(1, 64), 64)}
        ),
    ],
    "The gap vanishes at 0 and its derivative is tanh²(z/2)/2; both sides are even.",
)
_add(
    "logistic_slope",
    "|2/(1 + e^z) - 1| <= |z|/2",
    {"z": "real"},
    lambda z: Claim(le(Abs(2 / (1 + exp(z)) - 1), Abs(z) / 2)),
    [
        Zero(2 / (1 + exp(_A)) - 1 + sympy.tanh(_A / 2).rewrite(exp)),
        Increasing("z >= 0", _Z / 2 - sympy.tanh(_Z / 2), _Z),
    ],
    "2/(1 + e^z) - 1 = -tanh(z/2), then tanh_half.",
)
