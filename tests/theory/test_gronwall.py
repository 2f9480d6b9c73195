"""Closed forms of comparison equations, and what counts as locally Lipschitz."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from scipy.integrate import solve_ivp
from sympy import Rational, exp

from theory.early_alignment_setting import (
    EXPONENTIAL,
    U,
    active,
    f,
    g,
    overlap,
    relu,
    two_layer_relu,
    u,
    v,
)
from theory.errors import DerivationError
from theory.gronwall import bernoulli, defined_everywhere, locally_lipschitz
from theory.normal_form import is_zero
from theory.positivity import NONE, Facts
from theory.symbols import lt

t = sympy.Symbol("t", nonnegative=True)


@pytest.mark.parametrize("p", [2, 3, Rational(3, 2)])
def test_bernoulli_solves_its_equation(p: sympy.Expr) -> None:
    a, b, u0 = sympy.symbols("a b u0", positive=True)
    z = bernoulli(u0, a, b, sympy.sympify(p), t)
    assert is_zero(z.subs(t, 0) - u0)
    values = {a: Rational(1, 2), b: Rational(1, 3), u0: Rational(1, 4)}
    rhs = (a * z + b * z**p - sympy.diff(z, t)).subs(values)
    assert all(abs(float(rhs.subs(t, s).evalf(30))) < 1e-20 for s in (0, Rational(1, 3), 1))
    exact = float(z.subs(values).subs(t, 1))
    run = solve_ivp(
        lambda _, q: 0.5 * q + q ** float(p) / 3, (0, 1), [0.25], rtol=1e-11, atol=1e-13
    )
    np.testing.assert_allclose(run.y[0, -1], exact, rtol=1e-8)


def test_bernoulli_refuses_the_linear_case() -> None:
    with pytest.raises(DerivationError, match="linear"):
        bernoulli(sympy.Integer(1), sympy.Integer(1), sympy.Integer(1), sympy.Integer(1), t)


def test_locally_lipschitz() -> None:
    setting = two_layer_relu(EXPONENTIAL)
    for q in (u, v**2, U, relu, v * relu, sympy.Abs(v), f, g, exp(-v) * u, sympy.sqrt(1 + u)):
        assert locally_lipschitz(q, setting), q
    for q in (
        active,
        active * u,
        sympy.sign(v),
        sympy.sqrt(sympy.Abs(v)),
        1 / u,
        sympy.log(u),
        overlap * active,
    ):
        assert not locally_lipschitz(q, setting), q
    assert locally_lipschitz(1 / u, setting, Facts.of([lt(0, u)]))


def test_defined_everywhere() -> None:
    e = sympy.Symbol("e", positive=True)
    z = e / (1 - e * (exp(t) - 1))
    assert defined_everywhere(e / (1 + e), NONE) is None
    assert is_zero(defined_everywhere(z, NONE) - (1 - e * (exp(t) - 1)))
    assert defined_everywhere(z, Facts.of([lt(0, 1 - e * (exp(t) - 1))])) is None
