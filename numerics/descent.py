"""Descent of any loss in discrete time: B trajectories at once, with a bound on their rounding errors.

    z_{k+1} = Φ_k(z_k),   θ_{k+1} = θ_k - η_k g_k + ...

``descend`` takes a torch function of one trajectory's parameters, a method, step sizes and a start for B lanes, and
gives the final iterates, suprema over the run, records at chosen iterations, a status per lane and error bounds
(``numerics.descent_bounds``). Importing this module loads no torch.

Methods, with g = ∇loss and Δ_k = θ_k - θ_{k-1}, Δ_0 = 0:

* ``GradientDescent``: θ - η g(θ); with ``Sampling`` it is stochastic gradient descent;
* ``HeavyBall`` (Polyak 1964): θ - η g(θ) + β Δ;
* ``Nesterov``: y = θ + β_k Δ, y - η g(y). β_k is a number, a function of k, or "convex": (k-1)/(k+2) for k >= 1 (Su,
  Boyd & Candès 2016, (1)); ``Nesterov.strongly_convex(mu, L)`` is (√κ - 1)/(√κ + 1), κ = L/μ (Nesterov 2004, 2.2.22);
* ``NormalizedGradientDescent``: θ - η g/‖g‖ over all parameters together, and no step where g = 0;
* ``SignDescent``: θ - η sign(g), sign(0) = 0.

Step sizes and β_k are the floats they are (rounded to the dtype): the exact iteration uses the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from numerics.descent_sampling import Sampling
from numerics.descent_setup import Quantity, begin, check_start, with_quantities
from numerics.descent_types import (
    Array,
    Dynamics,
    Evidence,
    IterationResult,
    IterationStatus,
    RunOptions,
    StepSize,
    Supremum,
    read_iterations,
    read_step,
    unflat,
)
from numerics.errors import NumericsError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Evidence",
    "GradientDescent",
    "HeavyBall",
    "IterationResult",
    "IterationStatus",
    "Method",
    "Nesterov",
    "NormalizedGradientDescent",
    "RunOptions",
    "Sampling",
    "SignDescent",
    "Supremum",
    "descend",
]


class Method(Protocol):
    """An update of flat parameters θ (P,); ``memory`` says whether it looks at the previous ones."""

    @property
    def memory(self) -> bool: ...

    def momentum_at(self, k: int) -> float:
        """The coefficient β_k of iteration k, finite."""
        ...

    def update(
        self, gradient: Callable[[Any], Any], theta: Any, previous: Any, eta: Any, beta: Any
    ) -> Any:
        """θ_{k+1} from θ_k, θ_{k-1} (θ_k itself without memory), η_k and β_k: torch functions of flat tensors."""
        ...


@dataclass(frozen=True)
class GradientDescent:
    """θ - η g(θ)."""

    memory: bool = False

    def momentum_at(self, k: int) -> float:
        return 0.0

    def update(self, gradient: Any, theta: Any, previous: Any, eta: Any, beta: Any) -> Any:
        return theta - eta * gradient(theta)


@dataclass(frozen=True)
class HeavyBall:
    """θ - η g(θ) + β (θ - θ_previous), 0 <= β < 1."""

    momentum: float
    memory: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.momentum < 1:
            raise NumericsError(f"momentum is {self.momentum}; use a number in [0, 1)")

    def momentum_at(self, k: int) -> float:
        return self.momentum

    def update(self, gradient: Any, theta: Any, previous: Any, eta: Any, beta: Any) -> Any:
        return theta - eta * gradient(theta) + beta * (theta - previous)


@dataclass(frozen=True)
class Nesterov:
    """y = θ + β_k (θ - θ_previous), y - η g(y); see the module's docstring for ``momentum``."""

    momentum: float | str | Callable[[int], float] = "convex"
    memory: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.momentum, str) and self.momentum != "convex":
            raise NumericsError(f"momentum is {self.momentum!r}; use a number or 'convex'")
        if isinstance(self.momentum, (int, float)) and not 0 <= self.momentum < 1:
            raise NumericsError(f"momentum is {self.momentum}; use a number in [0, 1)")

    @classmethod
    def strongly_convex(cls, mu: float, L: float) -> Nesterov:
        """The constant momentum for a μ-strongly convex loss with an L-Lipschitz gradient."""
        if not 0 < mu <= L < math.inf:
            raise NumericsError(f"mu = {mu}, L = {L}: they must satisfy 0 < mu <= L")
        root = math.sqrt(L / mu)
        return cls((root - 1.0) / (root + 1.0))

    def momentum_at(self, k: int) -> float:
        if isinstance(self.momentum, str):
            return max(k - 1.0, 0.0) / (k + 2.0)
        return float(self.momentum(k) if callable(self.momentum) else self.momentum)

    def update(self, gradient: Any, theta: Any, previous: Any, eta: Any, beta: Any) -> Any:
        ahead = theta + beta * (theta - previous)
        return ahead - eta * gradient(ahead)


