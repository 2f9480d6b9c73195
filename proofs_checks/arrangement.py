"""The activation patterns of data, with a certificate that they are all there (kind "activation patterns")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from numerics.arrangements import LIMIT, Arrangement, enumerate_patterns, sample_patterns
from numerics.arrangements_exact import hyperplanes, integer_rows
from numerics.errors import NumericsError
from proofs_checks.certificate import Certificate
from proofs_checks.exact_data import Matrix, exact_matrix, exact_texts
from proofs_checks.sign_tree_branches import branches
from proofs_checks.verdict import Rigor
from theory.errors import LemmataError

KIND = "activation patterns"


@dataclass(frozen=True)
class ArrangementReport:
    """The activation patterns of X (n, d).

    Attributes:
        patterns: (P, n) bool, the patterns 1[X u >= 0] of the open cells, distinct, sorted.
        directions: (P, d) unit vectors inside the cells, up to rounding.
        complete: whether these are all patterns.
        count: how many there are in all; None if only samples were drawn.
        rigor: proved if the audit kernel accepted the certificate.
        certificate: None if none was asked for, or the list is not complete.
        reason: why nothing is proved; empty if it is.
    """

    patterns: NDArray[np.bool_]
    directions: NDArray[np.float64]
    complete: bool
    count: int | None
    rigor: Rigor
    certificate: Certificate | None
    reason: str


def arrangement(
    X: Any,
    *,
    certify: Literal["count", "tree"] | None = "count",
    listed: bool = False,
    sample: int | None = None,
    seed: int = 0,
    limit: int = LIMIT,
) -> ArrangementReport:
    """All activation patterns of X, or those of some samples.

    Args:
        X: (n, d), anything that is exactly a rational number (see `exact_data.exact_matrix`).
        certify: "count": the kernel counts the cells by deletion-restriction; "tree": a tree of signs
            shows that there are no others, which reads faster in many columns; None: no certificate.
        listed: whether the certificate claims the patterns themselves, and not only their number.
        sample: draw so many directions (and their negatives) instead; the list is then not complete.
        seed: of the samples.
        limit: the greatest number of patterns that is enumerated.

    Raises:
        LemmataError: X is empty, ragged or not finite, an option is unknown, or there are more than
            ``limit`` patterns.
    """
    if certify not in ("count", "tree", None):
        raise LemmataError(f"certify is {certify!r}: give 'count', 'tree' or None")
    points = exact_matrix(X)
    try:
        if sample is not None:
            drawn = sample_patterns(points, samples=sample, seed=seed)
            return _report(
                drawn, None, "samples: the list need not be complete; drop sample for all patterns"
            )
        cells = enumerate_patterns(points, limit=limit)
    except NumericsError as error:
        raise LemmataError(str(error)) from None
    if certify is None:
        return _report(cells, None, "no certificate was asked for")
    certificate = certificate_of(points, cells, tree=certify == "tree", listed=listed)
    audit = certificate.audit()
    return _report(
        cells, certificate, "" if audit.accepted else f"the certificate is refused: {audit.reason}"
    )


def certificate_of(
    X: Matrix, cells: Arrangement, *, tree: bool = False, listed: bool = False
) -> Certificate:
    """The certificate that these cells, which `enumerate_patterns` found for X, are all cells."""
    planes, places, signs = hyperplanes(integer_rows(X))
    claim = {
        "points": exact_texts(X),
        "count": len(cells.patterns),
        "patterns": [_bits(p) for p in cells.patterns] if listed else [],
    }
    if not planes:
        return Certificate(KIND, claim, {}, {"cells": [list(cells.points[0])], "tree": []})
    first = [places.index(k) for k in range(len(planes))]
    on_planes = cells.patterns[:, first] ^ (np.array(signs)[first] < 0)
    half = np.flatnonzero(on_planes[:, 0])
    nodes: list[Any] = []
    if tree:
        names = [*range(1, len(planes)), 0]
        nodes = branches(planes[1:], planes[:1], on_planes[half, 1:], names, [[""]] * len(half))
    witness = {"cells": [list(cells.points[k]) for k in half], "tree": nodes}
    return Certificate(KIND, claim, {}, witness)


def _bits(pattern: NDArray[np.bool_]) -> str:
    return "".join("1" if bit else "0" for bit in pattern.tolist())


def _report(cells: Arrangement, certificate: Certificate | None, reason: str) -> ArrangementReport:
    rigor = Rigor.NUMERICAL if reason else Rigor.PROVED
    return ArrangementReport(
        cells.patterns, cells.directions, cells.complete, cells.count, rigor, certificate, reason
    )
