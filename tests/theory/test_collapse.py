"""The derivations on collapse: complete, about the statements' own formulas, and broken by wrong steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import sympy
from flint import arb, ctx

from proofs_checks.static_values import StaticValues
from theory import collapse as c
from theory import collapse_frames_setting as letters
from theory import collapse_simplex_setting as simplex
from theory import derivations_collapse as squares
from theory import derivations_collapse_ce as simplices
from theory import derivations_collapse_dual as dual
from theory import derivations_collapse_frames as frames
from theory import derivations_collapse_frames_above as above
from theory import derivations_collapse_zero as zero
from theory.collapse_derivation_setting import (
    CLASSES,
    J,
    K,
    N,
    Y,
    c_c,
    h_c,
    lambda_H,
    lambda_W,
    n,
    w_c,
    z_c,
)
from theory.collapse_thresholds import UFM_CE_ZERO, UPFM_CE_DUAL
from theory.derivation import Derivation, Step, StepError
from theory.justifications import Assume
from theory.symbols import Inner, Norm, Rel, eq, labels, le, lt

CHAINS: list[tuple[Any, Callable[[], Derivation]]] = [
    (c.UFM_MSE_VALUE, squares.mse_value),
    (c.UPFM_MSE_VALUE, squares.mse_value),
    (c.UFM_CE_VALUE, simplices.ufm_value),
    (c.UPFM_CE_VALUE, frames.upfm_value),
    (UPFM_CE_DUAL, dual.upfm_dual),
    (UFM_CE_ZERO, zero.ufm_zero),
]
MEMO: dict[Any, Any] = {}  # steps that a wrong chain shares with the right one are checked once
IDS = [s.id for s, _ in CHAINS]


@pytest.mark.parametrize("statement,build", CHAINS, ids=IDS)
def test_every_part_is_derived(statement: Any, build: Callable[[], Derivation]) -> None:
    verified = build().verify(memo={})
    assert set(verified.derivation.concludes) == {p.name for p in statement.parts}
    assumed = {s.name for s in verified.steps.values() if s.kind == "assume"}
    assert assumed == set(verified.derivation.hypotheses)
    (path,) = statement.derivations.values()
    assert path == f"{build.__module__}:{build.__name__}"


@pytest.mark.parametrize("build", [squares.mse_value, simplices.ufm_value, frames.upfm_value])
def test_only_the_objective_of_a_network_is_assumed(build: Callable[[], Derivation]) -> None:
    """J is compared with networks through their inner products and norms; no value is put in by hand."""
    about = {name: r for name, r in build().hypotheses.items() if J in (r.lhs, r.rhs)}
    assert set(about) == {"optimum", "collapsed network"}
    for name, network in (("optimum", {"w", "h"}), ("collapsed network", {"w_c", "h_c"})):
        right = about[name].rhs
        products = {frozenset(labels(e)) for e in right.atoms(Inner)}
        lengths = {frozenset(labels(e)) for e in right.atoms(Norm)}
        assert products == {frozenset(network)}
        assert lengths == {frozenset({one}) for one in network}
        assert labels(right) - network <= {"Y", "c", "c_c", "bias"}


# sizes (K, n_j) and λ_W, λ_H with classes alive and dead
NUMBERS: list[tuple[tuple[int, ...], Fraction, Fraction]] = [
    ((4, 4, 4), Fraction(1, 9), Fraction(1, 25)),
    ((4, 4), Fraction(1, 2), Fraction(1, 2)),
    ((7, 3, 1), Fraction(1, 7), Fraction(1, 11)),
]


@pytest.mark.parametrize("statement,build", CHAINS[:4], ids=IDS[:4])
@pytest.mark.parametrize("sizes,W,H", NUMBERS)
def test_the_derivation_proves_the_stated_formula(
    statement: Any, build: Callable[[], Derivation], sizes: tuple[int, ...], W: Any, H: Any
) -> None:
    """The right side of the derivation, with the statement's definitions put in, has the statement's value."""
    verified = build().verify()
    (part,) = statement.parts
    op, _, rhs = verified.conclusion_data(part.name)
    assert op == "="
    numbers = {
        "K": len(sizes), "N": sum(sizes), "n": list(sizes), "lambda_W": W, "lambda_H": H, "J": 0,
    }  # fmt: skip
    axes = {"n": "j"}
    stated = StaticValues(numbers, axes).evaluate(statement.expand(part.relation).rhs.to_data())
    values: dict[str, Any] = dict(numbers)
    for name, q in statement.bindings().items():
        if q.axes:
            axes[name] = "j"
            values[name] = [
                StaticValues(numbers | {"n": [size]}, {"n": "j"}).evaluate(
                    ["sum", "j", q.to_data()] if "n" in q.variables() else q.to_data()
                )
                for size in sizes
            ]
        else:
            values[name] = StaticValues(numbers, axes).evaluate(q.to_data())
    proved = StaticValues(values, axes).evaluate(rhs)
    with ctx.workprec(256):
        gap = arb(stated) - arb(proved)
    assert gap.contains(0) and gap.rad() < 1e-60


@pytest.mark.parametrize("sizes,W,H", NUMBERS[:2])
def test_the_zero_threshold_is_proved_as_stated(sizes: tuple[int, ...], W: Any, H: Any) -> None:
    verified = zero.ufm_zero().verify()
    L_sq, K = W * H, len(sizes)
    numbers = {
        "K": K,
        "n": list(sizes),
        "lambda_W": W,
        "lambda_H": H,
        "J": Fraction(7, 9),
    }
    with ctx.workprec(256):
        ratio = (arb(L_sq.numerator) / L_sq.denominator * sizes[0]).sqrt() * K
        rho = ratio if ratio < 1 else arb(1)
    for part in UFM_CE_ZERO.parts:
        op, lhs, rhs = verified.conclusion_data(part.name)
        relation = UFM_CE_ZERO.expand(part.relation)
        assert {"=": "=="}.get(op, op) == relation.op
        for proved, side in ((lhs, relation.lhs), (rhs, relation.rhs)):
            letters_ = numbers | {"alive": int(ratio < 1), "rho": rho}
            with ctx.workprec(256):
                gap = arb(StaticValues(letters_, {}).evaluate(proved)) - arb(
                    StaticValues(numbers, {"n": "j"}).evaluate(side.to_data())
                )
            assert gap.contains(0) and gap.rad() < 1e-60


# -- against formulas written once more, by hand --------------------------------------------------------------------
def stated(statement: Any, sizes: tuple[int, ...], W: Fraction, H: Fraction) -> float:
    """The right side of a value statement on numbers."""
    numbers = {"K": len(sizes), "N": sum(sizes), "n": list(sizes), "lambda_W": W, "lambda_H": H}
    (part,) = statement.parts
    value = StaticValues(numbers, {"n": "j"}).evaluate(
        statement.expand(part.relation).rhs.to_data()
    )
    return float(arb(value).mid())


def shannon(*p: float) -> float:
    return -sum(a * math.log(a) for a in p if a > 0)


@pytest.mark.parametrize("L", [Fraction(1, 50), Fraction(1, 8), Fraction(1, 5), Fraction(2)])
def test_values_by_branches(L: Fraction) -> None:
    """The formulas of the sources, which distinguish alive and dead classes; the statements write minima."""
    x = float(L)
    sizes = (9, 4, 1)
    total = sum(sizes)
    branches = sum(
        x * math.sqrt(s) - total * x * x / 2 if x < math.sqrt(s) / total else s / (2 * total)
        for s in sizes
    )
    assert stated(c.UFM_MSE_VALUE, sizes, L, L) == pytest.approx(branches, rel=1e-12)
    k, size = 3, 4
    alive = x < math.sqrt(size) / (k * size)
    t = x * math.sqrt(size) if alive else 1 / k
    assert stated(c.UFM_CE_VALUE, (size,) * k, L, L) == pytest.approx(
        shannon(1 - 2 * t, t, t), rel=1e-12
    )
    centred = (k - 1) * (
        x * math.sqrt(size) - k * size * x * x / 2 if alive else size / (2 * k * size)
    )
    assert stated(c.UFM_MSE_BIAS_VALUE, (size,) * k, L, L) == pytest.approx(centred, rel=1e-12)
    g, q = x * math.sqrt(k * (k - 1) * size), (k - 1) / k
    framed = g - g * g / (2 * q) if g < q else q / 2
    assert stated(c.UPFM_MSE_BIAS_VALUE, (size,) * k, L, L) == pytest.approx(framed, rel=1e-12)
    mean = 0.0
    for s in sizes:
        tau = min(1 / k, total * x / math.sqrt(k * (k - 1) * s))
        mean += s / total * shannon(1 - 2 * tau, tau, tau)
    assert stated(c.UPFM_CE_VALUE, sizes, L, L) == pytest.approx(mean, rel=1e-12)


# -- wrong steps ----------------------------------------------------------------------------------------------------
def broken(build: Callable[[], Derivation], name: str, relation: Rel) -> StepError:
    """The error of a chain in which one step, or one hypothesis, says something else."""
    derivation = build()
    assert name in {s.name for s in derivation.steps}
    steps = tuple(
        Step(s.name, relation, s.by, s.text) if s.name == name else s for s in derivation.steps
    )
    hypotheses: Mapping[str, Rel] = derivation.hypotheses
    if any(s.name == name and isinstance(s.by, Assume) for s in steps):
        hypotheses = {**hypotheses, name: relation}
    with pytest.raises(StepError) as caught:
        replace(derivation, steps=steps, hypotheses=hypotheses).verify(memo=MEMO)
    return caught.value


L = sympy.Symbol("L", positive=True)
m = squares.m
COLLAPSED = "collapsed network"
SUM_EXP = sympy.Sum(sympy.exp(z_c - c_c), CLASSES)
OWN = c_c - sympy.Sum(Y() * z_c, CLASSES)


def feature(squared: sympy.Expr) -> Rel:
    """The squared length of a feature of the collapsed network, by class."""
    return eq(Norm(h_c) ** 2, sympy.Sum(Y() * squared, CLASSES))


WRONG: list[tuple[str, Callable[[], Derivation], str, Rel]] = [
    (
        "a price larger than L",
        squares.mse_value,
        "m <= L",
        le(m, 2 * L),
    ),
    (
        "an infinite sum instead of the mean",
        squares.mse_value,
        "m is one of the two",
        eq((L - m) * (sympy.sqrt(n) - m), 0),
    ),
    ("value without the half", squares.mse_value, "value", eq(J, sympy.Sum(m * sympy.sqrt(n) - N * m**2, CLASSES))),
    ("points of several classes", squares.mse_value, "one class per point", eq(sympy.Sum(Y(), CLASSES), 2)),
    ("twice the threshold", simplices.ufm_value, "t <= L√n", le(simplex.t, 2 * L * sympy.sqrt(simplex.n))),
    ("t up to 1", simplices.ufm_value, "t <= 1/K", le(simplex.t, 1)),
    ("unbalanced classes", simplices.ufm_value, "class sizes", eq(sympy.Sum(Y(), simplex.POINTS), n)),
    ("a frame's entropy", simplices.ufm_value, "from below", le(simplex.ENTROPY + 1, J)),
    ("features of any sign", frames.upfm_value, "features >= 0", le(-1, letters.HYPOTHESES["features >= 0"].rhs)),
    ("the threshold of free features", frames.upfm_value, "theta", eq(letters.theta**2 * K**2 * n, N**2 * L ** 2)),
    ("free biases", frames.upfm_value, "biases", eq(letters.bias * 0, 0)),
    ("one part in K too much", dual.upfm_dual, "B", eq(dual.B, dual.gamma * dual.gamma_i * (1 - dual.same))),
    ("a dead class that is alive", zero.ufm_zero, "dead", eq(zero.alive * (1 - K * simplex.t), 0)),
    ("all classes kept", zero.ufm_zero, "margin", le(J + 2 * zero.SPREAD, sympy.log(K))),
    ("another uniform entropy", zero.ufm_zero, "divergence", le(J, sympy.log(K) - 1)),
    ("a frame that is not orthogonal", squares.mse_value, "collapsed logit", eq(z_c, squares.a * squares.b)),
    ("features twice as long", squares.mse_value, "collapsed feature", feature(4 * squares.b**2)),
    ("a class that grows", squares.mse_value, "m <= √n/N", le(m, sympy.sqrt(n))),
    ("a negative logit", squares.mse_value, "b >= 0", le(squares.b, 0)),
    ("unit vectors for a simplex", simplices.ufm_value, "collapsed classifier", eq(Norm(w_c) ** 2, simplex.a**2)),
    ("a frame for a simplex", simplices.ufm_value, "collapsed feature", eq(Norm(h_c) ** 2, simplex.b**2)),
    ("logits of any size", simplices.ufm_value, "size of a", eq(lambda_W * simplex.a**2, L * simplex.LOGIT)),
    ("an unnormalised loss", simplices.ufm_value, "collapsed log-sum-exp", eq(SUM_EXP, K)),
    ("a sum for a mean", simplices.ufm_value, COLLAPSED, le(J, N * simplex.HYPOTHESES[COLLAPSED].rhs)),
    ("a classifier without its mean", frames.upfm_value, "collapsed classifier", eq(Norm(w_c) ** 2, letters.v**2)),
    ("a simplex for a frame", frames.upfm_value, "collapsed feature", feature(letters.b**2 * (K - 1) / K)),
    ("logits of all classes", frames.upfm_value, "collapsed logit", eq(z_c, (Y() - 1 / K) * letters.v * letters.b)),
    ("logarithms that are not picked", frames.upfm_value, "wrong probability", le(2 * sympy.exp(above.V), above.WRONG)),
    ("a point that gains", simplices.ufm_value, "collapsed point", le(OWN, -2 * sympy.log(simplex.q))),
    ("a dual that is too large", dual.upfm_dual, "size of gamma", le(dual.gamma_sq * n, K * lambda_W * lambda_H)),
]  # fmt: skip


@pytest.mark.parametrize("words,build,name,relation", WRONG, ids=[w[0] for w in WRONG])
def test_a_wrong_step_does_not_verify(
    words: str, build: Callable[[], Derivation], name: str, relation: Rel
) -> None:
    error = broken(build, name, relation)
    assert error.step in {s.name for s in build().steps}


def test_both_inequalities_are_needed_for_an_equation() -> None:
    derivation = squares.mse_value()
    for by in (
        squares.Antisymmetry("from above", "from above"),
        squares.Antisymmetry("from below", "from above"),
        squares.Antisymmetry("no empty class", "from below"),
    ):
        steps = tuple(replace(s, by=by) if s.name == "value" else s for s in derivation.steps)
        with pytest.raises(StepError):
            replace(derivation, steps=steps).verify(memo=MEMO)
    strict = tuple(
        replace(s, relation=lt(s.relation.lhs, s.relation.rhs)) if s.name == "value" else s
        for s in derivation.steps
    )
    with pytest.raises(StepError, match="give an equation"):
        replace(derivation, steps=strict).verify(memo=MEMO)
