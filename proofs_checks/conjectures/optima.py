"""Optima inside conjectures: least losses and largest margins, from the convex programs of this library.

Each function takes traced arrays or numbers, and gives a traced number, or a float with the attribute ``error`` outside
of a conjecture. In a counterexample's certificate the optimum is proved by a certificate of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from proofs_checks.conjectures.measured import ask, is_traced
from theory.errors import LemmataError
from theory.tracing import array

RELU, FEATURES, MARGIN = (
    "convex optimum: ReLU network",
    "convex optimum: unconstrained features",
    "margin",
)
# the audit kernel claims that a bound is attained at some width; its largest one serves for every instance
WIDTH = 128
MOST_COUNT = 10**12


def relu_optimum(X: Any, y: Any, beta: Any, loss: str = "squared") -> Any:
    """min over two-layer ReLU networks of any width of loss(f) + (beta/2) Σ_j (‖w_j‖² + v_j²).

    The loss is the *sum* ½ ‖f - y‖² ("squared") or Σ log(1 + e^{-y f}) ("logistic", labels 1 and -1). Source: Pilanci &
    Ergen, Neural networks are convex regularizers (ICML 2020).

    Args:
        X: (n, d) points. y: (n,) targets. beta: weight decay > 0.

    Raises:
        LemmataError: an unknown loss, arrays of other shapes; numbers for which the optimum cannot be bounded.
    """
    _choice("loss", loss, ("squared", "logistic"))
    _points(X, y)
    parameters = _parameters(RELU, ("X", "y", "beta"), {"loss": loss})
    return ask("optimum", (X, y, beta), parameters)


def margin(X: Any, y: Any, space: str = "f1") -> Any:
    """The largest min_i y_i f(x_i) over the unit ball of a space of networks, at least 0.

    "f1": two-layer ReLU networks with Σ |c_j| ‖u_j‖ <= 1; "f2": the features at the start (see `lemmata.margin`).

    Args:
        X: (n, d) points. y: (n,) labels 1 and -1.

    Raises:
        LemmataError: an unknown space, arrays of other shapes; numbers for which the margin cannot be bounded.
    """
    _choice("space", space, ("f1", "f2"))
    _points(X, y)
    return ask("optimum", (X, y), _parameters(MARGIN, ("points", "labels"), {"space": space}))


def ufm(
    *,
    classes: int | None = None,
    per_class: int | Sequence[int] = 1,
    loss: str,
    lambda_w: Any,
    lambda_h: Any,
    bias: bool = False,
    targets: Any = None,
) -> Any:
    """min of (1/N) Σ_j n_j l_j(Wᵀh_j + b) + (λ_W/2)‖W‖² + (λ_H/2) Σ_j n_j ‖h_j‖², a *mean* over samples, any width.

    Args:
        classes: K >= 2, or targets: (K, J), for "mse" only. per_class: n_j, one number or a list; not traced.
        loss: "ce", or "mse" for ‖z - y‖²/2. lambda_w, lambda_h: weight decays > 0. bias: whether b is free, else 0.

    Raises:
        LemmataError: an unknown loss, other numbers of classes; numbers for which the optimum cannot be bounded.
    """
    return _features("ufm", classes, per_class, loss, lambda_w, lambda_h, bias, targets)


def upfm(
    *,
    classes: int | None = None,
    per_class: int | Sequence[int] = 1,
    loss: str,
    lambda_w: Any,
    lambda_h: Any,
    bias: bool = False,
    targets: Any = None,
) -> Any:
    """The same minimum over features h_j >= 0; see `ufm`."""
    return _features("upfm", classes, per_class, loss, lambda_w, lambda_h, bias, targets)


def _features(
    model: str,
    classes: int | None,
    per_class: int | Sequence[int],
    loss: str,
    lambda_w: Any,
    lambda_h: Any,
    bias: bool,
    targets: Any,
) -> Any:
    _choice("loss", loss, ("ce", "mse"))
    if type(bias) is not bool:
        raise LemmataError(f"bias = {bias!r:.40}: give True or False")
    fixed: dict[str, Any] = {"model": model, "loss": loss, "bias": bias, "width": WIDTH}
    names, args = ["lambda_w", "lambda_h"], [lambda_w, lambda_h]
    if targets is None:
        columns, fixed["targets"] = _count("classes", classes, 2, WIDTH), []
    else:
        shape = _shape(targets)
        if loss != "mse" or len(shape) != 2 or not all(1 <= s <= WIDTH for s in shape):
            raise LemmataError(
                f"targets of shape {shape} with the loss {loss!r}: give a (K, J) matrix, and the loss 'mse'"
            )
        if classes is not None and classes != shape[0]:
            raise LemmataError(f"targets have {shape[0]} rows: leave out classes = {classes!r:.40}")
        columns = shape[1]
        names, args = ["targets", *names], [_transposed(targets), *args]
    counts = per_class if isinstance(per_class, list | tuple) else [per_class] * columns
    if len(counts) != columns:
        raise LemmataError(
            f"per_class has {len(counts)} entries: give one for each of {columns} columns"
        )
    fixed["multiplicities"] = [_count("per_class", n, 1, MOST_COUNT) for n in counts]
    return ask("optimum", args, _parameters(FEATURES, names, fixed))


def _parameters(kind: str, arguments: Sequence[str], fixed: dict[str, Any]) -> dict[str, Any]:
    """The certificate that proves the value, its fields that are arguments, and those that are not."""
    return {"certificate": kind, "arguments": list(arguments), "fixed": fixed}


def _choice(name: str, value: Any, known: Sequence[str]) -> None:
    if not isinstance(value, str) or value not in known:
        raise LemmataError(f"unknown {name} {value!r:.40}: choose one of {', '.join(known)}")


def _points(X: Any, y: Any) -> None:
    points, labels = _shape(X), _shape(y)
    if len(points) != 2 or 0 in points or labels != points[:1]:
        raise LemmataError(
            f"X has shape {points} and y {labels}: give an (n, d) matrix and one number per row"
        )


def _count(name: str, value: Any, least: int, most: int) -> int:
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not (whole and least <= int(value) <= most):
        raise LemmataError(f"{name} = {value!r:.40}: give a whole number from {least} to {most}")
    return int(value)


def _shape(value: Any) -> tuple[int, ...]:
    return array(value).shape if is_traced(value) else np.shape(value)


def _transposed(value: Any) -> Any:
    return array(value).T if is_traced(value) else np.asarray(value).T
