"""The variables of statements as programs on the raw numbers of a case, by the claim that measures them otherwise.

Each function below makes the same values as the claim of its name, out of inputs that the case has exactly. What it
cannot make out of them it leaves out, and there is no certificate then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from proofs_checks.certificate import Certificate
from proofs_checks.linear_case import LinearCase
from proofs_checks.margin_cases import ParityCase, PerceptronCase, UpdateCase
from proofs_checks.measure import has_time
from proofs_checks.named import load
from proofs_checks.verdict import Verdict
from theory import array_functions as ops
from theory.errors import LemmataError
from theory.statement import Part, Statement
from theory.tracing import Array, Comparison, active, array

MOST_UPDATES = 400  # of the perceptron that are written out
MOST_ITERATES = 20  # of gradient descent


class NoProgram(LemmataError):
    """Why the numbers of a statement cannot be derived again by the audit kernel."""


@dataclass
class Raw:
    """What stands behind a program.

    Attributes:
        values: input name -> its exact entries, flat. optima: number of an oracle instruction -> nested certificate.
        facts: named relations that the kernel has to verify besides the hypotheses.
        one_sided: the violated equality has to fail upwards; see `statement_restricted`.
    """

    values: dict[str, list[Fraction]] = field(default_factory=dict)
    optima: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    facts: list[tuple[str, Comparison]] = field(default_factory=list)
    one_sided: bool = False
    _shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def input(self, name: str, value: Any) -> Array:
        """A number, a list or a list of rows of exact numbers, or a numpy array of floats, as an input."""
        if hasattr(value, "tolist"):
            value = value.tolist()
        flat: list[Fraction] = []
        self._shapes[name] = _flatten(value, flat)
        self.values[name] = flat
        return self.again(name)

    def again(self, name: str) -> Array:
        """An input that was made before."""
        return active().input(name, self._shapes[name])

    def optimum(
        self,
        certificate: Certificate,
        arguments: Mapping[str, Array],
        fixed: Iterable[str],
    ) -> Array:
        """The value between the bounds of a certificate whose claim is about these arrays."""
        parameters = {
            "certificate": certificate.kind,
            "arguments": list(arguments),
            "fixed": {name: certificate.claim[name] for name in fixed},
        }
        out = ops.oracle("optimum", list(arguments.values()), parameters)
        self.optima[out.number] = certificate.to_data()
        return out


def _flatten(value: Any, out: list[Fraction]) -> tuple[int, ...]:
    if isinstance(value, list | tuple):
        shapes = {_flatten(v, out) for v in value}
        return (len(value), *(shapes.pop() if shapes else ()))
    out.append(Fraction(value))
    return ()


class Variables:
    """Variables by name, made when they are asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], Array]]) -> None:
        self._makers = makers

    def get(self, name: str, axes: str) -> Array:
        """The variable with the axes (j, i, k), those that it does not have of length 1.

        Raises:
            NoProgram: it cannot be made.
        """
        if name not in self._makers:
            raise NoProgram(
                f"the variable {name} rests on numbers that the audit kernel cannot derive again: no certificate"
            )
        made = self._makers[name]()
        lengths = dict(zip(axes, made.shape, strict=True))
        return made.reshape([lengths.get(a, 1) for a in "jik"])


Makers = dict[str, Callable[[], Array]]


@dataclass(frozen=True)
class Violation:
    """What failed: a part of a statement, on a case, with a verdict."""

    statement: Statement
    part: Part
    case: Any
    verdict: Verdict


Maker = Callable[[Violation, Raw], Makers]


def variables(violation: Violation, raw: Raw) -> Variables:
    """The variables of a statement on a case, for the recorder that is active.

    Raises:
        NoProgram: trajectories, or a claim for which nothing is known.
    """
    claim = violation.statement.claim
    maker = MAKERS.get(claim)
    if maker is None and has_time(violation.case):
        raise NoProgram(
            "trajectories are integrated in floating point with an error bound: there is no certificate"
        )
    if maker is None:
        raise NoProgram(
            f"the claim {claim} measures numbers that the audit kernel cannot derive again: no certificate"
        )
    found: Maker = (
        load(maker, "program of a claim", "module:function") if isinstance(maker, str) else maker
    )
    return Variables(found(violation, raw))


def number(value: int | Fraction) -> Callable[[], Array]:
    """A constant of the program."""
    return lambda: array(value)


