"""Non-negative least squares: optimal where scipy's answer is, and where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import nnls

from numerics import nonnegative
from numerics.nonnegative import nonnegative_least_squares

R2, R3 = 2**-0.5, 3**-0.5
# Unit columns on which scipy 1.17 stops at a distance of 0.684; the least is 0.5.
HARD = np.array(
    [
        [-0.5, -R3, R2, -1.0, -R2, -R2, -1.0],
        [-0.5, 0.0, 0.0, 0.0, -R2, 0.0, 0.0],
        [-0.5, -R3, R2, 0.0, 0.0, 0.0, 0.0],
        [-0.5, -R3, 0.0, 0.0, 0.0, -R2, 0.0],
    ]
)
TARGET = np.array([-R2, 0.0, -R2, 0.0])


def excess(A: np.ndarray, b: np.ndarray, x: np.ndarray) -> float:
    """How far the optimality conditions are from holding."""
    slope = A.T @ (b - A @ x)
    return float(np.max(np.where(x > 0, np.abs(slope), slope), initial=0.0))


def test_columns_that_mislead_the_usual_solver() -> None:
    x = nonnegative_least_squares(HARD, TARGET)
    assert (x >= 0).all() and excess(HARD, TARGET, x) < 1e-12
    assert np.linalg.norm(HARD @ x - TARGET) == pytest.approx(0.5, rel=1e-12)


def test_a_wrong_answer_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = nonnegative_least_squares(HARD, TARGET)

    def wrong(A: np.ndarray, b: np.ndarray, maxiter: int | None = None) -> tuple[np.ndarray, float]:
        return np.zeros(A.shape[1]), 0.0

    monkeypatch.setattr(nonnegative, "nnls", wrong)
    again = nonnegative_least_squares(HARD, TARGET)
    assert np.linalg.norm(HARD @ again - HARD @ right) < 1e-10


@given(
    st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 12), st.sampled_from([1e-6, 1.0, 1e6])
)
def test_degenerate_columns(seed: int, m: int, k: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    A, b = rng.integers(-1, 2, (m, k)) * scale, rng.normal(size=m)
    x = nonnegative_least_squares(A, b)
    assert x.shape == (k,) and (x >= 0).all()
    assert excess(A, b, x) <= 1e-8 * scale * (1 + np.linalg.norm(b))
    assert np.linalg.norm(A @ x - b) <= np.linalg.norm(A @ nnls(A, b)[0] - b) * (1 + 1e-12)
