"""The integrator of polynomial ODEs against closed forms and a 70-digit reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from numerics.errors import NumericsError
from numerics.polynomial_flow import (
    PolynomialField,
    PolynomialOptions,
    PolynomialStatus,
    integrate_polynomial,
)

Array = NDArray[np.float64]
BITS = 240  # of the fixed-point reference


def fixed(x: float) -> int:
    """x exactly, in units of 2**-BITS."""
    p, q = x.as_integer_ratio()
    return (p << BITS) // q


def reference(
    field: PolynomialField, theta0: Sequence[float], times: Sequence[float]
) -> list[list[int]]:
    """The solution at dyadic times in fixed point, by Taylor series of degree 40.

    The step is a power of two for which the last coefficient is below 1e-45.
    """
    state = [fixed(float(x)) for x in theta0]
    done, order = 0.0, 40

    weighted = [[(fixed(c), m) for c, m in terms] for terms in field.terms]
    prefixes = {m[:k] for terms in field.terms for _, m in terms for k in range(2, len(m) + 1)}
    products = sorted(prefixes, key=len)

    def series(exponent: int) -> list[list[int]]:
        """Coefficients in units of the step 2**exponent."""
        curve = [[x] for x in state]
        known: dict[tuple[int, ...], list[int]] = {(i,): c for i, c in enumerate(curve)}
        known[()] = [1 << BITS, *[0] * order]
        known |= {m: [] for m in products}
        for k in range(order):
            for m in products:
                reverse = curve[m[-1]][::-1]
                known[m].append(sum(map(mul, known[m[:-1]], reverse)) >> BITS)
            new = []
            for terms in weighted:
                total = sum(c * known[m][k] for c, m in terms) >> BITS
                total = total << exponent if exponent >= 0 else total >> -exponent
                new.append(total // (k + 1))
            for coefficients, c in zip(curve, new, strict=True):
                coefficients.append(c)
        return curve

    exponent, found = -4, []
    for until in times:
        while done < until:
            while done + 2.0**exponent > until:
                exponent -= 1
            curve = series(exponent)
            while max(abs(c[-1]) for c in curve) * 10**45 > 1 << BITS:
                exponent -= 1
                curve = series(exponent)
            state = [sum(c) for c in curve]
            done += 2.0**exponent
        found.append(state)
    return found


def distance(state: Array, exact: Sequence[int]) -> float:
    """Euclidean distance of a float state from a fixed-point one."""
    squares = sum((fixed(float(x)) - e) ** 2 for x, e in zip(state, exact, strict=True))
    return math.isqrt(squares) / (1 << BITS)


def random_field(rng: np.random.Generator, n: int, degree: int) -> PolynomialField:
    """Random terms of degrees 0..degree with a damping of the same degree or one more."""
    terms = []
    for i in range(n):
        row = []
        for _ in range(int(rng.integers(1, 6))):
            size = int(rng.integers(0, degree + 1))
            row.append((float(rng.normal()), tuple(int(j) for j in rng.integers(0, n, size=size))))
        row.append((-1.0, (i,) * (degree + 1 - degree % 2)))
        terms.append(tuple(row))
    return PolynomialField(n, tuple(terms))


OSCILLATOR = PolynomialField(2, (((1.0, (1,)),), ((-1.0, (0,)),)))
SQUARE = PolynomialField(1, (((1.0, (0, 0)),),))


def test_the_bound_covers_the_error_and_is_not_absurd() -> None:
    """On 100 random fields; with the default options rounding dominates, with coarse ones truncation."""
    rng = np.random.default_rng(7)
    fine, coarse = PolynomialOptions(), PolynomialOptions(order=8, tolerance=1e-6)
    ratios: dict[PolynomialOptions, list[float]] = {fine: [], coarse: []}
    for number in range(100):
        n, degree = 1 + number % 3, 1 + number % 4
        field = random_field(rng, n, degree)
        start = rng.normal(size=(1, n))
        until = float(2.0 ** rng.integers(-2, 1))
        times = (0.375 * until, until)
        known = None
        for options, found in ratios.items():
            trajectory = integrate_polynomial(field, start, until, options=options)
            if trajectory.status[0] is not PolynomialStatus.ok:  # blow-up has tests of its own
                continue
            known = known or reference(field, start[0], times)
            for at, exact in zip(times, known, strict=True):
                error = distance(trajectory.state(0, at), exact)
                bound = trajectory.error(0, at)
                assert error <= bound, (number, options, at, error, bound)
                found.append(bound / max(error, 2.0**-53 * float(np.linalg.norm(start))))
    assert min(map(len, ratios.values())) >= 180
    # Measured: medians 12 and 4, upper ends 44 and 7000 (truncation errors that happen to vanish).
    assert np.median(ratios[fine]) < 40.0 and np.quantile(ratios[fine], 0.95) < 200.0
    assert np.median(ratios[coarse]) < 20.0 and np.quantile(ratios[coarse], 0.95) < 3e4


def test_closed_forms() -> None:
    logistic = PolynomialField(1, (((1.0, (0,)), (-1.0, (0, 0))),))
    found = integrate_polynomial(logistic, np.array([[0.25], [2.0], [1.0]]), 6.0)
    for lane, x0 in enumerate((0.25, 2.0, 1.0)):
        for t in (0.0, 0.7, 3.0, 6.0):
            exact = 1.0 / (1.0 + (1.0 / x0 - 1.0) * math.exp(-t))
            assert abs(found.state(lane, t)[0] - exact) <= found.error(lane, t) + 1e-16
            assert found.error(lane, t) < 1e-14
    swing = integrate_polynomial(OSCILLATOR, np.array([[1.0, 0.0]]), 50.0)
    exact_state = np.array([math.cos(50.0), -math.sin(50.0)])
    assert np.linalg.norm(swing.state(0, 50.0) - exact_state) <= swing.error(0, 50.0) < 1e-12


def test_instability_amplifies_errors() -> None:
    """y' = y^2 towards its pole: early errors grow like y^2, far beyond the sum of all local ones."""
    options = PolynomialOptions(order=8, tolerance=1e-6)
    t = 1.0 - 2.0**-10
    run = integrate_polynomial(SQUARE, np.array([[1.0]]), t, options=options)
    error = abs(float(run.state(0, t)[0]) - 1024.0)
    assert 3.0 * sum(step.defect for step in run.steps[0]) < error
    assert error <= run.error(0, t) < 100.0 * error


