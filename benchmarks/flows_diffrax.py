"""diffrax, compiled: across the kinks, and restarted at each of them by a driver that misses none.

All lanes at once (``vmap``: each step waits for every lane that has not finished) or one lane after another by the same
compiled program, which on one thread is the faster way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix

from benchmarks.flows_methods import ATOL, Method, Outcome, Run
from benchmarks.flows_problem import Task

jax.config.update("jax_enable_x64", True)
# Evaluations of the field per step; the first stage is the last of the step before.
STAGES: dict[type[Any], int] = {diffrax.Tsit5: 6, diffrax.Dopri8: 13}


def field_of(task: Task) -> Callable[[Any, Any, Any], Any]:
    """Field of one lane (W, v): frozen where an activation pattern (h, n) is given, with its jumps where not."""
    X, y = jnp.asarray(task.X), jnp.asarray(task.y)

    def field(_: Any, u: Any, mask: Any) -> Any:
        w, v = u
        z = w @ X.T
        active = z > 0 if mask is None else mask
        g = y * jnp.exp(-y * (v @ jnp.where(active, z, 0.0)))
        G = jnp.where(active, g, 0.0) @ X
        return v[:, None] * G, (G * w).sum(axis=1)

    return field


def compiled(lane: Any, task: Task, vmap: bool) -> Callable[[Task, float], Any]:
    """``lane(w, v, rtol)`` on all lanes, or on the only one, compiled now for the shape of ``task``."""

    def lanes(W: Any, v: Any, rtol: Any) -> Any:
        if vmap:
            return jax.vmap(lane, in_axes=(0, 0, None))(W, v, rtol)
        return jax.tree.map(lambda x: x[None], lane(W[0], v[0], rtol))

    program = jax.jit(lanes).lower(task.W0, task.v0, jnp.asarray(1e-8)).compile()

    def run(task: Task, rtol: float) -> Any:
        return jax.tree.map(np.asarray, program(task.W0, task.v0, jnp.asarray(rtol)))

    return run


def prepare_across(task: Task, until: float, solver: type[Any], vmap: bool) -> Run:
    """One ``diffeqsolve`` on the field with its jumps."""
    field = field_of(task)

    def lane(w: Any, v: Any, rtol: Any) -> Any:
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            solver(),
            t0=0.0,
            t1=until,
            dt0=None,
            y0=(w, v),
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=ATOL * rtol),
            max_steps=None,
        )
        return solution.ys[0][-1], solution.stats["num_steps"]

    program = compiled(lane, task, vmap)

    def run(task: Task, rtol: float) -> Outcome:
        W, steps = program(task, rtol)
        return Outcome(W, float(steps.mean()) * STAGES[solver])

    return run


def prepare_events(task: Task, until: float, vmap: bool) -> Run:
    """Tsit5 of the frozen field with a terminal ``Event`` at the smallest margin, one flip, and a restart.

    Pairs that are found beyond their kink after a restart, which two kinks within the accuracy of a root bring
    about, are flipped at once; without that, lanes go on with a pattern that is not their own.
    """
    field = field_of(task)
    X = jnp.asarray(task.X)

    def margins(w: Any, mask: Any, fresh: Any) -> Any:
        z = w @ X.T
        return jnp.where(fresh, jnp.where(mask, z, -z), jnp.inf)

    def smallest(t: Any, y: Any, args: Any, **_: Any) -> Any:
        return margins(y[0], *args).min()

    def leg(carry: Any, rtol: Any) -> Any:
        t, u, mask, fresh, kinks, steps = carry
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, u, args: field(t, u, args[0])),
            diffrax.Tsit5(),
            t0=t,
            t1=until,
            dt0=None,
            y0=u,
            args=(mask, fresh),
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=ATOL * rtol),
            max_steps=None,
            event=diffrax.Event(
                smallest,
                optimistix.Newton(rtol=1e-13, atol=1e-16),
                direction=False,
            ),
            throw=False,
        )
        w, v = solution.ys[0][-1], solution.ys[1][-1]
        happened = solution.event_mask
        now = margins(w, mask, fresh)
        nearest = jnp.arange(now.size).reshape(now.shape) == now.argmin()
        flips = (nearest & happened) | (now < 0)
        return (
            solution.ts[-1],
            (w, v),
            mask ^ flips,
            fresh & ~flips,
            kinks + flips.sum(),
            steps + solution.stats["num_steps"],
        )

    def lane(w: Any, v: Any, rtol: Any) -> Any:
        mask = w @ X.T > 0
        start = (jnp.asarray(0.0), (w, v), mask, jnp.ones_like(mask), 0, 0)
        end = jax.lax.while_loop(lambda c: c[0] < until, lambda c: leg(c, rtol), start)
        return end[1][0], end[4], end[5]

    program = compiled(lane, task, vmap)

    def run(task: Task, rtol: float) -> Outcome:
        W, kinks, steps = program(task, rtol)
        return Outcome(W, float(steps.mean()) * STAGES[diffrax.Tsit5], kinks)

    return run


METHODS = (
    Method(
        "diffrax-tsit5",
        "diffrax Tsit5, vmap",
        "across",
        partial(prepare_across, solver=diffrax.Tsit5, vmap=True),
    ),
    Method(
        "diffrax-tsit5-lanes",
        "diffrax Tsit5, lane by lane",
        "across",
        partial(prepare_across, solver=diffrax.Tsit5, vmap=False),
        single=True,
    ),
    Method(
        "diffrax-dopri8-lanes",
        "diffrax Dopri8, lane by lane",
        "across",
        partial(prepare_across, solver=diffrax.Dopri8, vmap=False),
        single=True,
    ),
    Method(
        "diffrax-events",
        "diffrax Tsit5, Event restarts, vmap",
        "events",
        partial(prepare_events, vmap=True),
    ),
    Method(
        "diffrax-events-lanes",
        "diffrax Tsit5, Event restarts, lane by lane",
        "events",
        partial(prepare_events, vmap=False),
        single=True,
    ),
)
