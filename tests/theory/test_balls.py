"""Rigorous evaluation of closed forms: edges of domains, wide balls, precision, identities."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import mpmath
import pytest
import sympy as sp
from flint import arb, ctx, fmpq
from hypothesis import assume, given
from hypothesis import strategies as st

from theory.balls import evaluate_data, evaluate_sympy, refute_identity
from theory.closed_form import ClosedForm, rational
from theory.errors import DerivationError, LemmataError
from theory.expression import from_data, to_data
from theory.intervals import Interval, point

X = ["var", "x", []]


@pytest.mark.parametrize(
    ("data", "lo", "hi", "expected"),
    [
        (["pow", X, ["rat", "1/3"]], 0, 8, (0, 2)),
        (["pow", X, ["rat", "2"]], -1, 2, (0, 4)),
        (["pow", X, ["rat", "3"]], -1, 2, (-1, 8)),
        (["pow", X, ["rat", "-2"]], 1, 2, (0.25, 1)),
        (["pow", X, ["rat", "0"]], -1, 1, (1, 1)),
        (["sqrt", X], 0, 4, (0, 2)),
        (["abs", X], -3, 1, (0, 3)),
        (["relu", X], -3, 1, (0, 1)),
        (["step", X], -3, 1, (0, 1)),
        (["step", X], -3, 0, (0, 0)),
        (["sign", X], -3, 1, (-1, 1)),
        (["sign", X], 1, 2, (1, 1)),
        (["max", X, ["rat", "0"], ["neg", X]], -3, 1, (0, 3)),
        (["min", X, ["rat", "0"]], -3, 1, (-3, 0)),
        (["mul", X, X], 0, 1, (0, 1)),
        (["exp", X], 0, 0, (1, 1)),
        (["cos", X], 0, 0, (1, 1)),
        (["acos", X], 1, 1, (0, 0)),
        (["expm1", X], 0, 0, (0, 0)),
        (["log1p", X], 0, 0, (0, 0)),
        (["tanh", X], 0, 0, (0, 0)),
        (["log", X], 1, 1, (0, 0)),
        (["div", X, ["add", ["rat", "1"], X]], 0, 1, (0, 1)),
    ],
)
def test_sharp_ranges_at_the_edges(data, lo, hi, expected):
    ball = evaluate_data(data, {"x": (lo, hi)})
    assert ball.contains(arb(expected[0])) and ball.contains(arb(expected[1]))
    assert ball.lower() >= expected[0] - 1e-7 and ball.upper() <= expected[1] + 1e-7


@pytest.mark.parametrize(
    ("data", "lo", "hi"),
    [
        (["log", X], -1, 1),
        (["log", X], 0, 1),
        (["log1p", X], -2, 0),
        (["sqrt", X], -1, 1),
        (["pow", X, ["rat", "1/3"]], -1, 1),
        (["pow", X, ["rat", "-1/2"]], 0, 1),
        (["pow", X, ["rat", "-1"]], -1, 1),
        (["div", ["rat", "1"], X], -1, 1),
        (["div", X, X], 0, 1),
        (["acos", X], 0, 2),
    ],
)
@pytest.mark.parametrize("wrap", [lambda a: a, lambda a: ["mul", ["rat", "0"], a],
                                  lambda a: ["max", ["rat", "9"], a], lambda a: ["step", a],
                                  lambda a: ["pow", a, ["rat", "0"]]])  # fmt: skip
def test_domain_errors_prove_nothing(data, lo, hi, wrap):
    ball = evaluate_data(wrap(data), {"x": (lo, hi)})
    assert ball.is_nan()
    assert not (ball <= 10**9) and not (ball >= -(10**9)) and not ball.contains_interior(arb(0))


def test_wide_balls():
    assert evaluate_data(["pow", X, ["rat", "-1/2"]], {"x": arb(3, 2)}).contains(
        arb("0.4472135954")
    )
    assert evaluate_data(["sqrt", X], {"x": arb(1, 1)}).is_nan()  # this ball reaches below zero
    assert evaluate_data(["exp", X], {"x": arb(0, 1)}).contains(arb(2))
    with pytest.raises(LemmataError, match="empty"):
        evaluate_data(X, {"x": (1, 0)})


def test_a_nan_input_stays_indeterminate():
    assert evaluate_data(["max", X, ["rat", "1"]], {"x": arb.nan()}).is_nan()


def test_precision_grows_until_the_result_is_accurate():
    tiny = Fraction(1, 10**300)
    ball = evaluate_data(["add", ["exp", X], ["rat", "-1"]], {"x": tiny})
    assert ball.rel_accuracy_bits() >= 120
    with ctx.workprec(400):
        assert abs(ball - arb(fmpq(1, 10**300))) < arb(fmpq(1, 10**335))
    capped = evaluate_data(["add", ["exp", X], ["rat", "-1"]], {"x": tiny}, cap=256)
    assert capped.rel_accuracy_bits() < 120


def test_extreme_scales_neither_underflow_nor_hang():
    eps = Fraction(1, 10**768)
    assert evaluate_data(["mul", X, X], {"x": eps}) > 0
    assert evaluate_data(["log", X], {"x": eps}) < -1768
    underflown = ClosedForm(["exp", ["neg", ["exp", X]]]).enclose({"x": point(fmpq(60))})
    assert underflown.is_positive and underflown.hi < fmpq(1, 10**19000)
    assert evaluate_data(["exp", ["exp", X]], {"x": 60}).is_nan()  # beyond the exponent cap


def test_sympy_evaluation():
    x = sp.Symbol("x", positive=True)
    got = evaluate_sympy(sp.exp(sp.pi * sp.sqrt(x)), {x: 163}, precision=256)
    with mpmath.workdps(100):
        assert arb(mpmath.nstr(mpmath.exp(mpmath.pi * mpmath.sqrt(163)), 70)).overlaps(got)
    assert evaluate_sympy(sp.Max(x, 2) + sp.E**0, {"x": Fraction(1, 2)}) == 3


@pytest.mark.parametrize(
    "bad",
    [["nope", X], ["exp"], ["exp", X, X], ["rat", "1/0"], ["rat", 0.5], ["rat", "1.5"], X[0], [], ["add"],
     ["var", "w", ["j"]], ["pow", X, X], ["sum", "j", X], None, ["rat", "--1"], ["rat", True]],
)  # fmt: skip
def test_malformed_data_are_refused(bad):
    with pytest.raises(LemmataError):
        ClosedForm(bad)


def test_missing_variable_and_deep_nesting_are_refused():
    with pytest.raises(LemmataError, match="no value for the variable 'x'"):
        evaluate_data(X)
    deep = X
    for _ in range(100_000):
        deep = ["neg", deep]
    with pytest.raises(LemmataError, match="nested too deeply"):
        ClosedForm(deep)


def test_rationals():
    for value in (Fraction(-3, 4), "-3/4", fmpq(-3, 4), sp.Rational(-3, 4), "-6/8"):
        assert rational(value) == fmpq(-3, 4)
    for value in (0.5, True, "1/-2", "0x1p3", None, sp.pi):
        with pytest.raises(LemmataError):
            rational(value)


x, y, n = (
    sp.Symbol("x", positive=True),
    sp.Symbol("y", real=True),
    sp.Symbol("n", integer=True, positive=True),
)


@pytest.mark.parametrize(
    "expr",
    [
        sp.Integer(0), sp.Rational(-3, 7), sp.pi, sp.E, x, -x, x - y, x / y, -3 * x ** sp.Rational(5, 3) / (2 * y**2),
        sp.exp(-x) - 1, sp.log(1 + x**2) / 4, sp.sqrt(x) * sp.Abs(y), sp.Max(x, y, 0), sp.Min(1, y), sp.tanh(y / 2),
        sp.cos(y), sp.acos(y), sp.sign(y), sp.Heaviside(y, 0), 1 / sp.sqrt(1 + y**2), (x + 1) ** -3, sp.exp(1) ** 2,
    ],
)  # fmt: skip
def test_expressions_survive_the_round_trip(expr):
    names = {"x": x, "y": y}
    assert from_data(to_data(expr), names) == expr
    value = evaluate_sympy(expr, {x: Fraction(3, 8), y: Fraction(-5, 8)})
    assert value.overlaps(
        arb(str(sp.N(expr.subs({x: sp.Rational(3, 8), y: sp.Rational(-5, 8)}), 30)))
    )


def test_powers_and_hyperbolic_functions_are_rewritten():
    for expr in (x**y, sp.sinh(x) - sp.cosh(y), 2**x):
        value = evaluate_sympy(expr, {x: Fraction(3, 8), y: Fraction(-5, 8)})
        assert value.rel_accuracy_bits() > 100
        point_value = expr.subs({x: sp.Rational(3, 8), y: sp.Rational(-5, 8)})
        assert abs(float(value) - float(point_value)) < 1e-14


@pytest.mark.parametrize(
    "expr",
    [
        sp.Float("0.1") * x,
        sp.Function("log")(x),
        sp.gamma(x),
        sp.oo,
        sp.I * x,
        sp.Sum(n, (n, 1, 3)),
    ],
)
def test_expressions_that_are_no_closed_forms(expr):
    with pytest.raises(LemmataError):
        to_data(expr)


def test_from_data_refuses_what_it_does_not_know():
    for bad in (["sum", "j", X], ["exp", X, X], [], "x"):
        with pytest.raises(LemmataError):
            from_data(bad)


def test_refute_identity():
    assert refute_identity((x + y) ** 2, x**2 + 2 * x * y + y**2) is None
    assert refute_identity(sp.log(x * sp.exp(y)), sp.log(x) + y) is None
    found = refute_identity((x + y) ** 2, x**2 + y**2)
    assert found is not None and found["x"] > 0 and found["x"] * found["y"] != 0
    tiny = refute_identity(sp.exp(x), sp.exp(x) * (1 + sp.Rational(1, 10**30)))
    assert tiny is not None
    assert refute_identity(sp.Integer(1), sp.Integer(2)) == {}
    assert refute_identity(sp.sqrt(2) ** 2, 2) is None


def test_samples_respect_assumptions_and_bounds():
    for seed in range(20):
        found = refute_identity(n * x, n * x + 1, [n, x], bounds={x: (2, 3)}, seed=seed)
        assert found is not None
        assert found["n"].denominator == 1 and found["n"] >= 1 and 2 <= found["x"] <= 3
    assert refute_identity(x, y, seed=3) == refute_identity(x, y, seed=3)
    assert refute_identity(sp.Abs(y), y, [y]) is not None  # both signs are sampled
    with pytest.raises(LemmataError, match="no sample"):
        refute_identity(x, 1, bounds={x: (-2, -1)})


def test_applied_functions_can_be_sampled_as_atoms():
    norm = sp.Function("norm", positive=True)(y)
    found = refute_identity(norm**2, norm, [norm])
    assert found is not None and list(found) == ["norm(y)"]
    assert refute_identity((norm + 1) ** 2, norm**2 + 2 * norm + 1, [norm]) is None


def test_undecidable_identities_raise():
    with pytest.raises(DerivationError, match="undecided"):
        refute_identity(sp.log(-x), 1)
    with pytest.raises(LemmataError, match="share one name"):
        refute_identity(sp.Symbol("x", positive=True), sp.Symbol("x", negative=True))


@given(
    st.fractions(-4, 4, max_denominator=16), st.fractions(0, 4, max_denominator=16), st.fractions(0, 1),
    st.sampled_from(["exp", "expm1", "tanh", "cos", "abs", "sqrt", "log", "log1p", "acos"]),
)  # fmt: skip
def test_every_value_lies_in_the_range(lo, width, where, op):
    at, slack = lo + width * where, fmpq(1, 10**25)
    with mpmath.workdps(40):
        function = getattr(mpmath, {"abs": "fabs"}.get(op, op))
        try:
            exact = function(mpmath.mpf(at.numerator) / at.denominator)
        except ValueError:
            exact = mpmath.mpc(0, 1)
        assume(not isinstance(exact, mpmath.mpc) and mpmath.isfinite(exact))
        reference = fmpq(int(mpmath.floor(exact * 10**35)), 10**35)
    form = ClosedForm([op, X])
    with ctx.workprec(100):
        inside = form.enclose({"x": Interval(rational(lo), rational(lo + width))})
        for enclosure in (inside, form.enclose({"x": point(rational(at))})):
            if enclosure.defined:
                assert enclosure.lo - slack < reference < enclosure.hi + slack
        assert form.enclose({"x": point(rational(at))}).defined


def test_importing_theory_loads_no_heavy_package():
    code = "import sys, theory, theory.errors; print({'sympy', 'flint', 'numpy', 'torch'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
    code = "import sys, theory.boxes, theory.balls; print({'sympy', 'numpy', 'torch'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"
