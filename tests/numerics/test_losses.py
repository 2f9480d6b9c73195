"""The losses and their derivatives, bounds and series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics import FlowProblem, NumericsError, loss, loss_names
from numerics import compiled_field as compiled
from numerics.compiled_types import Points, points_of

NAMES = loss_names()
finite = st.floats(-30, 30)


def label(name: str, sign: float) -> float:
    return sign if loss(name).signed_labels else 0.7 * sign


def points(name: str, y: float, weight: float) -> Points:
    """One data point with this label, as compiled code sees it."""
    one = np.ones((1, 1, 1))
    return points_of(FlowProblem(one[0], np.array([y]), name, weight, one, one[0], np.zeros(1)))


@pytest.mark.parametrize("name", NAMES)
@given(f=finite, sign=st.sampled_from([-1.0, 1.0]))
def test_g_is_minus_the_derivative(name: str, f: float, sign: float) -> None:
    term, y, step = loss(name), label(name, sign), 1e-5
    ends = [term.value(np.array([f + s]), np.array([y]))[0] for s in (-step, step)]
    slope = (ends[1] - ends[0]) / (2 * step)
    assert -slope == pytest.approx(term.g(np.array([f]), np.array([y]))[0], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
@given(f=finite, sign=st.sampled_from([-1.0, 1.0]))
def test_compiled_losses_agree(name: str, f: float, sign: float) -> None:
    term, y, weight = loss(name), label(name, sign), 0.25
    p = points(name, y, weight)
    value, force = (weight * g(np.array([f]), np.array([y]))[0] for g in (term.value, term.g))
    assert compiled.loss_value(p, f, y) == pytest.approx(value, rel=4e-16, abs=1e-300)
    assert compiled.force_of_output(p, f, y) == pytest.approx(force, rel=4e-16, abs=1e-300)


@pytest.mark.parametrize("name", ["exponential", "logistic2"])
def test_force_at_zero_output_is_the_label(name: str) -> None:
    y = np.array([-1.0, 1.0])
    np.testing.assert_array_equal(loss(name).g(np.zeros(2), y), y)


@pytest.mark.parametrize("name", NAMES)
@given(a=finite, width=st.floats(0, 10), u=st.floats(0, 1), sign=st.sampled_from([-1.0, 1.0]))
def test_slope_bound_holds_and_is_attained(
    name: str, a: float, width: float, u: float, sign: float
) -> None:
    term, y, b = loss(name), np.array([label(name, sign)]), a + width
    bound = compiled.slope_bound(points(name, float(y[0]), 1.0), a, b, float(y[0]))

    def slope(f: float) -> float:
        step = 1e-4
        ends = [term.g(np.array([f + s]), y)[0] for s in (-step, step)]
        return abs(ends[1] - ends[0]) / (2 * step)

    assert slope(a + u * width) <= bound * (1 + 1e-6) + 1e-9
    candidates = [a, b] + ([0.0] if a <= 0 <= b else [])
    assert max(map(slope, candidates)) == pytest.approx(bound, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_series_is_the_series_of_the_composition(name: str, sign: float) -> None:
    order, y = 18, label(name, sign)
    for start in ((0.3, -0.5, 0.2, 0.1), (-2.0, 0.4, 0.0, -0.3)):
        f = np.zeros((order + 1, 1))
        f[:4, 0] = start
        g, q, p, qp = (np.zeros((order + 1, 1)) for _ in range(4))
        for k in range(order + 1):
            compiled.force_series(points(name, y, 1.0), k, f, g, q, p, qp)
        for t in (0.1, -0.2):
            powers = t ** np.arange(order + 1)
            value = loss(name).g(np.array([powers @ f[:, 0]]), np.array([y]))[0]
            assert powers @ g[:, 0] == pytest.approx(value, rel=1e-10)


def test_unknown_loss_lists_the_known_ones() -> None:
    with pytest.raises(NumericsError, match=r"hinge.*use one of.*exponential"):
        loss("hinge")
