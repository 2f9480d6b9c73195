"""Cases: concrete instances of a setting, serialisable, hashable, replayable bit for bit."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.errors import LemmataError

Float = NDArray[np.float64]
FORMAT = "lemmata-case/1"
LOSSES = ("exponential", "logistic2", "logistic", "squared")
REDUCTIONS = ("sum", "mean", "half-mean")
SMALLEST, LARGEST = (
    1e-140,
    1e140,
)  # lengths of points and directions; their products fit into float64


@dataclass(frozen=True, eq=False)
class Case:
    """One network on one data set, ready to be trained by gradient flow.

    The start is w_j(0) = ε w_{j0} and v_j(0) = ε s_j ‖w_{j0}‖ with signs s_j, or ε v0_j where ``v0`` is given. The
    scale is ε = exp(``log_eps``), exactly, so that scales far below the smallest float are possible.

    Attributes:
        X: (n, d) points. y: (n,) labels, ±1 (real targets with the squared loss).
        loss: "exponential" e^{-yf}, "logistic2" 2 log(1+e^{-yf}), "logistic" log(1+e^{-yf}) or "squared" (f-y)².
        reduction: how the loss adds up over points: "sum", "mean" (1/n) or "half-mean" (1/(2n)).
        W0: (h, d) initial directions. v0: (h,) initial outer weights divided by ε.
        balanced: v0 was made from signs, so v_j(0)² = ‖w_j(0)‖² holds exactly in the model.
        name: where the data come from; seed: what drew the initialisation. Neither influences the result.
    """

    X: Float
    y: Float
    loss: str
    reduction: str
    W0: Float
    v0: Float
    log_eps: float
    balanced: bool
    name: str = ""
    seed: int = 0

    model: ClassVar[str] = "two-layer-relu"

    @classmethod
    def create(
        cls,
        X: ArrayLike,
        y: ArrayLike,
        *,
        W0: ArrayLike,
        signs: ArrayLike | None = None,
        v0: ArrayLike | None = None,
        eps: float | None = None,
        log10_eps: float | None = None,
        loss: str = "exponential",
        reduction: str = "sum",
        name: str = "",
        seed: int = 0,
    ) -> Case:
        """Check and freeze the arrays of a case.

        Args:
            X: (n, d) points. y: (n,) labels. W0: (h, d) initial directions, no row zero.
            signs: (h,) entries ±1, for a balanced start; or v0: (h,) explicit outer weights divided by ε.
            eps: the scale of the initialisation, or ``log10_eps`` its decimal logarithm (for scales below 1e-300).

        Raises:
            LemmataError: NaN, inf, empty or mis-shaped arrays, labels outside ±1, ε ≤ 0, unknown names.
        """
        points, labels, directions = (
            finite_array("X", X, 2),
            finite_array("y", y, 1),
            finite_array("W0", W0, 2),
        )
        if labels.shape[0] != points.shape[0]:
            raise LemmataError(
                f"X has {points.shape[0]} points and y {labels.shape[0]} labels; give one label per point"
            )
        if directions.shape[1] != points.shape[1]:
            raise LemmataError(
                f"W0 has {directions.shape[1]} columns and X {points.shape[1]}; they must agree"
            )
        if loss not in LOSSES:
            raise LemmataError(f"unknown loss {loss!r}; use one of {', '.join(LOSSES)}")
        if reduction not in REDUCTIONS:
            raise LemmataError(
                f"unknown reduction {reduction!r}; use one of {', '.join(REDUCTIONS)}"
            )
        if loss != "squared" and not np.isin(labels, (-1.0, 1.0)).all():
            bad = int(np.flatnonzero(~np.isin(labels, (-1.0, 1.0)))[0])
            raise LemmataError(
                f"label {labels[bad]!r} of point {bad} is not ±1; map the two classes to -1 and 1"
            )
        if not _lengths("X", points).any():
            raise LemmataError("all points are zero: nothing would move; give data")
        norms = _lengths("W0", directions)
        if (norms == 0).any():
            raise LemmataError(
                f"row {int(np.flatnonzero(norms == 0)[0])} of W0 is zero: the neuron has no direction; drop it"
            )
        h = directions.shape[0]
        if signs is not None and v0 is None:
            s = finite_array("signs", signs, 1)
            if s.shape != (h,) or not np.isin(s, (-1.0, 1.0)).all():
                raise LemmataError(f"signs must be {h} numbers ±1")
            outer, balanced = s * norms, True
        elif v0 is not None and signs is None:
            outer = finite_array("v0", v0, 1)
            if outer.shape != (h,):
                raise LemmataError(f"v0 must have {h} entries, not {outer.shape[0]}")
            balanced = all(
                Fraction(float(b)) ** 2 == sum(Fraction(float(c)) ** 2 for c in row)
                for b, row in zip(outer, directions, strict=True)
            )
        else:
            raise LemmataError("give either signs (balanced start) or v0 (explicit outer weights)")
        log_eps = _scale(eps, log10_eps)
        for a in (points, labels, directions, outer):
            a.setflags(write=False)
        return cls(
            points, labels, loss, reduction, directions, outer, log_eps, balanced, name, seed
        )

    # -- numbers ------------------------------------------------------------------------------------------------
    @property
    def n(self) -> int:
        """Number of points."""
        return int(self.X.shape[0])

    @property
    def h(self) -> int:
        """Number of neurons."""
        return int(self.W0.shape[0])

    @property
    def eps(self) -> tuple[float, int]:
        """ε as (mantissa, exponent): ε = mantissa * 2**exponent with 1/2 <= mantissa <= 2, correctly rounded."""
        with localcontext() as context:
            context.prec = 50
            log2 = Decimal(2).ln()
            exact = Decimal(self.log_eps)
            exponent = int((exact / log2).to_integral_value())
            return float((exact - exponent * log2).exp()), exponent

    @property
    def weight(self) -> float:
        """The factor of the loss of one point: 1, 1/n or 1/(2n)."""
        return {"sum": 1.0, "mean": 1.0 / self.n, "half-mean": 0.5 / self.n}[self.reduction]

    def replace(self, **changes: Any) -> Case:
        """A case with other arrays or names, checked again."""
        log_eps = self.log_eps
        if "eps" in changes or "log10_eps" in changes:
            log_eps = _scale(changes.pop("eps", None), changes.pop("log10_eps", None))
        keep = (
            {"signs": np.sign(self.v0)}
            if self.balanced and "v0" not in changes
            else {"v0": self.v0}
        )
        if "signs" in changes:
            keep = {}
        base: dict[str, Any] = {
            "X": self.X,
            "y": self.y,
            "W0": self.W0,
            "loss": self.loss,
            "reduction": self.reduction,
            "name": self.name,
            "seed": self.seed,
            **keep,
            **changes,
        }
        X, y = base.pop("X"), base.pop("y")
        new = Case.create(X, y, eps=1.0, **base)
        return replace(new, log_eps=log_eps)

    # -- plain data ---------------------------------------------------------------------------------------------
    def to_json(self) -> dict[str, Any]:
        """Plain data; floats are hexadecimal, so that nothing is rounded."""
        return {
            "format": FORMAT,
            "X": [[v.hex() for v in row] for row in self.X.tolist()],
            "y": [v.hex() for v in self.y.tolist()],
            "loss": self.loss,
            "reduction": self.reduction,
            "W0": [[v.hex() for v in row] for row in self.W0.tolist()],
            "v0": [v.hex() for v in self.v0.tolist()],
            "balanced": self.balanced,
            "log_eps": self.log_eps.hex(),
            "name": self.name,
            "seed": self.seed,
        }

    @cached_property
    def hash(self) -> str:
        """SHA-256 over everything that influences the result, first 16 hexadecimal digits."""
        return digest(self.to_json())

    @classmethod
    def from_json(cls, data: Any) -> Case:
        """The inverse of `to_json`.

        Raises:
            LemmataError: the data are no case; the message names the field.
        """
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise LemmataError(f"not a case: expected an object with format {FORMAT!r}")
        try:
            balanced = data["balanced"]
            v0 = _floats(data["v0"])
            case = cls.create(
                [_floats(row) for row in data["X"]],
                _floats(data["y"]),
                W0=[_floats(row) for row in data["W0"]],
                eps=1.0,
                loss=data["loss"],
                reduction=data["reduction"],
                name=str(data.get("name", "")),
                seed=int(data.get("seed", 0)),
                **({"signs": np.sign(v0)} if balanced else {"v0": v0}),
            )
            log_eps = float.fromhex(data["log_eps"])
        except LemmataError:
            raise
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise LemmataError(
                f"malformed case: {type(error).__name__}: {error}; write it with Case.to_json"
            ) from error
        if not math.isfinite(log_eps):
            raise LemmataError(
                f"log_eps is {log_eps!r}, which is not finite; write the case with Case.to_json"
            )
        if not np.array_equal(case.v0, np.asarray(v0)):
            raise LemmataError(
                "v0 does not equal ±‖w_j0‖ although the case says that it is balanced"
            )
        return replace(case, log_eps=log_eps)

    def group(self) -> tuple[Any, ...]:
        """Cases of equal group are integrated together."""
        return (self.X.tobytes(), self.X.shape, self.y.tobytes(), self.loss, self.reduction, self.h)


def digest(data: Mapping[str, Any]) -> str:
    """The hash of a case's plain data; name and seed do not count."""
    what = {k: v for k, v in data.items() if k not in ("name", "seed")}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def finite_array(name: str, value: ArrayLike, ndim: int) -> Float:
    """A copy in float64 with this number of axes, refused if it is empty or not finite."""
    try:
        a = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise LemmataError(f"{name} is not a rectangular array of numbers: {error}") from error
    if a.ndim != ndim:
        raise LemmataError(f"{name} has {a.ndim} dimensions, expected {ndim}")
    if a.size == 0:
        raise LemmataError(f"{name} is empty (shape {a.shape}); give at least one entry")
    if not np.isfinite(a).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(a))[0])
        raise LemmataError(
            f"{name}{list(where)} is {a[where]}; remove or replace non-finite values"
        )
    return a


