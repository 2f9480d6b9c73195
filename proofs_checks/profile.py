"""The factor that each step of a proof gives away on one case.

A derivation carries *spines*: chains of bounds from the measured quantity to the stated one, each link justified by a
step. Links of kind "rate" bound d log(quantity)/dt, so they are integrated along the trajectory; the factors multiply
up to (stated bound)/(measured value).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from numerics.evaluate import NDIM, Environment, freeze
from numerics.extended import ScaledArray, constant
from proofs_checks.batch import Batch, Float, StepContext
from proofs_checks.case import Case
from proofs_checks.cases import for_statement
from proofs_checks.data import Dataset
from proofs_checks.derivations import load_derivation
from proofs_checks.figures import draw_waterfall
from proofs_checks.measure import AnyCase, batches, measure_batch
from proofs_checks.tracker import Tracker
from theory.errors import LemmataError
from theory.statement import Statement

CANDIDATES = 16  # cases from which the tightest is taken
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


@dataclass(frozen=True)
class ProfileStep:
    """One link: the derivation's step, what it does, and the natural logarithm of the factor it gives away."""

    step: str
    label: str
    log_factor: float


@dataclass(frozen=True)
class Spine:
    """One part of a conclusion: its steps, at a time and for a neuron; the logarithms of its two ends."""

    part: str
    time: float
    neuron: int
    log_measured: float
    log_stated: float
    steps: tuple[ProfileStep, ...]


