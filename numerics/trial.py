"""One step of a batch of lanes, computed and bounded but not yet accepted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from numerics.components import Components, connect, regroup
from numerics.events import Crossing, locate
from numerics.polynomials import powers
from numerics.problem import FlowOptions
from numerics.radii import StepBounds, propagate
from numerics.state import State, horner, norms
from numerics.taylor import Data, Field, Frame, Series, evaluate_field

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

# No step is longer than this many units of the series, however small the last coefficients are.
LONGEST = 1024.0
# A kink within this fraction of the step that the tolerance allows makes a lane "dense".
DENSE = 0.125


@dataclass
class Trial:
    """A step of L lanes.

    Args:
        state, frame, series: at its start. crossing: where it ends, and why. tau: (L,) length.
        unit_w: (L, p+1, h, d), unit_v: (L, p+1, h) dense output on [0, 1].
        w1: (L, h, d), v1: (L, h) at its end. fields: the field at its middle and its end.
        bounds: error radii at its end. parts: components of neurons.
        dense: (L,) see ``State``.
    """

    state: State
    frame: Frame
    series: Series
    crossing: Crossing
    tau: Array
    unit_w: Array
    unit_v: Array
    w1: Array
    v1: Array
    fields: Field
    bounds: StepBounds
    parts: Components
    dense: Bools

    def take(self, rows: Ints) -> Trial:
        """The trial restricted to some of its rows."""
        return _take(self, rows)


def attempt(
    data: Data,
    state: State,
    frame: Frame,
    series: Series,
    remaining: Array,
    options: FlowOptions,
    *,
    dense: bool,
) -> Trial:
    """Choose the step, cut it at the first kink, evaluate its end and its error.

    Args:
        remaining: (L,) time to the end. dense: the series is of the low degree for dense kinks.
    """
    allowed = _step_length(series, state, options)
    crossing = locate(
        series.z, state.mask, state.order, np.minimum(allowed, remaining / series.unit)
    )
    tau = crossing.step * series.unit
    scale = powers(crossing.step, series.v.shape[1] - 1)
    unit_w = series.w * scale[:, :, None, None]
    unit_v = series.v * scale[:, :, None]
    w1, v1 = horner(unit_w, 1.0), horner(unit_v, 1.0)
    nodes_w = np.stack((horner(unit_w, 0.5), w1), axis=1)
    nodes_v = np.stack((horner(unit_v, 0.5), v1), axis=1)
    with np.errstate(all="ignore"):
        fields = evaluate_field(data, nodes_w, nodes_v, state.mask, frame)
    parts = Components.of(connect(state.mask), state.exponent)
    top = regroup(state.label, state.top_exponent, state.top, parts)
    bounds = propagate(
        data,
        series,
        tau,
        unit_w,
        unit_v,
        nodes_w,
        nodes_v,
        fields,
        state.mask,
        frame,
        parts,
        state.radius,
        top,
    )
    threshold = allowed if dense else DENSE * allowed
    # From the vanishing of higher coefficients at a kink only the full degree tells the motion.
    special = ((state.order > 1) & (state.order <= options.order)).any(axis=(1, 2))
    close = (crossing.pair >= 0) & (crossing.step < threshold) & ~special
    return Trial(
        state, frame, series, crossing, tau, unit_w, unit_v, w1, v1, fields, bounds, parts, close
    )


T = TypeVar("T")


def _take(value: T, rows: Ints) -> T:
    """Rows of an array, or of all arrays inside a dataclass."""
    if isinstance(value, np.ndarray):
        return value[rows]  # type: ignore[return-value]
    return type(value)(**{name: _take(part, rows) for name, part in vars(value).items()})


def _step_length(series: Series, state: State, options: FlowOptions) -> Array:
    """(L,) step in the series' unit: the last two terms are below rtol for every neuron."""
    if options.fixed_step is not None:
        return options.fixed_step / series.unit
    size = norms(state.w, state.v)
    step = np.full(size.shape[0], LONGEST)
    order = series.v.shape[1] - 1
    for k in (order - 1, order):
        with np.errstate(all="ignore"):
            last = norms(series.w[:, k], series.v[:, k])
            allowed = (options.rtol * size / last) ** (1.0 / k)
        allowed = np.where((last > 0) & (size > 0), allowed, LONGEST)
        step = np.minimum(step, allowed.min(axis=1))
    return step
