"""Minimax iterations on an operator F(z): B trajectories at once, with a bound on their rounding errors.

For min over x and max over y of f(x, y), F(z) = (∇_x f, -∇_y f); F is monotone where f is convex in x and concave in y.
γ is the step size, α a damping factor. Sources: Diakonikolas, Daskalakis & Jordan (2021) for EG+; Popov (1980) and
Daskalakis et al. (2018) for OGDA; Malitsky (2015) and Cevher & Vũ (2020) for reflected splitting.

* ``GradientDescentAscent``: z - γF(z);
* ``AlternatingGradientDescentAscent``: the first block of the state moves, then the others, seeing its new value;
* ``ProximalPoint``: z' + γF(z') = z, by Newton (one solve where F is affine) or by a fixed-point iteration; the
  residual is reported, and covered by the error bound;
* ``ExtraGradient(alpha)``: z - αγF(z - γF(z)); α = 1 is EG, α < 1 is EG+;
* ``OptimisticGradient``: z - 2γF(z) + γF(z_previous), the first step z - γF(z);
* ``ReflectedForwardBackward(prox)``: prox_γ(z - γF(2z - z_previous)), z_previous = z in the first step; ``box`` and
  ``ball`` are projections. Without prox and for affine F it is the optimistic gradient.

On xy with h = γ: GDA has |·|² = 1 + h², alternating GDA spectral radius 1 (h <= 2), EG |·|² = 1 - h² + h⁴, OGDA and
RFBS converge for h < 1/√3, PPM has |·|² = 1/(1 + h²). Importing this module loads no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from numerics.descent_setup import Quantity, begin, check_start, with_quantities
from numerics.descent_types import (
    Array,
    Dynamics,
    IterationResult,
    RunOptions,
    StepSize,
    read_iterations,
    read_step,
    real_array,
    unflat,
)
from numerics.errors import NumericsError

__all__ = [
    "AlternatingGradientDescentAscent",
    "Bilinear",
    "ExtraGradient",
    "Field",
    "GradientDescentAscent",
    "Linear",
    "Operator",
    "OptimisticGradient",
    "ProximalPoint",
    "ReflectedForwardBackward",
    "Saddle",
    "ball",
    "box",
    "minimax",
    "squared_field_norm",
]

State = dict[str, Any]
Prox = Callable[[State, Any], State]
FlatMap = Callable[[Any], Any]


# --- operators -----------------------------------------------------------------------------------


class Field(Protocol):
    """Gives F for one trajectory: named torch tensors to named torch tensors of the same shapes."""

    def __call__(self, z: State) -> State: ...


@dataclass(frozen=True)
class Saddle:
    """F = (∇_x f, -∇_y f) for a torch function ``f(x, y) -> scalar``; the start names "x" and "y"."""

    f: Callable[[Any, Any], Any]

    def __call__(self, z: State) -> State:
        from torch.func import grad

        if set(z) != {"x", "y"}:
            raise NumericsError(f"a saddle function has x and y, the start {sorted(z)}; name these")
        gx, gy = grad(self.f, argnums=(0, 1))(z["x"], z["y"])
        return {"x": gx, "y": -gy}


@dataclass(frozen=True)
class Operator:
    """F given itself: ``F(z) -> {name: tensor}`` with the names of the start."""

    F: Callable[[State], State]

    def __call__(self, z: State) -> State:
        return self.F(z)


def _matrix(name: str, value: ArrayLike, ndim: int) -> Array:
    try:
        array = real_array(value)
    except (TypeError, ValueError) as error:
        raise NumericsError(f"{name} is no array of real numbers: {error}") from None
    if array.ndim != ndim or array.size == 0 or not np.isfinite(array).all():
        raise NumericsError(f"{name} of shape {array.shape}: give {ndim} axes of finite numbers")
    return array


@dataclass(frozen=True, eq=False)
class Bilinear:
    """f = xᵀAy + bᵀx + cᵀy with A: (p, q); the start names "x": (B, p) and "y": (B, q)."""

    A: ArrayLike
    b: ArrayLike | None = None
    c: ArrayLike | None = None

    def __post_init__(self) -> None:
        A = _matrix("A", self.A, 2)
        for name, size in (("b", A.shape[0]), ("c", A.shape[1])):
            given = getattr(self, name)
            value = np.zeros(size) if given is None else _matrix(name, given, 1)
            if value.shape != (size,):
                raise NumericsError(f"{name} has shape {value.shape}; A asks for {(size,)}")
            object.__setattr__(self, name, value)
        object.__setattr__(self, "A", A)

    def __call__(self, z: State) -> State:
        x, y = z["x"], z["y"]
        A, b, c = (x.new_tensor(np.asarray(m)) for m in (self.A, self.b, self.c))
        return {"x": A @ y + b, "y": -(A.T @ x) - c}


@dataclass(frozen=True, eq=False)
class Linear:
    """F(z) = Mz + q with M: (N, N); the start names "z": (B, N). Monotone where M + Mᵀ is positive semidefinite."""

    M: ArrayLike
    q: ArrayLike | None = None

    def __post_init__(self) -> None:
        M = _matrix("M", self.M, 2)
        q = np.zeros(len(M)) if self.q is None else _matrix("q", self.q, 1)
        if M.shape[0] != M.shape[1] or q.shape != M.shape[:1]:
            raise NumericsError(f"M has shape {M.shape} and q {q.shape}; give (N, N) and (N,)")
        object.__setattr__(self, "M", M)
        object.__setattr__(self, "q", q)

    def __call__(self, z: State) -> State:
        point = z["z"]
        M, q = (point.new_tensor(np.asarray(m)) for m in (self.M, self.q))
        return {"z": M @ point + q}


def squared_field_norm(operator: Field) -> Quantity:
    """The quantity ‖F(z)‖²."""

    def quantity(z: State) -> Any:
        return sum((part * part).sum() for part in operator(z).values())

    return quantity


# --- projections ---------------------------------------------------------------------------------


def box(lower: float, upper: float) -> Prox:
    """The projection of every entry onto [lower, upper]."""
    if not lower < upper:
        raise NumericsError(f"the box [{lower}, {upper}] is empty; give lower < upper")
    return lambda z, step: {name: part.clamp(lower, upper) for name, part in z.items()}


def ball(radius: float) -> Prox:
    """The projection of every block onto the Euclidean ball around 0."""
    if not 0 < radius < math.inf:
        raise NumericsError(f"radius is {radius}; give a positive number")

    def project(z: State, step: Any) -> State:
        # Divided by max(|z|, radius) = radius + relu(|z| - radius); inside the ball nothing is multiplied.
        from torch import where

        moved = {}
        for name, part in z.items():
            square = (part * part).sum()
            outside = square > radius * radius
            size = where(outside, square, square.new_tensor(radius * radius)).sqrt()
            moved[name] = where(outside, part * (radius / size), part)
        return moved

    return project


# --- methods -------------------------------------------------------------------------------------


class MinimaxMethod(Protocol):
    """An update of a flat state; ``copies`` says how many vectors of the state's size it carries along."""

    @property
    def copies(self) -> int: ...

    def update(
        self, F: FlatMap, z: Any, memory: Any, gamma: Any, started: Any, space: Space
    ) -> tuple[Any, Any]:
        """(next z, next memory); ``started`` is 0 in the first iteration, then 1."""
        ...


