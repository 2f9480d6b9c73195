"""Reading and checking what a user says about unconstrained features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from numbers import Integral
from typing import Any

import numpy as np

from numerics.errors import NumericsError
from numerics.features import FeatureProblem
from proofs_checks.exact_data import Matrix, exact_matrix, exact_number
from proofs_checks.features_certificate import ExactInstance, Units
from theory.errors import LemmataError

LOSSES = ("ce", "mse")
MOST_COLUMNS, MOST_SAMPLES = 128, 10**12  # what the audit kernel reads
LEAST = 2.0**-1000  # numbers whose products stay normal
FAR = 1e3  # times the largest threshold of zero features
NEARLY = 8  # targets that much larger than their distance from the mean nearly agree


def read_instance(
    model: str,
    classes: int | None,
    per_class: int | Sequence[int],
    loss: str,
    lambda_w: Any,
    lambda_h: Any,
    bias: bool,
    targets: Any,
) -> ExactInstance:
    """The instance, exact.

    Raises:
        LemmataError: unknown loss, fewer than two classes, fewer than one sample, a list of another length, a weight
            decay that is not positive, targets that are not finite, ragged, or given for the cross-entropy.
    """
    if loss not in LOSSES:
        raise LemmataError(f"unknown loss {loss!r}: choose one of {', '.join(LOSSES)}")
    matrix = _targets(classes, loss, targets)
    columns = _whole(classes, "classes", 2) if matrix is None else len(matrix[0])
    rows = columns if matrix is None else len(matrix)
    if max(columns, rows) > MOST_COLUMNS:
        raise LemmataError(
            f"{max(columns, rows)} classes: at most {MOST_COLUMNS}; give targets that repeat once, with multiplicities"
        )
    decays = []
    for name, value in (("lambda_w", lambda_w), ("lambda_h", lambda_h)):
        decay = exact_number(value, name)
        if decay <= 0:
            raise LemmataError(
                f"{name} = {value}: without weight decay there is no optimum; give it > 0"
            )
        decays.append(decay)
    counts = _counts(per_class, columns)
    return ExactInstance(
        model, loss, matrix, counts, decays[0], decays[1], read_switch(bias, "bias")
    )


def read_problem(instance: ExactInstance) -> tuple[FeatureProblem, Units]:
    """The problem in normalised units, and what these are.

    Targets that nearly agree are centred, exactly, where a free bias allows it.  Far above the threshold at which all
    features vanish, L changes nothing and is cut off, so that solvers see numbers of one size: the gradient where all
    features are zero has columns n_j^(1/2) γ_j of norms that sum, squared, to 2/N at most ("ce"), or K/N ("mse").

    Raises:
        LemmataError: targets and weight decays beyond the range of float64.
    """
    K, counts = len(instance.counts), np.array(instance.counts, dtype=float)
    Y, scale, centre = np.eye(K), 1.0, (Fraction(0),) * K
    try:
        if instance.targets is not None:
            rows, centre = _centred(instance.targets, instance.counts, instance.bias)
            Y = np.array([[float(x) for x in row] for row in rows])
            scale = float(np.abs(Y).max()) or 1.0
        L = instance.L / scale
        least = scale * scale * min(L, 1.0)
        if min(least, L) < LEAST or scale * scale > 1 / LEAST:
            raise OverflowError(f"targets of size {scale:.3g}, L = {instance.L:.3g}")
        L = min(L, FAR * float(np.sqrt(max(len(Y), 2) / counts.sum())))
        problem = FeatureProblem(instance.model, instance.loss, Y / scale, counts, L, instance.bias)
    except (NumericsError, OverflowError) as error:
        raise LemmataError(
            f"targets and weight decays are beyond the range of float64 ({error}): rescale them"
        ) from None
    return problem, Units(scale, centre)


def _centred(
    targets: Matrix, counts: tuple[int, ...], bias: bool
) -> tuple[Matrix, tuple[Fraction, ...]]:
    """The targets, less their mean where that makes them much smaller and a bias takes it up; and what was taken."""
    N = sum(counts)
    means = tuple(
        sum((n * y for n, y in zip(counts, row, strict=True)), Fraction(0)) / N for row in targets
    )
    moved = tuple(tuple(y - m for y in row) for row, m in zip(targets, means, strict=True))
    if bias and NEARLY * _peak(moved) < _peak(targets):
        return moved, means
    return targets, (Fraction(0),) * len(targets)


def _peak(rows: Matrix) -> Fraction:
    return max(abs(x) for row in rows for x in row)


def _targets(classes: int | None, loss: str, targets: Any) -> Matrix | None:
    if targets is None:
        return None
    if loss != "mse":
        raise LemmataError("targets are for the loss 'mse': cross-entropy has one-hot targets")
    matrix = exact_matrix(targets, "targets")
    if classes is not None and classes != len(matrix):
        raise LemmataError(f"targets have {len(matrix)} rows: leave out classes = {classes!r}")
    return matrix


def _counts(per_class: int | Sequence[int], columns: int) -> tuple[int, ...]:
    if isinstance(per_class, Integral):
        return (_whole(per_class, "per_class", 1),) * columns
    if isinstance(per_class, str) or not isinstance(per_class, Iterable):
        raise LemmataError(f"per_class = {per_class!r:.60}: give a number or a list of numbers")
    counts = tuple(_whole(n, f"per_class[{k}]", 1) for k, n in enumerate(per_class))
    if len(counts) != columns:
        raise LemmataError(
            f"per_class has {len(counts)} numbers for {columns} classes: give one for each"
        )
    return counts


def _whole(value: Any, name: str, least: int) -> int:
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise LemmataError(f"{name} = {value!r:.60}: give an integer of at least {least}")
    if int(value) > MOST_SAMPLES:
        raise LemmataError(f"{name} = {value!r:.60}: give at most {MOST_SAMPLES:,}")
    return int(value)


def read_switch(value: Any, name: str) -> bool:
    """True or False, and nothing that merely counts as one.

    Raises:
        LemmataError: anything else.
    """
    if not isinstance(value, bool | np.bool_):
        raise LemmataError(f"{name} = {value!r:.60}: give True or False")
    return bool(value)


def read_gap(value: Any) -> float:
    """A relative gap.

    Raises:
        LemmataError: no number between 0 and 1.
    """
    gap = float(exact_number(value, "gap"))
    if not 0 < gap < 1:
        raise LemmataError(f"gap = {value!r:.60}: give a relative gap between 0 and 1")
    return gap
