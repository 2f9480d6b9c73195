"""Hypothesis strategies for cases: numbers, matrices, data sets, networks and operators.

They compose with ``@given``, with Hypothesis' own strategies and with each other. What they draw is simple first (small
integers, few dimensions, zeros, ties) and shrinks to it. Drawn arrays and numbers are *free*: a search may move them
within their domain; what is given as a plain number is held fixed, and names and sizes belong to the structure.
"""

from __future__ import annotations

from proofs_checks.strategies.arrays import (
    gram_matrices,
    kernel_matrices,
    matrices,
    matrices_with_spectrum,
    orthogonal_matrices,
    symmetric_matrices,
    unit_vectors,
    vectors,
)
from proofs_checks.strategies.numbers import (
    dimensions,
    integers,
    losses,
    positive,
    reals,
    record,
    step_sizes,
)

__all__ = [
    "dimensions",
    "gram_matrices",
    "integers",
    "kernel_matrices",
    "losses",
    "matrices",
    "matrices_with_spectrum",
    "orthogonal_matrices",
    "positive",
    "reals",
    "record",
    "step_sizes",
    "symmetric_matrices",
    "unit_vectors",
    "vectors",
]
