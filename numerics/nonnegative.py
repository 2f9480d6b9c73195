"""Non-negative least squares whose answer is looked at.

scipy's `nnls` is fast and nearly always right; on degenerate columns it can return a point that is not optimal (seen
with scipy 1.17: its own residual norm then belongs to another point). The optimality conditions cost two products.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear, nnls

Array = NDArray[np.float64]
_TOLERANCE, _ROUNDING = 1e-10, 1e-13


def nonnegative_least_squares(A: Array, b: Array, *, maxiter: int | None = None) -> Array:
    """x >= 0 with the least ‖A x - b‖; A (m, k), b (m,), x (k,).

    Raises:
        RuntimeError: no convergence.
    """
    x: Array = nnls(A, b, maxiter=maxiter)[0]
    if _optimal(A, b, x):
        return x
    other = np.maximum(lsq_linear(A, b, (0.0, np.inf), method="bvls", tol=1e-15).x, 0.0)
    return other if np.linalg.norm(A @ other - b) <= np.linalg.norm(A @ x - b) else x


def _optimal(A: Array, b: Array, x: Array) -> bool:
    """No column would shorten the rest, and those in use are orthogonal to it, up to rounding."""
    slope = A.T @ (b - A @ x)
    columns = np.sqrt(np.einsum("ij,ij->j", A, A))
    allowed = columns * (_TOLERANCE * np.linalg.norm(b) + _ROUNDING * float(columns @ x))
    return bool(np.all(np.where(x > 0, np.abs(slope), slope) <= allowed))
