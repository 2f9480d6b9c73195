"""The oracle "optimum": optima of convex programs, with bounds, and with certificates for exact arguments.

Parameters: {"certificate": kind, "arguments": the fields of its claim that are arguments, in their order, "fixed": the
other fields, literally}; the claim has "lower" and "upper" besides. See `proofs_checks.conjectures.optima`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, ctx, fmpq, fmpz

from proofs_checks.batch import Float
from proofs_checks.certificate import Certificate
from proofs_checks.conjectures.measured import Recent
from proofs_checks.conjectures.optima import FEATURES, MARGIN, RELU, WIDTH
from proofs_checks.conjectures.optima_degenerate import equal_points, train_on_equal_points
from proofs_checks.conjectures.optima_errors import perturbed
from proofs_checks.exact_data import read_exact
from theory.errors import LemmataError

Pair = tuple[Float, Float]
Exact = tuple[tuple[int, ...], tuple[Fraction, ...]]  # shape and entries
# relative gaps asked of the solvers, in a search and for a certificate; what they reach is what counts
ROUGH, GAP = 1e-5, 1e-8
PATTERNS = 20_000  # with more of them a ReLU network takes too long to train
ANSWERS = 8192  # how many are remembered


@dataclass(frozen=True)
class Solved:
    """lower <= optimum <= upper; where there is a certificate its claim has these two numbers."""

    lower: Fraction
    upper: Fraction
    certificate: Certificate | None


class OptimumOracle:
    """See the module's docstring."""

    def __init__(self) -> None:
        self._known: Recent[Solved | str] = Recent(ANSWERS)

    def floats(self, parameters: Mapping[str, Any], args: Sequence[Pair]) -> Pair:
        """(mid, rad), each (B,), for arguments (mid, rad) of shapes (B, ...)."""
        lanes = max(len(mid) for mid, _ in args)
        mid, rad = np.zeros(lanes), np.full(lanes, np.inf)
        for lane in range(lanes):
            own = [tuple(a[min(lane, len(a) - 1)] for a in pair) for pair in args]
            found = self._solved(parameters, [_exact(a) for a, _ in own], False)
            if isinstance(found, Solved):
                mid[lane], rad[lane] = _middle(perturbed(parameters, found, own))
        return mid, rad

    def reason(self, parameters: Mapping[str, Any], args: Sequence[Float]) -> str:
        """Why the optimum for the first of exact arguments (1, ...) has no bound; "" if it has one."""
        found = self._solved(parameters, [_exact(a[0]) for a in args], False)
        return found if isinstance(found, str) else ""

    def balls(
        self, parameters: Mapping[str, Any], args: Sequence[Sequence[Any]], bits: int
    ) -> tuple[list[arb], dict[str, Any] | None]:
        """A list of one ball that contains the optimum for exact rationals, and the data of its certificate.

        The ball is the whole line, and there is no certificate, where an argument is no rational or nothing is proved.
        """
        nothing = [arb(0, math.inf)], None
        if not all(isinstance(x, (int, Fraction, fmpz, fmpq)) for row in args for x in row):
            return nothing
        rows = [tuple(_fraction(x) for x in row) for row in args]
        shapes = _shapes(parameters, [len(row) for row in rows])
        found = self._solved(parameters, list(zip(shapes, rows, strict=True)), True)
        if isinstance(found, str) or found.certificate is None:
            return nothing
        with ctx.workprec(bits):
            low, high = (arb(fmpq(q.numerator, q.denominator)) for q in (found.lower, found.upper))
            return [low.union(high)], found.certificate.to_data()

    def _solved(
        self, parameters: Mapping[str, Any], args: Sequence[Exact | None], certify: bool
    ) -> Solved | str:
        """Bounds, or why there are none."""
        if any(a is None for a in args):
            return "an argument is not finite"
        key = (json.dumps(parameters, sort_keys=True), *args, certify)
        known = self._known.get(key)
        if known is None:
            try:
                known = _solve(parameters, [_nested(*a) for a in args if a is not None], certify)
            # solvers and the linear algebra below them refuse degenerate data in many ways: nothing is known then
            except (ValueError, ArithmeticError, RuntimeError) as error:
                known = str(error) or type(error).__name__
            self._known.put(key, known)
        return known


def _solve(parameters: Mapping[str, Any], args: Sequence[Any], certify: bool) -> Solved | str:
    kind, fixed = parameters["certificate"], parameters["fixed"]
    values = dict(zip(parameters["arguments"], args, strict=True))
    if kind == RELU:
        return _relu(values, fixed["loss"], certify)
    if kind == MARGIN:
        return _margin(values, fixed["space"], certify)
    if kind == FEATURES:
        return _features(values, fixed)
    raise LemmataError(f"no convex program has certificates of the kind {kind!r:.60}")


