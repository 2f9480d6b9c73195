"""Finding a good network and a good dual point; nothing here is proved, and nothing needs to be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from numerics.features import FeatureProblem
from numerics.features_descent import (
    Network,
    descend,
    factored,
    grown,
    network_of,
    random_network,
    zero_network,
)
from numerics.features_dual import Dual, best_dual, copositive_dual, outputs_of, refined_dual
from numerics.features_newton import sharpened
from numerics.features_programs import LiftSolution, SolverFailure, solve_program
from proofs_checks.features_closed import ClosedForm

ROUNDS, MOST_WIDTH = 24, 4  # of growing or starting anew; width next to J
REFINED = 40  # order up to which the best B is worth a program
COPOSITIVE = 10  # order up to which the audit kernel decides copositivity
ROUNDING = 1e-15  # relative
SAFETY = 0.25  # the share of the gap asked for that the search aims at


@dataclass(frozen=True, eq=False)
class Found:
    """What the search found.

    Attributes:
        best: the network from the solver's solution if that is good enough, else the best of all. dual: the best dual
            point. solution: of the convex program; None if no solver succeeded, for the reason in ``remark``.
    """

    best: Network
    dual: Dual
    solution: LiftSolution | None
    remark: str


def search(
    problem: FeatureProblem, closed: ClosedForm | None, form: str | None, gap: float
) -> Found:
    """Solve the program, factor, descend; where that falls short of ``gap``, try harder."""
    networks = [zero_network(problem)]
    if closed is not None:
        networks.append(closed_network(problem, closed))
    best, solution, remark = None, None, ""
    try:
        solution = solve_program(problem, form)
        # Zero is where descent converges slowest, and where features are to be zero exactly.
        networks += (own := _descended(problem, factored(problem, solution)))
        best = _least([networks[0], *own])
    except SolverFailure as error:
        remark = str(error)
    best = best or _least(networks)
    dual = best_dual(problem, networks, solution)
    aim = SAFETY * gap
    for step in _efforts(problem, networks, solution):
        if best.value - dual.bound <= aim * best.value:
            break
        if isinstance(step, Dual):
            dual = max(dual, step, key=_bound)
            continue
        networks += (found := _descended(problem, step))
        best = _least(networks)
        dual = max(dual, best_dual(problem, found, solution), key=_bound)
        if best in found and problem.model == "upfm" and problem.J <= COPOSITIVE:
            free = copositive_dual(problem, best)
            if best.value - free.bound <= aim * best.value:
                break  # optimal, as far as can be seen, although the lift says less
    return Found(best, dual, solution, remark)


def closed_network(problem: FeatureProblem, closed: ClosedForm) -> Network:
    """The network of a closed form: square roots of the outputs, or orthogonal features for "upfm"."""
    Z = closed.Z * problem.roots
    if problem.model == "ufm":
        return factored(problem, LiftSolution(closed.value, "closed form", "", Z, closed.b))
    zero = zero_network(problem)
    root = np.sqrt(np.sqrt((Z * Z).sum(axis=0)))
    W, H = zero.W.copy(), zero.H.copy()
    W[: problem.J] = np.divide(Z, root, out=np.zeros_like(Z), where=root > 0).T
    H[: problem.J] = np.diag(root)
    return network_of(problem, W, H, closed.b)


def _bound(dual: Dual) -> float:
    return dual.bound


def _least(networks: list[Network]) -> Network:
    """The best network; the first, which is zero, unless another is better by more than rounding."""
    best = min(networks, key=lambda network: network.value)
    return networks[0] if networks[0].value <= best.value * (1 + ROUNDING) else best


def _descended(problem: FeatureProblem, start: Network) -> list[Network]:
    """Where descent ends, and what Newton's method makes of it."""
    end = descend(problem, start)
    return [end, *sharpened(problem, end)]


def _efforts(
    problem: FeatureProblem, networks: list[Network], solution: LiftSolution | None
) -> Iterator[Network | Dual]:
    """What else may help, the cheap first: duals, and networks to start from."""
    if problem.J <= REFINED and problem.model == "upfm":
        try:
            if solution is not None:
                yield refined_dual(problem, problem.slopes(outputs_of(problem, solution)))
            best = _least(networks)
            yield refined_dual(problem, problem.slopes(problem.outputs(best.W, best.H, best.b)))
        except SolverFailure:
            pass  # a better B was worth a try
    rng = np.random.default_rng(0)
    size = np.sqrt(max(float(np.abs(problem.Y).max()), 1.0) * float(problem.roots.max()))
    for k in range(ROUNDS):
        best = _least(networks)
        start = grown(problem, best) if len(best.W) < MOST_WIDTH * problem.J else None
        if start is None:
            start = random_network(problem, rng, float(size * 2.0 ** (-k % 4)))
        yield start
