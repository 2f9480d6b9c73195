"""What data sets are made of: see `proofs_checks.conjectures.samples.KINDS`; raw parts are traced or numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from proofs_checks.strategies.formulas import assume, reflected, row_norms, safe


@dataclass(frozen=True, eq=False)
class DataSet:
    """Points with labels, and what is known about them by construction.

    Attributes:
        X: (n, d). y: (n,), every label +1 or -1.
        mu: bound from below on all cosines between y_i x_i and y_k x_k. margin, w: y_i ⟨w, x_i⟩ >= margin, ‖w‖ = 1.
        centres: (K, d) of clusters. Each is None where the kind of data set has none.
    """

    X: Any
    y: Any
    mu: Any = None
    margin: Any = None
    w: Any = None
    centres: Any = None

    @property
    def n(self) -> int:
        """Number of points."""
        return int(self.X.shape[0])

    @property
    def d(self) -> int:
        """Dimension of the points."""
        return int(self.X.shape[1])

    @property
    def X_max(self) -> Any:
        """The largest norm of a point."""
        return np.max(row_norms(self.X))

    @property
    def X_min(self) -> Any:
        """The smallest norm of a point."""
        return np.min(row_norms(self.X))

    def cosines(self) -> Any:
        """(n, n): cos(y_i x_i, y_k x_k), 0 where a point is zero."""
        Z, norms = self.y.reshape(-1, 1) * self.X, row_norms(self.X)
        return Z @ Z.T / safe(np.outer(norms, norms))


def points(raw: SimpleNamespace) -> DataSet:
    """Points as they are."""
    return DataSet(raw.X, raw.y)


def orthogonally_separable(raw: SimpleNamespace) -> DataSet:
    """x_i = y_i z_i with z_i >= 0; that the cosines are at least mu is a hypothesis.

    It is stated without square roots, mu² ‖z_i‖² ‖z_k‖² <= ⟨z_i, z_k⟩², and so decided exactly.
    """
    Z, mu = raw.Z, getattr(raw, "mu", None)
    n = Z.shape[0]
    G = Z @ Z.T
    assume(np.diag(G) > 0)
    pairs = [i * n + k for i in range(n) for k in range(i)]
    if pairs:
        inner = G.reshape(n * n)[pairs]
        if mu is None:
            assume(inner > 0)
        else:
            squares = np.outer(np.diag(G), np.diag(G)).reshape(n * n)[pairs]
            assume(mu * mu * squares <= inner * inner)
    data = DataSet(raw.y.reshape(n, 1) * Z, raw.y)
    return DataSet(data.X, data.y, mu=np.min(data.cosines()) if mu is None else mu)


def separable(raw: SimpleNamespace) -> DataSet:
    """The first coordinate of y_i x_i is margin + P_i, P_i >= 0, the others are free; all of it reflected."""
    n = raw.y.shape[0]
    first = (raw.y * (raw.margin + raw.P)).reshape(n, 1)
    X = np.concatenate([first, raw.Q], axis=1) if hasattr(raw, "Q") else first
    e = np.eye(X.shape[1])[0]
    w = reflected(raw.U, e.reshape(-1, 1)).reshape(-1)
    return DataSet(reflected(raw.U, X.T).T, raw.y, margin=raw.margin, w=w)


def scaled_points(raw: SimpleNamespace) -> DataSet:
    """Fixed points times a scale."""
    return DataSet(raw.scale * raw.points, raw.y)


def clusters(raw: SimpleNamespace) -> DataSet:
    """Point i is the centre of its cluster, chosen by M (n, K) of zeros and ones, plus spread · N_i where given.

    The centres are free, or orthonormal: the first rows of a product of reflections.
    """
    orthonormal = hasattr(raw, "U")
    centres = reflected(raw.U, np.eye(len(raw.U)))[: raw.M.shape[1]] if orthonormal else raw.centres
    X = raw.M @ centres
    if hasattr(raw, "N"):
        X = X + raw.spread * raw.N
    return DataSet(X, raw.y, centres=centres)


def degenerate(raw: SimpleNamespace) -> DataSet:
    """Fixed combinations C (n, k) of few free points (k, d), with some columns masked."""
    return DataSet((raw.C @ raw.base) * raw.mask, raw.y)
