"""How the error bounds of ``numerics.ensemble`` compare with the true errors: suprema, final values, states."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from flint import arb, ctx

from numerics.ensemble import QUANTITIES, EnsembleResult, ensemble
from numerics.problem import FlowOptions, FlowStatus
from tests.numerics.reference_coverage import Case, Record
from tests.numerics.reference_flow import Trajectory, solve
from tests.numerics.reference_quantities import NAMES, PRECISION, inner, suprema, values

# These are given by their logarithms.
LOGARITHMS = ("max_weight_sq", "max_abs_output")


def judge_ensemble(
    case: Case, *, shrink: float = 1.0, options: FlowOptions | None = None
) -> list[Record]:
    """Compare all lanes that end well, for the engine and for the reference.

    Args:
        shrink: what the bounds are divided by, to see that wrong ones show.
    """
    result = ensemble(case.problem, until=case.until, options=options, threads=1)
    out: list[Record] = []
    for lane in range(case.problem.lanes):
        path = solve(case.problem, float(case.until[lane]), lane=lane)
        if tuple(FlowStatus)[int(result.status[lane])] is not FlowStatus.ok or path.status != "ok":
            continue
        exact = {name: value for name, (value, _) in suprema(path).items()}
        last = values(path, path.end)
        found = [
            *(
                (f"sup {q}", q, exact, result.suprema[q].value, result.suprema[q].error)
                for q in QUANTITIES
            ),
            *(
                (f"final {q}", q, {q: last.of(q)} if q in NAMES else {}, *result.final[q])
                for q in QUANTITIES
            ),
        ]
        for kind, name, truth, value, error in found:
            record = _compare(kind, name, truth, float(value[lane]), float(error[lane]) / shrink)
            out.append(replace(record, case=(case.seed, lane)))
        out += [replace(r, case=(case.seed, lane)) for r in _states(path, lane, result, shrink)]
    return out


def _compare(kind: str, name: str, truth: dict[str, arb], value: float, bound: float) -> Record:
    """The imbalance is 0; logarithms have absolute errors, the rest relative ones."""
    if name == "imbalance":
        return Record(kind, (0, 0), value, bound)
    with ctx.workprec(PRECISION):
        exact = truth[name]
        if name in LOGARITHMS:
            if not exact > 0:  # a network that is zero on all points
                return Record(kind, (0, 0), 0.0 if value == -np.inf else np.inf, bound)
            return Record(kind, (0, 0), float((arb(value) - exact.log()).abs_upper()), bound)
        size = abs(exact) if exact != 0 else arb(1)
        error = float(((arb(value) - exact) / size).abs_upper())
        return Record(kind, (0, 0), error, float(arb(bound) / size))


def _states(path: Trajectory, lane: int, result: EnsembleResult, shrink: float) -> list[Record]:
    """Every neuron's final state."""
    if result.W is None or result.V is None or result.exponent is None or result.radius is None:
        raise ValueError("the ensemble kept no states")
    W, V, _ = path.at(path.end)
    out = []
    with ctx.workprec(PRECISION):
        for j, (w, v) in enumerate(zip(W, V, strict=True)):
            unit = arb((1, int(result.exponent[lane, j])))
            gap = [arb(float(a)) * unit - b for a, b in zip(result.W[lane, j], w, strict=True)]
            gap.append(arb(float(result.V[lane, j])) * unit - v)
            size = (inner(w, w) + v * v).sqrt()
            size = size if size > 0 else arb(1)
            error = (arb(inner(gap, gap).abs_upper()).sqrt() / size).abs_upper()
            bound = arb(float(result.radius[lane, j])) * unit / size / shrink
            out.append(Record("state, ensemble", (0, 0), float(error), float(bound)))
    return out
