"""The loop over iterations: batched updates, suprema and records on the way, divergence lane by lane.

Every update is one graph over the whole batch (``numerics.descent_graph``). A lane that leaves the representable range
is frozen at its last iterate; the others go on. Nothing is stored along the way but what was asked for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from numerics import descent_wide as wide
from numerics.descent_bounds import Enclosure, as_array
from numerics.descent_graph import Traced, compiled, traced
from numerics.descent_implicit import Implicit
from numerics.descent_setup import brief
from numerics.descent_types import (
    LIMIT,
    LIMIT_SINGLE,
    Array,
    Dynamics,
    Evidence,
    IterationResult,
    IterationStatus,
    Supremum,
    unflat,
)
from numerics.errors import NumericsError


@dataclass
class _Running:
    """Largest values so far with the brackets around them, (B, parts)."""

    value: Array
    low: Array
    high: Array
    iteration: np.ndarray[Any, np.dtype[np.int64]]

    def see(self, value: Array, low: Array, high: Array, k: int) -> None:
        better = value > self.value
        self.iteration = np.where(better, k, self.iteration)
        self.value = np.where(better, value, self.value)
        self.low, self.high = np.maximum(self.low, low), np.maximum(self.high, high)


class Loop:
    """One run of a ``Dynamics``."""

    def __init__(self, dynamics: Dynamics) -> None:
        self.dynamics, options = dynamics, dynamics.options
        self.device = options.place()
        self.dtype = getattr(torch, options.dtype)
        self.limit = LIMIT if options.dtype == "float64" else LIMIT_SINGLE
        self.z = self._tensor(dynamics.start)
        self.lanes, self.size = dynamics.start.shape
        self.enclosure: Enclosure | None = None
        why = self._no_bound()
        directions = 0 if why else self.size
        example = self._arguments(dynamics.first)
        before = (self.z,) if dynamics.implicit else ()
        self.update = traced(dynamics.step, *before, self.z, *example, directions=directions)
        self.shown: Traced | None = None
        if dynamics.quantities is not None:
            self.shown = traced(dynamics.quantities, self.z, directions=directions)
        why = why or self._untraced(before, example)
        if not why:
            error = dynamics.start_error
            start = as_array(self.z)
            # entries that the format cannot hold are rounded before the first update
            rounding = np.abs(start - dynamics.start)
            self.enclosure = Enclosure(start, rounding if error is None else error + rounding)
        self.why = why
        self.run_update = self._runner(example)
        self.residual = np.zeros(self.lanes)

    def _tensor(self, array: Any) -> Tensor:
        return torch.as_tensor(np.array(array), dtype=self.dtype, device=self.device)

    def _arguments(self, k: int) -> tuple[Tensor, ...]:
        extra = [self._tensor(self.dynamics.coefficients(k))]
        if self.dynamics.rows is not None:
            extra.append(torch.as_tensor(self.dynamics.rows(k), device=self.device))
        return tuple(extra)

    def _no_bound(self) -> str:
        """Why no bound can be had, before anything is traced; "" if it can."""
        options = self.dynamics.options
        if not options.bound:
            return "no bound was asked for"
        if not wide.available():
            return "this platform has no extended precision, so there is no bound"
        if self.size > options.bound_limit:
            return f"the state has {self.size} numbers; raise bound_limit for a bound"
        return ""

    def _untraced(self, before: tuple[Tensor, ...], example: tuple[Tensor, ...]) -> str:
        if self.enclosure is None and not self.dynamics.options.bound:
            return ""
        for graph in (self.update, self.shown):
            if graph is not None and (graph.reason or wide.missing(graph.full)):
                names = ", ".join(wide.missing(graph.full))
                return graph.reason or f"no bound is known for the operations {names}"
        try:
            wide.evaluate(self.update.full, *before, self.z, *example)
            if self.shown is not None:
                wide.evaluate(self.shown.full, self.z)
        except (TypeError, ValueError, IndexError, KeyError, NotImplementedError) as error:
            return f"no bound is known for an operation in this form ({brief(error)})"
        return ""

    def _runner(self, example: tuple[Tensor, ...]) -> Callable[..., tuple[Tensor, Tensor | None]]:
        if self.dynamics.implicit:
            if self.dynamics.options.compile:
                raise NumericsError("compile=True: implicit steps are not compiled; leave it out")
            return Implicit(self.update, self.dynamics.implicit)
        function: Callable[..., Tensor] = self.update.value
        if self.dynamics.options.compile:
            try:
                function = compiled(self.update.value, self.z, *example)
            except Exception as error:
                text = str(error).strip().splitlines()[0]
                raise NumericsError(f"torch.compile failed ({text}); use compile=False") from error
        return lambda z, *rest: (function(z, *rest), None)

    # --- running -------------------------------------------------------------------------------

    def run(self) -> IterationResult:
        """All iterations."""
        dynamics, lanes = self.dynamics, self.lanes
        alive = torch.ones(lanes, dtype=torch.bool, device=self.device)
        unsolved = torch.zeros_like(alive)
        count = torch.zeros(lanes, dtype=torch.int64, device=self.device)
        parts = len(dynamics.parts)
        empty = np.full((lanes, parts), -np.inf)
        self.best = _Running(empty, empty, empty, np.zeros((lanes, parts), dtype=np.int64))
        records = np.full((2, lanes, len(dynamics.record_at), parts), np.nan)
        last = dynamics.first + dynamics.iterations
        with torch.no_grad():
            for k in range(dynamics.first, last + 1):
                value, error = self._look(k)
                if k in dynamics.record_at:
                    at = dynamics.record_at.index(k)
                    running = alive.cpu().numpy()[:, None]
                    records[0, :, at] = np.where(running, value, np.nan)
                    records[1, :, at] = np.where(running, error, np.nan)
                if k == last:
                    break
                rest = self._arguments(k)
                new, solved = self.run_update(self.z, *rest)
                # neither infinite nor nan, for which no comparison holds
                within = torch.linalg.vector_norm(new, dim=1) <= self.limit
                if solved is not None:
                    unsolved |= alive & ~solved
                    within &= solved
                alive &= within
                self._bound(new, rest, alive, k)
                # On a GPU looking costs more than copying.
                whole = self.device == "cpu" and bool(alive.all())
                self.z = new if whole else torch.where(alive[:, None], new, self.z)
                count += alive
                if k % 16 == 0 and not bool(alive.any()):
                    value, error = self._look(k + 1)
                    break
        return self._result(alive, unsolved, count.cpu().numpy(), (value, error), records)

    def _look(self, k: int) -> tuple[Array, Array]:
        """Quantities of the current iterate (B, parts), with errors; suprema are updated."""
        parts = self.dynamics.parts
        if self.shown is None:
            return np.zeros((self.lanes, 0)), np.zeros((self.lanes, 0))
        entries = as_array(self.shown.value(self.z))
        if self.enclosure is None:
            errors = np.full(entries.shape, np.inf)
        else:
            found = self.enclosure.linearise(self.shown, self.z, seed=k)
            errors = self.enclosure.read(found, entries)
        ends = np.cumsum([size for _, size in parts])[:-1]
        with np.errstate(invalid="ignore"):
            # outwards by one unit: the sum of a value and a tiny error is rounded itself
            low = np.where(errors > 0, np.nextafter(entries - errors, -np.inf), entries)
            high = np.where(errors > 0, np.nextafter(entries + errors, np.inf), entries)
            split = zip(*(np.split(a, ends, axis=1) for a in (entries, low, high)), strict=True)
            columns = [[part.max(axis=1) for part in parts] for parts in split]
            value, low, high = (np.stack(c, axis=1) for c in zip(*columns, strict=True))
            self.best.see(value, low, high, k)
            error = np.maximum(high - value, value - low)
        return value, np.where(np.isnan(error), np.inf, error)

    def _bound(self, new: Tensor, rest: tuple[Tensor, ...], alive: Tensor, k: int) -> None:
        if self.dynamics.implicit:
            left = as_array(self.update.value(new, self.z, *rest))
            size = np.where(alive.cpu().numpy(), np.sqrt((left**2).sum(axis=1)), 0.0)
            self.residual = np.maximum(self.residual, size)
        enclosure = self.enclosure
        moving = alive.cpu().numpy()
        if enclosure is None or not (moving & enclosure.known).any():
            return
        z, after = as_array(self.z), as_array(new)
        if self.dynamics.implicit:
            # lanes that left the range hold anything; their rows are not used
            safe = torch.where(alive[:, None], new, self.z)
            J, local, second, clear = Implicit.linearise(
                enclosure, self.update, safe, self.z, rest, k
            )
        else:
            found = enclosure.linearise(self.update, self.z, *rest, seed=k)
            J, second = found.J, found.second
            clear = found.clear(enclosure.centre, enclosure.L)
            with np.errstate(all="ignore"):
                local = (after - found.wide).astype(np.float64)
        enclosure.advance(J, local, second, clear, z, after, moving, k)

    # --- the end -------------------------------------------------------------------------------

    def _result(
        self,
        alive: Tensor,
        unsolved: Tensor,
        count: np.ndarray[Any, np.dtype[np.int64]],
        final: tuple[Array, Array],
        records: Array,
    ) -> IterationResult:
        dynamics = self.dynamics
        status, reason = [], []
        for lane in range(self.lanes):
            at = dynamics.first + int(count[lane])
            why = self.why or (self.enclosure.reason[lane] if self.enclosure is not None else "")
            if bool(alive[lane]):
                status.append(IterationStatus.ok)
            elif bool(unsolved[lane]):
                status.append(IterationStatus.unsolved)
                why = f"iteration {at} was not solved" + (f"; {why}" if why else "")
            else:
                status.append(IterationStatus.diverged)
                why = f"left the range in iteration {at}" + (f"; {why}" if why else "")
            reason.append(why)
        state = as_array(self.z)
        state_error = (
            np.full(state.shape, np.inf) if self.enclosure is None else self.enclosure.error
        )
        best, names = self.best, [name for name, _ in dynamics.parts]
        with np.errstate(invalid="ignore"):
            wide_error = np.maximum(best.high - best.value, best.value - best.low)
        wide_error = np.where(np.isnan(wide_error), np.inf, wide_error)
        return IterationResult(
            status=tuple(status),
            reason=tuple(reason),
            iterations=count,
            iterate=unflat(state, dynamics.layout, batch=True),
            error=unflat(state_error, dynamics.layout, batch=True),
            suprema={
                name: Supremum(best.value[:, p], wide_error[:, p], best.iteration[:, p])
                for p, name in enumerate(names)
            },
            final={name: Evidence(final[0][:, p], final[1][:, p]) for p, name in enumerate(names)},
            recorded={
                name: Evidence(records[0, :, :, p], records[1, :, :, p])
                for p, name in enumerate(names)
            },
            record_at=dynamics.record_at,
            residual=self.residual,
            state=state,
            state_error=state_error,
            next_iteration=dynamics.first + dynamics.iterations,
            device=self.device,
            dtype=dynamics.options.dtype,
            compiled=dynamics.options.compile,
        )


def run(dynamics: Dynamics) -> IterationResult:
    """Run it; torch's remarks on batching rules that it lacks are not ours to print."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*performance drop.*")
        return Loop(dynamics).run()
