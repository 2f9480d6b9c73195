"""Laws hold along computed trajectories, what is no law is violated, and descent drifts as derived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy

from numerics.polynomial_flow import integrate_polynomial
from proofs_checks import law_data
from proofs_checks.law_drift import (
    RESOLVED,
    check_laws,
    compare_descent,
    descent_check,
    polynomial_field,
)
from proofs_checks.law_values import LawValues
from proofs_checks.laws import laws as analysed
from proofs_checks.verdict import Status
from theory.conservation.builders_linear import (
    cp,
    hadamard,
    linear,
    matrix_factorisation,
    nmf,
)
from theory.conservation.builders_units import icnn, relu
from theory.conservation.descent import descent_drift
from theory.conservation.laws import find_laws
from theory.conservation.model import Law, Model
from theory.conservation.polynomials import Polynomial, add, scale
from theory.conservation.symbolic import from_sympy
from theory.errors import DerivationError, LemmataError

MODELS = [
    linear([2, 3, 2]),
    linear([2, 2, 2, 2]),
    matrix_factorisation(3, 2, 2),
    cp([2, 2, 2], 1),
    hadamard(2, 2),
    nmf(2, 2, 2),
    icnn(2, 2, 1),
    relu([2, 2, 1], bias=True),
]
BALANCE = matrix_factorisation(2, 2, 2)


def statuses(model: Model, laws: Sequence[Law], **options: float) -> list[Status]:
    return [found.status for found in check_laws(model, laws, cases=3, **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.spec)
def test_known_laws_hold(model: Model) -> None:
    for found in check_laws(model, model.named_laws, cases=3):
        assert found.status is Status.HOLDS, found
        assert found.drift <= found.error and found.bound <= 1e-9 * found.scale
        assert found.resolved > RESOLVED
        assert found.motion > 1e-3 * found.scale and found.horizon > 0 and found.reason == ""


def planted(law: Law, kind: str) -> Law:
    p = dict(law.polynomial)
    if kind == "sign":
        last = max(p)
        return Law({**p, last: -p[last]})
    if kind == "coefficient":
        first = min(p)
        return Law({**p, first: p[first] + 1})
    swap = {0: 1, 1: 0}
    return Law({tuple(sorted(swap.get(i, i) for i in m)): c for m, c in p.items()})


@pytest.mark.parametrize("kind", ["sign", "coefficient", "swapped"])
@pytest.mark.parametrize("model", MODELS[:4], ids=lambda model: model.spec)
def test_what_is_no_law_is_violated(model: Model, kind: str) -> None:
    wrong = [planted(law, kind) for law in model.named_laws]
    found = check_laws(model, wrong, cases=3)
    for law, verdict in zip(wrong, found, strict=True):
        if kind == "swapped" and law.polynomial in [good.polynomial for good in model.named_laws]:
            continue
        assert verdict.status is Status.VIOLATED, verdict
        assert verdict.drift > 1e3 * verdict.error and "trajectory" in verdict.reason


def test_laws_that_were_found_hold_and_sums_of_laws_too() -> None:
    model = linear([2, 2, 2])
    laws = find_laws(model, degree=2)
    assert len(laws) == 3
    both = Law(add(laws[0].polynomial, scale(laws[1].polynomial, -3)))
    assert set(statuses(model, [*laws, both])) == {Status.HOLDS}


def test_momentum() -> None:
    """θ' stays a variable: φ = u² + v² conserves s (u v' - v u'), and not u v' - v u'."""
    plain = Model("round", ("u", "v"), ({(0, 0): 1, (1, 1): 1},))
    for tau in (Fraction(1, 3), Fraction(2)):
        model = plain.with_momentum(tau)
        turning = Law({(0, 3, 4): 1, (1, 2, 4): -1})
        undamped = Law({(0, 3): 1, (1, 2): -1})
        assert statuses(model, [turning, undamped]) == [Status.HOLDS, Status.VIOLATED]
    free = plain.with_momentum(Fraction(0))
    assert statuses(free, [Law({(0, 3): 1, (1, 2): -1})]) == [Status.HOLDS]
    # The balance of the first-order flow is no law of the heavy ball.
    assert statuses(BALANCE.with_momentum(Fraction(1)), BALANCE.named_laws[:1]) == [Status.VIOLATED]


