"""The variables of statements about optima as programs: sizes and networks exactly, optima by nested certificates."""

from __future__ import annotations

from proofs_checks.collapse_cases import FeatureCase
from proofs_checks.conjectures.statement_programs import Makers, NoProgram, Raw, Violation, number
from proofs_checks.relu_cases import ReluCase
from theory import array_functions as ops
from theory.tracing import Array, array

FEATURE_FIELDS = ("model", "loss", "targets", "bias", "width")


def features(violation: Violation, raw: Raw) -> Makers:
    """`proofs_checks.claims.collapse:FeatureClaim` and its kin."""
    case: FeatureCase = violation.case
    n = raw.input("n", case.per_class)
    W, H = raw.input("lambda_W", case.lambda_W), raw.input("lambda_H", case.lambda_H)
    identity = [[int(j == k) for k in range(case.K)] for j in range(case.K)]

    def J() -> Array:
        from proofs_checks.claims.collapse import solved

        found = solved(case)
        if found.certificate is None:
            raise NoProgram(f"the optimum is not certified: {found.reason}")
        if found.certificate.claim["width"] > case.width:
            raise NoProgram("the network behind the optimum is wider than the case: no certificate")
        arguments = {"multiplicities": n, "lambda_w": W, "lambda_h": H}
        return raw.optimum(found.certificate, arguments, FEATURE_FIELDS)

    def bound(name: str) -> Array:
        from proofs_checks.conjectures.statement_restricted import restricted

        return restricted(name, violation.statement, violation.part, case, raw, J)

    return {
        "K": number(case.K),
        "N": lambda: n.sum(),
        "d": number(case.width),
        "bias": number(int(case.bias)),
        "n": lambda: n,
        "n_": lambda: n,
        "lambda_W": lambda: W,
        "lambda_H": lambda: H,
        "one": lambda: array([1] * case.K),
        "e": lambda: array(identity),
        "e_": lambda: array(identity),
        "J": J,
        "V": lambda: bound("V"),
        "J_c": lambda: bound("J_c"),
    }


def network(violation: Violation, raw: Raw) -> Makers:
    """`proofs_checks.claims.convex_relu:NetworkClaim`; the price M for points on a line, the larger of two numbers."""
    case: ReluCase = violation.case
    X, y, beta = raw.input("X", case.X), raw.input("y", case.y), raw.input("beta", case.beta)
    W, v = raw.input("W", case.W), raw.input("v", case.v)

    def outputs() -> Array:
        return ops.relu(X @ W.T) @ v

    def residual() -> Array:
        return y - outputs()

    def objective() -> Array:
        nu = residual()
        return (nu * nu).sum() / 2 + beta * ((W * W).sum() + (v * v).sum()) / 2

    def optimum() -> Array:
        from proofs_checks.claims.convex_relu import GAP
        from proofs_checks.relu_training import convex_relu

        found = convex_relu(case.X, case.y, beta=case.beta, gap=GAP)
        if found.certificate is None:
            raise NoProgram(f"the optimum is not certified: {found.reason}")
        arguments = {"X": X, "y": y, "beta": beta}
        return raw.optimum(found.certificate, arguments, ("loss",))

    def price() -> Array:
        if len(case.X[0]) != 1:
            raise NoProgram(
                "the price M of the residual in more than one dimension is an interval that no nested certificate "
                "of an optimum gives: no certificate"
            )
        x, nu = X[:, 0], residual()
        return ops.maximum(abs((nu * ops.relu(x)).sum()), abs((nu * ops.relu(-x)).sum()))

    return {
        "w": lambda: W,
        "v": lambda: v,
        "y": lambda: y,
        "f": outputs,
        "nu": residual,
        "beta": lambda: beta,
        "F": objective,
        "F_best": optimum,
        "M": price,
    }