@dataclass(frozen=True)
class NormalizedGradientDescent:
    """θ - η g/‖g‖, no step where g = 0."""

    memory: bool = False

    def momentum_at(self, k: int) -> float:
        return 0.0

    def update(self, gradient: Any, theta: Any, previous: Any, eta: Any, beta: Any) -> Any:
        from torch import finfo, full_like, where

        g = gradient(theta)
        squares = (g * g).sum()
        # Where squares leave the range, g is scaled first; by constants, so that nothing new can switch nearby.
        far, scale = finfo(g.dtype).max ** 0.75, finfo(g.dtype).max ** 0.6875
        big = where(squares > far, full_like(squares, 1.0 / scale), full_like(squares, 1.0))
        g = g * where(squares < 1.0 / far, full_like(squares, scale), big)
        size = (g * g).sum().sqrt()
        return theta - eta * g / (size + (size == 0))


@dataclass(frozen=True)
class SignDescent:
    """θ - η sign(g), sign(0) = 0."""

    memory: bool = False

    def momentum_at(self, k: int) -> float:
        return 0.0

    def update(self, gradient: Any, theta: Any, previous: Any, eta: Any, beta: Any) -> Any:
        return theta - eta * gradient(theta).sign()


def descend(
    loss: Callable[..., Tensor],
    start: Mapping[str, ArrayLike] | None = None,
    *,
    method: Method,
    step: StepSize,
    iterations: int,
    sampling: Sampling | None = None,
    lane_numbers: Sequence[int] | None = None,
    quantities: Mapping[str, Quantity] | None = None,
    record_at: Sequence[int] = (),
    resume: IterationResult | None = None,
    options: RunOptions | None = None,
) -> IterationResult:
    """Run ``method`` from B starts.

    Args:
        loss: ``loss(params) -> scalar`` for one trajectory, torch functions of ``params`` by name; with ``sampling``
            ``loss(params, rows)``, rows (batch,) indices. It is traced once: it may not branch on values in Python.
        start: names to arrays (B, ...). step: a number, (B,), or a function of k giving either. iterations: >= 1.
        lane_numbers: what the samples of each lane are keyed by; 0..B-1 by default.
        quantities: names to functions of ``params``; a function that returns a vector stands for its largest entry.
            Suprema run over all iterates, the start included.
        record_at: increasing iterations (0 is the start) at which the quantities are recorded.
        resume: go on where a former result of the same call ended, instead of ``start``.

    Returns:
        See ``IterationResult``.

    Raises:
        NumericsError: bad shapes, non-finite starts, step sizes that are not positive, a loss that is no scalar per
            trajectory or not finite at the start, an unknown device, a function that torch cannot batch.
    """
    from numerics.descent_loop import run

    options = options or RunOptions()
    if not callable(loss) or not callable(getattr(method, "update", None)):
        raise NumericsError("loss is a function and method one such as GradientDescent()")
    begun = begin(start, resume, copies=1 + method.memory)
    layout, size, lanes = begun.layout, begun.size, len(begun.state)
    times = read_iterations(iterations, record_at, begun.first)
    sizes = read_step(step, lanes)
    drawn = _lane_numbers(lane_numbers, lanes)

    def coefficients(k: int) -> Array:
        beta = method.momentum_at(k)
        if not math.isfinite(beta):
            raise NumericsError(f"the momentum at k = {k} is {beta}; give a finite number")
        return np.stack([sizes(k), np.full(lanes, beta)], axis=1)

    def update(z: Any, c: Any, *rows: Any) -> Any:
        from torch import cat
        from torch.func import grad

        def gradient(at: Any) -> Any:
            # By name: the gradient of a slice would be padded with zeros and added, part by part.
            parts = grad(lambda p: loss(p, *rows))(unflat(at, layout))
            return cat([parts[name].reshape(-1) for name, _ in layout])

        now = z[:size]
        new = method.update(gradient, now, z[size:] if method.memory else now, c[0], c[1])
        return cat([new, now]) if method.memory else new

    rows = None
    if sampling is not None:
        rows = lambda k: np.stack([sampling.rows(lane, k) for lane in drawn])  # noqa: E731
    dynamics = Dynamics(
        start=begun.state,
        start_error=begun.error,
        layout=layout,
        step=update,
        coefficients=coefficients,
        rows=rows,
        first=begun.first,
        iterations=int(iterations),
        record_at=times,
        options=options,
    )
    check_start(loss, dynamics, "loss", ())
    return run(with_quantities(dynamics, quantities))


def _lane_numbers(numbers: Sequence[int] | None, lanes: int) -> list[int]:
    drawn = list(range(lanes)) if numbers is None else [int(lane) for lane in numbers]
    if len(drawn) != lanes or min(drawn) < 0:
        raise NumericsError(f"lane_numbers: give {lanes} whole numbers of at least 0")
    return drawn