@dataclass(frozen=True)
class Space:
    """Names and shapes of the blocks of a flat state."""

    layout: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def first(self) -> int:
        """Size of the first block."""
        return math.prod(self.layout[0][1])

    def named(self, z: Any) -> State:
        return unflat(z, self.layout)

    def flat(self, z: State) -> Any:
        from torch import cat

        return cat([z[name].reshape(-1) for name, _ in self.layout])


@dataclass(frozen=True)
class GradientDescentAscent:
    """z - γF(z)."""

    copies: int = 1

    def update(
        self, F: FlatMap, z: Any, memory: Any, gamma: Any, started: Any, space: Space
    ) -> Any:
        return z - gamma * F(z), memory


@dataclass(frozen=True)
class AlternatingGradientDescentAscent:
    """The first block of the start moves along F; then the others along F at the new point."""

    copies: int = 1

    def update(
        self, F: FlatMap, z: Any, memory: Any, gamma: Any, started: Any, space: Space
    ) -> Any:
        from torch import cat

        if len(space.layout) < 2:
            raise NumericsError("alternation needs two blocks in the start, such as x and y")
        p = space.first
        x = z[:p] - gamma * F(z)[:p]
        return cat([x, z[p:] - gamma * F(cat([x, z[p:]]))[p:]]), memory


