"""Kind "relaxation gap": the doubly non-negative relaxation of the model "upfm" is not tight.

    claim    INSTANCE (see `features`) + {"relaxation", "network"}: the program below attains at most
             "relaxation", which is less than "network" <= J(W, H, b) for networks of every width
    inputs   {}
    witness  {"U": K×K, "V": J×J, "Z": K×J, "b": row or [], "dual": J columns}

The program: minimise (1/N) Σ n_j l_j(z_j + b) + (λ_W/2) tr U + (λ_H/2) Σ n_j V_jj over U, Z, V (and b) with
[[U, Z], [Zᵀ, V]] positive and V >= 0 entrywise.  A network gives a point with its own value, U = WᵀW,
Z = WᵀH, V = HᵀH; the lift of all N samples becomes such a point, of no larger value, by averaging over
the samples of a column.  Its least value is that of networks of large width if V may be required to be
completely positive; "network" is bounded below by a dual for which L²D⁻¹ - ΓᵀΓ is copositive, decided
exactly, and so the claim separates the two.
"""

from __future__ import annotations

from typing import Any

from flint import arb, ctx, fmpq

from proofs_checks.audit.core import Clock, Rejected, exact, fields
from proofs_checks.audit.features import INSTANCE, PRECISION, below, instance, loss, matrix
from proofs_checks.audit.quadratic import check_definite, check_nonnegative, check_symmetric


def check(claim: Any, inputs: Any, witness: Any, clock: Clock) -> str:
    """The claim in words; raises Rejected if the gap does not follow."""
    *data, relaxation, network = fields(claim, (*INSTANCE, "relaxation", "network"), "claim")
    fields(inputs, (), "inputs")
    U, V, Z, b, dual = fields(witness, ("U", "V", "Z", "b", "dual"), "witness")
    it = instance(data, clock)
    most, least, J = exact(relaxation, "relaxation"), exact(network, "network"), len(it.n)
    if not it.positive or not most < least:
        raise Rejected("a gap needs the model 'upfm', and relaxation < network")
    U, V, Z = (
        matrix(data, rows, columns, name, clock)
        for data, rows, columns, name in ((U, it.K, it.K, "U"), (V, J, J, "V"), (Z, it.K, J, "Z"))
    )
    check_symmetric(U, "U")
    check_nonnegative(V, "V")
    columns = [list(column) for column in zip(*Z, strict=True)]
    whole = [u + z for u, z in zip(U, Z, strict=True)]
    whole += [z + v for z, v in zip(columns, V, strict=True)]
    with ctx.workprec(PRECISION):
        check_definite(whole, "[[U, Z], [Z^T, V]]", clock)
        traces = (
            it.lambda_w * sum((U[k][k] for k in range(it.K)), fmpq(0)),
            (it.lambda_h * sum((n * V[j][j] for j, n in enumerate(it.n)), fmpq(0))),
        )
        if not loss(it, columns, b, clock) + arb((traces[0] + traces[1]) / 2) <= arb(most):
            raise Rejected(f"the relaxation is not shown to attain {relaxation!a:.60}")
        below(it, dual, [], least, "network", clock)
    return (
        f"proved: {it.words}: the doubly non-negative relaxation attains {relaxation} or less, "
        f"networks of every width at least {network}: the relaxation is not tight"
    )
