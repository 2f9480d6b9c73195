"""The losses and their derivatives, bounds and series."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numerics import NumericsError, loss, loss_names

NAMES = loss_names()
finite = st.floats(-30, 30)


def label(name: str, sign: float) -> float:
    return sign if loss(name).signed_labels else 0.7 * sign


@pytest.mark.parametrize("name", NAMES)
@given(f=finite, sign=st.sampled_from([-1.0, 1.0]))
def test_g_is_minus_the_derivative(name: str, f: float, sign: float) -> None:
    term, y, step = loss(name), label(name, sign), 1e-5
    ends = [term.value(np.array([f + s]), np.array([y]))[0] for s in (-step, step)]
    slope = (ends[1] - ends[0]) / (2 * step)
    assert -slope == pytest.approx(term.g(np.array([f]), np.array([y]))[0], rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("f", [1e-300, -1e-200, 1e-20, -1e-9, 1e-3, -0.7, 5.0])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_deviation_has_full_relative_accuracy(name: str, f: float, sign: float) -> None:
    y = label(name, sign)
    exact = {
        "exponential": y * np.expm1(-y * np.longdouble(f)),
        "logistic2": -y * np.tanh(y * np.longdouble(f) / 2),
        "logistic": -y / 2 * np.tanh(y * np.longdouble(f) / 2),
        "squared": -2 * np.longdouble(f),
    }[name]
    got = loss(name).deviation(np.array([f]), np.array([y]))[0]
    assert abs(got - exact) <= 4e-16 * abs(exact)


@pytest.mark.parametrize("name", NAMES)
def test_deviation_is_g_minus_its_value_at_zero(name: str) -> None:
    f, y = np.linspace(-3, 3, 13), np.full(13, label(name, -1.0))
    term = loss(name)
    np.testing.assert_allclose(term.deviation(f, y), term.g(f, y) - term.g(0 * f, y), atol=1e-14)


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
    bound = term.slope_bound(np.array([a]), np.array([b]), y)[0]

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
    order, y = 18, np.array([label(name, sign)])
    f = np.zeros((2, order + 1, 1))
    f[0, :4, 0], f[1, :4, 0] = (0.3, -0.5, 0.2, 0.1), (-2.0, 0.4, 0.0, -0.3)
    series = loss(name).series(y, 2, order)
    coefficients = np.stack([series.extend(k, f[:, : k + 1]) for k in range(order + 1)], axis=1)
    for t in (0.1, -0.2):
        t_powers = t ** np.arange(order + 1)
        path = (f * t_powers[:, None]).sum(axis=1)
        value = (coefficients * t_powers[:, None]).sum(axis=1)
        np.testing.assert_allclose(value, loss(name).g(path, y), rtol=1e-10)


def test_unknown_loss_lists_the_known_ones() -> None:
    with pytest.raises(NumericsError, match=r"hinge.*use one of.*exponential"):
        loss("hinge")