def _relu(values: Mapping[str, Any], loss: str, certify: bool) -> Solved:
    from proofs_checks.relu_data import read_beta
    from proofs_checks.relu_training import convex_relu

    X, y, beta = (values[k] for k in ("X", "y", "beta"))
    if equal_points(X) and (loss == "squared" or set(y) <= {1, -1}):
        gap = train_on_equal_points(X, y, read_beta(beta, "beta"), loss)
        return Solved(gap.lower, gap.upper, gap.certificate)
    found = convex_relu(
        X,
        y,
        beta=beta,
        loss=loss,
        gap=GAP if certify else ROUGH,
        certify=certify,
        limit=PATTERNS,
    )
    if found.certificate is not None:
        return _claimed(found.certificate)
    return Solved(Fraction(found.lower_bound), Fraction(found.objective), None)


def _margin(values: Mapping[str, Any], space: str, certify: bool) -> Solved:
    from proofs_checks.margins import margin

    found = margin(
        values["points"],
        values["labels"],
        space=space,
        gap=GAP if certify else ROUGH,
        certify=certify,
    )
    if found.certificate is not None:
        return _claimed(found.certificate)
    return Solved(Fraction(found.lower), Fraction(found.upper), None)


def _features(values: Mapping[str, Any], fixed: Mapping[str, Any]) -> Solved | str:
    from proofs_checks import features

    rows = (
        [list(row) for row in zip(*values["targets"], strict=True)] if "targets" in values else None
    )
    solve = features.ufm if fixed["model"] == "ufm" else features.upfm
    found = solve(
        classes=None if rows else len(fixed["multiplicities"]),
        per_class=fixed["multiplicities"],
        loss=fixed["loss"],
        lambda_w=values["lambda_w"],
        lambda_h=values["lambda_h"],
        bias=fixed["bias"],
        gap=GAP,
        targets=rows,
    )
    if found.certificate is None:
        return found.reason or "no bound was proved"
    return _claimed(_widened(found.certificate, fixed["width"]))


def _widened(certificate: Certificate, width: int) -> Certificate:
    """The same bounds at a larger width, with latent directions that are zero.

    Raises:
        LemmataError: the network found is wider, or the kernel does not accept.
    """
    claim, witness = dict(certificate.claim), dict(certificate.witness)
    missing = width - claim["width"]
    if missing < 0:
        raise LemmataError(f"the network found has width {claim['width']}, more than {WIDTH}")
    columns = len(witness["W"][0])
    witness["W"] = [*witness["W"], *([["0"] * columns] * missing)]
    witness["H"] = [[*h, *(["0"] * missing)] for h in witness["H"]]
    wide = replace(certificate, claim={**claim, "width": width}, witness=witness)
    verdict = wide.audit()
    if not verdict.accepted:
        raise LemmataError(f"the certificate is not accepted: {verdict.reason}")
    return wide


def _claimed(certificate: Certificate) -> Solved:
    lower, upper = (read_exact(certificate.claim[k], k) for k in ("lower", "upper"))
    return Solved(lower, upper, certificate)


# -- arguments --------------------------------------------------------------------------------------------------------
def _exact(a: Float) -> Exact | None:
    """The rationals that floats are; None if one is not finite."""
    a = np.asarray(a, dtype=np.float64)
    if not np.isfinite(a).all():
        return None
    return tuple(a.shape), tuple(map(Fraction, a.ravel().tolist()))


def _fraction(x: Any) -> Fraction:
    rational = fmpq(x) if isinstance(x, fmpz) else x
    return Fraction(int(rational.p), int(rational.q)) if isinstance(rational, fmpq) else Fraction(x)


def _shapes(parameters: Mapping[str, Any], sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """The shapes of arguments of which the numbers of entries are known."""
    size = dict(zip(parameters["arguments"], sizes, strict=True))
    rows = {
        "X": size.get("y", 0),
        "points": size.get("labels", 0),
        "targets": len(parameters["fixed"].get("multiplicities", ())),
    }
    out: list[tuple[int, ...]] = []
    for name, entries in size.items():
        if name in rows:
            out.append((rows[name], entries // max(rows[name], 1)))
        else:
            out.append((entries,) if name in ("y", "labels") else ())
    return out


def _nested(shape: tuple[int, ...], entries: tuple[Fraction, ...]) -> Any:
    if not shape:
        return entries[0]
    if len(shape) == 1:
        return list(entries)
    width = shape[1]
    return [list(entries[k * width : (k + 1) * width]) for k in range(shape[0])]


def _middle(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, math.inf
    mid = 0.5 * low + 0.5 * high
    return mid, float(np.nextafter(max(high - mid, mid - low), math.inf))
