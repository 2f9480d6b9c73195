"""How the imbalance of linear networks and of ReLU neurons is measured.

Linear networks, variables at an instant: ``W1(j,k)`` columns of W1, ``W2(j,k)`` rows of W2, ``t``; the same arrays
numbered by i are ``W1_(i,k)`` and ``W2_(i,k)``. At the start: ``D_0(j,i)``, ``A_0(j,i)`` = W1ᵀW1 and ``R_0`` =
‖∇W2ᵀ‖² + ‖W1ᵀ∇‖². Gradient flow has ``A_far(j,i)``, W1ᵀW1 where it is farthest from its start, of the ends of the steps
and some instants besides. Gradient descent has ``G1(j,k)`` columns of ∇W2ᵀ and ``G2(j,k)`` rows of W1ᵀ∇ (and ``G1_``,
``G2_``), and after the step ``D_next(j,i)``; t is the number of the step.

Gradient flow is a polynomial differential equation, integrated with an error bound in floating point; gradient descent
is iterated in ball arithmetic, and so is the statement about it evaluated: only the two sides are rounded.

ReLU networks have, besides the variables of every trajectory, ``w_0(j,k)`` and ``v_0(j)``, the weights at the start,
and ``moved``: the largest of |v_j² - v_0j²| / (‖w_0j‖² + v_j²) so far, diminished by its error bound.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import pairwise

import flint
import numpy as np

from numerics.evaluate import Environment, freeze, lane_scalar
from numerics.extended import ScaledArray, scaled
from numerics.polynomial_flow import (
    PolynomialField,
    PolynomialStatus,
    PolynomialTrajectory,
    integrate_polynomial,
)
from numerics.scaled_functions import inner
from proofs_checks.batch import Batch, Float, Numbers, StepContext, at_lanes
from proofs_checks.blocks import firsts, reduce_lanes
from proofs_checks.claims.trajectory import TrajectoryClaim
from proofs_checks.linear_ball_environment import BallEnvironment
from proofs_checks.linear_balls import (
    PRECISION,
    Balls,
    Iterate,
    ball_matrix,
    ball_vectors,
    descend,
    matrix,
    number,
    start,
)
from proofs_checks.linear_batch import LinearBatch, LinearContext, numbered_by_i, stack
from proofs_checks.linear_case import LinearCase
from theory.errors import LemmataError
from theory.linear_networks import FLOW_RESOLUTION, MOTION, MOVED

MOST_TERMS = (
    12_000  # of the polynomial field of a flow; with more of them a case takes many seconds
)
BLOCK = 16  # steps of a flow that are looked at together
INSTANTS = 9  # at which motion is looked for, besides the ends of the steps


class LinearClaim(TrajectoryClaim, ABC):
    """Numbers of linear networks at the start; derived classes say how the weights move.

    Attributes:
        reached: (B,) the end of each lane. stopped: for each lane why it ended early, or "".
    """

    def __init__(self, batch: LinearBatch, wanted: Iterable[str]) -> None:
        super().__init__(batch, wanted)
        self.linear = batch
        self.reached: Float = np.zeros(batch.size)
        self.stopped: list[str] = [""] * batch.size
        with flint.ctx.workprec(PRECISION):
            starts = [start(c) for c in batch.linear]
            self.numbers["D_0"] = stack([matrix(s.imbalance) for s in starts])
            self.numbers["A_0"] = stack([matrix(s.W1.transpose() * s.W1) for s in starts])
            self.numbers["R_0"] = stack([number(s.force) for s in starts])

    @abstractmethod
    def follow(self, lane: int, until: float) -> Iterator[LinearContext]:
        """The steps of a lane in order, up to a time; sets ``reached`` and ``stopped``."""


class FlowClaim(LinearClaim):
    """Gradient flow W1' = -∇W2ᵀ, W2' = -W1ᵀ∇."""

    def follow(self, lane: int, until: float) -> Iterator[LinearContext]:
        case = self.linear.linear[lane]
        theta = np.concatenate([case.W1.ravel(), case.W2.ravel()])
        path = integrate_polynomial(gradient_field(case), theta[None], until)

        self.reached[lane] = path.end(0)
        A_far, noticed = self._motion(lane, path)

        def opened(times: Float, numbers: Numbers) -> Environment:
            now = _layers(path, case, times)
            return Environment(
                {**numbers, **now, "A_far": A_far, "t": scaled(times[:, :, None, None, None])}
            )

        if path.status[0] is not PolynomialStatus.ok:
            self.stopped[lane] = path.reason[0]
        elif not noticed:
            self.stopped[lane] = (
                f"up to t = {path.end(0):.3g} the weights hardly move, compared with the error bound of the flow: a "
                "wrong law would not be noticed; use a longer horizon or a start with a larger gradient"
            )
        ends = path.times[0] if path.times[0].size else np.zeros(1)
        starts = np.concatenate(([0.0], ends[:-1]))
        for first in range(0, ends.size, BLOCK):
            block = slice(first, first + BLOCK)
            yield LinearContext(
                self.linear, lane, (starts[block], ends[block]), self.numbers, opened
            )

    def _motion(self, lane: int, path: PolynomialTrajectory) -> tuple[ScaledArray, bool]:
        """W1ᵀW1 where it is farthest from its start, and whether the error bound of the imbalance at the end is below
        the resolution, relative to that distance."""
        A_0, D_0 = (at_lanes(self.numbers, np.array([lane]))[k] for k in ("A_0", "D_0"))
        times = np.union1d(path.times[0], np.linspace(0.0, path.end(0), INSTANTS))
        layers = _layers(path, self.linear.linear[lane], times[None])
        A = inner(layers["W1"], layers["W1_"])
        distance = (A - A_0).abs().max(3).max(2)
        far = int(np.argmax(distance.log_interval()[0]))
        drift = A - inner(layers["W2"], layers["W2_"]) - D_0
        error = ScaledArray(drift.r, np.zeros_like(drift.r), drift.e).max(3).max(2)
        with np.errstate(all="ignore"):
            ratio, _ = (error / _at(distance, far)).to_float()
        return _at(A, far), bool((4.0 * ratio <= FLOW_RESOLUTION).all())


def _at(a: ScaledArray, instant: int) -> ScaledArray:
    """The value at one of the instants (axis 1)."""
    which = slice(instant, instant + 1)
    return ScaledArray(
        a.m[:, which],
        a.r[:, which] if a.r.shape[1] > 1 else a.r,
        a.e[:, which] if a.e.shape[1] > 1 else a.e,
    )


def _layers(path: PolynomialTrajectory, case: LinearCase, times: Float) -> dict[str, ScaledArray]:
    """W1 and W2 at times (R, t) as vectors; the error of the whole state bounds that of each vector."""
    n, h, m = case.shape
    states = path.states(0, times.ravel())
    radius = path.errors(0, times.ravel()).reshape(*times.shape, 1, 1, 1)
    W1 = states[:, : n * h].reshape(*times.shape, n, h)
    W2 = states[:, n * h :].reshape(*times.shape, h, m)
    first = scaled(np.swapaxes(W1, 2, 3)[:, :, :, None, :], radius)
    second = scaled(W2[:, :, :, None, :], radius)
    return {
        "W1": first,
        "W2": second,
        "W1_": numbered_by_i(first),
        "W2_": numbered_by_i(second),
    }


def require_small(n: int, h: int, m: int) -> None:
    """Refuse the gradient flow of layers n×h and h×m where its polynomial field is too large.

    Raises:
        LemmataError: there are too many terms.
    """
    count = 2 * n * h * m * (n * h + 1)
    if count > MOST_TERMS:
        raise LemmataError(
            f"the gradient flow of layers {n}×{h} and {h}×{m} has {count} terms, more than {MOST_TERMS}; use fewer "
            "columns or hidden units, or linear-networks/imbalance-descent, which has no such limit"
        )


def gradient_field(case: LinearCase) -> PolynomialField:
    """The gradient flow as polynomials in the entries of W1, row by row, then those of W2.

    With ∇ = M W1 W2 - N: W1_rj' = -Σ_c ∇_rc W2_jc and W2_jc' = -Σ_r W1_rj ∇_rc, every product multiplied out, so
    that the coefficients are entries of -M and N and nothing rounds.

    Raises:
        LemmataError: see `require_small`.
    """
    (n, h, m), (M, N) = case.shape, case.quadratic
    require_small(n, h, m)

    def first(row: int, unit: int) -> int:
        return row * h + unit

    def second(unit: int, column: int) -> int:
        return n * h + unit * m + column

    def gradient(row: int, column: int, factor: int) -> list[tuple[float, tuple[int, ...]]]:
        """-∇ at (row, column) times a variable."""
        terms = [
            (-float(M[row, p]), (first(p, q), second(q, column), factor))
            for p in range(n)
            for q in range(h)
            if M[row, p] != 0
        ]
        return terms + ([(float(N[row, column]), (factor,))] if N[row, column] != 0 else [])

    rows = [
        [t for c in range(m) for t in gradient(r, c, second(j, c))]
        for r in range(n)
        for j in range(h)
    ]
    rows += [
        [t for r in range(n) for t in gradient(r, c, first(r, j))]
        for j in range(h)
        for c in range(m)
    ]
    return PolynomialField(n * h + h * m, tuple(map(tuple, rows)))


class DescentClaim(LinearClaim):
    """Gradient descent W1⁺ = W1 - η ∇W2ᵀ, W2⁺ = W2 - η W1ᵀ∇; one context per step."""

    def follow(self, lane: int, until: float) -> Iterator[LinearContext]:
        case = self.linear.linear[lane]
        iterates, bits = descend(case)
        if len(iterates) <= case.steps:
            self.stopped[lane] = (
                f"after {max(len(iterates) - 1, 0)} steps the iterates need more than {bits} bits; "
                "use fewer steps or a smaller eta"
            )
        for k, (now, after) in enumerate(pairwise(iterates)):
            if k > until:
                return
            self.reached[lane] = float(k)
            with flint.ctx.workprec(bits):
                known = self.measured(now, after)

            def opened(
                times: Float, numbers: Numbers, known: dict[str, Balls] = known
            ) -> Environment:
                at = {"t": scaled(times[:, :, None, None, None])}
                return BallEnvironment({**numbers, **known, **at}, bits)

            yield LinearContext(self.linear, lane, (k, k), self.numbers, opened)

    def measured(self, now: Iterate, after: Iterate) -> dict[str, Balls]:
        """The variables of one step."""
        arrays = {
            "W1": ball_vectors(now.W1.transpose()),
            "W2": ball_vectors(now.W2),
            "G1": ball_vectors(now.G1.transpose()),
            "G2": ball_vectors(now.G2),
        }
        twins = {name + "_": np.swapaxes(a, 2, 3) for name, a in arrays.items()}
        return {**arrays, **twins, "D_next": ball_matrix(after.imbalance)}


_MOTION = freeze(MOTION.to_data())


class NeuronClaim(TrajectoryClaim):
    """A ReLU network with its weights at the start, and how far they have moved since."""

    def __init__(self, batch: Batch, wanted: Iterable[str]) -> None:
        super().__init__(batch, wanted)
        mantissa, exponent = batch.eps
        factor = mantissa[:, None, None, None, None]
        e = exponent[:, None, None, None, None]
        v0 = np.stack([c.v0 for c in batch.cases])
        for name, weights in (("w_0", batch.W0), ("v_0", v0[:, :, None])):
            m = weights[:, None, :, None, :] * factor
            # the mantissa of ε is rounded, so is the product, and in a balanced case v_0 is a rounded norm
            size = np.sqrt(np.sum(m * m, axis=-1, keepdims=True))
            self.numbers[name] = scaled(m, (batch.X.shape[1] + 4) * 2.0**-52 * size, e)
        self.numbers["moved"] = lane_scalar(np.zeros(batch.size))
        # a trajectory that ends before anything has moved says nothing
        self.open_events["moved"] = np.ones(batch.size, dtype=bool)

    def on_step(self, context: StepContext) -> None:
        """Take the ends of some steps into account."""
        rows = np.arange(context.lanes.size)
        with np.errstate(all="ignore"):
            motion = context.environment(rows, context.end[:, None]).evaluate(_MOTION)
            value, radius = (np.ravel(x) for x in motion.to_float())
        sure = np.fmax(np.where(np.isfinite(radius), value - radius, 0.0), 0.0)
        lanes = context.lanes[firsts(context.lanes)]
        found = reduce_lanes(np.maximum, context.lanes, sure)
        so_far = np.maximum(self.numbers["moved"].m[lanes, 0, 0, 0, 0], found)
        self.set("moved", lanes, so_far)
        self.open_events["moved"][lanes] = so_far <= float(MOVED)

    def finish(self, reached: Float) -> None:
        """Keep ``moved`` as it is: it is no time."""