@dataclass(frozen=True)
class ProximalPoint:
    """z' + γF(z') = z; ``inner`` is "newton" (a dense Jacobian) or "fixed-point" (contracts for γL < 1)."""

    inner: str = "newton"
    copies: int = 1

    def __post_init__(self) -> None:
        if self.inner not in {"newton", "fixed-point"}:
            raise NumericsError(f"inner is {self.inner!r}; use 'newton' or 'fixed-point'")

    def residual(self, F: FlatMap, new: Any, z: Any, gamma: Any) -> Any:
        """z' + γF(z') - z."""
        return new + gamma * F(new) - z


@dataclass(frozen=True)
class ExtraGradient:
    """z - αγF(z - γF(z)), 0 < α <= 1; α < 1 is EG+."""

    alpha: float = 1.0
    copies: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 1:
            raise NumericsError(f"alpha is {self.alpha}; use a number in (0, 1]")

    def update(
        self, F: FlatMap, z: Any, memory: Any, gamma: Any, started: Any, space: Space
    ) -> Any:
        step = gamma if self.alpha == 1 else self.alpha * gamma
        return z - step * F(z - gamma * F(z)), memory


@dataclass(frozen=True)
class OptimisticGradient:
    """z - γF(z) - γ(F(z) - F(z_previous)); the memory is F(z_previous)."""

    copies: int = 2

    def update(
        self, F: FlatMap, z: Any, memory: Any, gamma: Any, started: Any, space: Space
    ) -> Any:
        now = F(z)
        return z - gamma * (now + started * (now - memory)), now


@dataclass(frozen=True)
class ReflectedForwardBackward:
    """prox_γ(z - γF(2z - z_previous)); ``prox(z, γ)`` maps named tensors to named tensors."""

    prox: Prox | None = None
    copies: int = 2

    def update(
        self, F: FlatMap, z: Any, memory: Any, gamma: Any, started: Any, space: Space
    ) -> Any:
        new = z - gamma * F(z + (z - memory))
        if self.prox is not None:
            new = space.flat(self.prox(space.named(new), gamma))
        return new, z


def minimax(
    operator: Field,
    start: Mapping[str, ArrayLike] | None = None,
    *,
    method: MinimaxMethod | ProximalPoint,
    step: StepSize,
    iterations: int,
    quantities: Mapping[str, Quantity] | None = None,
    record_at: Sequence[int] = (),
    resume: IterationResult | None = None,
    options: RunOptions | None = None,
) -> IterationResult:
    """Run ``method`` from B starts.

    Args:
        operator: ``Saddle``, ``Operator``, ``Bilinear`` or ``Linear``; torch functions, traced once.
        start: names to arrays (B, ...). step: γ, a number, (B,), or a function of k giving either. iterations: >= 1.
        quantities, record_at, resume: as in ``numerics.descent.descend``.

    Returns:
        See ``IterationResult``; ``residual`` is the largest of the implicit equations.

    Raises:
        NumericsError: bad shapes, non-finite starts, step sizes that are not positive, an operator whose value has
            another shape than its argument or is not finite at the start, an unknown device.
    """
    from numerics.descent_loop import run

    options = options or RunOptions()
    begun = begin(start, resume, copies=method.copies)
    space, size, lanes = Space(begun.layout), begun.size, len(begun.state)
    times = read_iterations(iterations, record_at, begun.first)
    sizes = read_step(step, lanes)

    def F(z: Any) -> Any:
        return space.flat(operator(space.named(z)))

    def coefficients(k: int) -> Array:
        return np.stack([sizes(k), np.full(lanes, float(k > 0))], axis=1)

    def update(z: Any, c: Any) -> Any:
        from torch import cat

        now = z[:size]
        new, memory = method.update(F, now, z[size:], c[0], c[1], space)  # type: ignore[union-attr]
        return cat([new, memory]) if method.copies > 1 else new

    def residual(new: Any, z: Any, c: Any) -> Any:
        return method.residual(F, new, z, c[0])  # type: ignore[union-attr]

    implicit = method.inner if isinstance(method, ProximalPoint) else ""
    dynamics = Dynamics(
        start=begun.state,
        start_error=begun.error,
        layout=begun.layout,
        step=residual if implicit else update,
        coefficients=coefficients,
        implicit=implicit,
        first=begun.first,
        iterations=int(iterations),
        record_at=times,
        options=options,
    )
    check_start(lambda z: space.flat(operator(z)), dynamics, "operator", (size,))
    return run(with_quantities(dynamics, quantities))
