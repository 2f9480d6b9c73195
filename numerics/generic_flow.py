"""Gradient flow theta' = -grad loss(theta) of any model that is written in torch.

For two-layer ReLU networks ``numerics.integrate`` is faster and knows its error better; this path
takes whatever torch can differentiate, with the same care for kinks. Import it from here: this
module needs torch only when it is called.

The method is DOP853 (order 8, dense output of order 7) with a step size of its own for each lane.
A loss whose gradient jumps declares where, by *switch functions* that change their sign there; each
sign change is located on the dense output and the step is repeated so that it ends on it. Without
that declaration a jump costs the method its order and the error bound its meaning: where an
operation in the loss may jump, a warning says so and the bounds are infinite.

``GenericResult.radius`` is an estimate of a bound on the Euclidean error, computed in floating
point along the trajectory (``numerics.generic_bound``); it is not an enclosure. It becomes infinite
where the error outgrows what it can follow.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from numerics.errors import NumericsError
from numerics.generic_types import (
    GenericOptions,
    GenericResult,
    Measured,
    SwitchEvent,
    checked_start,
    checked_times,
    checked_tolerances,
    checked_until,
)

__all__ = ["GenericOptions", "GenericResult", "Measured", "SwitchEvent", "generic_flow"]

Array = NDArray[np.float64]


def generic_flow(
    loss: Callable[..., Any],
    start: Mapping[str, ArrayLike],
    *,
    until: float | ArrayLike,
    switches: Callable[..., Any] | None = None,
    quantities: Mapping[str, Callable[..., Any]] | None = None,
    record_at: ArrayLike | None = None,
    record_states: bool = False,
    rtol: float = 1e-9,
    atol: float = 1e-16,
    device: str = "cpu",
    dtype: str = "float64",
    compile: bool = False,
    options: GenericOptions | None = None,
) -> GenericResult:
    """Integrate B trajectories of theta' = -grad loss(theta) from 0 to ``until``.

    All functions are written for ONE trajectory, on a dictionary of tensors without the axis B, and
    vectorised by ``torch.func.vmap``: no in-place operations, no branches on values.

    The lanes are independent: the numbers of one do not depend on the others except for the
    rounding of batched products, which may differ with the size of the batch; two runs of the same
    batch on the same build agree bit for bit on the CPU.

    Args:
        loss: ``loss(params)``, a scalar tensor; with switches ``loss(params, pattern)``.
        start: name -> (B, ...) the parameters at t = 0.
        until: end time, positive; a number, or one per lane (B,).
        switches: ``switches(params, pattern) -> (S,)``; the gradient of the loss may jump only
            where one of these is 0. ``pattern`` is a boolean tensor (S,) that says which of them
            are to be taken as positive: for a given pattern both functions must be smooth, and
            continue smoothly to where the signs are others (``torch.where(pattern, z, 0)``, not
            ``torch.relu(z)``). ``pattern`` is None where the true signs are meant.
        quantities: name -> ``quantity(params)``, a scalar that is observed: at the end, at
            ``record_at``, and its supremum over time.
        record_at: (K,) increasing times. record_states: also keep the states at these.
        rtol, atol: the estimated error of a step is at most atol + rtol |theta|, in Euclidean
            norms over all parameters of a lane. ``atol`` decides when theta is tiny.
        device: "cpu", "cuda" or "auto" (CUDA where there is a GPU). Without a GPU the CPU is used
            and a warning says so. dtype: "float64" or "float32" (rtol of at least 1e-6).
        compile: compile the step by ``torch.compile``: seconds to minutes at first, faster
            afterwards. Where that fails, a warning says so, and the step is not compiled.
        options: budgets, kind of error bound, memory.

    Raises:
        NumericsError: arrays, times, tolerances, device or dtype that cannot be used; a loss that
            is no scalar per trajectory, not finite at the start, or not vectorisable.
    """
    import torch

    from numerics.generic_engine import Engine, Setup
    from numerics.generic_field import (
        DTYPES,
        Fields,
        Layout,
        check_functions,
        device_of,
        host,
        undeclared,
    )
    from numerics.generic_step import Stepper
    from numerics.generic_watch import Watch

    if not isinstance(quantities, (Mapping, type(None))):
        raise NumericsError("quantities must map names to functions of the parameters")
    for name, function in (("loss", loss), *(quantities or {}).items()):
        if not callable(function):
            raise NumericsError(f"{name} is no function; give one that takes the parameters")
    if switches is not None and not callable(switches):
        raise NumericsError("switches is no function; give one that takes (params, pattern)")
    options = options or GenericOptions()
    if not isinstance(options, GenericOptions):
        raise NumericsError(f"options is {options!r}; use GenericOptions(...)")
    arrays = checked_start(start)
    layout = Layout(arrays)
    end = checked_until(until, layout.lanes)
    checked_tolerances(rtol, atol, dtype)
    times = checked_times(record_at, end)
    place, kind = device_of(device), DTYPES[dtype]
    fields = Fields(layout, loss, switches, quantities or {})
    flat = layout.flat(arrays)
    stepper = Stepper(fields.slope, compiled=compile)
    unit = float(torch.finfo(kind).eps)
    setup = Setup(fields, stepper, rtol, atol, options, unit)
    parts: list[GenericResult] = []
    for first in range(0, layout.lanes, options.chunk):
        chosen = slice(first, first + options.chunk)
        y = torch.as_tensor(flat[chosen], device=place).to(kind, copy=True)
        pattern = check_functions(fields, y, quantities or {})
        rounded = flat[chosen] - host(y)
        radius = np.linalg.norm(rounded, axis=1)
        if first == 0:
            jumps = undeclared(fields, y, pattern)
            if jumps:
                warnings.warn(
                    f"the gradient of the loss may jump in {', '.join(jumps)}; declare it by switches, or there is no "
                    "error bound, and steps become tiny where it does",
                    RuntimeWarning,
                    stacklevel=2,
                )
                setup = replace(setup, options=replace(options, bound="none"))
        watch = Watch(fields, y, times, states=record_states and times.size > 0)
        engine = Engine(setup, y, pattern, end[chosen], radius, watch)
        engine.run()
        reached = host(engine.y)
        parts.append(
            GenericResult(
                status=tuple(s for s in engine.status if s is not None),
                reason=tuple(engine.reason),
                t=engine.t,
                params=layout.arrays(reached),
                radius=engine.radius,
                loss=fields.loss(engine.y, engine.pattern)
                .detach()
                .to("cpu", torch.float64)
                .numpy(),
                events=tuple(
                    replace(e, lane=e.lane + first)
                    for e in sorted(engine.events, key=lambda e: (e.lane, e.t))
                ),
                kinks=engine.kinks,
                steps=engine.steps,
                rejected=engine.rejected,
                final=watch.final(engine.y, engine.radius),
                suprema=watch.suprema(),
                recorded=watch.recorded(),
                path=None if watch.path is None else layout.arrays(watch.path),
                device=place.type,
                dtype=dtype,
                compiled=stepper.compiled,
            )
        )
    return parts[0] if len(parts) == 1 else _joined(parts)


def _joined(parts: Sequence[GenericResult]) -> GenericResult:
    """Results of consecutive chunks of lanes as one."""

    def arrays(pick: Callable[[GenericResult], Any]) -> Any:
        return np.concatenate([pick(part) for part in parts])

    def measured(pick: Callable[[GenericResult], dict[str, Measured]]) -> dict[str, Measured]:
        found = {}
        for name, one in pick(parts[0]).items():
            each = [pick(part)[name] for part in parts]
            time = None if one.time is None else np.concatenate([np.asarray(m.time) for m in each])
            value, error = (
                np.concatenate([getattr(m, a) for m in each]) for a in ("value", "error")
            )
            found[name] = Measured(value, error, time)
        return found

    first = parts[0]
    return GenericResult(
        status=tuple(s for part in parts for s in part.status),
        reason=tuple(r for part in parts for r in part.reason),
        t=arrays(lambda part: part.t),
        params={name: arrays(lambda part, name=name: part.params[name]) for name in first.params},  # type: ignore[misc]
        radius=arrays(lambda part: part.radius),
        loss=arrays(lambda part: part.loss),
        events=tuple(e for part in parts for e in part.events),
        kinks=arrays(lambda part: part.kinks),
        steps=arrays(lambda part: part.steps),
        rejected=arrays(lambda part: part.rejected),
        final=measured(lambda part: part.final),
        suprema=measured(lambda part: part.suprema),
        recorded=measured(lambda part: part.recorded),
        path=None
        if first.path is None
        else {
            name: np.concatenate([(part.path or {})[name] for part in parts]) for name in first.path
        },
        device=first.device,
        dtype=first.dtype,
        compiled=all(part.compiled for part in parts),
    )
