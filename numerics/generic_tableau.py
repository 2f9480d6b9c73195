"""The tables behind a step of the generic path, as plain float64 arrays.

The method is DOP853 of Dormand and Prince in the form of Hairer, Norsett and Wanner, "Solving
Ordinary Differential Equations I" (1993), section II.5 and II.6: order 8, an error estimate that
combines orders 5 and 3, and a dense output of order 7 after three more evaluations. The
coefficients are those of ``scipy.integrate.DOP853``.

Everything that is done on a step is linear in its 16 slopes K, so it becomes a matrix: the dense
output is u(s) = y0 + h P(s) K for 0 <= s <= 1. It is looked at in the nine Gauss-Lobatto nodes, in
which polynomials of degree 15 are integrated exactly; a function that is given there by its values
is integrated from 0 to each node by ``CUMULATE`` and brought to Bernstein form by ``BERNSTEIN``,
whose coefficients enclose it.
"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import DOP853

Array = NDArray[np.float64]

STAGES = 12  # of a step; slope 12 is the field at its end, 13 to 15 serve the dense output
SLOPES = 16
ORDER = 8
DEGREE = 8  # of the interpolants in the nodes


def _stage_rows() -> Array:
    """(16, 16): row i holds the weights with which slopes 0..i-1 enter stage i."""
    rows = np.zeros((SLOPES, SLOPES))
    rows[:STAGES, :STAGES] = DOP853.A
    rows[STAGES, :STAGES] = DOP853.B
    rows[STAGES + 1 :] = DOP853.A_EXTRA
    return rows


def _dense_rows() -> Array:
    """(7, 16): the dense output's coefficients in terms of the slopes."""
    rows = np.zeros((7, SLOPES))
    first, last = np.eye(SLOPES)[0], np.eye(SLOPES)[STAGES]
    rows[0, :STAGES] = DOP853.B
    rows[1] = first - rows[0]
    rows[2] = 2.0 * rows[0] - (first + last)
    rows[3:] = DOP853.D
    return rows


def dense_weights(s: ArrayLike) -> Array:
    """P(s): (..., 16) for s: (...), so that u(s) = y0 + h P(s) K."""
    place = np.asarray(s, dtype=np.float64)[..., None]
    value = np.zeros((*place.shape[:-1], SLOPES))
    for i, row in enumerate(_DENSE[::-1]):
        value = (value + row) * (place if i % 2 == 0 else 1.0 - place)
    return value


def _lobatto(degree: int) -> Array:
    """The degree + 1 Gauss-Lobatto nodes on [0, 1]."""
    inner = legendre.legroots(legendre.legder(np.eye(degree + 1)[degree]))
    return 0.5 + 0.5 * np.concatenate(([-1.0], np.sort(inner), [1.0]))


def _cumulate(nodes: Array, to_legendre: Array) -> Array:
    """(m, m): row k integrates the interpolant of values in the nodes from 0 to node k."""
    x = 2.0 * nodes - 1.0
    identity = np.eye(nodes.size)
    primitives = np.stack([legendre.legval(x, legendre.legint(row, lbnd=-1.0)) for row in identity])
    return 0.5 * primitives.T @ to_legendre


def bernstein_basis(s: ArrayLike) -> Array:
    """(..., 9) values of the Bernstein polynomials of degree 8 for s: (...) in [0, 1]."""
    place = np.asarray(s, dtype=np.float64)[..., None]
    i = np.arange(DEGREE + 1)
    choose = np.array([comb(DEGREE, int(k)) for k in i], dtype=np.float64)
    return choose * place**i * (1.0 - place) ** (DEGREE - i)


_DENSE = _dense_rows()
STAGE_ROWS = _stage_rows()
NODES = _lobatto(DEGREE)
NODE_WEIGHTS = dense_weights(NODES)
TO_LEGENDRE: Array = np.linalg.inv(legendre.legvander(2.0 * NODES - 1.0, DEGREE)).astype(np.float64)
CUMULATE = _cumulate(NODES, TO_LEGENDRE)
BERNSTEIN = np.linalg.inv(bernstein_basis(NODES)).astype(np.float64)
# Rows that turn the slopes into the estimates of order 5 and 3.
ESTIMATES = np.zeros((2, SLOPES))
ESTIMATES[0, : STAGES + 1] = DOP853.E5
ESTIMATES[1, : STAGES + 1] = DOP853.E3
