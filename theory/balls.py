"""Rigorous evaluation of closed forms: scalar plain data and sympy expressions.

Plain data are nested lists ``[operator, argument, ...]`` (see `ClosedForm`); every result encloses
the exact value. A domain error (logarithm of a ball that touches zero or a negative number,
division by a ball that contains zero, a root of a negative number) gives an indeterminate result,
which compares false with everything and so proves nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

from flint import arb, ctx, fmpq

from theory.closed_form import ClosedForm, rational
from theory.errors import DerivationError, LemmataError
from theory.intervals import Interval, from_arb, point

if TYPE_CHECKING:
    import sympy

Number: TypeAlias = "arb | fmpq | Fraction | int | tuple[Any, Any]"
_DEFAULT_CAP = 4096


def _interval(value: Any) -> Interval:
    if isinstance(value, arb):
        return from_arb(value)
    if isinstance(value, tuple) and len(value) == 2:
        lo, hi = map(rational, value)
        if lo > hi:
            raise LemmataError(f"the range {value} is empty; give (lo, hi) with lo <= hi")
        return Interval(lo, hi)
    return point(rational(value))


def evaluate_data(
    data: Sequence[Any],
    env: Mapping[str, Number] | None = None,
    *,
    precision: int = 128,
    cap: int = _DEFAULT_CAP,
) -> arb:
    """Ball that encloses the value of scalar plain data; nan if the value may be undefined.

    ``env``: name -> fmpq, Fraction, int, a ball (arb, wide ones too), or a closed range (lo, hi) of
    rationals; a range that ends at zero must be given so, as a ball around it reaches below zero.
    When every input is one number, the precision (in bits) is doubled up to ``cap`` until about
    ``precision`` bits of the result are right.
    """
    form, inputs = ClosedForm(data), {str(name): value for name, value in (env or {}).items()}
    exact = not any(
        isinstance(value, tuple) or (isinstance(value, arb) and not value.is_exact())
        for value in inputs.values()
    )
    bits = precision
    while True:
        with ctx.workprec(bits + 16):
            result = form.enclose({n: _interval(v) for n, v in inputs.items()}).to_arb()
            good = result.is_exact() or (
                result.is_finite() and result.rel_accuracy_bits() >= precision
            )
            if good or not exact or 2 * bits > cap:
                return result
        bits *= 2


def evaluate_sympy(
    expr: sympy.Expr | int,
    env: Mapping[Any, Number] | None = None,
    *,
    precision: int = 128,
    cap: int = _DEFAULT_CAP,
) -> arb:
    """As `evaluate_data`, for a closed-form sympy expression; keys of ``env`` are symbols or their
    names.
    """
    from theory.expression import to_data

    inputs = {str(key): value for key, value in (env or {}).items()}
    return evaluate_data(to_data(expr), inputs, precision=precision, cap=cap)


def refute_identity(
    lhs: Any,
    rhs: Any,
    symbols: Iterable[Any] | None = None,
    *,
    bounds: Mapping[Any, tuple[Any, Any]] | None = None,
    points: int = 12,
    seed: int = 0,
    precision: int = 128,
) -> dict[str, Fraction] | None:
    """Look for a rational point at which lhs = rhs (sympy expressions) certainly fails.

    ``symbols``: the symbols to sample, default all free symbols; an atom that is no symbol (an
    applied function) may be listed too and is then sampled as one real variable.  Their
    assumptions (positive, integer, ...) and the closed ``bounds`` (symbol or name -> (lo, hi)) are
    respected.  Deterministic in ``seed``.

    Returns the point (printed name -> Fraction), or None if at every decided point both sides
    agree to about ``precision`` bits.  Raises `DerivationError` if no point could be decided
    (undefined everywhere), and `LemmataError` if two different symbols share one name.
    """
    import sympy

    from theory.expression import to_data

    left, right = sympy.sympify(lhs), sympy.sympify(rhs)
    free = left.free_symbols | right.free_symbols
    atoms = list(symbols) if symbols is not None else []
    stand_in = {
        atom: sympy.Dummy(f"atom{k}", real=True)
        for k, atom in enumerate(atoms)
        if not atom.is_Symbol
    }
    left, right = left.xreplace(stand_in), right.xreplace(stand_in)
    atoms += sorted(
        (left.free_symbols | right.free_symbols) & free - set(atoms), key=lambda s: s.sort_key()
    )
    labels = [str(atom) for atom in atoms]
    if len(set(labels)) < len(labels):
        raise LemmataError(
            f"different symbols share one name among {labels}; declare the same assumptions"
        )
    names = {atom: f"x{k}" for k, atom in enumerate(atoms)}
    rename = {stand_in.get(atom, atom): sympy.Symbol(name) for atom, name in names.items()}
    difference = ClosedForm(
        ["add", to_data(left.xreplace(rename)), ["neg", to_data(right.xreplace(rename))]]
    )
    size = ClosedForm(["max", ["rat", "1"], ["abs", to_data(left.xreplace(rename))]])
    limits = {str(key): (rational(lo), rational(hi)) for key, (lo, hi) in (bounds or {}).items()}
    rng, decided = random.Random(seed), 0
    for _ in range(points if atoms else 1):
        drawn = {atom: _draw(atom, limits.get(str(atom)), rng) for atom in atoms}
        env = {names[atom]: point(value) for atom, value in drawn.items()}
        gap = _decide_zero(difference, size, env, precision)
        if gap is False:
            return {str(atom): Fraction(int(v.p), int(v.q)) for atom, v in drawn.items()}
        decided += gap is True
    if not decided:
        raise DerivationError(
            f"identity undecided: {lhs} = {rhs} is undefined or too ill-conditioned at all "
            f"{points} sampled points; give bounds inside its domain, or raise the precision"
        )
    return None


def _decide_zero(
    difference: ClosedForm, size: ClosedForm, env: Mapping[str, Interval], precision: int
) -> bool | None:
    """False: certainly not zero; True: zero to ``precision`` bits relative to ``size``; None:
    undecided.
    """
    bits = precision
    while bits <= 16 * precision:
        with ctx.workprec(bits + 32):
            gap, scale = difference.enclose(env), size.enclose(env)
        if gap.is_positive or gap.is_negative:
            return False
        width = None if gap.lo is None or gap.hi is None else gap.hi - gap.lo
        if width is not None and scale.lo is not None and width * fmpq(2) ** precision <= scale.lo:
            return True
        bits *= 2
    return None


def _draw(atom: Any, bounds: tuple[fmpq, fmpq] | None, rng: random.Random) -> fmpq:
    """A random rational that satisfies the atom's assumptions (and bounds), of varied size, zero
    never by chance.
    """
    for _ in range(200):
        whole = bool(atom.is_integer)
        if bounds is not None:
            lo, hi = bounds
            value = lo + (hi - lo) * fmpq(rng.randint(0, 360), 360)
            value = fmpq(value.floor()) if whole else value
            if not lo <= value <= hi:
                continue
        else:
            value = (
                fmpq(rng.randint(1, 9))
                if whole
                else fmpq(rng.randint(1, 99), rng.choice((7, 32, 90, 1000)))
            )
            if atom.is_nonpositive or (not atom.is_nonnegative and rng.random() < 0.5):
                value = -value
        probe = (
            (atom.is_positive, value > 0), (atom.is_negative, value < 0),
            (atom.is_nonnegative, value >= 0), (atom.is_nonpositive, value <= 0),
            (atom.is_nonzero, value != 0),
            (atom.is_even, whole and value.p % 2 == 0), (atom.is_odd, whole and value.p % 2 == 1),
        )  # fmt: skip
        if all(satisfied for wanted, satisfied in probe if wanted):
            return value
    raise LemmataError(
        f"no sample of {atom} satisfies its assumptions within {bounds}; widen the bounds"
    )
