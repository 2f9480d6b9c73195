"""The convex programs of unconstrained features, through cvxpy: full lift, class averages, scalars.

Units are those of `numerics.features`; there L is the only weight decay.  The lift of N samples with targets y_i:

    minimise (1/N) Σ l_i(z_i) + (L/2)(tr U + tr V)  subject to  [[U, Z], [Zᵀ, V]] ⪰ 0  and, for "upfm", V >= 0,

which is the nuclear norm L‖Z‖_* for "ufm".  Equal targets may be averaged, which leaves the same program with the J
distinct columns (z_j√n_j in place of z_j): that is form "classes".  Balanced one-hot targets leave a program in at
most seven scalars (form "scalars"): U = u0 11ᵀ/K + u1 C, Z = r 11ᵀ/K + a C with C = I - 11ᵀ/K, and
V ∈ {v_d (a sample), v_w (within a class), v_c (across classes)}.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from numerics.conic import attempt
from numerics.errors import NumericsError
from numerics.features import Array, FeatureProblem

if TYPE_CHECKING:
    import cvxpy

FORMS = ("full", "classes", "scalars")
SOLVERS = ("CLARABEL", "SCS")  # interior point; first order
LARGE = 80  # order of the semidefinite cone from which on a solve takes long
SCS_OPTIONS = {"eps_abs": 1e-7, "eps_rel": 1e-7, "max_iters": 20_000}
INTERIOR = 40  # up to this order the interior-point method is the faster one
LARGE_DECAY = (
    1e30  # of L or 1/L, next to targets of size 1: more than that ends in rounding errors alone
)


class SolverFailure(NumericsError):
    """No solver called its result optimal."""


class LargeProgramWarning(UserWarning):
    """A program that will take long, and for which no symmetry helps."""


@dataclass(frozen=True, eq=False)
class LiftSolution:
    """What a solver found, averaged over the samples of a column; nothing here is proved.

    Attributes:
        objective: as the solver states it. form, solver: which program, by which solver.
        Z: (K, J) with the bias left out, times √n_j. b: (K,).
        V: (J, J) Gram matrix of the normalised features; None for "ufm", where Z alone decides.
        B: (J, J) multipliers of V >= 0 in the units of `numerics.features.Dual`; None where not available.
        spread: the largest variance within a column, relative to tr V (0 where the program has no samples).
    """

    objective: float
    form: str
    solver: str
    Z: Array
    b: Array
    V: Array | None = None
    B: Array | None = None
    spread: float = 0.0


def solve_program(
    problem: FeatureProblem, form: str | None = None, *, solver: str | None = None
) -> LiftSolution:
    """Solve one form of the program; by default the smallest that the symmetry of the targets allows.

    Args:
        solver: "CLARABEL" or "SCS", to be tried first; by default the faster one for the size.

    Raises:
        SolverFailure: no solver returned "optimal" ("optimal_inaccurate" does not count).
        NumericsError: a form that the targets do not allow, or an unknown one.
    """
    if solver not in (None, *SOLVERS):
        raise NumericsError(f"solver {solver!r}: one of {', '.join(SOLVERS)}")
    form = form or ("scalars" if problem.balanced else "classes")
    if form not in FORMS:
        raise NumericsError(f"form {form!r}: one of {', '.join(FORMS)}")
    if form == "scalars":
        if not problem.balanced:
            raise NumericsError("form 'scalars' needs balanced one-hot targets: use 'classes'")
        return _scalars(problem, solver or SOLVERS[0])
    columns = np.arange(problem.J)
    if form == "full":
        columns = np.repeat(columns, problem.counts.astype(int))
    return _lift(problem, form, columns, solver)


def _lift(problem: FeatureProblem, form: str, columns: Any, first: str | None) -> LiftSolution:
    """The lift with one column for each entry of ``columns``, which names the distinct column it belongs to."""
    import cvxpy as cp

    K, M = problem.K, len(columns)
    if K + M > LARGE:
        warnings.warn(
            f"a semidefinite program of order {K + M}, whose time grows with the fifth power: "
            + (
                "without 'full' the reduced program has the same optimum"
                if form == "full"
                else "targets that repeat need one column, with a multiplicity"
            ),
            LargeProgramWarning,
            stacklevel=3,
        )
    weight = problem.counts if form == "classes" else np.ones(M)
    lifted = cp.Variable((K + M, K + M), PSD=True)
    Z, V = lifted[:K, K:], lifted[K:, K:]
    b = cp.Variable(K) if problem.bias else None
    shift = 0 if b is None else cp.reshape(b, (K, 1), order="F") @ np.ones((1, M))
    outputs = Z @ np.diag(1 / np.sqrt(weight)) + shift
    if problem.loss == "mse":
        residual = (outputs - problem.Y[:, columns]) @ np.diag(np.sqrt(weight))
        loss = cp.sum_squares(residual) / (2 * problem.N)
    else:
        terms = cp.log_sum_exp(outputs, axis=0) - cp.sum(
            cp.multiply(outputs, problem.Y[:, columns]), axis=0
        )
        loss = weight @ terms / problem.N
    constraints = []
    i, j = np.triu_indices(M, 1)
    if problem.model == "upfm" and M > 1:
        constraints = [V[i, j] >= 0]
    first = first or SOLVERS[K + M > INTERIOR]
    solved = _solve(loss + problem.L / 2 * cp.trace(lifted), constraints, problem.L, first)
    whole = np.asarray(lifted.value, dtype=float)
    mean = np.zeros((M, problem.J))  # averages over the samples of a column, times √n_j
    mean[np.arange(M), columns] = np.sqrt(weight) / problem.roots[columns]
    gram = mean.T @ whole[K:, K:] @ mean
    B = None
    if constraints and form == "classes":
        B = np.zeros((M, M))
        B[i, j] = problem.L * solved.scale * constraints[0].dual_value
        B = B + B.T
    trace = float(np.trace(whole[K:, K:]))
    return LiftSolution(
        solved.objective,
        form,
        solved.solver,
        whole[:K, K:] @ mean,
        _bias(b, K),
        (gram + gram.T) / 2 if problem.model == "upfm" else None,
        B,
        max(0.0, 1 - float(np.trace(gram)) / trace) if trace > 0 else 0.0,
    )


def _bias(b: cvxpy.Variable | None, K: int) -> Array:
    """The bias that a solver found, or zero where there is none."""
    return np.zeros(K) if b is None else np.asarray(b.value, dtype=float)


def _scalars(problem: FeatureProblem, first: str) -> LiftSolution:
    """Balanced one-hot targets.  A free bias makes r = 0 optimal: b = 1/K (mse), and any constant (ce)."""
    import cvxpy as cp

    K, n = problem.K, float(problem.counts[0])
    free = problem.bias or problem.loss == "ce"
    a, r = cp.Variable(), cp.Variable()
    if problem.loss == "ce":
        loss = cp.logistic(np.log(K - 1) - a)
    else:
        loss = (K - 1) * cp.square(1 - a) / (2 * K)
        loss += 0 if free else cp.square(1 - r) / (2 * K)
    constraints = [r == 0] if free else []
    if problem.model == "ufm":
        penalty = np.sqrt(n) * (cp.abs(r) + (K - 1) * cp.abs(a))
    else:
        u0, u1, v_d, v_w, v_c = (cp.Variable() for _ in range(5))
        e0, e1 = v_d + (n - 1) * v_w + n * (K - 1) * v_c, v_d + (n - 1) * v_w - n * v_c
        constraints += [v_w >= 0, v_c >= 0, v_d >= v_w]
        # u·e >= n·x², u, e >= 0, as a second-order cone
        for u, e, x in ((u0, e0, r), (u1, e1, a)):
            constraints.append(cp.SOC(u + e, cp.hstack([u - e, 2 * np.sqrt(n) * x])))
        penalty = (u0 + (K - 1) * u1 + K * n * v_d) / 2
    solved = _solve(loss + problem.L * penalty, constraints, problem.L, first)
    flat = np.full((K, K), 1 / K)
    Z = np.sqrt(n) * (float(r.value) * flat + float(a.value) * (np.eye(K) - flat))
    b = np.full(K, 1 / K) if problem.bias and problem.loss == "mse" else np.zeros(K)
    V, spread = None, 0.0
    if problem.model == "upfm":
        own, cross = (float(v_d.value) + (n - 1) * float(v_w.value)), n * float(v_c.value)
        V = (own - cross) * np.eye(K) + cross
        trace = n * float(v_d.value)
        spread = max(0.0, 1 - own / trace) if trace > 0 else 0.0
    return LiftSolution(solved.objective, "scalars", solved.solver, Z, b, V, None, spread)


@dataclass(frozen=True)
class _Solved:
    """The objective, the solver, and what the objective was divided by."""

    objective: float
    solver: str
    scale: float


def minimise(objective: Any, constraints: list[Any]) -> None:
    """Minimise a cvxpy expression whose size is about 1; the variables then hold the solution."""
    _solve(objective, constraints, 1.0, SOLVERS[0])


def _solve(objective: Any, constraints: list[Any], L: float, first: str) -> _Solved:
    """Minimise with the first solver and scale that end with "optimal", beginning with solver ``first``.

    Where L is small so is the objective, and it is divided by L for the solver's absolute tolerances; if that is too
    much for it, by √L.
    """
    import cvxpy as cp

    if not 1 / LARGE_DECAY <= L <= LARGE_DECAY:
        raise SolverFailure(f"weight decays of size {L:.3g} are beyond the solvers' range")
    small = min(L, 1.0)
    other = SOLVERS[first == SOLVERS[0]]
    tried = []
    for solver, scale in ((first, small), (first, small**0.5), (other, small)):
        program = cp.Problem(cp.Minimize(objective / scale), constraints)
        status = attempt(program, solver, **(SCS_OPTIONS if solver == "SCS" else {}))
        if status == cp.OPTIMAL:
            return _Solved(float(program.value) * scale, solver, scale)
        tried.append(f"{solver}: {status}")
    raise SolverFailure(
        f"no solver ended with 'optimal' ({'; '.join(tried)}): rescale targets and weight decays"
    )