# -- margins ----------------------------------------------------------------------------------------------------------
def parity(violation: Violation, raw: Raw) -> Makers:
    """`proofs_checks.claims.margins:ParityClaim`: everything from the list of points."""
    case: ParityCase = violation.case
    D, K = case.dimension, case.degree
    points = raw.input("points", case.points)

    def labels() -> Array:
        out = points[:, 0]
        for column in range(1, case.k):
            out = out * points[:, column]
        return out

    def gamma(space: str) -> Callable[[], Array]:
        def make() -> Array:
            from proofs_checks.claims.margins import solved

            found = solved(case, space)
            if found.certificate is None:
                raise NoProgram(f"the margin is not certified: {found.reason}")
            arguments = {"points": points, "labels": labels()}
            # the points are √D times those of the statement
            return raw.optimum(found.certificate, arguments, ("space",)) / ops.sqrt(array(D))

        return make

    even = K % 2 == 0
    return {
        "D": number(D),
        "K": number(K),
        "odd": number(K % 2),
        "central": number(math.comb(K - 2, K // 2 - 1) if even else 0),
        "power": number(2 ** (K - 1) if even else 0),
        "n": number(len(case.points)),
        "chi": labels,
        "t": lambda: points.sum(1) / D,
        "gamma_1": gamma("f1"),
        "gamma_2": gamma("f2"),
    }


def perceptron(violation: Violation, raw: Raw) -> Makers:
    """`proofs_checks.claims.margins:PerceptronClaim`: the run is written out, update by update."""
    case: PerceptronCase = violation.case
    X, y, u = raw.input("X", case.X), raw.input("y", case.y), raw.input("u", case.u)
    n = len(case.X)

    def mistakes() -> Array:
        passes = _passes(case)
        if passes * n > MOST_UPDATES:
            raise NoProgram(
                f"a run of {passes * n} points is too long to be written out: no certificate"
            )
        w, count = array([0] * len(case.u)), array(0)
        for k in range(passes * n):
            x, label = X[k % n], y[k % n]
            wrong = 1 - ops.step(label * (w * x).sum())
            w, count = w + wrong * label * x, count + wrong
        return count

    def worst() -> Array:
        return (y * (X @ u)).min()

    return {
        "mistakes": mistakes,
        "R_sq": lambda: (X * X).sum(1).max(),
        "worst": worst,
        "gamma_sq": lambda: worst() * abs(worst()) / (u * u).sum(),
    }


def _passes(case: PerceptronCase) -> int:
    """How many passes over the points have mistakes; at most those of the case."""
    w = [Fraction(0)] * len(case.u)
    for number_ in range(case.passes):
        clean = True
        for x, y in zip(case.X, case.y, strict=True):
            if y * sum(a * b for a, b in zip(w, x, strict=True)) <= 0:
                w, clean = [a + y * b for a, b in zip(w, x, strict=True)], False
        if clean:
            return number_
    return case.passes


def update(violation: Violation, raw: Raw) -> Makers:
    """`proofs_checks.claims.margins:UpdateClaim`."""
    case: UpdateCase = violation.case
    w, w_bar, g = (raw.input(k, getattr(case, k)) for k in ("w", "w_bar", "g"))
    eta = raw.input("eta", case.eta)
    return {
        "w": lambda: w,
        "w_bar": lambda: w_bar,
        "g": lambda: g,
        "eta": lambda: eta,
        "w_next": lambda: w - eta * g,
    }


# -- linear networks --------------------------------------------------------------------------------------------------
def descent(violation: Violation, raw: Raw) -> Makers:
    """`proofs_checks.claims.linear_networks:DescentClaim`, at the step that is violated."""
    case: LinearCase = violation.case
    step = int(violation.verdict.at or 0)
    if step >= MOST_ITERATES:
        raise NoProgram(f"step {step} is too late to be written out: no certificate")
    W1, W2, eta = raw.input("W1", case.W1), raw.input("W2", case.W2), raw.input("eta", case.eta)
    M_, N_ = case.quadratic
    if _exact_product(case.A, case.A, M_) and _exact_product(case.A, case.B, N_):
        A, B = raw.input("A", case.A), raw.input("B", case.B)
        M, N = A.T @ A, A.T @ B
    else:  # the case is the loss with the rounded M and N; see LinearCase
        M, N = raw.input("M", M_), raw.input("N", N_)

    def gradients(W1: Array, W2: Array) -> tuple[Array, Array]:
        G = M @ W1 @ W2 - N
        return G @ W2.T, W1.T @ G

    def imbalance(W1: Array, W2: Array) -> Array:
        return W1.T @ W1 - W2 @ W2.T

    start = W1, W2
    for _ in range(step):
        G1, G2 = gradients(W1, W2)
        W1, W2 = W1 - eta * G1, W2 - eta * G2
    G1, G2 = gradients(W1, W2)
    after = W1 - eta * G1, W2 - eta * G2

    def force() -> Array:
        first, second = gradients(*start)
        return (first * first).sum() + (second * second).sum()

    n, h, m = case.shape
    arrays = {"W1": W1.T, "W2": W2, "G1": G1.T, "G2": G2}
    twins = {name + "_": a for name, a in arrays.items()}
    return {
        **{name: (lambda a=a: a) for name, a in (arrays | twins).items()},  # type: ignore[misc]
        "D_0": lambda: imbalance(*start),
        "A_0": lambda: start[0].T @ start[0],
        "R_0": force,
        "D_next": lambda: imbalance(*after),
        "eta": lambda: eta,
        "t": number(step),
        "last_step": number(case.steps - 1),
        "n": number(n),
        "h": number(h),
        "m": number(m),
        "T": number(Fraction(case.horizon)),
    }


def _exact_product(a: Any, b: Any, rounded: Any) -> bool:
    """Whether aᵀb needs no rounding."""
    left, right = ([[Fraction(x) for x in column] for column in c.T.tolist()] for c in (a, b))
    return all(
        sum(x * y for x, y in zip(p, q, strict=True)) == Fraction(value)
        for p, row in zip(left, rounded.tolist(), strict=True)
        for q, value in zip(right, row, strict=True)
    )


_MARGINS, _LINEAR = "proofs_checks.claims.margins", "proofs_checks.claims.linear_networks"
_OPTIMA, _COLLAPSE = "proofs_checks.conjectures.statement_optima", "proofs_checks.claims.collapse"
MAKERS: dict[str, Maker | str] = {
    f"{_MARGINS}:ParityClaim": parity,
    f"{_MARGINS}:PerceptronClaim": perceptron,
    f"{_MARGINS}:UpdateClaim": update,
    f"{_LINEAR}:DescentClaim": descent,
    f"{_COLLAPSE}:FeatureClaim": f"{_OPTIMA}:features",
    f"{_COLLAPSE}:ThresholdClaim": f"{_OPTIMA}:features",
    f"{_COLLAPSE}:DualClaim": f"{_OPTIMA}:features",
    "proofs_checks.claims.convex_relu:NetworkClaim": f"{_OPTIMA}:network",
}
