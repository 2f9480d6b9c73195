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
from proofs_checks.strategies.data import (
    data_sets,
    degenerate_data,
    gaussian_mixtures,
    orthogonal_clusters,
    orthogonally_separable,
    parities,
    separable,
    xor,
)
from proofs_checks.strategies.minimax import minimax_operators
from proofs_checks.strategies.networks import (
    diagonal_networks,
    imbalances,
    linear_networks,
    prelu_networks,
    relu_networks,
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
    "data_sets",
    "degenerate_data",
    "diagonal_networks",
    "dimensions",
    "gaussian_mixtures",
    "gram_matrices",
    "imbalances",
    "integers",
    "kernel_matrices",
    "linear_networks",
    "losses",
    "matrices",
    "matrices_with_spectrum",
    "minimax_operators",
    "orthogonal_clusters",
    "orthogonal_matrices",
    "orthogonally_separable",
    "parities",
    "positive",
    "prelu_networks",
    "reals",
    "record",
    "relu_networks",
    "separable",
    "step_sizes",
    "symmetric_matrices",
    "unit_vectors",
    "vectors",
    "xor",
]