def _lengths(name: str, rows: Float) -> Float:
    """Norms of rows, refused where inner products of them would overflow or underflow; zero rows are kept."""
    top = np.abs(rows).max(axis=1)
    with np.errstate(over="ignore"):
        lengths = np.hypot.reduce(rows, axis=1)
    bad = (top > 0) & ~((lengths > SMALLEST) & (lengths < LARGEST))
    if bad.any():
        where = int(np.flatnonzero(bad)[0])
        raise LemmataError(
            f"row {where} of {name} has length {lengths[where]:.3g}, outside ({SMALLEST:g}, {LARGEST:g}); "
            "rescale the rows"
        )
    norms: Float = np.linalg.norm(rows, axis=1)
    return norms


def _scale(eps: float | None, log10_eps: float | None) -> float:
    """log ε from exactly one of the two."""
    if (eps is None) == (log10_eps is None):
        raise LemmataError("give either eps or log10_eps")
    if eps is not None:
        if not (isinstance(eps, (int, float)) and math.isfinite(eps) and eps > 0):
            raise LemmataError(
                f"eps = {eps!r}: the scale of the initialisation must be a positive number"
            )
        return math.log(eps)
    if log10_eps is None or not math.isfinite(log10_eps):
        raise LemmataError(f"log10_eps = {log10_eps!r} is not a finite number")
    return log10_eps * math.log(10.0)


def _floats(row: Sequence[str]) -> list[float]:
    return [float.fromhex(v) for v in row]
