"""Training inside conjectures: iterates of descent methods, and gradient flow.

A *view* is a model with its weights and data, such as the networks of `lemmata.strategies`: ``view.gradient()`` returns
the gradient of the training loss by the names of the weights, ``view.with_weights(**new)`` the same model elsewhere.
Iterates are unrolled into operations: on traced arrays they become part of the program, on numpy arrays (of floats, or
of Fractions) they are computed. No method averages or rescales the loss: the step size belongs to the view's own loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

import numpy as np

from proofs_checks.conjectures.flow import Flow, LinearFlow
from theory.array_functions import log
from theory.errors import LemmataError
from theory.tracing import Array

MOST_STEPS = 1000
Weights = dict[str, Any]
Update = Callable[[Any, int], Weights]  # the next weights, from the view and the number of the step


def descend(view: Any, eta: Any, steps: int) -> list[Any]:
    """Gradient descent θ⁺ = θ - η ∇L(θ): the views at steps 0, ..., steps.

    Raises:
        LemmataError: a number of steps that is not a whole number from 0 to 1000; a view without a gradient.
    """
    return _iterate(view, steps, lambda now, _: _moved(now, now.gradient(), eta))


def sign_descent(view: Any, eta: Any, steps: int) -> list[Any]:
    """θ⁺ = θ - η sign ∇L(θ), with sign 0 = 0; see `descend`."""

    def update(now: Any, _: int) -> Weights:
        return _moved(now, {k: np.sign(g) for k, g in now.gradient().items()}, eta)

    return _iterate(view, steps, update)


def normalised_descent(view: Any, eta: Any, steps: int) -> list[Any]:
    """θ⁺ = θ - η ∇L(θ) / ‖∇L(θ)‖, the norm over all weights; undefined where the gradient vanishes; see `descend`."""

    def update(now: Any, _: int) -> Weights:
        gradient = now.gradient()
        length = np.sqrt(sum(np.sum(g * g) for g in gradient.values()))
        return _moved(now, {k: g / length for k, g in gradient.items()}, eta)

    return _iterate(view, steps, update)


def heavy_ball(view: Any, eta: Any, beta: Any, steps: int) -> list[Any]:
    """Polyak's θ_{k+1} = θ_k - η ∇L(θ_k) + β (θ_k - θ_{k-1}), θ_{-1} = θ_0; see `descend`."""
    previous: list[Weights] = []

    def update(now: Any, _: int) -> Weights:
        gradient = now.gradient()
        here = _weights(now, gradient)
        before = previous[-1] if previous else here
        previous.append(here)
        return {k: here[k] - eta * g + beta * (here[k] - before[k]) for k, g in gradient.items()}

    return _iterate(view, steps, update)


def nesterov(view: Any, eta: Any, beta: Any, steps: int) -> list[Any]:
    """Nesterov's ψ_k = θ_k + β (θ_k - θ_{k-1}), θ_{k+1} = ψ_k - η ∇L(ψ_k), θ_{-1} = θ_0; see `descend`."""
    previous: list[Weights] = []

    def update(now: Any, _: int) -> Weights:
        names = list(now.gradient())
        here = _weights(now, names)
        before = previous[-1] if previous else here
        previous.append(here)
        ahead = now.with_weights(**{k: here[k] + beta * (here[k] - before[k]) for k in names})
        return _moved(ahead, ahead.gradient(), eta)

    return _iterate(view, steps, update)


def flow(view: Any, until: Any, *, eps: Any = None, log_eps: Any = None) -> Any:
    """Gradient flow θ' = -∇L(θ) from the weights of a view, up to the time ``until``: a `Flow` or `LinearFlow`.

    Two-layer ReLU networks have ``X, y, W, v`` (and ``loss``, ``reduction``, by default a *sum*); two-layer linear
    networks have ``W1, W2`` and data ``A, B`` of the loss ½ ‖A W1 W2 - B‖².

    Args:
        until: a number or a traced one; where it is not positive, nothing is measured.
        eps: the start is eps·(W, v) in place of (W, v). log_eps: the logarithm of it, for scales below 1e-300. By
            default the view's own, if it has one.

    Raises:
        LemmataError: another model, or both eps and log_eps.
    """
    if eps is not None and log_eps is not None:
        raise LemmataError("give either eps or log_eps")
    if getattr(view, "p", 1) != 1:
        raise LemmataError(
            f"p = {view.p}: gradient flow is integrated for p = 1 only; use descent with a small step size"
        )
    if all(hasattr(view, name) for name in ("X", "y", "W", "v")):
        if eps is None and log_eps is None:
            eps, log_eps = getattr(view, "eps", None), getattr(view, "log_eps", None)
        if log_eps is None:
            log_eps = 0.0 if eps is None else _log(eps)
        return Flow(
            view.X,
            view.y,
            view.W,
            view.v,
            log_eps,
            until,
            loss=getattr(view, "loss", "exponential"),
            reduction=getattr(view, "reduction", "sum"),
        )
    if all(hasattr(view, name) for name in ("A", "B", "W1", "W2")) and not hasattr(view, "W3"):
        if eps is not None or log_eps is not None:
            raise LemmataError("the flow of a linear network starts at its weights: scale these")
        return LinearFlow(view.A, view.B, view.W1, view.W2, until)
    raise LemmataError(
        f"{type(view).__name__} has no gradient flow here: two-layer ReLU networks (X, y, W, v) and two-layer linear "
        "networks (A, B, W1, W2) have; use descent with a small step size"
    )


def _log(eps: Any) -> Any:
    if isinstance(eps, Array):
        return log(eps)
    if not eps > 0:
        raise LemmataError(f"eps = {eps!r}: the scale of the start must be a positive number")
    return float(np.log(np.float64(eps)))


def _iterate(view: Any, steps: int, update: Update) -> list[Any]:
    whole = isinstance(steps, Integral) and not isinstance(steps, bool)
    if not (whole and 0 <= steps <= MOST_STEPS):
        raise LemmataError(f"steps = {steps!r:.40}: give a whole number from 0 to {MOST_STEPS}")
    for name in ("gradient", "with_weights"):
        if not callable(getattr(view, name, None)):
            raise LemmataError(
                f"{type(view).__name__} has no {name}(): descent needs a network of lemmata.strategies, or an object "
                "with gradient() and with_weights(**new)"
            )
    views = [view]
    for k in range(int(steps)):
        views.append(views[-1].with_weights(**update(views[-1], k)))
    return views


def _weights(view: Any, names: Any) -> Weights:
    return {name: getattr(view, name) for name in names}


def _moved(view: Any, direction: Mapping[str, Any], eta: Any) -> Weights:
    return {name: getattr(view, name) - eta * g for name, g in direction.items()}
