"""Batched local ascent on how nearly the conclusions of a program fail.

The *slack* of ``lhs <= rhs`` is (lhs - rhs) / (|lhs| + |rhs|), in [-1, 1], positive where the relation fails; of
``lhs == rhs`` it is |lhs - rhs| / (|lhs| + |rhs|). Where a negative side faces a positive one the slack is flat; there
min(|lhs|, |rhs|) / (|lhs| + |rhs|) is taken off. The ascent raises the largest slack of the conclusions, less ten times
what the hypotheses fail by. It is a search: nothing that it returns is evidence, and whoever uses it judges the points
again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from numerics.program_sampling import Array, Space

if TYPE_CHECKING:
    import torch

PENALTY = 10.0
TINY = 1e-300
FIRST_STEP = 0.1  # relative to the size of an entry


class Relation(Protocol):
    """``lhs op rhs`` between the results of two instructions."""

    @property
    def lhs(self) -> int: ...
    @property
    def op(self) -> str: ...
    @property
    def rhs(self) -> int: ...


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: what is found does not depend on the number of cores, and processes share them well."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def single_thread() -> None:
    """As `one_thread`, for the rest of the process: for workers."""
    import torch

    torch.set_num_threads(1)


def objective(
    instructions: Sequence[Any],
    hypotheses: Sequence[Relation],
    conclusions: Sequence[Relation],
    inputs: Mapping[str, torch.Tensor],
) -> torch.Tensor:
    """(B,) what the ascent raises, differentiable; nan where a side is undefined.

    Args:
        inputs: name -> (B, *shape).
    """
    import torch

    from numerics.program_values import tensors

    relations = (*conclusions, *hypotheses)
    wanted = list(dict.fromkeys(k for r in relations for k in (r.lhs, r.rhs)))
    at = tensors(instructions, dict(inputs), wanted)

    def slack(r: Relation) -> torch.Tensor:
        lhs, rhs = at[r.lhs], at[r.rhs]
        # entries broadcast from the right; the batch is the first axis of both
        missing = lhs.ndim - rhs.ndim
        if missing > 0:
            rhs = rhs.reshape(rhs.shape[0], *(1,) * missing, *rhs.shape[1:])
        elif missing < 0:
            lhs = lhs.reshape(lhs.shape[0], *(1,) * -missing, *lhs.shape[1:])
        gap = lhs - rhs
        gap = gap.abs() if r.op == "==" else gap
        # between a negative and a positive side the slack is flat: lead towards the nearer change of sign
        apart = (lhs < 0) & (rhs > 0) & (r.op != "==")
        flat = torch.where(apart, torch.minimum(lhs.abs(), rhs.abs()), torch.zeros_like(gap))
        return ((gap - flat) / (lhs.abs() + rhs.abs() + TINY)).reshape(len(gap), -1)

    worst = [s.amax(1) for s in map(slack, conclusions) if s.shape[1]]
    if not worst:
        return torch.zeros(len(next(iter(inputs.values()))) if inputs else 0)
    out = torch.stack(torch.broadcast_tensors(*worst)).amax(0)
    for hypothesis in hypotheses:
        margin = 1e-12 if hypothesis.op == "<" else 0.0
        out = out - PENALTY * torch.relu(slack(hypothesis) + margin).sum(1)
    return out


def climb(
    instructions: Sequence[Any],
    hypotheses: Sequence[Relation],
    conclusions: Sequence[Relation],
    space: Space,
    points: Array,
    held: Mapping[str, Array],
    *,
    steps: int = 20,
    stop: Callable[[], bool] | None = None,
) -> Array:
    """Points after a number of steps along gradients, each taken only where it raises the objective.

    Args:
        points: (B, P) of `space`; coordinates are scaled by their sizes. held: name -> (B, *shape), the other inputs.
        stop: asked before every step.

    Returns:
        (B, P), at least as good as what was given, point by point.
    """
    import torch

    fixed = {name: torch.as_tensor(np.ascontiguousarray(a)) for name, a in held.items()}

    def value_and_slope(z: Array) -> tuple[NDArray[np.float64], Array]:
        leaf = torch.as_tensor(np.ascontiguousarray(z)).requires_grad_(True)
        parts = torch.split(leaf, list(space.sizes), dim=1)
        own = {
            name: part.reshape(len(z), *shape)
            for name, shape, part in zip(space.names, space.shapes, parts, strict=True)
        }
        f = objective(instructions, hypotheses, conclusions, {**fixed, **own})
        if not f.requires_grad or f.shape[0] != len(z):
            return np.full(len(z), -np.inf), np.zeros_like(z)
        # a lane that is not finite must not spoil the others
        finite = torch.isfinite(f)
        (slope,) = torch.autograd.grad(torch.where(finite, f, torch.zeros_like(f)).sum(), leaf)
        value = torch.where(finite, f, torch.full_like(f, -torch.inf)).detach().numpy()
        return value, np.nan_to_num(slope.numpy(), nan=0.0, posinf=0.0, neginf=0.0)

    best = space.project(points)
    value, slope = value_and_slope(best)
    rate = np.full((len(best), 1), FIRST_STEP)
    memory = np.zeros_like(best)
    for _ in range(steps):
        if stop is not None and stop():
            break
        typical = np.sqrt(np.mean(best**2, axis=1, keepdims=True))
        scale = np.maximum(np.abs(best), 0.1 * typical + 1e-12)
        direction = np.clip(slope * scale, -1e300, 1e300)
        # by the largest entry first: squares of huge slopes overflow
        for size in (np.abs(direction).max(1, keepdims=True, initial=0.0), None):
            if size is None:
                size = np.sqrt(np.mean(direction**2, axis=1, keepdims=True))
            direction = np.divide(direction, size, out=np.zeros_like(direction), where=size > 0)
        memory = 0.5 * memory + direction
        trial = space.project(best + rate * scale * memory)
        new, new_slope = value_and_slope(trial)
        better = (new > value)[:, None]
        best = np.where(better, trial, best)
        slope = np.where(better, new_slope, slope)
        value = np.maximum(new, value)
        memory = np.where(better, memory, 0.0)
        rate = np.where(better, rate * 1.5, rate * 0.4)
    return best


__all__ = ["climb", "objective", "one_thread", "single_thread"]
