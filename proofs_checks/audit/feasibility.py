"""Kind "linear feasibility": which classes of labelled points a two-layer ReLU network can collapse.

    claim    {"points": [[x, ...], ...], "labels": [text, ...], "hidden": HIDDEN, "feasible": {label: true or false}}
    inputs   {}
    witness  {label: {"w": [integer, ...]} where true, {"mu": [...], "lambda": [...]} where false}
    HIDDEN   {}, or {"weights": W}: every point x is replaced by relu(x W) first, exactly

Feasible for a class: some w has x.w = c on all of its points, with one c > 0, and x.w <= 0 on all others. The witness
is such a w; or integers mu (one for each point of the class, in order) and lambda >= 0 (one for each other point, in
order) with sum mu_i x_i = sum lambda_j x_j and sum mu_i > 0: then c sum mu_i = sum lambda_j (x_j.w) <= 0 for every such
w, so there is none. ``feasible`` may leave out classes; integers are written in decimal.
"""

from __future__ import annotations

import re
from typing import Any

from flint import fmpq, fmpz

from proofs_checks.audit.core import Clock, Rejected, exact, fields

MAX_LONG = 20_000  # digits of an integer of the witness: determinants of long data are long
SHOWN = 8
Points = list[list[fmpq]]


def check(claim: Any, inputs: Any, witness: Any, clock: Clock) -> str:
    """The claim in words; raises Rejected if the witness does not prove it."""
    points, labels, hidden, feasible = fields(
        claim, ("points", "labels", "hidden", "feasible"), "claim"
    )
    fields(inputs, (), "inputs")
    X = _matrix(points, "points", clock)
    if not isinstance(labels, list) or len(labels) != len(X):
        raise Rejected(f"labels: expected a list of {len(X)}, one for each point")
    if not all(isinstance(label, str) and label for label in labels):
        raise Rejected("labels: not all are texts that are not empty")
    classes = dict.fromkeys(labels)
    if len(classes) < 2:
        raise Rejected("labels: two classes are needed")
    if not isinstance(feasible, dict) or not feasible or not set(feasible) <= set(classes):
        raise Rejected("feasible: expected an object with labels of the points, at least one")
    if not all(answer is True or answer is False for answer in feasible.values()):
        raise Rejected("feasible: not all answers are true or false")
    answers = fields(witness, tuple(feasible), "witness")
    where, dimension = "", len(X[0])
    if hidden != {}:
        (weights,) = fields(hidden, ("weights",), "hidden")
        W = _matrix(weights, "weights", clock)
        if len(W) != dimension:
            raise Rejected(f"weights: {len(W)} rows where points have {dimension} coordinates")
        X = [_relu(x, W, clock) for x in X]
        where = f", sent through relu(x W) with the stated W, {dimension} by {len(W[0])},"
    for (label, answer), proof in zip(feasible.items(), answers, strict=True):
        own = [x for x, name in zip(X, labels, strict=True) if name == label]
        rest = [x for x, name in zip(X, labels, strict=True) if name != label]
        decide = _point if answer else _farkas
        decide(own, rest, proof, f"class {label!a:.40}", clock)
    return (
        f"proved: of {len(X)} points in R^{dimension}{where} in {len(classes)} classes, some w has "
        f"x.w = c > 0 on the class and x.w <= 0 on all other points for {_list(feasible, True)}; "
        f"none has for {_list(feasible, False)}; not claimed: {len(classes) - len(feasible)} classes"
    )


def _list(feasible: dict[str, bool], answer: bool) -> str:
    names = [f"{label!a:.40}" for label, found in feasible.items() if found is answer]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more if names else "no class"


def _matrix(data: Any, what: str, clock: Clock) -> Points:
    if not isinstance(data, list) or not data or not isinstance(data[0], list) or not data[0]:
        raise Rejected(f"{what}: not a matrix with at least one row and one column")
    rows = []
    for row in data:
        if not isinstance(row, list) or len(row) != len(data[0]):
            raise Rejected(f"{what}: rows of different lengths")
        clock.tick()
        rows.append([exact(entry, what) for entry in row])
    return rows


def _relu(x: list[fmpq], W: Points, clock: Clock) -> list[fmpq]:
    sums = [fmpq(0)] * len(W[0])
    for a, row in zip(x, W, strict=True):
        for k, weight in enumerate(row):
            clock.tick()
            sums[k] += a * weight
    return [max(total, fmpq(0)) for total in sums]


def _integers(data: Any, count: int, what: str, clock: Clock) -> list[fmpz]:
    if not isinstance(data, list) or len(data) != count:
        raise Rejected(f"{what}: expected a list of {count} integers")
    found = []
    for text in data:
        clock.tick()
        if not isinstance(text, str) or len(text) > MAX_LONG:
            raise Rejected(f"{what}: not all are texts of at most {MAX_LONG} digits")
        if not re.fullmatch("0|-?[1-9][0-9]*", text, re.ASCII):
            raise Rejected(f"{what}: {text!a:.60} is not an integer in decimal")
        found.append(fmpz(text))
    return found


def _point(own: Points, rest: Points, proof: Any, what: str, clock: Clock) -> None:
    """x.w = c > 0 on own, x.w <= 0 on the rest."""
    (data,) = fields(proof, ("w",), what)
    w = _integers(data, len(own[0]), f"{what}: w", clock)
    c = _dot(own[0], w, clock)
    if c <= 0:
        raise Rejected(f"{what}: x.w is not positive on its first point")
    for i, x in enumerate(own):
        if _dot(x, w, clock) != c:
            raise Rejected(f"{what}: x.w differs on points 0 and {i} of the class")
    for j, x in enumerate(rest):
        if _dot(x, w, clock) > 0:
            raise Rejected(f"{what}: x.w is positive on point {j} of the others")


def _farkas(own: Points, rest: Points, proof: Any, what: str, clock: Clock) -> None:
    """sum mu x = sum lambda x, lambda >= 0, sum mu > 0."""
    mus, lambdas = fields(proof, ("mu", "lambda"), what)
    mu = _integers(mus, len(own), f"{what}: mu", clock)
    lam = _integers(lambdas, len(rest), f"{what}: lambda", clock)
    if any(number < 0 for number in lam):
        raise Rejected(f"{what}: a lambda is negative")
    if sum(mu, fmpz(0)) <= 0:
        raise Rejected(f"{what}: the sum of mu is not positive")
    for k in range(len(own[0])):
        left = _dot([x[k] for x in own], mu, clock)
        if left != _dot([x[k] for x in rest], lam, clock):
            raise Rejected(f"{what}: the combinations differ in coordinate {k}")


def _dot(x: list[fmpq], w: list[fmpz], clock: Clock) -> fmpq:
    total = fmpq(0)
    for a, b in zip(x, w, strict=True):
        clock.tick()
        if a and b:
            total += a * b
    return total