def test_a_contraction_forgets_its_errors() -> None:
    decay = PolynomialField(2, (((-1.0, (0,)),), ((-3.0, (1,)),)))
    found = integrate_polynomial(decay, np.array([[1.0, 1.0]]), 200.0)
    assert found.status == (PolynomialStatus.ok,)
    assert found.error(0, 200.0) < 1e-12 * math.exp(-200.0)
    assert abs(found.state(0, 200.0)[0] - math.exp(-200.0)) <= 1e-13 * math.exp(-200.0)


def test_rest_and_constant_speed() -> None:
    still = PolynomialField(2, ((), ((1.0, (0, 1)),)))
    found = integrate_polynomial(still, np.array([[0.0, 3.0]]), 64.0)
    assert found.state(0, 64.0).tolist() == [0.0, 3.0] and found.status[0] is PolynomialStatus.ok
    assert found.error(0, 64.0) < 1e-12
    clock = PolynomialField(1, (((1.0, ()),),))
    run = integrate_polynomial(clock, np.array([[-1.0]]), 2.0)
    assert run.state(0, 1.0)[0] == pytest.approx(0.0, abs=run.error(0, 1.0))
    nothing = integrate_polynomial(clock, np.array([[-1.0]]), 0.0)
    assert nothing.state(0, 0.0).tolist() == [-1.0] and nothing.error(0, 0.0) == 0.0


@pytest.mark.parametrize("scale", [1e-150, 1e-8, 1.0, 1e8, 1e150])
def test_blow_up_is_reported_at_its_time(scale: float) -> None:
    """y' = y^2 from y0 leaves at t = 1/y0, on every scale."""
    found = integrate_polynomial(SQUARE, np.array([[scale]]), 2.0 / scale)
    assert found.status == (PolynomialStatus.diverged,)
    assert "finite time" in found.reason[0] and found.reason[0].startswith("at t = ")
    assert found.end(0) * scale == pytest.approx(1.0, abs=1e-4) and found.end(0) * scale < 1.0
    t = 0.5 / scale
    assert abs(found.state(0, t)[0] - 2.0 * scale) <= found.error(0, t) < 1e-13 * scale
    with pytest.raises(NumericsError, match="finite time"):
        found.state(0, 1.5 / scale)


def test_a_lane_does_not_depend_on_its_neighbours() -> None:
    starts = np.array([[0.5], [2.0], [-1.0]])
    together = integrate_polynomial(SQUARE, starts, 1.0)
    assert together.status == (
        PolynomialStatus.ok,
        PolynomialStatus.diverged,
        PolynomialStatus.ok,
    )
    for lane in (0, 2):
        alone = integrate_polynomial(SQUARE, starts[lane : lane + 1], 1.0)
        assert alone.state(0, 1.0) == together.state(lane, 1.0)
        assert alone.error(0, 1.0) == together.error(lane, 1.0)


def test_many_times_at_once_are_those_times_one_by_one() -> None:
    rng = np.random.default_rng(11)
    found = integrate_polynomial(random_field(rng, 3, 3), rng.normal(size=(2, 3)), 2.0)
    assert len(found.steps[1]) > 2
    ends = found.times[1]
    times = rng.permutation(np.concatenate(([0.0, 0.0], ends, rng.uniform(0.0, ends[-1], 20))))
    states, errors = found.states(1, times), found.errors(1, times)
    assert states.tolist() == [found.state(1, t).tolist() for t in times]
    assert errors == pytest.approx([found.error(1, t) for t in times], rel=1e-14, abs=0.0)
    assert found.states(1, np.empty(0)).shape == (0, 3) and found.errors(1, np.empty(0)).size == 0
    for wrong in (-1.0, 2.5, math.nan):
        with pytest.raises(NumericsError, match="outside of"):
            found.states(1, np.array([0.5, wrong]))