def test_laws_with_logarithms() -> None:
    """φ = x + y: the metric diag(x, 1) conserves log x - y, and diag(x, 2y) conserves 2 log x - log y."""
    x, y = {(0,): 1}, {(1,): 1}
    plain = Model("sum", ("x", "y"), ({(0,): 1, (1,): 1},))
    model = plain.with_metric(((0, 0, x), (1, 1, {(): 1})))
    good, bad = Law({(1,): -1}, ((1, x),)), Law({(1,): -1}, ((2, x),))
    mixed = Law({(0,): 1, (1,): -1}, ((1, x),))
    assert statuses(model, [good, bad, mixed]) == [
        Status.HOLDS,
        Status.VIOLATED,
        Status.VIOLATED,
    ]
    model = plain.with_metric(((0, 0, x), (1, 1, {(1,): 2})))
    assert statuses(model, [Law({}, ((2, x), (-1, y))), Law({}, ((1, x), (-1, y)))]) == [
        Status.HOLDS,
        Status.VIOLATED,
    ]


def test_the_bound_covers_the_law_between_samples() -> None:
    """A quantity that moves: its bound is at least its largest change on a fine grid, and not far from it."""
    laws = [
        Law({(0, 0): 1, (1,): 2}),
        Law({(0,): 1}, ((2, {(1,): 1, (): 3}),)),
        Law({}, ((1, {(1,): 1, (): 9}),)),
    ]
    components = ({(1,): Fraction(1)}, {(0,): Fraction(-1)})
    field, factor = polynomial_field(components)
    assert factor == 1
    run = integrate_polynomial(field, np.array([[1.0, 0.5]]), 3.0)
    t = np.linspace(0.0, 3.0, 2001)
    u, v = np.cos(t) + 0.5 * np.sin(t), -np.sin(t) + 0.5 * np.cos(t)
    curves = [u * u + 2 * v, u + 2 * np.log(v + 3.0), np.log(v + 9.0)]
    for seen, curve in zip(LawValues(2, laws).along(run, 3.0), curves, strict=True):
        largest = float(np.abs(curve - curve[0]).max())
        assert largest <= seen.bound < 40.0 * largest
        assert seen.drift <= largest + 1e-12 and seen.drift > 0.3 * largest


def test_a_logarithm_of_what_vanishes_has_no_bound() -> None:
    """log|x - y| is a law of φ = x + y; where x = y = 0 is crossed, log|x| - log|y| says nothing."""
    model = Model("sum", ("x", "y"), ({(0,): 1, (1,): 1},))
    gap = {(0,): 1, (1,): -1}
    assert statuses(model, [Law({}, ((1, gap),))]) == [Status.HOLDS]
    field, _ = polynomial_field(({(): Fraction(1)}, {(): Fraction(1)}))
    run = integrate_polynomial(field, np.array([[-1.0, -1.0]]), 2.0)
    law = Law({}, ((1, {(0,): 1}), (-1, {(1,): 1})))
    (seen,) = LawValues(2, [law]).along(run, 2.0)
    assert seen.bound == np.inf and seen.drift <= seen.error


def test_permuted_parameters_and_rescaled_models() -> None:
    """Metamorphic twins: the verdicts do not change."""
    model = BALANCE
    laws = [*model.named_laws, planted(model.named_laws[0], "sign")]
    expected = statuses(model, laws)
    order = [3, 0, 6, 1, 7, 2, 5, 4]

    def moved(p: dict) -> dict:
        return {tuple(sorted(order[i] for i in m)): c for m, c in p.items()}

    permuted = replace(model, phi=tuple(moved(p) for p in model.phi), named_laws=())
    assert statuses(permuted, [Law(moved(law.polynomial)) for law in laws]) == expected
    # Rescaling the model rescales time.
    slower = replace(model, denominators=({(): 3},) * len(model.phi))
    assert statuses(slower, laws) == expected
    tripled = [Law({m: 3 * c for m, c in law.polynomial.items()}) for law in laws]
    assert statuses(model, tripled) == expected
    assert statuses(model, laws, seed=5) == expected


