"""The drift of laws in a step of gradient descent, and the polynomial flows of squared losses."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from theory.conservation.builders_linear import hadamard, linear, matrix_factorisation, nmf
from theory.conservation.builders_units import icnn, relu
from theory.conservation.descent import DescentDrift, descent_drift
from theory.conservation.losses import squared_loss_flow
from theory.conservation.model import Law, Model
from theory.conservation.polynomials import value
from theory.conservation.symbolic import from_sympy
from theory.errors import DerivationError, LemmataError

SHAPES = [(2, 3, 2), (3, 2, 1), (1, 1, 3)]


def symbols_of(drift: DescentDrift) -> tuple[list[sympy.Symbol], list[sympy.Symbol]]:
    return (
        list(sympy.symbols(drift.parameters, real=True)),
        list(sympy.symbols(drift.slopes, real=True)),
    )


@pytest.mark.parametrize(("n", "m", "r"), SHAPES)
def test_factorisation_drift_is_the_matrix_formula(n: int, m: int, r: int) -> None:
    """W1 = U, W2 = Vᵀ, G = ∇f(W1 W2): D⁺ - D = η² (W2 Gᵀ G W2ᵀ - W1ᵀ G Gᵀ W1), entry by entry."""
    model = matrix_factorisation(n, m, r)
    entries = iter(model.named_laws)
    for a in range(r):
        for b in range(a, r):
            drift = descent_drift(model, next(entries))
            theta, g = symbols_of(drift)
            W1 = sympy.Matrix(n, r, theta[: n * r])
            W2 = sympy.Matrix(m, r, theta[n * r :]).T
            G = sympy.Matrix(n, m, g)
            imbalance = W1.T * W1 - W2 * W2.T
            eta = sympy.Symbol("eta")
            after = (W1 - eta * G * W2.T).T * (W1 - eta * G * W2.T)
            after -= (W2 - eta * W1.T * G) * (W2 - eta * W1.T * G).T
            expected = (W2 * G.T * G * W2.T - W1.T * G * G.T * W1)[a, b]
            assert drift.order == 2
            assert sympy.expand(drift.sympy(2) - expected) == 0, (a, b)
            step = sympy.expand((after - imbalance)[a, b] - eta**2 * expected)
            assert step == 0


def test_linear_network_drift_is_the_matrix_formula() -> None:
    """x ↦ W2 W1 x: D = W1 W1ᵀ - W2ᵀ W2 moves by η² (W2ᵀ G Gᵀ W2 - W1 Gᵀ G W1ᵀ)."""
    model = linear([3, 2, 2])
    for law, (a, b) in zip(model.named_laws, [(0, 0), (0, 1), (1, 1)], strict=True):
        drift = descent_drift(model, law)
        theta, g = symbols_of(drift)
        W1, W2 = sympy.Matrix(2, 3, theta[:6]), sympy.Matrix(2, 2, theta[6:])
        G = sympy.Matrix(2, 3, g)
        expected = (W2.T * G * G.T * W2 - W1 * G.T * G * W1.T)[a, b]
        assert sympy.expand(drift.sympy(2) - expected) == 0


@given(st.integers(0, 10**6))
def test_the_value_is_that_of_an_explicit_step(seed: int) -> None:
    """Deep networks: all orders together, in exact arithmetic."""
    random = sympy.core.random.rng
    random.seed(seed)
    model = (linear([2, 2, 1, 2]), relu([2, 2, 1], bias=True), icnn(1, 2, 1))[seed % 3]
    law = model.named_laws[seed % len(model.named_laws)]
    law = replace(law, polynomial=power(law.polynomial, 2))
    drift = descent_drift(model, law)
    assert drift.order == 4
    theta = [Fraction(random.randint(-9, 9), 4) for _ in model.variables]
    g = [Fraction(random.randint(-9, 9), 3) for _ in drift.slopes]
    eta = Fraction(random.randint(1, 9), 7)
    slope = [Fraction(0)] * model.size
    x = sympy.symbols(model.variables)
    for weight, (p, _) in zip(g, model.functions, strict=True):
        phi = sum(c * sympy.prod([x[i] for i in m]) for m, c in p.items())
        for a in range(model.size):
            here = sympy.diff(phi, x[a]).subs(dict(zip(x, map(rational, theta), strict=True)))
            slope[a] += weight * Fraction(int(here.p), int(here.q))
    if model.metric:
        dense = [Fraction(0)] * model.size
        for a, b, entry in model.metric:
            dense[a] += value(entry, theta) * slope[b]
        slope = dense
    moved = [t - eta * s for t, s in zip(theta, slope, strict=True)]
    actual = value(law.polynomial, moved) - value(law.polynomial, theta)
    assert drift.value(theta, g, eta) == actual


def rational(x: Fraction) -> sympy.Rational:
    return sympy.Rational(x.numerator, x.denominator)


def power(p: dict, k: int) -> dict:
    out = {(): 1}
    for _ in range(k):
        product: dict = {}
        for a, c in out.items():
            for b, d in p.items():
                m = tuple(sorted(a + b))
                product[m] = product.get(m, 0) + c * d
        out = {m: c for m, c in product.items() if c}
    return out


def test_a_mirror_law_of_degree_one_does_not_drift() -> None:
    model = nmf(2, 1, 2)
    drift = descent_drift(model, model.named_laws[0])
    assert drift.order == 1 and drift.text() == "0" and drift.sympy() == 0
    assert drift.value([1, 2, 3, 4], [1, 1, 1, 1], Fraction(1, 2)) == 0


def test_text_latex_and_names() -> None:
    model = hadamard(1, 2)  # φ = u² - v², h = u v
    drift = descent_drift(model, model.named_laws[0])
    assert drift.text() == "-4*u_1*v_1*g1^2"
    assert drift.latex() == r"-4 u_{1} v_{1} {g_{1}}^{2}"
    assert drift.text(3) == "0"
    named = descent_drift(model, model.named_laws[0], slopes=("r",), slopes_latex=(r"\rho",))
    assert named.text() == "-4*u_1*v_1*r^2" and r"{\rho}^{2}" in named.latex()


def test_names_of_loss_gradients_avoid_those_of_parameters() -> None:
    model = Model("product", ("g1", "h"), ({(0, 1): 1},))
    drift = descent_drift(model, Law({(0, 0): 1, (1, 1): -1}))
    assert drift.slopes == ("G1",) and drift.text() == "-g1^2*G1^2 + h^2*G1^2"


def test_rational_coefficients() -> None:
    """φ = x y / 3: the drift is that of x y with g / 3."""
    third = Model("third", ("x", "y"), ({(0, 1): 1},), denominators=({(): 3},))
    drift = descent_drift(third, Law({(0, 0): 1, (1, 1): -1}))
    assert drift.text() == "(-x^2*g1^2 + y^2*g1^2)/9" and r"\frac" in drift.latex()
    assert drift.value([2, 1], [3], 1) == -3
    assert drift.coefficient() == {
        (0, 0, 2, 2): Fraction(-1, 9),
        (1, 1, 2, 2): Fraction(1, 9),
    }


def test_rational_coefficients_from_sympy() -> None:
    """g = ∂ℓ/∂φ of the φ that was given: a step of x y / 3 with a fifth of y z, computed by sympy."""
    x, y, z = sympy.symbols("x y z", real=True)
    phi = [x * y / 3, y * z / 5]
    drift = descent_drift(from_sympy(phi), Law({(0, 0): 1, (1, 1): -1, (2, 2): 1}))
    g, eta = sympy.symbols("g1 g2", real=True), sympy.Symbol("eta")
    slope = [sum(w * p.diff(v) for w, p in zip(g, phi, strict=True)) for v in (x, y, z)]
    moved = [v - eta * s for v, s in zip((x, y, z), slope, strict=True)]
    change = moved[0] ** 2 - moved[1] ** 2 + moved[2] ** 2 - (x**2 - y**2 + z**2)
    assert sympy.expand(change - eta**2 * drift.sympy()) == 0


def test_cross_entropy_takes_the_gradients_of_differences() -> None:
    model = linear([1, 1, 2]).with_cross_entropy()
    law = linear([1, 1, 2]).named_laws[0]
    assert len(descent_drift(model, law).slopes) == 1


def planted() -> list[tuple[Model, dict]]:
    model = matrix_factorisation(2, 2, 2)
    good = model.named_laws[0].polynomial
    sign = {m: abs(c) for m, c in good.items()}  # UᵀU + VᵀV
    swapped = {tuple(sorted({0: 1, 1: 0}.get(i, i) for i in m)): c for m, c in good.items()}
    first = next(iter(good))
    changed = {**good, first: 2 * good[first]}
    return [(model, sign), (model, swapped), (model, changed)]


@pytest.mark.parametrize(("model", "polynomial"), planted())
def test_what_is_no_law_is_refused(model: Model, polynomial: dict) -> None:
    with pytest.raises(DerivationError, match=r"not conserved.*first order"):
        descent_drift(model, Law(polynomial))


def test_refusals() -> None:
    model = hadamard(1, 2)
    law = model.named_laws[0]
    with pytest.raises(LemmataError, match="discretisations"):
        descent_drift(model.with_momentum(Fraction(1)), law)
    with pytest.raises(LemmataError, match="logarithms"):
        descent_drift(model, Law({}, ((1, {(0,): 1}),)))
    rational_model = Model("ratio", ("x", "y"), ({(0,): 1},), denominators=({(1,): 1},))
    with pytest.raises(LemmataError, match="not a polynomial"):
        descent_drift(rational_model, Law({(0, 0): 1, (1, 1): 1}))
    with pytest.raises(LemmataError, match="does not have"):
        descent_drift(model, Law({(7,): 1}))
    with pytest.raises(LemmataError, match="names"):
        descent_drift(model, law, slopes=("u_1",))
    with pytest.raises(LemmataError, match="LaTeX"):
        descent_drift(model, law, slopes=("r",), slopes_latex=("r", "s"))
    drift = descent_drift(model, law)
    with pytest.raises(LemmataError, match="2 parameters and 1 loss"):
        drift.value([1], [1], 1)
    with pytest.raises(LemmataError, match="orders 1, 2"):
        drift.text(0)


# -- flows of squared losses


def test_the_flow_is_minus_the_gradient() -> None:
    """Against sympy's derivative of the loss, with a metric and a denominator."""
    x, y = sympy.symbols("x y")
    phi = ({(0, 0, 1): 2, (): 1}, {(0,): 1, (1,): -1})
    A, b = [[Fraction(1, 2), 3], [0, Fraction(-5, 3)]], [Fraction(1, 4), -2]
    psi = (2 * x**2 * y + 1, (x - y) / 7)
    loss = (
        sum(
            (
                sum(rational(Fraction(c)) * p for c, p in zip(row, psi, strict=True))
                - rational(Fraction(t))
            )
            ** 2
            for row, t in zip(A, b, strict=True)
        )
        / 2
    )
    model = Model("test", ("x", "y"), phi, denominators=({(): 1}, {(): -7}))
    model = replace(model, phi=(phi[0], {(0,): -1, (1,): 1}))
    metric = ((0, 0, {(0,): 1}), (0, 1, {(): 2}), (1, 0, {(): 2}), (1, 1, {(1, 1): 1}))
    M = sympy.Matrix([[x, 2], [2, y**2]])
    gradient = sympy.Matrix([loss.diff(x), loss.diff(y)])
    for found, expected in (
        (squared_loss_flow(model, A, b), -gradient),
        (squared_loss_flow(model.with_metric(metric), A, b), -M * gradient),
    ):
        for part, want in zip(found, expected, strict=True):
            have = sum(rational(c) * sympy.prod([(x, y)[i] for i in m]) for m, c in part.items())
            assert sympy.expand(have - want) == 0


