"""Gradient flows inside conjectures: suprema, infima and values of quantities along a trajectory.

``flow.sup(q)`` is the supremum over 0 <= t <= until of a quantity of `theory.quantity` (public as
``lemmata.quantity``), which may use the variables of the state::

    flow = case.flow(until=T)
    flow.sup(amax(sqnorm(flow.w), "j")) <= bound
    flow.sup(flow.loss / (1 + var("c") * flow.t), c=case.c) <= bound

In the second line ``c`` is a number of the case, given by name. In a conjecture the answer is a traced number, outside
of one a float with the attribute ``error``. Trajectories are integrated in floating point with an error bound: verdicts
on them are `numerical`, and there are no certificates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from proofs_checks.conjectures.measured import ask
from theory.errors import LemmataError
from theory.quantity import Quantity, var

LOSSES = ("exponential", "logistic2", "logistic", "squared")
REDUCTIONS = ("sum", "mean", "half-mean")
# what a quantity may use, with its axes
RELU_VARIABLES = {
    **{"w": "jk", "v": "j", "x": "ik", "y": "i", "s": "ji", "z": "ji", "f": "i", "g": "i"},
    **{"gy": "i", "G": "jk", "t": "", "loss": "", "grad_sq": "", "growth": "j"},
    **dict.fromkeys(("n", "h", "d", "eps", "X_max", "X_min", "W_max", "W_min"), ""),
    **dict.fromkeys(("n_plus", "n_minus", "n_min", "weight"), ""),
}
LINEAR_VARIABLES = {
    **{"W1": "jk", "W2": "jk", "W1_": "ik", "W2_": "ik", "t": "", "loss": ""},
    **dict.fromkeys(("n", "h", "m"), ""),
}


class _Trajectory:
    """What both models share: questions to the oracle "flow"."""

    variables: ClassVar[Mapping[str, str]]

    def __init__(self, args: tuple[Any, ...], parameters: dict[str, Any]) -> None:
        self._args, self._parameters = args, parameters

    def sup(self, q: Quantity, /, **numbers: Any) -> Any:
        """The supremum over 0 <= t <= until of a quantity without free axes.

        Args:
            numbers: values of further variables of the quantity, traced or not.

        Raises:
            LemmataError: free axes, unknown variables; numbers in place of traced arrays for which the trajectory is
                undecided.
        """
        return self._ask("sup", q, (), numbers)

    def inf(self, q: Quantity, /, **numbers: Any) -> Any:
        """The infimum over 0 <= t <= until; see `sup`."""
        return self._ask("inf", q, (), numbers)

    def at(self, q: Quantity, t: Any, /, **numbers: Any) -> Any:
        """The value at a time 0 <= t <= until; see `sup`."""
        return self._ask("at", q, (t,), numbers)

    def _ask(
        self, what: str, q: Quantity, times: tuple[Any, ...], numbers: Mapping[str, Any]
    ) -> Any:
        if not isinstance(q, Quantity):
            raise LemmataError(
                f"{q!r:.60} is no quantity: write it with the functions of theory.quantity and the variables of the "
                "flow, such as flow.w and flow.loss"
            )
        if q.axes:
            raise LemmataError(
                f"the quantity {q} still depends on {', '.join(sorted(q.axes))}: reduce it with amax, amin or total"
            )
        check_variables(q, self.variables, numbers)
        names = sorted(numbers)
        parameters = {**self._parameters, "what": what, "quantity": q.to_data(), "numbers": names}
        return ask("flow", (*self._args, *times, *(numbers[k] for k in names)), parameters)


class Flow(_Trajectory):
    """Gradient flow of a two-layer ReLU network f(x) = Σ_j v_j max(<w_j, x>, 0), with relu'(0) = 0.

    The variables of a quantity: ``w`` (axes jk), ``v`` (j), ``x`` (ik), ``y`` (i), ``z`` = <w_j, x_i> (ji), ``s`` its
    activations (ji), ``f`` outputs (i), ``g`` = -∂L/∂f (i), ``G`` = Σ_i s g x (jk), ``t``, ``loss``, ``grad_sq`` =
    ‖∇L‖²; numbers by name: n, h, d, eps, X_max, X_min, W_max, W_min (of W without the scale eps).
    """

    variables = RELU_VARIABLES
    w, v, x, y = var("w", "jk"), var("v", "j"), var("x", "ik"), var("y", "i")
    z, s, f, g, G = var("z", "ji"), var("s", "ji"), var("f", "i"), var("g", "i"), var("G", "jk")
    t, loss, grad_sq = var("t"), var("loss"), var("grad_sq")

    def __init__(
        self, X: Any, y: Any, W: Any, v: Any, log_eps: Any, until: Any, *, loss: str, reduction: str
    ) -> None:
        """The start is exp(log_eps)·(W, v); loss and reduction as in `proofs_checks.case.Case`.

        Raises:
            LemmataError: an unknown loss or reduction.
        """
        for name, value, known in (("loss", loss, LOSSES), ("reduction", reduction, REDUCTIONS)):
            if value not in known:
                raise LemmataError(f"unknown {name} {value!r:.40}; use one of {', '.join(known)}")
        parameters = {"model": "two-layer-relu", "loss": loss, "reduction": reduction}
        super().__init__((X, y, W, v, log_eps, until), parameters)


class LinearFlow(_Trajectory):
    """Gradient flow of a two-layer linear network with the loss ½ ‖A W1 W2 - B‖².

    The variables of a quantity: ``W1`` (axes jk) the columns of W1, ``W2`` (jk) the rows of W2, ``W1_`` and ``W2_``
    (ik) the same numbered by i, ``t``, ``loss``; numbers n, h, m.
    """

    variables = LINEAR_VARIABLES
    W1, W2, W1_, W2_ = var("W1", "jk"), var("W2", "jk"), var("W1_", "ik"), var("W2_", "ik")
    t, loss = var("t"), var("loss")

    def __init__(self, A: Any, B: Any, W1: Any, W2: Any, until: Any) -> None:
        """A: (s, n), B: (s, m), W1: (n, h), W2: (h, m)."""
        super().__init__((A, B, W1, W2, until), {"model": "linear", "loss": "least-squares"})


def check_variables(q: Quantity, known: Mapping[str, str], numbers: Mapping[str, Any]) -> None:
    """Whether a quantity uses only variables of the flow, with their axes, and the numbers given.

    Raises:
        LemmataError: it does not.
    """
    for name in numbers:
        if name in known:
            raise LemmataError(f"{name!r} is a variable of the flow: choose another name")
        if name not in q.variables():
            raise LemmataError(f"the number {name!r} does not occur in the quantity {q}")
    for name, axes in _uses(q):
        expected = "" if name in numbers else known.get(name)
        if expected is None:
            raise LemmataError(
                f"the flow does not know {name!r}: use {', '.join(known)}, or give its value by name"
            )
        if axes != frozenset(expected):
            raise LemmataError(
                f"{name} has the axes {expected!r}: write var({name!r}, {expected!r})"
            )


def _uses(q: Quantity) -> set[tuple[str, frozenset[str]]]:
    if q.op == "var":
        return {(q.label, q.axes)}
    return set().union(*(_uses(a) for a in q.args))