@dataclass(frozen=True)
class ProfileReport:
    """Where a proof is loose on one case."""

    statement: Statement
    case: Case
    spines: tuple[Spine, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data; ``factor`` is the factor given away, ``log_factor`` its logarithm (it does not overflow)."""
        return {
            "statement": self.statement.id,
            "case": self.case.hash,
            "data": self.case.name,
            "loss": self.case.loss,
            "parts": [
                {
                    "part": s.part,
                    "time": s.time,
                    "neuron": s.neuron,
                    "log_measured": s.log_measured,
                    "log_stated": s.log_stated,
                    "steps": [
                        {
                            "step": p.step,
                            "label": p.label,
                            "factor": _factor(p.log_factor),
                            "log_factor": p.log_factor,
                        }
                        for p in s.steps
                    ],
                    "total": _factor(s.log_stated - s.log_measured),
                }
                for s in self.spines
            ],
        }

    def figure(self, path: Path) -> None:
        """The waterfall of every part, one panel each, as PNG, SVG or PDF by the suffix."""
        draw_waterfall(
            f"{self.statement.id} ({self.case.name}, {self.case.loss})",
            [
                (s.part, [p.label for p in s.steps], [p.log_factor for p in s.steps])
                for s in self.spines
            ],
            path,
        )


def _factor(log_factor: float) -> float | None:
    return math.exp(log_factor) if log_factor < 700 else None


def profile(
    statement: Statement, *, case: Case | None = None, dataset: Dataset | None = None, seed: int = 0
) -> ProfileReport:
    """Follow the spines of a verified derivation along the trajectory of a case.

    Args:
        case: by default the tightest of the first cases of the default set, or of the data set.

    Raises:
        LemmataError: the statement is only stated, or no case decides it.
    """
    if not statement.derivations:
        raise LemmataError(
            f"{statement.id} is stated, not derived: it has no proof to profile; see `lemmata list`"
        )
    if not any(load_derivation(path).spines for path in statement.derivations.values()):
        raise LemmataError(
            f"the proof of {statement.id} has equations only: no step gives a factor away, and there is nothing to "
            "profile; see `lemmata show` for its steps"
        )
    chosen = case or _tightest(
        statement, for_statement(statement, dataset, count=CANDIDATES, seed=seed)
    )
    if not isinstance(chosen, Case):
        raise LemmataError(
            f"{statement.id} on a case of the model {chosen.model}: profiles follow two-layer ReLU networks only"
        )
    if chosen.loss not in statement.derivations:
        known = ", ".join(statement.derivations)
        raise LemmataError(
            f"{statement.id} has no derivation for the loss {chosen.loss}; it has: {known}"
        )
    verified = load_derivation(statement.derivations[chosen.loss]).verify()
    spines = verified.spine_data()
    times = _times(statement, chosen, [s["part"] for s in spines])
    return ProfileReport(
        statement,
        chosen,
        tuple(
            _follow(statement, chosen, verified.constants, s, t)
            for s, t in zip(spines, times, strict=True)
        ),
    )


def _tightest(statement: Statement, cases: Sequence[AnyCase]) -> AnyCase:
    found: list[tuple[float, AnyCase]] = []
    for members, batch in batches(cases):
        for index, verdict in zip(
            members, measure_batch([statement], batch).verdicts[0], strict=True
        ):
            if verdict.deciding and verdict.log_tightness is not None:
                found.append((verdict.log_tightness, cases[index]))
    if not found:
        raise LemmataError(
            f"{statement.id} is decided on none of {len(cases)} cases; give a case on which its hypotheses hold"
        )
    return max(found, key=lambda pair: pair[0])[1]


def _times(statement: Statement, case: Case, parts: Sequence[str]) -> list[float]:
    """For each part, the time at which its ratio is largest; the end of the horizon for orders."""
    measured = measure_batch([statement], Batch((case,)))
    (verdict,), (tracker,) = measured.verdicts[0], measured.trackers
    if not verdict.deciding:
        raise LemmataError(f"{statement.id} is {verdict.status} on this case: {verdict.reason}")
    at = {p.part.name: float(p.main.at[0]) for p in tracker.parts}
    grown = (
        math.exp(verdict.log_rhs)
        if verdict.log_rhs is not None and verdict.log_rhs < 700
        else float(measured.result.t[0])
    )
    return [grown if math.isnan(at[name]) else at[name] for name in parts]


def _follow(
    statement: Statement,
    case: Case,
    constants: Mapping[str, Fraction],
    spine: dict[str, Any],
    time: float,
) -> Spine:
    """Evaluate the links at ``time``, for the neuron whose measured quantity is largest there."""
    links = spine["links"]
    measured_data = freeze(spine["measured"])
    rates = [freeze(link["data"]) for link in links if link["kind"] == "rate"]
    integrals: list[Float] = []  # (rates, h) per step
    ends: dict[str, Environment] = {}
    extra: dict[str, ScaledArray] = {}

    def begin(trackers: list[Tracker]) -> None:
        # a derivation may use constants of the statements on which it rests
        extra.update((name, constant(float(value), NDIM)) for name, value in constants.items())
        for name, value in statement.bindings().items():
            extra[name] = trackers[0].claim.environment.evaluate(value.to_data())

    rows_of_start = np.array([0])

    def listen(context: StepContext) -> None:
        context.numbers.update(extra)
        rows = np.flatnonzero(context.start < time)
        if "start" not in ends:
            ends["start"] = context.environment(rows_of_start, context.start[:1, None])
            rows = rows if rows.size else rows_of_start
        if not rows.size:
            return
        start, end = context.start[rows], np.minimum(context.end[rows], time)
        half = 0.5 * (end - start)
        nodes = half[:, None] * (_NODES + 1.0) + start[:, None]
        env = context.environment(rows, nodes)
        weights = half[:, None] * _WEIGHTS
        if rates:
            values = (_neurons(env.evaluate(r), case.h, nodes.shape) for r in rates)
            integrals.append(np.stack([np.einsum("rm,rmj->j", weights, v) for v in values]))
        ends["end"] = context.environment(rows[-1:], end[-1:, None])

    measure_batch(
        [statement], Batch((case,)), listeners=[listen], on_start=begin, until=np.array([time])
    )
    first = _log(ends["start"].evaluate(measured_data), case.h)
    last = _log(ends["end"].evaluate(measured_data), case.h)
    neuron = int(np.argmax(last))
    total = np.sum(integrals, axis=0) if rates else np.zeros((0, case.h))
    steps, previous, rate = [], float(last[neuron]), 0
    for link in links:
        if link["kind"] == "rate":
            value = float(first[neuron] + total[rate, neuron])
            rate += 1
        else:
            value = float(_log(ends["end"].evaluate(freeze(link["data"])), case.h)[neuron])
        steps.append(ProfileStep(link["step"], link["label"], value - previous))
        previous = value
    return Spine(spine["part"], time, neuron, float(last[neuron]), previous, tuple(steps))


def _neurons(a: ScaledArray, h: int, shape: tuple[int, ...]) -> Float:
    """(rows, m, h) plain values of a quantity that may depend on the neuron; shape: (rows, m)."""
    value, _ = a.to_float()
    return np.broadcast_to(value, (*shape, h, 1, 1))[:, :, :, 0, 0]


def _log(a: ScaledArray, h: int) -> Float:
    """(h,) logarithms at a single instant."""
    mid, _, _ = a.log_interval()
    return np.broadcast_to(mid, (1, 1, h, 1, 1))[0, 0, :, 0, 0]
