"""Kind "convex optimum: ReLU network": bounds on the least regularised loss over all widths.

    claim    {"loss": "squared" or "logistic", "X": n rows of d numbers, "y": n numbers, "beta": > 0,
              "lower", "upper"}
    inputs   {}
    witness  {"W": m rows, "v": m numbers, "nu": n numbers, "bound": a tree (see `sign_tree`)}

Let F(W, v) = loss(f) + (beta/2) sum_j (|w_j|^2 + v_j^2), f = sum_j v_j max(X w_j, 0), with the losses
|f - y|^2 / 2 and sum_i log(1 + exp(-y_i f_i)), y_i = +-1.  The claim is that the infimum of F over all
networks of any width is at least ``lower``, and that some network has F <= ``upper``.

From above: F of the network of the witness, exact or in balls.  From below, for every nu

    loss(f) >= D(nu) - nu . f,    squared:  D = nu . y - |nu|^2 / 2,
                                  logistic: D = sum_i H(y_i nu_i), H(q) = -q log q - (1-q) log(1-q),
                                            where all y_i nu_i are in [0, 1],

and if |nu . max(X u, 0)| <= beta |u| for all u, which the tree proves, then
nu . f <= sum_j |v_j| beta |w_j| <= (beta/2) sum_j (|w_j|^2 + v_j^2).  So F >= D(nu).
"""

from __future__ import annotations

from typing import Any

from flint import arb, ctx, fmpq

from proofs_checks.audit.core import Clock, Rejected, exact, fields
from proofs_checks.audit.rationals import dot, short
from proofs_checks.audit.sign_tree import check_bound

MAX_ENTRIES, PRECISION = 100_000, 192


def check(claim: Any, inputs: Any, witness: Any, clock: Clock) -> str:
    """The claim in words; raises Rejected if the witness does not prove it."""
    names = ("loss", "X", "y", "beta", "lower", "upper")
    loss, rows, targets, weight, least, most = fields(claim, names, "claim")
    fields(inputs, (), "inputs")
    first, second, dual, tree = fields(witness, ("W", "v", "nu", "bound"), "witness")
    if loss not in ("squared", "logistic"):
        raise Rejected("the loss must be 'squared' or 'logistic'")
    X, y = _matrix(rows, "X", clock), _vector(targets, "y", clock)
    beta, lower, upper = (
        exact(text, name) for text, name in zip((weight, least, most), names[3:], strict=True)
    )
    n, d = len(X), len(X[0]) if X else 0
    if not n or not d or len(y) != n or beta <= 0:
        raise Rejected("X must have rows and columns, y as many entries as X has rows, beta > 0")
    if loss == "logistic" and any(label not in (-1, 1) for label in y):
        raise Rejected("the labels of the logistic loss must be 1 and -1")
    if lower > upper:
        raise Rejected("the lower bound is above the upper one")
    W, v, nu = _matrix(first, "W", clock), _vector(second, "v", clock), _vector(dual, "nu", clock)
    if len(v) != len(W) or (W and len(W[0]) != d) or len(nu) != n:
        raise Rejected("W must have d columns and as many rows as v has entries, nu n entries")
    with ctx.workprec(PRECISION):
        if not _value(loss, X, y, beta, W, v, clock) <= upper:
            raise Rejected(
                f"the network is not shown to have an objective of at most {_shown(most)}"
            )
        if not _dual_value(loss, y, nu, clock) >= lower:
            raise Rejected(
                f"the dual vector is not shown to have a value of at least {_shown(least)}"
            )
    check_bound(X, nu, beta * beta, tree, clock)
    return (
        f"proved: over all two-layer ReLU networks on these {n} points in R^{d}, of any width, the "
        f"least {loss} loss + (beta/2)(|W|^2 + |v|^2) with beta = {_shown(weight)} is at least {_shown(least)}, "
        f"and a network of width {len(v)} has at most {_shown(most)}"
    )


def _shown(text: str) -> str:
    """A number of the claim in words: as it stands there, and in decimals if it is hard to read."""
    number = exact(text, "claim")
    return (
        text
        if len(text) <= 12 and "x" not in text
        else f"{text:.60} (about {arb(number).str(12, radius=False)})"
    )


def _vector(data: Any, what: str, clock: Clock) -> list[fmpq]:
    if not isinstance(data, list) or len(data) > MAX_ENTRIES:
        raise Rejected(f"{what}: expected a list of at most {MAX_ENTRIES} numbers")
    out = []
    for entry in data:
        clock.tick()
        out.append(exact(entry, what))
    return out


def _matrix(data: Any, what: str, clock: Clock) -> list[list[fmpq]]:
    if not isinstance(data, list) or len(data) > MAX_ENTRIES:
        raise Rejected(f"{what}: expected a list of at most {MAX_ENTRIES} rows")
    rows = [_vector(row, what, clock) for row in data]
    if any(len(row) != len(rows[0]) for row in rows):
        raise Rejected(f"{what}: the rows differ in length")
    return rows


def _outputs(X: list[list[fmpq]], W: list[list[fmpq]], v: list[fmpq], clock: Clock) -> list[fmpq]:
    """f_i = sum_j v_j max(x_i . w_j, 0)."""
    out = []
    for x in X:
        f = fmpq(0)
        for w, factor in zip(W, v, strict=True):
            z = dot(x, w, clock)
            f = short(f + factor * z, clock) if z > 0 else f
        out.append(f)
    return out


def _value(
    loss: str,
    X: list[list[fmpq]],
    y: list[fmpq],
    beta: fmpq,
    W: list[list[fmpq]],
    v: list[fmpq],
    clock: Clock,
) -> Any:
    """F of the network: exact for the squared loss, else a ball."""
    f = _outputs(X, W, v, clock)
    size = fmpq(0)
    for row in [*W, v]:
        size = short(size + dot(row, row, clock) * beta / 2, clock)
    if loss == "squared":
        misfit = [a - b for a, b in zip(f, y, strict=True)]
        return dot(misfit, misfit, clock) / 2 + size
    total = arb(size)
    for a, b in zip(f, y, strict=True):
        clock.tick()
        t = a * b  # log(1 + exp(-t)) without overflow
        total += arb(-abs(t)).exp().log1p() + (arb(-t) if t < 0 else 0)
    return total


def _dual_value(loss: str, y: list[fmpq], nu: list[fmpq], clock: Clock) -> Any:
    """D(nu): exact for the squared loss, else a ball."""
    if loss == "squared":
        return dot(nu, y, clock) - dot(nu, nu, clock) / 2
    total = arb(0)
    for a, b in zip(nu, y, strict=True):
        clock.tick()
        q = a * b
        if not 0 <= q <= 1:
            raise Rejected("a product y_i nu_i is outside [0, 1]")
        for part in (q, 1 - q):
            total -= arb(part) * arb(part).log() if part else 0
    return total