def test_the_step_budget_is_reported() -> None:
    options = PolynomialOptions(max_steps=3)
    found = integrate_polynomial(OSCILLATOR, np.array([[1.0, 0.0]]), 100.0, options=options)
    assert found.status == (PolynomialStatus.budget,) and "max_steps" in found.reason[0]
    assert 0.0 < found.end(0) < 100.0 and len(found.steps[0]) == 3


def test_an_unstable_system_says_when_its_bound_is_lost() -> None:
    """x' = 40 x from 0, y' = -y: any error is as large as the state after e-folds enough."""
    saddle = PolynomialField(2, (((40.0, (0,)),), ((-1.0, (1,)),)))
    found = integrate_polynomial(saddle, np.array([[0.0, 1.0]]), 10.0)
    assert found.status == (PolynomialStatus.lost,) and "error bound" in found.reason[0]
    assert 0.5 < found.end(0) < 2.0


def test_the_order_is_that_of_the_series() -> None:
    """With fixed steps the truncation error falls like tau**K; the tolerance sets tau."""
    errors = []
    for tolerance in (1e-4, 1e-8):
        options = PolynomialOptions(order=6, tolerance=tolerance)
        found = integrate_polynomial(OSCILLATOR, np.array([[1.0, 0.0]]), 8.0, options=options)
        exact = np.array([math.cos(8.0), -math.sin(8.0)])
        error = float(np.linalg.norm(found.state(0, 8.0) - exact))
        assert error <= found.error(0, 8.0)
        errors.append((len(found.steps[0]), error))
    (few, large), (many, small) = errors
    assert many >= 4 * few and large / small > 0.5 * (many / few) ** 5


@given(seed=st.integers(0, 10**6), scale=st.integers(-6, 6))
def test_metamorphic_twins(seed: int, scale: int) -> None:
    """Permuted variables and rescaled time give the same trajectory within both bounds."""
    rng = np.random.default_rng(seed)
    field = random_field(rng, 3, 2)
    start = rng.normal(size=(1, 3))
    order = [int(i) for i in rng.permutation(3)]  # variable i becomes order[i]
    place = [order.index(i) for i in range(3)]
    moved = tuple(
        tuple((c, tuple(order[i] for i in m)) for c, m in field.terms[place[i]]) for i in range(3)
    )
    factor = 2.0**scale
    faster = tuple(tuple((factor * c, m) for c, m in terms) for terms in field.terms)
    base = integrate_polynomial(field, start, 0.5)
    t = base.end(0) if base.status[0] is PolynomialStatus.ok else 0.25 * base.end(0)
    permuted = integrate_polynomial(PolynomialField(3, moved), start[:, place], 0.5)
    quick = integrate_polynomial(PolynomialField(3, faster), start, 0.5 / factor)
    gap = np.linalg.norm(permuted.state(0, t)[order] - base.state(0, t))
    assert gap <= permuted.error(0, t) + base.error(0, t)
    # Powers of two rescale every number exactly.
    assert quick.state(0, t / factor).tolist() == base.state(0, t).tolist()
    assert quick.error(0, t / factor) == base.error(0, t)


@pytest.mark.parametrize(
    ("variables", "terms", "message"),
    [
        (0, (), "at least one variable"),
        (2, (((1.0, (0,)),),), "1 components in 2 variables"),
        (1, (((math.nan, (0,)),),), "must be finite"),
        (1, (((1.0, (1,)),),), "not all in 0..0"),
    ],
)
def test_bad_fields(variables: int, terms: tuple, message: str) -> None:
    with pytest.raises(NumericsError, match=message):
        PolynomialField(variables, terms)


def test_bad_arguments() -> None:
    for theta0 in (np.zeros(2), np.zeros((1, 3)), np.zeros((0, 2))):
        with pytest.raises(NumericsError, match="one start per row"):
            integrate_polynomial(OSCILLATOR, theta0, 1.0)
    with pytest.raises(NumericsError, match="not finite"):
        integrate_polynomial(OSCILLATOR, np.array([[math.inf, 0.0]]), 1.0)
    for until in (-1.0, math.nan, math.inf):
        with pytest.raises(NumericsError, match="until"):
            integrate_polynomial(OSCILLATOR, np.array([[1.0, 0.0]]), until)
    with pytest.raises(NumericsError, match="order"):
        PolynomialOptions(order=1)
    with pytest.raises(NumericsError, match="tolerance"):
        PolynomialOptions(tolerance=0.0)
    with pytest.raises(NumericsError, match="max_steps"):
        PolynomialOptions(max_steps=0)
    found = integrate_polynomial(OSCILLATOR, np.array([[1.0, 0.0]]), 1.0)
    for t in (-0.1, 1.1, math.nan):
        with pytest.raises(NumericsError, match="outside"):
            found.state(0, t)
    with pytest.raises(NumericsError, match="no lane 1"):
        found.error(1, 0.5)
