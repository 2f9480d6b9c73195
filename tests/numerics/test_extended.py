"""Error radii contain the truth, and nothing underflows."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx, fmpq
from hypothesis import given
from hypothesis import strategies as st

from numerics.extended import ScaledArray, constant, maximum, scaled
from numerics.scaled_functions import inner, project_out, spectral_norm

MANTISSAS = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.5, 3.0]),
    st.floats(-8, 8, allow_nan=False, allow_subnormal=False).filter(
        lambda v: v == 0 or abs(v) > 1e-12
    ),
)
EXPONENTS = st.one_of(st.integers(-3, 3), st.integers(-3000, 3000))


@st.composite
def balls(
    draw: st.DrawFn, *, exponents: st.SearchStrategy[int] = EXPONENTS
) -> tuple[ScaledArray, Fraction]:
    """A number with a radius, and a true value inside it."""
    m, e = draw(MANTISSAS), draw(exponents)
    r = draw(st.sampled_from([0.0, 2.0**-50, 2.0**-20, 2.0**-3])) * max(abs(m), 2.0**-10)
    where = draw(
        st.sampled_from([Fraction(-1), Fraction(-1, 2), Fraction(0), Fraction(1, 3), Fraction(1)])
    )
    truth = (Fraction(m) + where * Fraction(r)) * Fraction(2) ** e
    return scaled(
        np.full((1, 1, 1, 1, 1), m), np.full((1, 1, 1, 1, 1), r), np.full((1, 1, 1, 1, 1), e)
    ), truth


@pytest.fixture(autouse=True, scope="module")
def precision() -> Iterator[None]:
    """200 bits for the truth, in this module only."""
    with ctx.workprec(200):
        yield


def contains(a: ScaledArray, truth: arb) -> bool:
    """Whether the true value lies in the ball (in exact arithmetic, at any scale)."""
    m, r, e = float(a.m.ravel()[0]), float(a.r.ravel()[0]), int(a.e.ravel()[0])
    if not np.isfinite(r):
        return True
    gap = abs(truth - arb(m) * arb(2) ** e) - arb(r) * arb(2) ** e
    return bool(gap <= 0) or bool(gap.contains(0))


def ball(value: Fraction) -> arb:
    return arb(fmpq(value.numerator, value.denominator))


@given(balls(), balls())
def test_field_operations_contain_the_truth(
    a: tuple[ScaledArray, Fraction], b: tuple[ScaledArray, Fraction]
) -> None:
    (x, u), (y, w) = a, b
    assert contains(x + y, ball(u + w))
    assert contains(x - y, ball(u - w))
    assert contains(x * y, ball(u * w))
    assert contains(maximum(x, y), ball(max(u, w)))
    if w != 0:
        assert contains(x / y, ball(u / w))


@given(balls(exponents=st.integers(-3000, 3000)))
def test_functions_contain_the_truth_at_any_scale(a: tuple[ScaledArray, Fraction]) -> None:
    x, u = a
    assert contains(x.abs(), ball(abs(u)))
    assert contains(x.relu(), ball(max(u, Fraction(0))))
    assert contains(x.step(), ball(Fraction(int(u > 0))))
    if u >= 0:
        assert contains(x.sqrt(), ball(u).sqrt())
    if u > 0 and (x.m > x.r).all():
        assert contains(x.log(), ball(u).log())


@given(balls(exponents=st.integers(-80, 3)))
def test_exponentials_contain_the_truth(a: tuple[ScaledArray, Fraction]) -> None:
    x, u = a
    assert contains(x.exp(), ball(u).exp())
    assert contains(x.expm1(), ball(u).expm1())
    assert contains(x.exp().log(), ball(u))


def test_expm1_keeps_relative_accuracy_far_below_the_smallest_float() -> None:
    tiny = scaled(np.full((1, 1, 1, 1, 1), 1.5), 0.0, np.full((1, 1, 1, 1, 1), -5000))
    out = tiny.expm1()
    assert int(out.e.ravel()[0]) == -5000
    assert out.m.ravel()[0] == pytest.approx(1.5, rel=1e-15)
    assert out.r.ravel()[0] < 1e-14


def test_squares_of_extreme_numbers_do_not_underflow() -> None:
    tiny = scaled(np.full((1, 1, 1, 1, 1), 1.25), 0.0, np.full((1, 1, 1, 1, 1), -2550))
    log, low, high = (tiny * tiny).log_interval()
    expected = 2 * (np.log(1.25) - 2550 * np.log(2))
    assert low.item() <= expected <= high.item()
    assert log.item() == pytest.approx(expected, rel=1e-14)


@given(st.integers(0, 10_000), st.sampled_from([1, 2, 5]))
def test_vector_operations_contain_perturbed_vectors(seed: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, 1, 1, 3, 1, d))
    ra, rb = 10.0 ** rng.uniform(-12, -2, (2, 1, 1, 3, 1, 1))
    turn = rng.standard_normal((2, 1, 1, 3, 1, d))
    turn /= np.linalg.norm(turn, axis=-1, keepdims=True)
    ta, tb = a + ra * turn[0], b + rb * turn[1]
    A, B = scaled(a, ra), scaled(b, rb)
    slack = 1e-14
    dot = inner(A, B)
    assert (np.abs(dot.m - (ta * tb).sum(-1, keepdims=True)) <= dot.r + slack).all()
    n = A.norm()
    assert (np.abs(n.m - np.linalg.norm(ta, axis=-1, keepdims=True)) <= n.r + slack).all()
    q = A.sqnorm()
    assert (np.abs(q.m - (ta**2).sum(-1, keepdims=True)) <= q.r + slack).all()
    p = project_out(A, B)
    truth = ta - tb * (ta * tb).sum(-1, keepdims=True) / (tb**2).sum(-1, keepdims=True)
    assert (np.linalg.norm(p.m - truth, axis=-1, keepdims=True) <= p.r + slack).all()
    s = spectral_norm(A, 2)
    assert (
        abs(s.m.item() - np.linalg.svd(ta[0, 0, :, 0, :], compute_uv=False)[0])
        <= s.r.item() + slack
    )


def test_sum_over_neurons_of_very_different_scales() -> None:
    m = np.array([1.0, 1.0, 0.0]).reshape(1, 1, 3, 1, 1)
    e = np.array([0, -4000, 10**6]).reshape(1, 1, 3, 1, 1)
    total = scaled(m, 0.0, e).sum(2)
    value, radius = total.to_float()
    assert value.item() == pytest.approx(1.0)
    assert radius.item() < 1e-14


def test_maximum_counts_only_errors_that_matter() -> None:
    a = scaled(
        np.array([5.0, 1.0]).reshape(1, 1, 2, 1, 1), np.array([1e-9, 0.5]).reshape(1, 1, 2, 1, 1)
    )
    assert a.max(2).r.item() == pytest.approx(1e-9)
    assert constant(2.0, 5).max(2).m.item() == 2.0


def test_what_is_unknown_stays_unknown_without_a_warning() -> None:
    """An infinite radius times an exact 0, radii beyond floats, and the sign of a number that is none."""
    zero, lost = constant(0.0, 3), constant(1.0, 3, np.inf)
    large = constant(1.0, 3, 1e300)
    with np.errstate(all="raise"):
        for out in (
            zero * lost,
            inner(zero, lost),
            inner(large, large * large),
            ScaledArray(zero.m, lost.r, zero.e).sqnorm(),
            project_out(zero, lost),
        ):
            assert np.isinf(out.r).all()
    nothing = scaled(np.array([np.nan]), np.array([np.inf]))
    assert nothing.step().r.item() == 1.0
