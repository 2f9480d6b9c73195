"""Kind "convex optimum: unconstrained features".

The model: J distinct columns, column j repeated n_j >= 1 times, N = Σ n_j, weights W (d×K), features
h_j, outputs z_j = Wᵀh_j + b (b only with "bias"), and
    J(W, H, b) = (1/N) Σ n_j l_j(z_j) + (λ_W/2)‖W‖² + (λ_H/2) Σ n_j ‖h_j‖²,
l_j the cross-entropy log Σ_i exp z_i - z_j ("ce"; J = K classes, no targets) or ‖z - y_j‖²/2 ("mse",
y_j the j-th target, by default the j-th unit vector).  "ufm": H free; "upfm": H >= 0 entrywise.
Samples with one target need not share a feature: replacing their features by the mean changes no
output's mean, and l_j and the norm are convex, so that neither value below depends on it.

    INSTANCE {"model", "loss", "targets": columns or [], "multiplicities", "lambda_w", "lambda_h", "bias"}
    claim    INSTANCE + {"width": d, "lower", "upper"}: lower <= J for *every* width, J <= upper for some
             (W, H, b) of width d
    inputs   {}
    witness  {"W": d rows, "H": J columns, "b": row or [], "dual": J columns, "B": J×J or []}

Lower bound.  For any γ_j, with l* the conjugate, (1/N) l_j(z) >= γ_j·z - (1/N) l_j*(N γ_j).  Summing,
with Γ = [γ_j], the rows w_r of W and s_r of H: J >= Σ_r (w_r·ΓD s_r + (λ_W/2)‖w_r‖² + (λ_H/2) s_r·D s_r)
- (1/N) Σ n_j l_j*(N γ_j), D = diag(n_j), provided ΓD1 = 0 if b is free.  The first sum is not negative if
‖ΓDs‖² <= L² s·Ds for all s (ufm) or all s >= 0 (upfm), L² = λ_W λ_H (Cauchy–Schwarz and AM–GM); with
x = Ds: L²D⁻¹ - ΓᵀΓ positive (ufm), or copositive (upfm: shown by B >= 0 entrywise with L²D⁻¹ - ΓᵀΓ - B
positive, or, where B is [], decided exactly for J <= 10).  "ce": the dual gives p_j in the simplex,
γ_j = (p_j - e_j)/N, and the bound is Σ (n_j/N) Ent(p_j); "mse": the dual gives γ_j, and the bound is
-Σ n_j (γ_j·y_j + (N/2)‖γ_j‖²).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flint import arb, ctx, fmpq

from proofs_checks.audit.core import Clock, Rejected, exact, fields
from proofs_checks.audit.quadratic import Rows, check_copositive, check_definite, check_nonnegative

INSTANCE = ("model", "loss", "targets", "multiplicities", "lambda_w", "lambda_h", "bias")
MAX_SIZE, MAX_COUNT, PRECISION = 128, 10**12, 1024


@dataclass(frozen=True)
class Instance:
    """What the objective is; ``Y`` the targets by columns, ``n`` the multiplicities."""

    positive: bool
    entropy: bool
    Y: Rows
    n: list[int]
    lambda_w: fmpq
    lambda_h: fmpq
    bias: bool
    words: str

    @property
    def K(self) -> int:
        return len(self.Y[0])


def check(claim: Any, inputs: Any, witness: Any, clock: Clock) -> str:
    """The claim in words; raises Rejected if the bounds do not follow."""
    *data, width, lower, upper = fields(claim, (*INSTANCE, "width", "lower", "upper"), "claim")
    fields(inputs, (), "inputs")
    W, H, b, dual, B = fields(witness, ("W", "H", "b", "dual", "B"), "witness")
    it = instance(data, clock)
    if type(width) is not int or not 1 <= width <= MAX_SIZE:
        raise Rejected(f"the width must be an integer from 1 to {MAX_SIZE}")
    most, least = exact(upper, "upper"), exact(lower, "lower")
    W, H = matrix(W, width, it.K, "W", clock), matrix(H, len(it.n), width, "H", clock)
    if it.positive and any(x < 0 for h in H for x in h):
        raise Rejected("H has a negative entry")
    with ctx.workprec(PRECISION):
        Z = [[dot(column, h, clock) for column in zip(*W, strict=True)] for h in H]
        norms = (
            it.lambda_w * sum((dot(w, w, clock) for w in W), fmpq(0)),
            (
                it.lambda_h
                * sum((n * dot(h, h, clock) for n, h in zip(it.n, H, strict=True)), fmpq(0))
            ),
        )
        if not loss(it, Z, b, clock) + arb((norms[0] + norms[1]) / 2) <= arb(most):
            raise Rejected(f"the value of the network is not shown to be at most {upper!a:.60}")
        below(it, dual, B, least, "lower", clock)
    return (
        f"proved: {it.words}: the least value is at least {lower} for every width, and at most {upper} "
        f"for every width from {width} on"
    )


def instance(data: list[Any], clock: Clock) -> Instance:
    """Read an INSTANCE."""
    model, loss_name, targets, counts, lambda_w, lambda_h, bias = data
    if model not in ("ufm", "upfm") or loss_name not in ("ce", "mse") or type(bias) is not bool:
        raise Rejected("model must be 'ufm' or 'upfm', loss 'ce' or 'mse', bias true or false")
    if not isinstance(counts, list) or not 1 <= len(counts) <= MAX_SIZE:
        raise Rejected(f"multiplicities must be a list of 1 to {MAX_SIZE} integers")
    if any(type(n) is not int or not 1 <= n <= MAX_COUNT for n in counts):
        raise Rejected(f"multiplicities must be integers from 1 to {MAX_COUNT}")
    size = len(counts)
    if targets == []:
        if size < 2:
            raise Rejected("two classes are needed")
        Y = [[fmpq(int(i == j)) for i in range(size)] for j in range(size)]
    elif loss_name == "ce" or not isinstance(targets, list):
        raise Rejected("targets must be [] (always so for 'ce'), or a list of columns")
    else:
        length = len(targets[0]) if isinstance(targets[0], list) else 0
        if not 1 <= length <= MAX_SIZE:
            raise Rejected(f"a target must be a list of 1 to {MAX_SIZE} numbers")
        Y = matrix(targets, size, length, "targets", clock)
    w, h = exact(lambda_w, "lambda_w"), exact(lambda_h, "lambda_h")
    if w <= 0 or h <= 0:
        raise Rejected("lambda_w and lambda_h must be positive")
    what = f"{size} classes" if targets == [] else f"{size} targets {targets!a:.200}"
    words = (
        f"{model}, loss {loss_name}, {what} with multiplicities {counts!s:.200}, "
        f"lambda_W = {lambda_w}, lambda_H = {lambda_h}, {'free' if bias else 'no'} bias"
    )
    return Instance(model == "upfm", loss_name == "ce", Y, counts, w, h, bias, words)


def matrix(data: Any, rows: int, columns: int, what: str, clock: Clock) -> Rows:
    """A rows × columns matrix of exact numbers."""
    if not isinstance(data, list) or len(data) != rows:
        raise Rejected(f"{what} must be a list of {rows} rows")
    out = []
    for row in data:
        clock.tick()
        if not isinstance(row, list) or len(row) != columns:
            raise Rejected(f"{what}: a row must have {columns} entries")
        out.append([exact(x, what) for x in row])
    return out


def dot(x: Any, y: Any, clock: Clock) -> fmpq:
    """The exact inner product."""
    total = fmpq(0)
    for a, b in zip(x, y, strict=True):
        clock.tick()
        total += a * b
    return total


def loss(it: Instance, Z: Rows, b: Any, clock: Clock) -> arb:
    """(1/N) Σ n_j l_j(z_j + b), ``Z`` by columns."""
    if it.bias:
        (shift,) = matrix([b], 1, it.K, "b", clock)
        Z = [[x + y for x, y in zip(z, shift, strict=True)] for z in Z]
    elif b != []:
        raise Rejected("b must be [] where there is no bias")
    total, squares = arb(0), fmpq(0)
    for j, (n, z, y) in enumerate(zip(it.n, Z, it.Y, strict=True)):
        clock.tick()
        if it.entropy:
            top = max(z)
            terms = sum((arb(x - top).exp() for x in z), arb(0))
            total += n * (terms.log() + arb(top - z[j]))
        else:
            squares += n * sum(((x - v) ** 2 for x, v in zip(z, y, strict=True)), fmpq(0))
    return (total if it.entropy else arb(squares / 2)) / sum(it.n)


def below(it: Instance, dual: Any, B: Any, least: fmpq, what: str, clock: Clock) -> None:
    """The dual is feasible, and shows that no network has a value less than ``least``."""
    J, N = len(it.n), sum(it.n)
    gamma = matrix(dual, J, it.K, "dual", clock)
    if it.entropy:
        if any(min(p) < 0 or sum(p, fmpq(0)) != 1 for p in gamma):
            raise Rejected("dual: for 'ce' every column must be a probability vector")
        logs = (n * arb(x) * arb(x).log() for n, p in zip(it.n, gamma, strict=True) for x in p if x)
        value = -sum(logs, arb(0)) / N
        gamma = [[(x - int(i == j)) / N for i, x in enumerate(p)] for j, p in enumerate(gamma)]
    else:
        pairs = zip(it.n, gamma, it.Y, strict=True)
        terms = (n * (dot(g, y, clock) + fmpq(N, 2) * dot(g, g, clock)) for n, g, y in pairs)
        value = -arb(sum(terms, fmpq(0)))
    if it.bias and any(dot(it.n, row, clock) for row in zip(*gamma, strict=True)):
        raise Rejected("dual: with a free bias the gammas, with multiplicities, must sum to zero")
    if not value >= arb(least):
        raise Rejected(f"the dual is not shown to give the bound {what}")
    slack = [[-dot(g, h, clock) for h in gamma] for g in gamma]
    for j, n in enumerate(it.n):
        slack[j][j] += it.lambda_w * it.lambda_h / n
    if B != []:
        if not it.positive:
            raise Rejected("B must be [] for 'ufm'")
        extra = matrix(B, J, J, "B", clock)
        check_nonnegative(extra, "B")
        slack = [
            [x - y for x, y in zip(r, s, strict=True)] for r, s in zip(slack, extra, strict=True)
        ]
    if it.positive and B == []:
        check_copositive(slack, "L^2/n - Gamma^T Gamma", clock)
    else:
        check_definite(slack, "L^2/n - Gamma^T Gamma - B", clock)
