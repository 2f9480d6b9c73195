"""How the error bounds of ``numerics.integrate`` compare with the true errors of random trajectories.

``draw`` makes a problem, ``judge`` integrates it and compares with ``reference_flow`` whatever comes with a bound:
every neuron's state at the end and at kinks, all weights together, the kinks' times, and quantities evaluated
from the states with their radii. Every comparison is a ``Record``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from flint import arb, ctx

from numerics import FlowOptions, FlowProblem, FlowResult, FlowStatus, StepView, integrate
from numerics.evaluate import Environment
from numerics.extended import ScaledArray, scaled
from numerics.observables import environment
from tests.numerics.reference_flow import Setting, Trajectory, solve
from tests.numerics.reference_quantities import PRECISION, Values, inner, values

LOSSES = ("exponential", "logistic2", "logistic", "squared")
UNIT = 2.0**-53
_W: list[Any] = ["var", "w"]
_START: list[Any] = ["var", "w_start"]
QUANTITIES: dict[str, list[Any]] = {
    "max_weight_sq": ["amax", "j", ["sqnorm", _W]],
    "max_abs_output": ["amax", "i", ["abs", ["var", "f"]]],
    "loss": ["var", "loss"],
    "max_angle": [
        "amax",
        "j",
        ["acos", ["div", ["inner", _W, _START], ["mul", ["norm", _W], ["norm", _START]]]],
    ],
}
# How many steps of a lane that end at kinks are compared, beside its last one.
KINK_STEPS = 6
# Relative; the larger one for starts that are off, and for coarse tolerances.
SLACK, COARSE_SLACK = 1e-9, 1e-3
Tamper = Callable[[FlowResult, int, float, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Record:
    """One error next to its bound.

    Args:
        kind: what. case: seed, or (seed, lane). error, bound: relative to ``size``, the size of the thing itself
            (time: the end time). finite: the bound says something.
    """

    kind: str
    case: tuple[int, int]
    error: float
    bound: float

    @property
    def finite(self) -> bool:
        """Whether the bound says anything."""
        return bool(np.isfinite(self.bound))

    @property
    def covered(self) -> bool:
        """Whether the bound covers the error."""
        return self.error <= self.bound


@dataclass(frozen=True)
class Case:
    """A random problem and its end time; ``start`` is what the reference starts from, if another."""

    seed: int
    problem: FlowProblem
    until: np.ndarray
    start: FlowProblem | None = None


def draw(seed: int, *, lanes: int = 1, perturbed: bool = False, longest: float = np.inf) -> Case:
    """Every loss, balanced or not, separable or not, eps from 1e-1 to 1e-300, up to the late phase.

    Args:
        longest: cuts horizons, in units of the initial rate; the late phase from a tiny eps takes seconds.
        perturbed: the engine gets a start that is off by ``start_radius``, up to 1e-7 of each neuron.
    """
    rng = np.random.default_rng(seed)
    n, d, h = int(rng.integers(1, 7)), int(rng.integers(2, 5)), int(rng.integers(1, 6))
    loss = str(rng.choice(LOSSES))
    y = rng.choice([-1.0, 1.0], n)
    X = rng.standard_normal((n, d))
    if rng.random() < 0.6:
        X = y[:, None] * np.abs(X)
    if loss == "squared":
        y = y * rng.uniform(0.2, 2.0, n)
    weight = 1.0 if rng.random() < 0.5 else 1.0 / n
    # half of the scales are moderate, where the forces change early
    powers = np.where(
        rng.random(lanes) < 0.5, rng.uniform(1.0, 6.0, lanes), rng.uniform(6.0, 300.0, lanes)
    )
    log_eps = -np.log(10.0) * powers
    W0 = rng.standard_normal((lanes, h, d))
    slope = {"exponential": 1.0, "logistic2": 1.0, "logistic": 0.5, "squared": 2.0}[loss]
    rate = slope * weight * (np.linalg.norm(X, axis=1) * np.abs(y)).sum()
    # directions settle within a few units of 1/rate; the outputs are of order 1 after about log(1/eps)/rate
    short = rng.uniform(0.1, 12.0, lanes)
    late = -log_eps * rng.uniform(0.5, 3.0, lanes)
    until = np.minimum(np.where(rng.random(lanes) < 0.7, short, late), longest) / rate
    if rng.random() < 0.3:
        v0 = rng.standard_normal((lanes, h))
        problem = FlowProblem(X, y, loss, weight, W0, v0, log_eps)
    else:
        problem = FlowProblem.balanced(
            X=X,
            y=y,
            loss=loss,
            weight=weight,
            W0=W0,
            signs=rng.choice([-1.0, 1.0], (lanes, h)),
            log_eps=log_eps,
        )
    if not perturbed:
        return Case(seed, problem, until)
    size = 10.0 ** rng.uniform(-12.0, -7.0) * np.sqrt((W0**2).sum(axis=2) + problem.v0**2)
    move = rng.standard_normal((lanes, h, d + 1))
    move *= (size / np.linalg.norm(move, axis=2))[:, :, None]
    moved = replace(problem, W0=W0 + move[:, :, :d], v0=problem.v0 + move[:, :, d])
    return Case(seed, replace(problem, start_radius=size * (1.0 + 1e-6)), until, moved)


@dataclass(frozen=True)
class _Shot:
    """The end of one step: arrays without the axis of lanes."""

    kind: str
    t: float
    w: np.ndarray
    v: np.ndarray
    mask: np.ndarray
    exponent: np.ndarray
    radius: np.ndarray
    total: float | None


class _Camera:
    """Keeps the ends of the steps that end at kinks, and a few others."""

    def __init__(self, lanes: int) -> None:
        self.shots: list[list[_Shot]] = [[] for _ in range(lanes)]

    def on_step(self, step: StepView) -> None:
        times, W, V = step.states(5)
        for k, lane in enumerate(step.lanes):
            for kind, node in (("inside", 2), ("step end", -1)):
                self.shots[lane].append(
                    _Shot(
                        kind,
                        float(times[k, node]),
                        W[k, node].copy(),
                        V[k, node].copy(),
                        step.mask[k].copy(),
                        step.exponent[k].copy(),
                        step.radius[k].copy(),
                        float(step.global_radius[k]),
                    )
                )


def evidence(problem: FlowProblem, lane: int, shot: _Shot) -> dict[str, ScaledArray]:
    """The quantities of ``QUANTITIES`` with their radii, as any consumer of the engine computes them."""
    with ctx.workprec(PRECISION):
        mantissa, exponent = (arb(float(problem.log_eps[lane])).exp().mid()).man_exp()
        digits = int(mantissa).bit_length()
        unit = float(arb((mantissa, -digits)))
    start = problem.W0[lane][None, None, :, None, :]
    env = environment(
        X=problem.X,
        y=problem.y,
        loss=problem.loss,
        weight=problem.weight,
        times=np.array([[shot.t]]),
        W=shot.w[None, None],
        V=shot.v[None, None],
        mask=shot.mask[None],
        exponent=shot.exponent[None],
        radius=shot.radius[None],
        eps_mantissa=np.array([unit]),
        eps_exponent=np.array([int(exponent) + digits]),
        numbers=Environment({"w_start": scaled(start)}),
        lanes=np.array([0]),
    )
    return {name: env.evaluate(data) for name, data in QUANTITIES.items()}


def judge(
    case: Case,
    *,
    options: FlowOptions | None = None,
    setting: Setting | None = None,
    tamper: Tamper | None = None,
) -> tuple[list[Record], Counter[str]]:
    """Compare all lanes of a case.

    Args:
        tamper: replaces the radii of a neuron's state, given (result, lane, time, radii), to see
            that wrong ones show.

    Returns:
        Records, and counts of the lanes' outcomes, "engine status / reference status".
    """
    camera = _Camera(case.problem.lanes)
    result = integrate(case.problem, until=case.until, observers=[camera], options=options)
    records: list[Record] = []
    outcomes: Counter[str] = Counter()
    # when the ends of solutions, and kinks near the end, may differ
    slack = SLACK if case.start is None and options is None else COARSE_SLACK
    for lane in range(case.problem.lanes):
        path = solve(
            case.start or case.problem, float(case.until[lane]), lane=lane, setting=setting
        )
        status = result.status[lane]
        outcomes[f"{status.name} / {path.status}"] += 1
        found = _Comparison(case, lane, result, path, slack, tamper).records(camera.shots[lane])
        records += [replace(r, case=(case.seed, lane)) for r in found]
    return records, outcomes


class _Comparison:
    """One lane."""

    def __init__(
        self,
        case: Case,
        lane: int,
        result: FlowResult,
        path: Trajectory,
        slack: float,
        tamper: Tamper | None,
    ) -> None:
        self.case, self.lane, self.result, self.path = case, lane, result, path
        self.slack, self.tamper = slack, tamper
        with ctx.workprec(PRECISION):
            self.eps = arb(float(case.problem.log_eps[lane])).exp()
        self.out: list[Record] = []

    def records(self, shots: list[_Shot]) -> list[Record]:
        result, lane, path = self.result, self.lane, self.path
        end = float(result.t[lane])
        # what the reference cannot tell ends at its own end; where both slide, at the earlier
        reach = min(end, path.end)
        kinks = {k.t: k for k in result.kinks_of(lane)}
        # the engine may show steps beyond the end of the result
        inside = [s for s in shots if s.t <= reach and s.t <= end]
        at_kinks = [
            replace(s, kind="kink") for s in inside if s.kind == "step end" and s.t in kinks
        ]
        others = [s for s in inside if s.kind == "inside"]
        rng = np.random.default_rng(self.case.seed)
        chosen = [at_kinks[k] for k in _some(len(at_kinks), KINK_STEPS, rng)]
        chosen += [others[k] for k in _some(len(others), 2, rng)]
        ends = [s for s in inside if s.kind == "step end"]
        if end <= path.end and ends:
            last = max(ends, key=lambda s: s.t)
            final = replace(
                last,
                kind="end",
                w=result.W[lane],
                v=result.V[lane],
                exponent=result.exponent[lane],
                radius=result.radius[lane],
                total=None,
            )
            chosen.append(final)
        for shot in chosen:
            self._shot(shot)
        self._times(reach)
        self._outcome(end)
        return self.out

    def _add(self, kind: str, error: arb, bound: arb, size: arb) -> None:
        with ctx.workprec(PRECISION):
            unit = size if size > 0 else arb(1)
            self.out.append(
                Record(kind, (0, 0), float((error / unit).abs_upper()), float(bound / unit))
            )

    def _shot(self, shot: _Shot) -> None:
        if self.tamper is not None:
            shot = replace(shot, radius=self.tamper(self.result, self.lane, shot.t, shot.radius))
        truth = values(self.path, shot.t, W0=self.case.problem.W0[self.lane])
        with ctx.workprec(PRECISION):
            total, weight = arb(0), arb(0)
            for j in range(len(truth.V)):
                unit = self.eps * arb((1, int(shot.exponent[j])))
                gap = [arb(float(a)) * unit - b for a, b in zip(shot.w[j], truth.W[j], strict=True)]
                gap.append(arb(float(shot.v[j])) * unit - truth.V[j])
                square = arb(inner(gap, gap).abs_upper())
                size = (inner(truth.W[j], truth.W[j]) + truth.V[j] ** 2).sqrt()
                self._add(
                    f"state, {shot.kind}", square.sqrt(), arb(float(shot.radius[j])) * unit, size
                )
                total, weight = total + square, weight + size**2
            if shot.total is not None and self.tamper is None:
                unit = self.eps * arb((1, int(shot.exponent.max())))
                self._add("all weights", total.sqrt(), arb(shot.total) * unit, weight.sqrt())
        self._quantities(shot, truth)

    def _quantities(self, shot: _Shot, truth: Values) -> None:
        for name, found in evidence(self.case.problem, self.lane, shot).items():
            with ctx.workprec(PRECISION):
                m, r, e = (a.ravel()[0] for a in (found.m, found.r, found.e))
                unit = arb((1, int(e)))
                exact = truth.of(name)
                self._add(name, arb(float(m)) * unit - exact, arb(float(r)) * unit, abs(exact))

    def _times(self, reach: float) -> None:
        """Kinks matched by neuron and point, in order: times, and which there are."""
        ours: dict[tuple[int, int], list[Any]] = {}
        for kink in self.result.kinks_of(self.lane):
            ours.setdefault((kink.neuron, kink.point), []).append(kink)
        theirs: dict[tuple[int, int], list[Any]] = {}
        for flip in self.path.flips:
            theirs.setdefault((flip.neuron, flip.point), []).append(flip)
        clear = reach * (1.0 - self.slack)
        for pair in {*ours, *theirs}:
            a, b = ours.get(pair, []), theirs.get(pair, [])
            for kink, flip in zip(a, b, strict=False):
                gap = abs(arb(kink.t) - flip.t)
                self._add("kink time", gap, arb(kink.t_error), arb(max(self.path.end, kink.t)))
                if kink.active != flip.active:
                    self.out.append(Record("kinks missed", (0, 0), 1.0, 0.0))
            spare = [k.t for k in a[len(b) :]] + [float(f.t) for f in b[len(a) :]]
            self.out += [Record("kinks missed", (0, 0), 1.0, 0.0) for t in spare if t < clear]

    def _outcome(self, end: float) -> None:
        """No trajectory goes on beyond the end of its solution, and none slides that does not."""
        status, path = self.result.status[self.lane], self.path
        gone_on = path.status == "sliding" and end > path.end * (1.0 + self.slack)
        slid = status is FlowStatus.sliding and path.end > end * (1.0 + self.slack)
        self.out.append(Record("outcome", (0, 0), float(gone_on or slid), 0.0))


def _some(count: int, most: int, rng: np.random.Generator) -> list[int]:
    return (
        list(range(count))
        if count <= most
        else sorted(rng.choice(count, most, replace=False).tolist())
    )
