"""Both evaluators, theory's and the kernel's, against mpmath and against each other."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import pytest
from flint import arb, ctx, fmpq
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from proofs_checks.audit import arithmetic, closed_form
from proofs_checks.audit.core import Clock, Rejected
from theory.closed_form import ClosedForm
from theory.intervals import Interval, point

SMALL = st.fractions(-3, 3, max_denominator=8)
LEAVES = st.one_of(
    st.just(["var", "x", []]), st.just(["var", "y", []]), st.just(["pi"]),
    SMALL.map(lambda q: ["rat", str(q)]),
)  # fmt: skip
UNARY = (
    "neg",
    "sqrt",
    "abs",
    "exp",
    "expm1",
    "log",
    "log1p",
    "tanh",
    "cos",
    "acos",
    "sign",
    "relu",
    "step",
)
EXPONENTS = ("2", "3", "-1", "-2", "0", "1/2", "1/3", "5/2", "-1/2", "4")


def _extend(inner):
    return st.one_of(
        st.tuples(st.sampled_from(UNARY), inner).map(list),
        st.tuples(st.sampled_from(("add", "mul", "max", "min", "div")), inner, inner).map(list),
        st.tuples(st.sampled_from(("add", "mul", "max", "min")), inner, inner, inner).map(list),
        st.tuples(inner, st.sampled_from(EXPONENTS)).map(lambda p: ["pow", p[0], ["rat", p[1]]]),
    )


EXPRESSIONS = st.recursive(LEAVES, _extend, max_leaves=6)
SIDES = st.tuples(SMALL, st.fractions(0, 3, max_denominator=8), st.booleans(), st.booleans()).map(
    lambda s: (s[0], s[0] + s[1], s[2] and s[1] > 0, s[3] and s[1] > 0)
)


class Skip(Exception):
    """Outside the domain, or too close to a jump for a floating-point reference."""


def reference(data, env):
    """The value by mpmath."""
    op, *args = data
    if op == "var":
        return env[args[0]]
    if op == "rat":
        return mpmath.mpf(Fraction(args[0]).numerator) / Fraction(args[0]).denominator
    if op == "pi":
        return +mpmath.pi
    if op == "pow":
        q, a = Fraction(args[1][1]), reference(args[0], env)
        if (q.denominator > 1 and a < 0) or (q < 0 and a == 0):
            raise Skip
        if q.denominator == 1:
            return mpmath.mpf(a) ** int(q)
        return a ** (mpmath.mpf(q.numerator) / q.denominator) if a else mpmath.mpf(0)
    values = [reference(arg, env) for arg in args]
    a = values[0]
    domain = {
        "sqrt": a >= 0,
        "log": a > 0,
        "log1p": a > -1,
        "acos": -1 <= a <= 1,
        "div": values[-1] != 0,
    }
    if not domain.get(op, True):
        raise Skip
    if op in ("sign", "step") and 0 < abs(a) < 1e-20:
        raise Skip
    table = {
        "add": lambda: mpmath.fsum(values), "mul": lambda: mpmath.fprod(values), "max": lambda: max(values),
        "min": lambda: min(values), "div": lambda: a / values[1], "neg": lambda: -a, "abs": lambda: abs(a),
        "relu": lambda: max(a, 0), "step": lambda: int(a > 0), "sign": lambda: mpmath.sign(a),
    }  # fmt: skip
    value = table[op]() if op in table else getattr(mpmath, op)(a)
    if abs(value) > 1e8:
        raise Skip
    return value


def exact(value, digits=45):
    return fmpq(int(mpmath.floor(value * 10**digits)), 10**digits)


def number(q):
    return mpmath.mpf(q.numerator) / q.denominator


def rational(q):
    return fmpq(q.numerator, q.denominator)


def kernel_side(side):
    lo, hi, lo_open, hi_open = side
    return (0, rational(lo), int(lo_open)), (0, rational(hi), -int(hi_open))


def theory_side(side):
    lo, hi, lo_open, hi_open = side
    return Interval(rational(lo), rational(hi), lo_open, hi_open)


def kernel(data, env, name=None):
    """(value, slope) as pairs of ends, or None where the kernel refuses."""
    clock = Clock(60)
    try:
        return closed_form.evaluate(closed_form.parse(data, list(env), clock), env, name, clock)
    except Rejected:
        return None


SLACK = fmpq(1, 10**15)


def inside(pair, value, slack=SLACK):
    low, high = pair
    return (low[0] < 0 or low[1] - slack < value) and (high[0] > 0 or value < high[1] + slack)


def as_pair(interval):
    return (
        arithmetic.MINUS_INF if interval.lo is None else (0, interval.lo, int(interval.lo_open)),
        arithmetic.PLUS_INF if interval.hi is None else (0, interval.hi, -int(interval.hi_open)),
    )


def test_the_kernel_shares_no_evaluator_with_theory():
    assert not hasattr(closed_form, "ClosedForm") and "theory" not in closed_form.__dict__


@settings(max_examples=400)
@given(EXPRESSIONS, SIDES, SIDES, *[st.fractions(0, 1)] * 2)
def test_enclosures_hold_every_value(data, x_side, y_side, u, v):
    at = {n: s[0] + (s[1] - s[0]) * w for n, s, w in (("x", x_side, u), ("y", y_side, v))}
    for name, side in (("x", x_side), ("y", y_side)):
        assume(not (side[2] and at[name] == side[0]) and not (side[3] and at[name] == side[1]))
    with mpmath.workdps(60):
        try:
            value = exact(reference(data, {n: number(q) for n, q in at.items()}))
        except Skip:
            value = None
    with ctx.workprec(120):
        box = {"x": x_side, "y": y_side}
        theirs = ClosedForm(data).enclose({n: theory_side(s) for n, s in box.items()})
        ours = kernel(data, {n: kernel_side(s) for n, s in box.items()})
        assert theirs.defined == (ours is not None)
        if ours is not None:
            assert as_pair(theirs) == ours[0]  # the same set of values, and the same open ends
            if value is not None:
                assert inside(ours[0], value)
        if value is not None:  # at a point where the value exists both know it, unless at a jump
            single = ClosedForm(data).enclose({n: point(rational(q)) for n, q in at.items()})
            assert not single.defined or inside(as_pair(single), value)


@settings(max_examples=400)
@given(EXPRESSIONS, SIDES, SIDES, *[st.fractions(0, 1)] * 3)
def test_slopes_hold_every_difference_quotient(data, x_side, y_side, u, u2, v):
    assume(x_side[0] < x_side[1] and u != u2)
    first, second = (x_side[0] + (x_side[1] - x_side[0]) * w for w in (u, u2))
    y = y_side[0] + (y_side[1] - y_side[0]) * v
    for side, values in ((x_side, (first, second)), (y_side, (y,))):
        assume(not (side[2] and side[0] in values) and not (side[3] and side[1] in values))
    with ctx.workprec(120):
        box = {"x": x_side, "y": y_side}
        form = ClosedForm(data)
        value, (slope, _) = form.with_slopes(
            {n: theory_side(s) for n, s in box.items()}, ("x", "y")
        )
        ours = kernel(data, {n: kernel_side(s) for n, s in box.items()}, "x")
        # the kernel may refuse more (a slope of x**0 at 0), never less
        assert value.defined or ours is None
        assume(ours is not None)
        if "cos" not in str(data):  # a wide ball's cosine is rounded outward in either order
            assert as_pair(value) == ours[0] and as_pair(slope) == ours[1]
    with mpmath.workdps(80):
        try:
            values = [reference(data, {"x": number(t), "y": number(y)}) for t in (first, second)]
        except Skip:
            assume(False)
        quotient = exact((values[1] - values[0]) / number(second - first))
    assert inside(ours[1], quotient) and inside(as_pair(slope), quotient)


@pytest.mark.parametrize(
    ("data", "side"),
    [
        (["log", ["var", "x"]], (0, 1, False, False)),
        (["log", ["var", "x"]], (-1, 1, True, False)),
        (["log1p", ["var", "x"]], (-1, 1, False, False)),
        (["sqrt", ["var", "x"]], (-1, 1, False, False)),
        (["div", ["rat", "1"], ["var", "x"]], (0, 1, False, False)),
        (["div", ["rat", "1"], ["var", "x"]], (-1, 0, False, False)),
        (["pow", ["var", "x"], ["rat", "-1/3"]], (0, 1, False, False)),
        (["acos", ["var", "x"]], (0, 2, False, False)),
        (["mul", ["rat", "0"], ["log", ["var", "x"]]], (0, 1, False, False)),
    ],
)
def test_what_may_be_undefined_is_refused(data, side):
    side = (Fraction(side[0]), Fraction(side[1]), *side[2:])
    assert kernel(data, {"x": kernel_side(side)}) is None
    assert not ClosedForm(data).enclose({"x": theory_side(side)}).defined


def test_an_open_end_makes_it_defined():
    side = kernel_side((Fraction(0), Fraction(1), True, False))
    low, high = kernel(["log", ["var", "x"]], {"x": side})[0]
    assert low == arithmetic.MINUS_INF and high == (0, 0, 0)
    low, high = kernel(["div", ["rat", "1"], ["var", "x"]], {"x": side})[0]
    assert low == (0, 1, 0) and high == arithmetic.PLUS_INF


@given(st.integers(-(2**200), 2**200), st.integers(-70_000, 70_000), st.sampled_from((1, -1)))
def test_bounds_are_outward_within_the_exponent_cap(man, exp, role):
    with ctx.workprec(300):
        ball = arb(man) * arb(2) ** exp
        end = arithmetic.bound(ball, role)
        if end[0]:
            assert end[0] == -role
        elif role > 0:
            assert arb(end[1]) <= ball
        else:
            assert arb(end[1]) >= ball
        if not end[0] and abs(exp) + 200 < arithmetic.CAP:
            assert end[1] == fmpq(man) * fmpq(2) ** exp


def test_precision_only_tightens_a_long_computation():
    data = ["exp", ["mul", *[["add", ["var", "x"], ["rat", "1/3"]]] * 12]]
    side = kernel_side((Fraction(1, 7), Fraction(1, 7), False, False))
    widths = []
    for bits in (24, 64, 256):
        with ctx.workprec(bits):
            low, high = kernel(data, {"x": side})[0]
            widths.append(high[1] - low[1])
    assert widths[0] > widths[1] > widths[2] >= 0
