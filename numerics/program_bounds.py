"""Straight-line programs on batches of float64 values with error bounds.

The instructions are those of `theory.program`; they are read by their attributes alone. Bounds are sound up to what
they assume of the hardware and the libraries: IEEE arithmetic, and elementary functions within 4 units in the last
place. Nothing is assumed of LAPACK.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from numerics import program_bounds_arithmetic as arithmetic
from numerics import program_bounds_functions as functions
from numerics import program_bounds_spectra as spectra
from numerics.errors import NumericsError
from numerics.program_bounds_core import Bounded, Float, U, close, common, grid, missing, radius
from numerics.program_signs import Instruction, Signs, signs
from numerics.program_values import Oracle, batch_size, needed, oracle_of


def bounds(
    instructions: Sequence[Instruction],
    inputs: Mapping[str, Float],
    radii: Mapping[str, Float],
    wanted: Sequence[int],
    *,
    oracles: Mapping[str, Oracle] | None = None,
) -> dict[int, tuple[Float, Float]]:
    """The values of some instructions on a batch, with bounds on their errors.

    Args:
        instructions: see `theory.program.Program.instructions`.
        inputs: name -> (B, *shape). radii: name -> (B, *shape) or broadcastable: how far the true inputs may be; a
            missing name means that the input is exact.
        wanted: numbers of instructions.
        oracles: kind -> function of parameters and of (mid, rad) of the arguments, (B, *shape) each.

    Returns:
        Number -> (mid, rad), (B, *shape) each: |true - mid| <= rad for all inputs within the radii. rad is infinite
        where nothing is known (an overflow; an argument that may be outside of the domain), and NaN where the value is
        undefined for all inputs within the radii; mid is NaN where it is undefined or may be.

    Raises:
        NumericsError: a missing or mis-shaped input, an unknown operator or oracle, an oracle without error bound.
    """
    batch = batch_size({k: np.shape(v) for k, v in inputs.items()}, instructions)
    facts = signs(instructions)
    at: dict[int, Bounded] = {}
    with np.errstate(all="ignore"):
        for k in needed(instructions, wanted):
            i = instructions[k]
            args = [at[a] for a in i.args]
            if i.op == "input":
                at[k] = _input(i, inputs, radii)
            elif i.op == "oracle":
                at[k] = _ask(i, args, batch, oracles or {})
            else:
                at[k] = _apply(i, args, facts)
    return {k: _batch_first(at[k], (*instructions[k].shape, batch)) for k in wanted}


def _batch_first(a: Bounded, shape: tuple[int, ...]) -> tuple[Float, Float]:
    m, r = a.m, 0.0 if a.r is None else a.r
    return (
        np.ascontiguousarray(np.moveaxis(np.broadcast_to(m, shape), -1, 0)),
        np.ascontiguousarray(np.moveaxis(np.broadcast_to(r, shape), -1, 0)),
    )


def _input(i: Instruction, inputs: Mapping[str, Float], radii: Mapping[str, Float]) -> Bounded:
    name = i.attributes["name"]
    mid = np.asarray(inputs[name], dtype=np.float64)
    m = np.ascontiguousarray(np.moveaxis(mid, 0, -1))
    r = None
    if name in radii:
        rad = np.asarray(radii[name], dtype=np.float64)
        if not (rad >= 0).all():
            raise NumericsError(
                f"the radius of {name!r} is negative or NaN: give how far it may be off"
            )
        if rad.any():
            r = np.ascontiguousarray(np.moveaxis(np.broadcast_to(rad, mid.shape), 0, -1))
    return close(m, r, grid(m), (), terms=0)


def _ask(
    i: Instruction, args: Sequence[Bounded], batch: int, oracles: Mapping[str, Oracle]
) -> Bounded:
    given = [_batch_first(a, (*a.m.shape[:-1], batch)) for a in args]
    measured = oracle_of(i, oracles)(i.attributes["parameters"], given)
    shape = (batch, *i.shape)
    try:
        mid, rad = measured
        if rad is None:
            raise TypeError
        m, r = (np.broadcast_to(np.asarray(x, dtype=np.float64), shape) for x in (mid, rad))
    except (TypeError, ValueError):
        raise NumericsError(
            f"the oracle {i.attributes['kind']!r} gives no value and error bound of shape {shape}: "
            "return a pair of arrays (B, *shape)"
        ) from None
    m, r = (np.ascontiguousarray(np.moveaxis(x, 0, -1)) for x in (m, r))
    r = np.where(r < 0, np.inf, r)
    return close(m, r, None, args, terms=0, collect=_any_lane(len(i.shape)))


def _any_lane(depth: int) -> Callable[[Bounded], Any]:
    """An undefined argument leaves everything in its lane undefined."""

    def collect(a: Bounded) -> Any:
        gone = missing(a)
        if gone is None:
            return None
        lanes = gone.reshape(-1, gone.shape[-1]).any(axis=0)
        return lanes.reshape((1,) * depth + lanes.shape)

    return collect


@lru_cache(maxsize=1024)
def _constant(values: tuple[str, ...], shape: tuple[int, ...]) -> Bounded:
    mids, rads = [], []
    for text in values:
        exact = Fraction(text)
        try:
            mid = float(exact)
            off = abs(exact - Fraction(mid))
            rads.append(0.0 if off == 0 else math.nextafter(float(off), math.inf))
        except OverflowError:
            mid = math.inf
            rads.append(math.inf)
        mids.append(mid)
    m, r = np.array(mids).reshape(*shape, 1), np.array(rads).reshape(*shape, 1)
    return close(m, r if r.any() else None, grid(m), (), terms=0)


_PI = Bounded(np.full(1, math.pi), np.full(1, 2 * U), None)  # π - fl(π) = 1.2e-16


def _apply(i: Instruction, args: list[Bounded], facts: Signs) -> Bounded:
    op = i.op
    if op in _DIRECT:
        return _DIRECT[op](*args)
    if op == "constant":
        return _constant(tuple(i.attributes["values"]), i.shape)
    if op == "pi":
        return _PI
    if op == "power":
        exponent = Fraction(i.attributes["exponent"])
        return functions.power(args[0], exponent, facts.nonnegative[i.args[0]])
    if op == "sqrt":
        return functions.sqrt(args[0], facts.nonnegative[i.args[0]])
    if op in _REDUCTIONS:
        return _REDUCTIONS[op](args[0], i.attributes["axis"])
    if op == "eigenvalues":
        return spectra.eigenvalues(args[0], facts.positive_semidefinite[i.args[0]])
    if op in ("reshape", "gather", "concatenate"):
        return _rearranged(i, args)
    if op == "transpose":
        a = args[0]
        r = None if a.r is None else np.broadcast_to(a.r, a.m.shape).swapaxes(0, 1)
        return Bounded(a.m.swapaxes(0, 1), r, a.g)
    raise NumericsError(f"unknown operator {op!r}: use those of theory.program")


def _rearranged(i: Instruction, args: Sequence[Bounded]) -> Bounded:
    """Entries of the arguments, one after the other, in another order and shape."""
    width = max((a.m.shape[-1] for a in args), default=1)

    def joined(parts: Sequence[Float]) -> Float:
        flat = [np.broadcast_to(x, (*x.shape[:-1], width)).reshape(-1, width) for x in parts]
        out = flat[0] if len(flat) == 1 else np.concatenate([np.zeros((0, width)), *flat])
        if i.op == "gather":
            out = out[np.array(i.attributes["indices"], dtype=np.intp)]
        return out.reshape(*i.shape, width)

    exact = all(a.r is None for a in args)
    r = None if exact else joined([np.broadcast_to(radius(a), a.m.shape) for a in args])
    g: Float | None = np.full(1, np.inf)
    for a in args:
        g = common(g, a.g)
    return Bounded(joined([a.m for a in args]), r, g)


_DIRECT: dict[str, Callable[..., Bounded]] = {
    "add": arithmetic.add,
    "sub": arithmetic.sub,
    "mul": arithmetic.mul,
    "div": arithmetic.div,
    "max": arithmetic.maximum,
    "min": arithmetic.minimum,
    "neg": arithmetic.neg,
    "abs": arithmetic.absolute,
    "relu": arithmetic.relu,
    "step": arithmetic.step,
    "sign": arithmetic.sign,
    "matmul": arithmetic.matmul,
    "exp": functions.exp,
    "expm1": functions.expm1,
    "log": functions.log,
    "log1p": functions.log1p,
    "tanh": functions.tanh,
    "sin": functions.sin,
    "cos": functions.cos,
    "acos": functions.acos,
    "singular_values": spectra.singular_values,
}
_REDUCTIONS: dict[str, Callable[[Bounded, int], Bounded]] = {
    "sum": arithmetic.total,
    "amax": arithmetic.amax,
    "amin": arithmetic.amin,
}
