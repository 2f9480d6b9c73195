"""What descent and minimax iterations share before they run: where they begin, and what they may be given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from numerics.descent_types import Array, Dynamics, IterationResult, flat, read_start, unflat
from numerics.errors import NumericsError

Quantity = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True, eq=False)
class Begun:
    """State (B, copies * size) whose first ``size`` numbers are the iterate, its error and the iteration."""

    state: Array
    error: Array | None
    layout: tuple[tuple[str, tuple[int, ...]], ...]
    size: int
    first: int


def begin(
    start: Mapping[str, ArrayLike] | None, resume: IterationResult | None, *, copies: int
) -> Begun:
    """A fresh start, with the memory equal to the iterate, or the state of a former result.

    Raises:
        NumericsError: both or none given, a bad start, a result that does not fit or has stopped lanes.
    """
    if (start is None) == (resume is None):
        raise NumericsError("give either start or resume")
    if resume is None:
        iterate, layout = flat(read_start(start or {}))
        state = np.concatenate([iterate] * copies, axis=1)
        return Begun(state, None, layout, iterate.shape[1], 0)
    if not resume.ok:
        raise NumericsError("resume: a lane has stopped; start again from the lanes that run")
    layout = tuple((name, a.shape[1:]) for name, a in resume.iterate.items())
    size = sum(math.prod(shape) for _, shape in layout)
    if resume.state.shape[1] != copies * size:
        raise NumericsError("resume comes from another kind of method; give the one that made it")
    return Begun(resume.state, resume.state_error, layout, size, resume.next_iteration)


def brief(error: Exception) -> str:
    """The kind of an error of the user's own function, and the first line of what it says."""
    return ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]])


def check_start(
    function: Callable[..., Any], dynamics: Dynamics, name: str, shape: tuple[int, ...]
) -> None:
    """``function(params, *rows)`` gives finite values of this shape for every lane at the start.

    Raises:
        NumericsError: it does not, or torch cannot evaluate it over a batch.
    """
    import torch

    options, size = dynamics.options, sum(math.prod(shape) for _, shape in dynamics.layout)
    dtype, device = getattr(torch, options.dtype), options.place(quiet=True)
    z = torch.as_tensor(dynamics.start[:, :size], dtype=dtype, device=device)
    given = []
    if dynamics.rows is not None:
        given.append(torch.as_tensor(dynamics.rows(dynamics.first), device=device))
    try:
        value = torch.func.vmap(lambda q, *r: function(unflat(q, dynamics.layout), *r))(z, *given)
    except Exception as error:
        raise NumericsError(
            f"the {name} cannot be evaluated over a batch: {brief(error)}"
        ) from error
    if not isinstance(value, torch.Tensor):
        raise NumericsError(f"the {name} returns {type(value).__name__}; return a tensor")
    if value.shape != (len(z), *shape):
        wanted = f"of shape {shape}" if shape else "a scalar"
        found = tuple(value.shape[1:])
        raise NumericsError(f"the {name} of one trajectory is not {wanted} but {found}; reshape it")
    if value.dtype != dtype:
        raise NumericsError(f"the {name} is {value.dtype} for a state in {dtype}; convert its data")
    finite = torch.isfinite(value.reshape(len(z), -1)).all(dim=1)
    bad = torch.nonzero(~finite).flatten().tolist()
    if bad:
        raise NumericsError(f"the {name} is not finite at the start in lanes {bad[:5]}; move it")


def with_quantities(dynamics: Dynamics, quantities: Mapping[str, Quantity] | None) -> Dynamics:
    """The same with the quantities, whose sizes are found on the first lane.

    Raises:
        NumericsError: a quantity that is neither a scalar nor a vector, or empty.
    """
    import torch

    if not quantities:
        if dynamics.record_at:
            raise NumericsError("record_at without quantities records nothing; name some")
        return dynamics
    options = dynamics.options
    z = torch.as_tensor(
        dynamics.start[0], dtype=getattr(torch, options.dtype), device=options.place(quiet=True)
    )
    parts = []
    for name, quantity in quantities.items():
        try:
            value = quantity(unflat(z, dynamics.layout))
        except Exception as error:
            raise NumericsError(f"quantity {name!r} cannot be evaluated: {brief(error)}") from error
        if not isinstance(value, torch.Tensor) or value.ndim > 1 or value.numel() == 0:
            raise NumericsError(f"quantity {name!r}: return a tensor, a scalar or a vector")
        parts.append((name, value.numel()))
    functions = tuple(quantities.values())

    def shown(q: Any) -> Any:
        params = unflat(q, dynamics.layout)
        return torch.cat([function(params).reshape(-1) for function in functions])

    return replace(dynamics, quantities=shown, parts=tuple(parts))