@pytest.mark.parametrize("model", [hadamard(60, 2), relu((6, 6, 6))], ids=lambda model: model.spec)
def test_a_square_of_any_parameter_is_violated(model: Model) -> None:
    """Models of more functions than one trajectory has data for: 120 and 72 parameters, one after the other."""
    law = model.named_laws[0].polynomial
    wrong = [Law(add(law, {(i, i): 1})) for i in range(model.size)]
    found = check_laws(model, [*wrong, *model.named_laws], cases=4)
    statuses = [verdict.status for verdict in found]
    assert set(statuses[: model.size]) == {Status.VIOLATED}
    assert set(statuses[model.size :]) == {Status.HOLDS}


def test_what_single_fields_conserve_is_violated() -> None:
    """w_ji² - v_oj² is constant along the field of the path o, j, i, and along that path only."""
    model = relu((5, 5, 5))
    laws = [Law({(i, i): 1, (25 + i, 25 + i): -1}) for i in range(25)]
    pairs = [{j for m in p for j in m} for p in model.phi]
    assert any({i, 25 + i} in pairs for i in range(25))
    assert set(statuses(model, laws)) == {Status.VIOLATED}


def test_what_was_not_tested_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never `holds`: data without some functions, a parameter that φ does not have, a term below the bound."""
    model = relu((6, 6, 6))
    monkeypatch.setattr(law_data, "CASE_TERMS", 0)
    (short,) = check_laws(model, model.named_laws[:1], cases=1)
    assert short.status is Status.UNDECIDED
    assert "36 functions that act on the law were in no data; use cases=" in short.reason
    monkeypatch.undo()
    spare = Model("spare", ("x", "y", "z"), ({(0, 1): 1},))
    balance = {(0, 0): 1, (1, 1): -1}
    kept, beside, product = check_laws(
        spare, [Law(balance), Law({**balance, (2,): 1}), Law({(2,): 1})], cases=3
    )
    assert kept.status is Status.HOLDS
    assert beside.status is Status.UNDECIDED and beside.resolved == 0.0
    assert "z never moved, and so z was not tested" in beside.reason
    assert product.status is Status.UNDECIDED and product.reason
    model = hadamard(2, 2)
    first, second = (law.polynomial for law in model.named_laws)
    tiny = Law(add(scale(first, 10**15), second))
    wrong = Law(add(scale(first, 10**15), {(1, 1): 1}))
    for found in check_laws(model, [tiny, wrong], cases=4):
        assert found.status is Status.UNDECIDED and found.resolved < RESOLVED
        assert "the parts of the law one by one" in found.reason
    for law in (Law({(): 3}), Law({})):
        (constant,) = check_laws(model, [law], cases=2)
        assert constant.status is Status.UNDECIDED and constant.reason


def test_every_part_of_a_law_is_measured() -> None:
    """x and y go from 1 to 2 and 4: x² y by 3 or 3·(y = 4) = 12, by x alone; log|x - y| parts relative to |x - y|."""
    field, _ = polynomial_field(({(): Fraction(1)}, {(): Fraction(3)}))
    run = integrate_polynomial(field, np.array([[1.0, 1.0 + 2.0**-3]]), 1.0)
    values = LawValues(2, [Law({(0, 0, 1): -2}, ((3, {(0,): 1, (1,): -1}),))])
    (seen,) = values.along(run, 1.0)
    assert values.parts(0) == [((0, 0, 1), 0), ((0, 0, 1), 1), ((0,), 0), ((1,), 1)]
    gap = 2.0 + 2.0**-3
    expected = [2 * 3 * (4 + 2.0**-3), 2 * 3 * 4, 3 * 1 / gap, 3 * 3 / gap]
    assert seen.alone == pytest.approx(expected, rel=1e-12)


def test_constant_denominators_do_not_change_what_is_tested() -> None:
    """Data are weighed by them: φ / 10⁶ flows as φ does."""
    model = BALANCE
    small = replace(model, denominators=({(): 10**6},) * len(model.phi))
    assert check_laws(small, model.named_laws, cases=2) == check_laws(
        model, model.named_laws, cases=2
    )


def test_what_is_not_resolved_is_undecided() -> None:
    law = BALANCE.named_laws[0]
    (coarse,) = check_laws(BALANCE, [law], cases=2, resolution=1e-18)
    assert coarse.status is Status.UNDECIDED and "earlier time" in coarse.reason
    (still,) = check_laws(BALANCE, [law], cases=2, until=1e-9)
    assert still.status is Status.UNDECIDED and "hardly move" in still.reason


def test_blow_up_is_reported() -> None:
    """Gradient ascent of a quartic loss leaves in finite time; laws are judged on the first half."""
    ascent = tuple((a, a, {(): -1}) for a in range(2))
    model = Model("quartic", ("x", "y"), ({(0, 0): 1, (1, 1): 1},)).with_metric(ascent)
    ratio = Law({}, ((1, {(0,): 1}), (-1, {(1,): 1})))
    kept, lost = check_laws(model, [ratio, Law({(0, 0): 1})], cases=6, until=40.0)
    assert 0.0 < kept.horizon < 20.0
    assert kept.status is Status.HOLDS and "finite time" in kept.reason
    assert lost.status is Status.VIOLATED and "finite time" in lost.reason


def test_the_same_seed_gives_the_same_numbers() -> None:
    first, again = (check_laws(BALANCE, BALANCE.named_laws, cases=2, seed=3) for _ in range(2))
    assert first == again


def test_fields_are_exact_in_floats() -> None:
    field, factor = polynomial_field(({(0,): Fraction(1, 12)}, {(): Fraction(1, 5)}))
    assert factor == 15 and field.terms == (((1.25, (0,)),), ((3.0, ()),))
    with pytest.raises(LemmataError, match="53 bits"):
        polynomial_field(({(0,): Fraction(2**60 + 1)},))


# -- gradient descent


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.spec)
def test_descent_drifts_exactly_as_derived(model: Model) -> None:
    found = descent_check(model, model.named_laws[0], cases=2)
    assert found.status is Status.HOLDS and found.steps == 4
    # Laws of degree one are conserved by Euler steps, all others are not.
    assert (found.moved > 0) == (found.drift.order > 1) == (found.drift.law.degree > 1)
    assert (found.largest > 0) == (found.moved > 0)


def test_a_wrong_drift_is_violated() -> None:
    """A changed coefficient, a flipped sign, and the claim that descent conserves the law."""
    law = BALANCE.named_laws[0]
    right = descent_drift(BALANCE, law)
    (second,) = right.numerators
    first = min(second)
    options = {"cases": 2, "steps": 1, "eta": Fraction(1, 8), "seed": 0}
    assert compare_descent(BALANCE, right, **options).status is Status.HOLDS  # type: ignore[arg-type]
    for wrong in (
        {**second, first: second[first] + 1},
        {m: -c for m, c in second.items()},
        {},
    ):
        drift = replace(right, numerators=(wrong,))
        found = compare_descent(BALANCE, drift, **options)  # type: ignore[arg-type]
        assert found.status is Status.VIOLATED and "derivation says" in found.reason


def mutants(p: Polynomial) -> list[Polynomial]:
    """One coefficient changed, or one term lost."""
    return [
        {m: c for m, c in {**p, at: value}.items() if c} for at in p for value in (p[at] + 1, 0)
    ]


def test_every_coefficient_of_a_drift_is_tested() -> None:
    """The drift of Σ u_i v_i of 40 products has 40 terms; one wrong or missing is enough."""
    model = hadamard(40, 2)
    law = Law(add(*(law.polynomial for law in model.named_laws)))
    right = descent_drift(model, law)
    options = {"cases": 1, "steps": 1, "eta": Fraction(1, 16), "seed": 0}
    assert compare_descent(model, right, **options).status is Status.HOLDS  # type: ignore[arg-type]
    (second,) = right.numerators
    assert len(second) == 40
    for wrong in mutants(second):
        found = compare_descent(model, replace(right, numerators=(wrong,)), **options)  # type: ignore[arg-type]
        assert found.status is Status.VIOLATED


def test_orders_of_a_drift_are_told_apart() -> None:
    """D_2 + P and D_3 - 16 P agree with D_2 and D_3 in steps of size 1/16, and in no others."""
    right = descent_drift(BALANCE, BALANCE.named_laws[0])
    (second,) = right.numerators
    extra: Polynomial = {(0, 0): 1}
    drift = replace(right, numerators=(add(second, extra), scale(extra, -16)))
    options = {"cases": 2, "steps": 2, "eta": Fraction(1, 16), "seed": 0}
    assert compare_descent(BALANCE, drift, **options).status is Status.VIOLATED  # type: ignore[arg-type]


def test_a_drift_at_zero_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """At x = 0 nothing says that the terms in x are right: the law moves as derived, and as wrongly derived."""
    model = Model("product", ("x", "y"), ({(0, 1): 1},))
    right = descent_drift(model, Law({(0, 0): 1, (1, 1): -1}))
    (second,) = right.numerators
    wrong = replace(right, numerators=({**second, (0, 0, 2, 2): 7},))
    monkeypatch.setattr(law_data.Sampler, "start", lambda *_: [Fraction(0), Fraction(1)])
    for drift in (right, wrong):
        found = compare_descent(model, drift, cases=2, steps=1, eta=Fraction(1, 8), seed=0)
        assert found.status is Status.UNDECIDED and found.moved == 2
        assert "x was zero, and its terms not tested" in found.reason


def test_rational_coefficients_from_sympy() -> None:
    """x y / 3 drifts by the ninth of what x y does; the certificates of its laws are accepted."""
    x, y, z = sympy.symbols("x y z")
    model = from_sympy([x * y / 3, 2 * y * z / 7, x / 5 - z / 2])
    found = descent_check(from_sympy([x * y / 3]), Law({(0, 0): 1, (1, 1): -1}))
    assert found.status is Status.HOLDS and found.drift.text() == "(-x^2*g1^2 + y^2*g1^2)/9"
    for each in (from_sympy([x * y / 3]), model, model.with_cross_entropy()):
        report = analysed(each)
        assert report.rigor == "proved" and report.count is not None
        if report.laws:
            assert set(statuses(each, report.laws)) == {Status.HOLDS}


def test_descent_of_what_is_no_law_is_refused() -> None:
    with pytest.raises(DerivationError, match="not conserved"):
        descent_check(BALANCE, planted(BALANCE.named_laws[0], "sign"))


def test_bad_input() -> None:
    law = BALANCE.named_laws[0]
    with pytest.raises(LemmataError, match="no law"):
        check_laws(BALANCE, [])
    with pytest.raises(LemmataError, match="cases = 0"):
        check_laws(BALANCE, [law], cases=0)
    with pytest.raises(LemmataError, match="steps = 0"):
        descent_check(BALANCE, law, steps=0)
    for until in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(LemmataError, match="until"):
            check_laws(BALANCE, [law], until=until)
    with pytest.raises(LemmataError, match="does not have"):
        check_laws(BALANCE, [Law({(8,): 1})])
    with pytest.raises(LemmataError, match="does not have"):
        check_laws(BALANCE, [Law({}, ((1, {(8,): 1}),))])
    with pytest.raises(LemmataError, match="53 bits"):
        check_laws(BALANCE, [Law({(0,): 2**60})])
    ratio = Model("ratio", ("x", "y"), ({(0,): 1},), denominators=({(1,): 1},))
    with pytest.raises(LemmataError, match="not a polynomial"):
        check_laws(ratio, [Law({(0, 0): 1})])
