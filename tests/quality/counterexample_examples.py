"""Conjectures with counterexamples, as programs, and the certificates written for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction as F
from functools import cache
from typing import Any

import numpy as np

from proofs_checks.conjectures.certificate import certify_program
from proofs_checks.relu_training import convex_relu
from theory import array_functions as ops
from theory.program import Program
from theory.tracing import Array, Comparison, Recorder, array

Traced = tuple[Program, dict[str, tuple[F, ...]]]


def traced(function: Callable[..., Any], **inputs: Any) -> Traced:
    """The program of a function of (recorder, arrays), and the exact inputs, flat."""
    with Recorder() as recorder:
        arrays = {k: recorder.input(k, np.shape(v)) for k, v in inputs.items()}
        out = function(recorder, **arrays)
        out = [out] if isinstance(out, Comparison) else out
        program = recorder.program([(str(k), c) for k, c in enumerate(out)])
    flat = {k: np.asarray(v, dtype=object).ravel() for k, v in inputs.items()}
    return program, {k: tuple(F(x) for x in entries) for k, entries in flat.items()}


def product_norm(r: Recorder, A: Array, B: Array) -> Comparison:
    """A lost factor 2."""
    return ops.norm(A @ B) <= ops.norm(A) * ops.norm(B) / 2


def simple_spectrum(r: Recorder, A: Array) -> Comparison:
    """Fails for a double eigenvalue."""
    values = ops.eigenvalues(A)
    return values[:2] < values[1:]


def gap(r: Recorder, A: Array) -> Comparison:
    """Irrational eigenvalues, and a hypothesis about them."""
    values = ops.eigenvalues(A)
    r.assume(values[0] < values[-1])
    r.assume(values > 0)
    return values[-1] <= ops.trace(A) / 2


def full_rank(r: Recorder, A: Array) -> Comparison:
    """The smallest singular value is exactly zero."""
    return ops.singular_values(A)[1] > 0


def nuclear(r: Recorder, A: Array) -> Comparison:
    """Irrational singular values of what is not rational."""
    return ops.norm(A * ops.exp(1), "nuc") <= ops.norm(A) * ops.exp(1)


def taylor(r: Recorder, x: Array) -> Comparison:
    """Wrong at the third order."""
    r.assume(x < F(1, 10))
    r.assume(x > 0)
    return ops.exp(x) <= 1 + x + x * x / 2


def logarithms(r: Recorder, x: Array, y: Array) -> Comparison:
    """Broadcasting, with all smooth functions."""
    small = ops.tanh(x) + ops.sin(y) ** 2 + ops.cos(x * y) - ops.expm1(-x)
    return ops.log(x + 2) * ops.log1p(y) <= small - ops.arccos(y / 4) / ops.pi()


def kinks(r: Recorder, W: Array, x: Array) -> Comparison:
    """A network that is not what it would be without its activation."""
    z = W @ x
    r.assume(ops.equal(ops.sign(z)[0], 1))
    r.assume(ops.amin(W) <= ops.minimum(z, 3)[1])
    return abs(ops.total(ops.relu(z) * ops.step(z + 1))) <= ops.maximum(ops.total(z), ops.amax(x))


def descent(r: Recorder, w: Array, X: Array, y: Array) -> Comparison:
    """The loss does not fall at every step of gradient descent."""
    losses = []
    for _ in range(6):
        residual = X @ w - y
        losses.append(ops.total(residual * residual) / 2)
        w = w - X.T @ residual * F(2, 5)
    history = ops.stack(losses)
    return history[1:] <= history[:-1]


def long_descent(r: Recorder, w: Array) -> Comparison:
    """Iterates whose digits triple at every step."""
    for _ in range(30):
        w = w - (w * w - 2) * w / 16
    return w**2 <= 2


def roots(r: Recorder, x: Array) -> Comparison:
    """Exact and inexact powers."""
    r.assume(ops.equal(x ** F(3, 2), array([8, 27])))
    return x ** F(-1, 2) + x ** F(1, 3) + x**-2 <= 2


def equality(r: Recorder, A: Array, c: Array) -> list[Comparison]:
    """Two conclusions, one of which holds."""
    return [ops.equal(ops.trace(A.T), ops.trace(A)), ops.equal(ops.outer(c, c)[:, ::-1], A)]


def least_loss(r: Recorder, X: Array, y: Array, beta: Array) -> Comparison:
    """The least regularised loss of a two-layer network is at most β|y|/3, is it not?"""
    parameters = {
        "certificate": "convex optimum: ReLU network",
        "arguments": ["X", "y", "beta"],
        "fixed": {"loss": "squared"},
    }
    r.assume(beta > 0)
    optimum = ops.oracle("optimum", (X, y, beta), parameters)
    return optimum <= beta * ops.norm(y) / 3


# function, inputs, the failing conclusion and entry
EXAMPLES: dict[str, tuple[Callable[..., Any], dict[str, Any], int, int]] = {
    "product": (product_norm, {"A": [[1, 2], [3, 4]], "B": [[1, 1], [0, 1]]}, 0, 0),
    "spectrum": (simple_spectrum, {"A": [[2, 1, 1], [1, 2, 1], [1, 1, 2]]}, 0, 0),
    "gap": (gap, {"A": [[2, -1, 0], [-1, 1, 0], [0, 0, F(1, 7)]]}, 0, 0),
    "rank": (full_rank, {"A": [[1, 2, 3], [2, 4, 6]]}, 0, 0),
    "nuclear": (nuclear, {"A": [[1, 2], [0, 1], [1, 0]]}, 0, 0),
    "taylor": (taylor, {"x": F(1, 1000)}, 0, 0),
    "logarithms": (logarithms, {"x": [F(5, 2), 2], "y": [[1], [F(4)]]}, 0, 2),
    "kinks": (kinks, {"W": [[1, 1], [-3, F(1, 2)]], "x": [1, 1]}, 0, 0),
    "descent": (descent, {"w": [1, 1], "X": [[2, 1], [1, F(3, 2)]], "y": [0, 1]}, 0, 4),
    "long descent": (long_descent, {"w": F(8, 5)}, 0, 0),
    "roots": (roots, {"x": [4, 9]}, 0, 0),
    "equality": (equality, {"A": [[1, 2], [2, 4]], "c": [1, 2]}, 1, 1),
    "least loss": (least_loss, {"X": [[2]], "y": [3], "beta": 1}, 0, 0),
}


@cache
def _optimum() -> dict[str, Any]:
    certificate = convex_relu([[2]], [3], beta=1, certify=True).certificate
    assert certificate is not None
    return certificate.to_data()


@cache
def _text(name: str) -> str:
    function, inputs, conclusion, entry = EXAMPLES[name]
    program, values = traced(function, **inputs)
    optima = {k: _optimum() for k, i in enumerate(program.instructions) if i.op == "oracle"}
    certificate, reason = certify_program(
        program, values, name=name, conclusion=conclusion, entry=entry, optima=optima
    )
    assert certificate is not None, (name, reason)
    return certificate.to_json()


def data(name: str) -> dict[str, Any]:
    """The plain data of the certificate, a fresh copy."""
    return json.loads(_text(name))