def test_rows_by_their_entries() -> None:
    model = hadamard(3, 2)
    assert squared_loss_flow(model, [{2: 5, 0: Fraction(1, 2)}], [1]) == squared_loss_flow(
        model, [[Fraction(1, 2), 0, 5]], [1]
    )
    with pytest.raises(LemmataError, match="indices 0 to 2"):
        squared_loss_flow(model, [{3: 1}], [1])
    with pytest.raises(LemmataError, match="not rational"):
        squared_loss_flow(model, [{0: 0.0}], [1])  # type: ignore[dict-item]


def test_heavy_ball() -> None:
    model = Model("square", ("x",), ({(0, 0): 1},))
    plain = squared_loss_flow(model, [[1]], [1])
    assert plain == ({(0, 0, 0): -2, (0,): 2},)
    damped = squared_loss_flow(model.with_momentum(Fraction(1, 3)), [[1]], [1])
    assert damped == (
        {(1,): 1},
        {(0, 0, 0): -2, (0,): 2, (1,): Fraction(-1, 3)},
        {(2,): Fraction(1, 3)},
    )
    free = squared_loss_flow(model.with_momentum(Fraction(0)), [[1]], [1])
    assert free[1:] == ({(0, 0, 0): -2, (0,): 2}, {(): 1})


def test_bad_data() -> None:
    model = hadamard(2, 2)
    with pytest.raises(LemmataError, match="one of each per sample"):
        squared_loss_flow(model, [[1, 1]], [1, 2])
    with pytest.raises(LemmataError, match="one of each per sample"):
        squared_loss_flow(model, [], [])
    with pytest.raises(LemmataError, match="2 entries"):
        squared_loss_flow(model, [[1]], [1])
    with pytest.raises(LemmataError, match="not rational"):
        squared_loss_flow(model, [[0.5, 1]], [1])  # type: ignore[list-item]
    wide = linear([12, 12, 12])
    with pytest.raises(LemmataError, match="fewer non-zero entries"):
        squared_loss_flow(wide, [[1] * 144], [1])
