"""Certificates of convex ReLU training: kind "convex optimum: ReLU network" (see `audit.relu`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from proofs_checks.certificate import Certificate
from proofs_checks.exact_data import Matrix, Row, exact_text, exact_texts
from proofs_checks.relu_network import dual_lower, float_above, float_below, objective_interval
from proofs_checks.sign_tree import bound_witness, pricing_bound
from theory.errors import LemmataError

Array = NDArray[np.float64]
KIND = "convex optimum: ReLU network"
# how much shorter than M(nu) = beta asks for the dual vector is made, by powers of two: what is lost is of that size
_SHORTER = (44, 40, 34, 28, 22)


@dataclass(frozen=True)
class CertifiedGap:
    """Ends of an interval that contains the global optimum; the certificate, or why there is none."""

    lower: Fraction
    upper: Fraction
    certificate: Certificate | None
    reason: str = ""


def certify(
    X: Matrix,
    y: Row,
    beta: Fraction,
    loss: str,
    W: Array,
    v: Array,
    nu: Array,
    *,
    limit: int = 200_000,
) -> CertifiedGap:
    """Prove bounds from a network and a dual vector with M(nu) <= beta up to rounding.

    A dual vector that is longer is scaled down as far as M(nu) asks.  The certificate is given only
    if the audit kernel accepts it.
    """
    weights = tuple(tuple(Fraction(float(a)) for a in row) for row in W)
    outputs = tuple(Fraction(float(a)) for a in v)
    upper = Fraction(float_above(objective_interval(X, y, beta, loss, weights, outputs)[1]))
    failed = CertifiedGap(Fraction(0), upper, None)
    try:
        tree, dual = _tree(X, beta, nu, limit)
        lower = Fraction(float_below(dual_lower(y, dual, loss))) if tree else Fraction(0)
    except LemmataError as error:
        return CertifiedGap(failed.lower, upper, None, f"the dual bound was not proved: {error}")
    if tree is None:
        return CertifiedGap(
            failed.lower, upper, None, "the dual vector is longer than M(nu) <= beta allows"
        )
    certificate = Certificate(
        KIND,
        {
            "loss": loss,
            "X": exact_texts(X),
            "y": _texts(y),
            "beta": exact_text(beta),
            "lower": exact_text(lower),
            "upper": exact_text(upper),
        },
        {},
        {"W": exact_texts(weights), "v": _texts(outputs), "nu": _texts(dual), "bound": tree},
    )
    return _accepted(certificate, lower, upper)


def _accepted(certificate: Certificate, lower: Fraction, upper: Fraction) -> CertifiedGap:
    """The bounds with the certificate, if the kernel accepts its text within its limits."""
    from proofs_checks.audit import audit_text
    from proofs_checks.audit.core import MAX_BYTES

    text = certificate.to_json()
    if len(text.encode()) > MAX_BYTES:
        reason = f"the certificate has {len(text) / 2**20:.1f} MB, more than the {MAX_BYTES >> 20} MB of the kernel"
        return CertifiedGap(lower, upper, None, reason)
    verdict = audit_text(text)
    if not verdict.accepted:
        return CertifiedGap(
            lower, upper, None, f"the audit kernel did not accept: {verdict.reason}"
        )
    return CertifiedGap(lower, upper, certificate)


def _tree(X: Matrix, beta: Fraction, nu: Array, limit: int) -> tuple[dict[str, object] | None, Row]:
    """The witness of M(nu) <= beta for nu shortened as little as the attempts find, and that nu."""
    most = Fraction(1)
    for attempt, bits in enumerate(_SHORTER):
        dual = _scaled(nu, most * (1 - Fraction(1, 2**bits)))
        tree = bound_witness(X, dual, beta, limit=limit)
        if tree is not None:
            return tree, dual
        if attempt == 0:  # not rounding alone: how long may it be?
            value, _ = pricing_bound(X, nu.tolist(), limit=limit)
            most = min(most, beta / Fraction(value)) if value > 0 else most
    return None, ()


def _scaled(nu: Array, factor: Fraction) -> Row:
    """factor * nu, rounded towards zero to float64 (so that signs and y_i nu_i <= 1 stay)."""
    out = []
    for entry in nu.tolist():
        exact = abs(Fraction(entry)) * factor
        size = Fraction(float_below(exact))
        out.append(size if entry >= 0 else -size)
    return tuple(out)


def _texts(row: Sequence[Fraction]) -> list[str]:
    return [exact_text(a) for a in row]
