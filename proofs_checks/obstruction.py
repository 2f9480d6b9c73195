"""A network that cannot fit because of the component it starts in, and a twin of the same function that can.

Both start as the same function: the twin's neurons are those of the obstructed network rescaled by a power of two,
(w, v) → (8w, v/8), which is exact in floating point and changes no output. The obstructed network has c_k < 0 and
v_k > 0 for all k, so v_k > 0 for ever and f ≥ 0: whatever happens, its squared loss is at least

    floor = weight · Σ_{y_i < 0} y_i²,

exactly. The twin has c_k > 0, its outer weights may change sign, and it fits.

Source: Nurisso, Leroy, Vaccarino, "Topological obstruction to the training of shallow ReLU neural networks" (NeurIPS
2024); what can be reached is decided by `theory.conservation.reachable`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

import numerics
from numerics.evaluate import freeze
from proofs_checks.batch import Batch, Float, StepContext
from proofs_checks.case import Case
from proofs_checks.figures import BLUE, GREEN, GREY, ORANGE, canvas, save
from proofs_checks.verdict import Status
from theory.conservation.reachable import ReachableSet, reachable_set
from theory.conservation.reachable_targets import Reach
from theory.errors import LemmataError

POINTS = ((2.0, 1.0), (-2.0, -0.5), (-1.0, -2.0))
TARGETS = (1.5, -1.0, -1.0)
NEURONS = 8
RESCALING = 8.0  # a power of two, so that the twin starts as the same function without rounding
END = 1.5  # by then both losses have come to rest
SETTLED = 100  # a loss below floor / SETTLED counts as a fit
RESOLUTION = 1e-8  # invariants, and a loss with its floor, are compared with at most this error


@dataclass(frozen=True)
class Course:
    """One trajectory with error bounds, at m instants.

    Attributes:
        case: the start. reachable: its invariant set. reach: whether a function with a negative value is obstructed.
        times: (m,). loss, loss_error: (m,) the training loss and a bound on its error.
        v, v_error: (m, h) outer weights. norms: (m, h) ‖w_k‖.
        drift, drift_error: (m, h) computed invariants minus their exact initial values, and the bound on its error.
    """

    case: Case
    reachable: ReachableSet
    reach: Reach
    times: Float
    loss: Float
    loss_error: Float
    v: Float
    v_error: Float
    norms: Float
    drift: Float
    drift_error: Float


@dataclass(frozen=True)
class Check:
    """One part of the conclusion: what is claimed, whether it came out, and the numbers."""

    name: str
    status: Status
    detail: str


@dataclass(frozen=True)
class Demonstration:
    """The two trajectories and what was measured on them.

    Attributes:
        floor: lower bound on the obstructed network's loss, exact. checks: the parts of the conclusion.
    """

    obstructed: Course
    free: Course
    floor: Fraction
    checks: tuple[Check, ...]

    @property
    def status(self) -> Status:
        """``holds`` if every check does, ``violated`` if one is, else ``undecided``."""
        found = {check.status for check in self.checks}
        if found == {Status.HOLDS}:
            return Status.HOLDS
        return Status.VIOLATED if Status.VIOLATED in found else Status.UNDECIDED

    @property
    def text(self) -> str:
        """One line per check."""
        lines = [f"{self.status}: topological obstruction, loss floor = {self.floor}"]
        return "\n".join(lines + [f"  {c.status}: {c.name}: {c.detail}" for c in self.checks])

    def figure(self, path: Path) -> None:
        """Losses against the floor, the outer weights, and the neurons on their quadrics in the (‖w‖, v) half-plane."""
        courses = (
            (self.obstructed, "all $c_k < 0$", ORANGE, "-"),
            (self.free, "all $c_k > 0$", BLUE, "--"),
        )
        reach = 1.1 * max(float(np.abs(course.v).max()) for course, *_ in courses)
        with canvas(10.5, 3.5, ncols=3) as (figure, (losses, outer, plane)):
            for course, label, colour, style in courses:
                losses.plot(course.times, course.loss, style, color=colour, lw=1.8, label=label)
                outer.plot(course.times, course.v, style, color=colour, lw=1.0)
                _draw_plane(plane, course, reach, colour, style)
            losses.axhline(float(self.floor), color=GREY, lw=1.2, ls=":", label="floor, exact")
            losses.set(yscale="log", xlabel="time t")
            losses.set_title("training loss", loc="left", fontsize=10)
            losses.legend(frameon=False, fontsize=8.5)
            outer.axhline(0.0, color=GREY, lw=1.2, ls=":")
            outer.set_xlabel("time t")
            outer.set_title("outer weights $v_k$", loc="left", fontsize=10)
            plane.set(xlabel=r"$\|w_k\|$", ylabel="$v_k$")
            plane.set_title("neurons on their quadrics", loc="left", fontsize=10)
            save(figure, path)


def demonstrate(*, seed: int = 0) -> Demonstration:
    """Train both networks and measure.

    Args:
        seed: draws the hidden weights. The data are fixed.

    Raises:
        LemmataError: a trajectory ends early because no unique solution exists beyond (sliding on a kink, say).
    """
    rng = np.random.default_rng(seed)
    W = np.round(8.0 * rng.standard_normal((NEURONS, len(POINTS[0])))) / 64.0
    W[(W == 0).all(axis=1)] = 1.0 / 64.0
    v = np.floor(16.0 * np.linalg.norm(W, axis=1) + 2.0) / 16.0  # exceeds ‖w_k‖ by 1/16 to 1/8
    obstructed, free = (_train(W * a, v / a, seed) for a in (1.0, RESCALING))
    case = obstructed.case
    wrong = sum((Fraction(t) ** 2 for t in case.y.tolist() if t < 0), Fraction(0))
    floor = Fraction(case.weight) * wrong
    checks = (
        _same_start(obstructed, free),
        _components(obstructed, free),
        kept := _keeps_signs(obstructed),
        _above(obstructed, floor, kept),
        _changes_sign(free),
        _fits(free, floor),
        _conserved("obstructed", obstructed),
        _conserved("free", free),
    )
    return Demonstration(obstructed, free, floor, checks)


class _Recorder:
    """Keeps loss, outer weights, norms and invariants at the nodes of every step, each with its error."""

    WANTED: tuple[list[Any], ...] = (
        ["var", "loss"],
        ["var", "v"],
        ["norm", ["var", "w"]],
        ["add", ["sqnorm", ["var", "w"]], ["neg", ["pow", ["var", "v"], ["rat", "2"]]]],
    )

    def __init__(self, batch: Batch) -> None:
        self.batch, self.numbers = batch, batch.basic_numbers()
        self.times: list[Float] = []
        self.rows: list[list[tuple[Float, Float]]] = [[] for _ in self.WANTED]

    def on_step(self, step: numerics.StepView) -> None:
        context = StepContext(self.batch, step, self.numbers)
        everything, times = np.arange(context.lanes.size), context.times
        self.times.append(times.ravel())
        for rows, quantity in zip(self.rows, self.WANTED, strict=True):
            (array,) = context.sample(everything, freeze(quantity))
            value, radius = array.to_float()
            shape = (*times.shape, value.shape[2])
            parts = [np.broadcast_to(a[..., 0, 0], shape) for a in (value, radius)]
            one, two = (a.reshape(times.size, value.shape[2]) for a in parts)
            rows.append((one, two))

    def curve(self, index: int) -> tuple[Float, Float]:
        """(m, rows) values and errors of one of the quantities."""
        values, errors = zip(*self.rows[index], strict=True)
        return np.concatenate(values), np.concatenate(errors)


def _train(W: Float, v: Float, seed: int) -> Course:
    name = "topological obstruction"
    case = Case.create(POINTS, TARGETS, W0=W, v0=v, eps=1.0, loss="squared", name=name, seed=seed)
    batch = Batch((case,))
    recorder = _Recorder(batch)
    result = numerics.integrate(batch.problem(), until=END, observers=[recorder])
    if not result.ok[0]:
        raise LemmataError(
            f"with seed {seed} a trajectory ends at t = {result.t[0]:.3g}: {result.reason[0]}; choose another seed"
        )
    (loss, loss_error), (outer, outer_error), (norms, _), (c, c_error) = map(
        recorder.curve, range(4)
    )
    reachable = reachable_set(case.W0, case.v0)
    start = np.array([float(x) for x in reachable.invariants])
    drift = c - start
    return Course(
        case=case,
        reachable=reachable,
        reach=reachable.can_reach((-1,)),  # where f < 0, some neuron has v < 0
        times=np.concatenate(recorder.times),
        loss=loss[:, 0],
        loss_error=loss_error[:, 0],
        v=outer,
        v_error=outer_error,
        norms=norms,
        drift=drift,
        drift_error=c_error + 2.0**-52 * (np.abs(start) + np.abs(drift)),
    )


# -- checks -----------------------------------------------------------------------------------------------------------


def _decide(holds: bool, fails: bool) -> Status:
    return Status.HOLDS if holds else Status.VIOLATED if fails else Status.UNDECIDED


def _outputs(case: Case) -> list[Fraction]:
    """f(x_i) at the start, exactly."""
    W, X = ([[Fraction(a) for a in row] for row in array.tolist()] for array in (case.W0, case.X))
    v = [Fraction(a) for a in case.v0.tolist()]
    zero = Fraction(0)
    outputs = []
    for x in X:
        z = [sum((s * t for s, t in zip(w, x, strict=True)), zero) for w in W]
        outputs.append(sum((c * max(a, zero) for c, a in zip(v, z, strict=True)), zero))
    return outputs


def _same_start(one: Course, two: Course) -> Check:
    gap = max(abs(a - b) for a, b in zip(_outputs(one.case), _outputs(two.case), strict=True))
    return Check(
        "both networks start as the same function on the data",
        _decide(gap == 0, gap != 0),
        f"largest difference of outputs = {gap}",
    )


def _components(obstructed: Course, free: Course) -> Check:
    good = obstructed.reach.obstructed and not free.reach.obstructed
    return Check(
        "a neuron with v < 0 is out of reach of the one network only",
        _decide(good, not good),
        f"components that training can reach = {obstructed.reachable.reachable_components} and "
        f"{free.reachable.reachable_components}",
    )


def _keeps_signs(course: Course) -> Check:
    low, high = course.v - course.v_error, course.v + course.v_error
    return Check(
        "obstructed: every v stays positive",
        _decide(bool((low > 0).all()), bool((high <= 0).any())),
        f"min v ≥ {low.min():.4g}",
    )


def _above(course: Course, floor: Fraction, kept: Check) -> Check:
    """The loss comes to rest on its floor, where no measurement tells ≥ from <: v > 0 decides, the loss must agree."""
    high = course.loss + course.loss_error
    below = Fraction(float(high.min())) < floor
    resolved = bool((course.loss_error <= RESOLUTION).all())
    last = float(Fraction(float(course.loss[-1])) - floor)
    return Check(
        "obstructed: the loss never falls below its floor, as v > 0 says",
        _decide(kept.status is Status.HOLDS and resolved and not below, below),
        f"loss - floor at the end ≈ {last:.2g} with error ≤ {course.loss_error.max():.2g}",
    )


def _changes_sign(course: Course) -> Check:
    low, high = (course.v[-1] + s * course.v_error[-1] for s in (-1.0, 1.0))
    return Check(
        "free: some v has become negative",
        _decide(bool((high < 0).any()), bool((low >= 0).all())),
        f"{int((high < 0).sum())} of {high.size} at the end",
    )


def _fits(course: Course, floor: Fraction) -> Check:
    low, high = (float(course.loss[-1] + s * course.loss_error[-1]) for s in (-1.0, 1.0))
    goal = floor / SETTLED
    return Check(
        f"free: the loss falls below floor / {SETTLED}",
        _decide(Fraction(high) < goal, Fraction(low) >= goal),
        f"loss ≤ {high:.4g} at t = {course.times[-1]:g}",
    )


def _conserved(name: str, course: Course) -> Check:
    off = bool((np.abs(course.drift) > course.drift_error).any())
    resolved = bool((course.drift_error <= RESOLUTION).all())
    return Check(
        f"{name}: the invariants stay where they were",
        _decide(resolved and not off, off),
        f"drift ≤ {np.abs(course.drift).max():.2g} with error bounds ≤ {course.drift_error.max():.2g}",
    )


def _draw_plane(ax: Any, course: Course, reach: float, colour: str, style: str) -> None:
    for c in map(float, course.reachable.invariants):
        outer = np.linspace(-reach, reach, 400)
        inner = np.sqrt(np.where(outer**2 + c >= 0, outer**2 + c, np.nan))
        ax.plot(inner, outer, color=GREY, lw=0.4)
    ax.plot(course.norms, course.v, style, color=colour, lw=1.6)
    ax.plot(course.norms[-1], course.v[-1], "o", color=GREEN, ms=4, mec="white")
