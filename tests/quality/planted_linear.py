"""Planted wrong versions of the imbalance statements, each with a case and an independent witness.

The witnesses use numpy, scipy's DOP853 and rational arithmetic only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

import flint
import numpy as np
from scipy.integrate import solve_ivp

from proofs_checks.case import Case
from proofs_checks.claims.linear_networks import DescentClaim, FlowClaim
from proofs_checks.linear_balls import PRECISION, Balls, Iterate, ball_vectors, matrix, start
from proofs_checks.linear_batch import LinearBatch, stack
from proofs_checks.linear_case import LinearCase
from tests.quality.planted_tools import planted, redefine
from theory import linear_networks as ln
from theory.quantity import Quantity, amax, equals, inner, norm, sqnorm, var
from theory.quantity import qabs as absolute
from theory.statement import Part, Statement

Array = np.ndarray


@dataclass(frozen=True)
class PlantedLaw:
    """A wrong law, the true one, a case, and the relative deviation of the wrong one, found without the library."""

    statement: Statement
    true: Statement
    case: LinearCase | Case
    deviation: Callable[[], float]


# -- cases ------------------------------------------------------------------------------------------------------------
def _draw(n: int, h: int, m: int, seed: int) -> LinearCase:
    rng = np.random.default_rng(seed)
    return LinearCase.create(
        rng.standard_normal((5, n)),
        rng.standard_normal((5, m)),
        W1=rng.standard_normal((n, h)),
        W2=rng.standard_normal((h, m)),
        eta=2.0**-6,
        steps=3,
        horizon=0.25,
    )


WIDE, SQUARE = _draw(4, 2, 3, 1), _draw(3, 2, 3, 2)
RELU = Case.create(
    [[1.0, 0.5], [0.5, -1.0], [0.25, 1.0]],
    [1.0, -1.0, 1.0],
    W0=[[1.0, 0.5], [0.5, -0.75], [0.25, 1.0]],
    v0=[0.5, -2.0, 0.125],
    eps=0.5,
    loss="squared",
)


# -- claims with further numbers --------------------------------------------------------------------------------------
class SumClaim(FlowClaim):
    """Has besides E_0 = W1ᵀW1 + W2W2ᵀ and F_0 = 2 W1ᵀW1 - W2W2ᵀ at the start."""

    def __init__(self, batch: LinearBatch, wanted: Iterable[str]) -> None:
        super().__init__(batch, wanted)
        with flint.ctx.workprec(PRECISION):
            grams = [
                (s.W1.transpose() * s.W1, s.W2 * s.W2.transpose()) for s in map(start, batch.linear)
            ]
            self.numbers["E_0"] = stack([matrix(a + b) for a, b in grams])
            self.numbers["F_0"] = stack([matrix(2 * a - b) for a, b in grams])


class TransposedClaim(DescentClaim):
    """Mixes up ∇ and ∇ᵀ in the gradients that the statement uses, not in the steps; only for n = m."""

    def measured(self, now: Iterate, after: Iterate) -> dict[str, Balls]:
        wrong = Iterate(now.W1, now.W2, now.G.transpose())
        arrays = {"G1": ball_vectors(wrong.G1.transpose()), "G2": ball_vectors(wrong.G2)}
        twins = {name + "_": np.swapaxes(a, 2, 3) for name, a in arrays.items()}
        return super().measured(now, after) | arrays | twins


HERE = "tests.quality.planted_linear"


def _part(true: Statement, deviation: Quantity) -> tuple[Part, ...]:
    """The only part of a statement on linear networks with another deviation."""
    (part,) = true.parts
    return (replace(part, relation=equals(ln.S + ln.largest(deviation), ln.S)),)


# -- witnesses --------------------------------------------------------------------------------------------------------
def _end(case: LinearCase) -> tuple[Array, Array]:
    """(W1, W2) of the gradient flow at the horizon."""
    (n, h, m), (M, N) = case.shape, (case.A.T @ case.A, case.A.T @ case.B)

    def field(_: float, theta: Array) -> Array:
        W1, W2 = theta[: n * h].reshape(n, h), theta[n * h :].reshape(h, m)
        G = M @ W1 @ W2 - N
        return -np.concatenate([(G @ W2.T).ravel(), (W1.T @ G).ravel()])

    theta0 = np.concatenate([case.W1.ravel(), case.W2.ravel()])
    end = solve_ivp(field, (0, case.horizon), theta0, method="DOP853", rtol=1e-12, atol=1e-12).y[
        :, -1
    ]
    return end[: n * h].reshape(n, h), end[n * h :].reshape(h, m)


def _moved(case: LinearCase, first: float, second: float) -> Callable[[], float]:
    """How far first W1ᵀW1 + second W2W2ᵀ moves along the flow, relative to the weights."""

    def deviation() -> float:
        W1, W2 = _end(case)
        law = [first * a.T @ a + second * b @ b.T for a, b in ((W1, W2), (case.W1, case.W2))]
        size = sum(float(np.sum(a**2)) for a in (W1, W2, case.W1, case.W2))
        return float(np.abs(law[0] - law[1]).max()) / size

    return deviation


Exact = np.ndarray  # of Fractions


def _fractions(a: Array) -> Exact:
    return np.array([[Fraction(x) for x in row] for row in a.tolist()], dtype=object)


def _first_step(
    case: LinearCase, wrong: Callable[[Exact, Exact, Exact, Fraction], Exact]
) -> Callable[[], float]:
    """How far D⁺ - D of the first step is from a wrong law wrong(W1, W2, ∇, η), exactly, relative to the weights."""

    def deviation() -> float:
        W1, W2, A, B = map(_fractions, (case.W1, case.W2, case.A, case.B))
        eta = Fraction(case.eta)
        G = A.T @ (A @ W1 @ W2 - B)
        after = W1 - eta * G @ W2.T, W2 - eta * W1.T @ G
        change = (after[0].T @ after[0] - after[1] @ after[1].T) - (W1.T @ W1 - W2 @ W2.T)
        true = eta**2 * (W2 @ G.T @ G @ W2.T - W1.T @ G @ G.T @ W1)
        assert (change == true).all()
        size = sum(float((a**2).sum()) for a in (W1, W2, *after))
        return float(abs(change - wrong(W1, W2, G, eta)).max()) / size

    return deviation


def _neurons(law: Callable[[Array, Array], Array]) -> Callable[[], float]:
    """How far a law of (‖w_j‖, v_j) moves along the flow of RELU, relative to its value."""

    def deviation() -> float:
        X, y, h = RELU.X, RELU.y, RELU.h
        eps = float(np.exp(RELU.log_eps))
        horizon = np.log(1 + 1 / (eps * np.linalg.norm(RELU.W0, axis=1).max()))
        horizon /= RELU.n * np.linalg.norm(X, axis=1).max()

        def field(_: float, theta: Array) -> Array:
            W, v = theta[: 2 * h].reshape(h, 2), theta[2 * h :]
            on = (W @ X.T > 0).astype(float)
            g = 2 * (y - v @ (on * (W @ X.T)))
            return np.concatenate([(v[:, None] * ((on * g) @ X)).ravel(), (on * (W @ X.T)) @ g])

        theta0 = eps * np.concatenate([RELU.W0.ravel(), RELU.v0])
        # the error at kinks is far below the deviations that are looked for
        end = solve_ivp(field, (0, horizon), theta0, method="DOP853", rtol=1e-9, atol=1e-12).y[
            :, -1
        ]
        before, after = (
            law(np.linalg.norm(s[: 2 * h].reshape(h, 2), axis=1), s[2 * h :]) for s in (theta0, end)
        )
        return float((np.abs(after - before) / np.maximum(np.abs(after), np.abs(before))).max())

    return deviation


# -- the plants -------------------------------------------------------------------------------------------------------
FLOW, DESCENT, NEURON = ln.IMBALANCE_FLOW, ln.IMBALANCE_DESCENT, ln.IMBALANCE_FLOW_RELU
_first, _second = inner(ln.W1, ln.W1_i), inner(ln.W2, ln.W2_i)
_change = ln.D_next - ln.D


def _ratio(now: Quantity, before: Quantity) -> tuple[Part, ...]:
    """Both parts of the statement on neurons with the claim now = before; not a ratio where both may vanish."""
    part = NEURON.parts[0]
    return (
        replace(
            part,
            relation=equals(
                1 + amax(absolute(now - before) / (absolute(now) + absolute(before)), "j"), 1
            ),
        ),
    )


ALL: tuple[PlantedLaw, ...] = (
    PlantedLaw(
        planted(
            FLOW,
            "sum",
            claim=f"{HERE}:SumClaim",
            parts=_part(FLOW, _first + _second - var("E_0", "ji")),
        ),
        FLOW,
        WIDE,
        _moved(WIDE, 1.0, 1.0),
    ),
    PlantedLaw(
        planted(
            FLOW,
            "weights",
            claim=f"{HERE}:SumClaim",
            parts=_part(FLOW, 2 * _first - _second - var("F_0", "ji")),
        ),
        FLOW,
        WIDE,
        _moved(WIDE, 2.0, -1.0),
    ),
    PlantedLaw(
        planted(DESCENT, "conserved-by-descent", parts=_part(DESCENT, _change)),
        DESCENT,
        WIDE,
        _first_step(WIDE, lambda W1, W2, G, eta: 0 * (W2 @ W2.T)),
    ),
    PlantedLaw(
        planted(DESCENT, "lost-square", parts=_part(DESCENT, _change - ln.eta * (ln.P - ln.Q))),
        DESCENT,
        WIDE,
        _first_step(WIDE, lambda W1, W2, G, eta: eta * (W2 @ G.T @ G @ W2.T - W1.T @ G @ G.T @ W1)),
    ),
    PlantedLaw(
        planted(
            DESCENT, "sign-of-the-change", parts=_part(DESCENT, _change + ln.eta**2 * (ln.P - ln.Q))
        ),
        DESCENT,
        WIDE,
        _first_step(
            WIDE, lambda W1, W2, G, eta: -(eta**2) * (W2 @ G.T @ G @ W2.T - W1.T @ G @ G.T @ W1)
        ),
    ),
    PlantedLaw(
        planted(DESCENT, "one-layer", parts=_part(DESCENT, _change - ln.eta**2 * ln.P)),
        DESCENT,
        WIDE,
        _first_step(WIDE, lambda W1, W2, G, eta: eta**2 * (W2 @ G.T @ G @ W2.T)),
    ),
    PlantedLaw(
        planted(DESCENT, "transposed", claim=f"{HERE}:TransposedClaim"),
        DESCENT,
        SQUARE,
        _first_step(
            SQUARE, lambda W1, W2, G, eta: eta**2 * (W2 @ G @ G.T @ W2.T - W1.T @ G.T @ G @ W1)
        ),
    ),
    PlantedLaw(
        planted(
            NEURON,
            "sum-of-squares",
            parts=_ratio(sqnorm(ln.w) + ln.v**2, sqnorm(ln.w_0) + ln.v_0**2),
        ),
        NEURON,
        RELU,
        _neurons(lambda w, v: w**2 + v**2),
    ),
    PlantedLaw(
        planted(
            NEURON,
            "norms-not-squared",
            definitions=redefine(
                replace(NEURON, definitions=redefine(NEURON, "a", norm(ln.w) + absolute(ln.v_0))),
                "b",
                norm(ln.w_0) + absolute(ln.v),
            ),
        ),
        NEURON,
        RELU,
        _neurons(lambda w, v: w - np.abs(v)),
    ),
    PlantedLaw(
        planted(
            NEURON,
            "always-balanced",
            definitions=redefine(
                replace(NEURON, definitions=redefine(NEURON, "a", sqnorm(ln.w))), "b", ln.v**2
            ),
        ),
        NEURON,
        RELU,
        lambda: float(np.abs(1 - RELU.v0**2 / (RELU.W0**2).sum(axis=1)).max()),
    ),
)
