"""Arrays of floats with an exponent beside them and an error radius.

A `ScaledArray` stands for ``m * 2**e`` with an absolute error of at most ``r * 2**e``. The exponent (int64) is kept
beside the mantissa, so quantities of the size 1e-1500 (an alignment statement at eps = 1e-768) neither underflow nor
lose accuracy. The radius is propagated with every operation: the operands' errors exactly to first order and with their
products, plus a few units of rounding. Elementary functions are charged two units in the last place.

All arrays have the same number of dimensions and broadcast; an axis that a quantity does not have has length 1. The
radius of a vector (last axis) bounds the Euclidean norm of the error, so it has length 1 along the last axis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numerics.errors import NumericsError

Float = NDArray[np.float64]
Int = NDArray[np.int64]

# two rounding units: covers numpy's elementary functions (below one ulp) and the op itself
UNIT = 2.0**-52
LOG2 = float(np.log(2.0))
UP = 1.0 + 2.0**-50  # radii are themselves rounded
TINY = float(np.finfo(float).tiny)  # below it floats lose accuracy
SAFE = 2.0**300  # mantissas outside [1/SAFE, SAFE] are renormalised


@dataclass(frozen=True, slots=True)
class ScaledArray:
    """``m * 2**e`` within ``r * 2**e``.

    Attributes:
        m: mantissas, float64.
        r: error radii >= 0, broadcastable to ``m``; for vectors (last axis longer than 1) length 1 along it.
        e: exponents, int64, broadcastable to ``m``, length 1 along the last axis.
    """

    m: Float
    r: Float
    e: Int

    # -- arithmetic ---------------------------------------------------------------------------------------------
    def __neg__(self) -> ScaledArray:
        return ScaledArray(-self.m, self.r, self.e)

    def __add__(self, other: ScaledArray) -> ScaledArray:
        a, b, e = _align(self, other)
        m = a.m + b.m
        return ScaledArray(m, UP * (a.r + b.r + UNIT * _size(m)), e)

    def __sub__(self, other: ScaledArray) -> ScaledArray:
        return self + (-other)

    def __mul__(self, other: ScaledArray) -> ScaledArray:
        m = self.m * other.m
        a, b = (other, self) if _exact(self) else (self, other)
        sa, sb = _size(a.m), _size(b.m)
        if _exact(b):
            r = bound(lambda: sb * (a.r + UNIT * sa))
        else:
            r = bound(lambda: sa * b.r + sb * a.r + a.r * b.r + UNIT * sa * sb)
        return _tidy(m, UP * r, self.e + other.e)

    def __truediv__(self, other: ScaledArray) -> ScaledArray:
        with np.errstate(divide="ignore", invalid="ignore"):
            low = np.abs(other.m) - other.r
            m = self.m / other.m
            q = _size(m)
            r = np.where(
                low > 0, (self.r + q * other.r) / np.where(low > 0, low, 1.0) + UNIT * q, np.inf
            )
        return _tidy(m, UP * r, self.e - other.e)

    def scale(self, exponent: Int) -> ScaledArray:
        """Exact multiplication by ``2**exponent``."""
        return ScaledArray(self.m, self.r, self.e + exponent)

    def take(self, rows: NDArray[np.intp]) -> ScaledArray:
        """The array at some indices of the first axis; an axis of length 1 stays as it is."""

        def pick(x: Any) -> Any:
            return x if x.shape[0] == 1 else x[rows]

        return ScaledArray(pick(self.m), pick(self.r), pick(self.e))

    # -- functions ----------------------------------------------------------------------------------------------
    def abs(self) -> ScaledArray:
        """Absolute value."""
        return ScaledArray(np.abs(self.m), self.r, self.e)

    def relu(self) -> ScaledArray:
        """max(., 0); exact zero where the whole ball is negative."""
        return ScaledArray(
            np.maximum(self.m, 0.0), np.where(self.m + self.r <= 0, 0.0, self.r), self.e
        )

    def sign(self) -> ScaledArray:
        """-1, 0 or 1; the radius is 1 (or 2) where the ball contains 0 and is not exactly 0."""
        unsure = (self.r > 0) & (np.abs(self.m) <= self.r)
        return ScaledArray(
            np.sign(self.m),
            np.where(unsure, 1.0 + np.abs(np.sign(self.m)), 0.0),
            np.zeros_like(self.e),
        )

    def step(self) -> ScaledArray:
        """1 where positive, else 0; the radius is 1 where the ball contains 0 and is not exactly 0."""
        unsure = ~(np.abs(self.m) > self.r) & ((self.r > 0) | np.isnan(self.m))
        return ScaledArray((self.m > 0).astype(float), unsure.astype(float), np.zeros_like(self.e))

    def sqrt(self) -> ScaledArray:
        """Square root; an error reaching below zero is cut at zero (the true value is known to be >= 0)."""
        odd = self.e & 1
        m, r, e = self.m * (1 + odd), self.r * (1 + odd), (self.e - odd) >> 1
        root = np.sqrt(np.maximum(m, 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            # |sqrt(a) - sqrt(m)| = |a - m| / (sqrt(a) + sqrt(m)) <= r / sqrt(m), and <= sqrt(r) always
            linear = np.where(root > 0, r / np.where(root > 0, root, 1.0), np.inf)
        radius = np.minimum(linear, np.sqrt(np.maximum(r, 0) + np.maximum(-m, 0)))
        return ScaledArray(root, UP * radius + UNIT * root, e)

    def power(self, exponent: float) -> ScaledArray:
        """A power with a real exponent, on nonnegative values (any value for small integers)."""
        if exponent == int(exponent) and 0 < exponent <= 8:
            out = self
            for _ in range(int(exponent) - 1):
                out = out * self
            return out
        if exponent == 0.5:
            return self.sqrt()
        general = (self.log() * constant(exponent, self.m.ndim)).exp()
        zero = (self.m == 0) & (self.r == 0)
        if exponent <= 0 or not zero.any():
            return general
        return ScaledArray(
            np.where(zero, 0.0, general.m), np.where(zero, 0.0, general.r), general.e
        )

    def log(self) -> ScaledArray:
        """Natural logarithm; -inf at exact zeros, radius inf where the ball reaches 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.log(self.m) + self.e * LOG2
            ratio = self.r / np.abs(self.m)
            r = np.where(self.m > self.r, -np.log1p(-np.minimum(ratio, 1.0)), np.inf)
        r = np.where(
            (self.m == 0) & (self.r == 0),
            0.0,
            r + UNIT * (1.0 + np.abs(self.e) + np.abs(np.where(np.isfinite(value), value, 0.0))),
        )
        return ScaledArray(value, r, np.zeros_like(self.e))

    def exp(self) -> ScaledArray:
        """Exponential, with its own exponent, so that neither overflow nor underflow happens."""
        x, r = self.to_float()
        k = np.rint(np.clip(x, -1e15, 1e15) / LOG2)
        m = np.exp(x - k * LOG2)
        with np.errstate(over="ignore"):
            # x - k log 2 is rounded in proportion to |x|
            radius = m * (np.expm1(r) + UNIT * (2.0 + np.abs(x)))
        return ScaledArray(m, UP * radius, k.astype(np.int64))

    def expm1(self) -> ScaledArray:
        """exp(.) - 1 with full relative accuracy for small arguments of any exponent."""
        x, r = self.to_float()
        tiny = np.broadcast_to(np.abs(x) + r < 2.0**-60, np.shape(self.m + x))
        with np.errstate(over="ignore"):
            m = np.expm1(x)
            radius = np.exp(x) * np.expm1(r) + UNIT * np.abs(m)
        # |e^z - 1 - z| <= z^2 for |z| <= 1: below 2**-60 that is less than a rounding unit of z
        out_m = np.where(tiny, self.m, m)
        out_r = np.where(tiny, self.r * (1 + UNIT) + UNIT * np.abs(self.m), radius)
        return ScaledArray(out_m, UP * out_r, np.where(tiny, self.e, 0))

    def unary(
        self, f: Callable[[Float], Float], lipschitz: Callable[[Float, Float], Float]
    ) -> ScaledArray:
        """A function that is Lipschitz on the ball; ``lipschitz(x, r)`` bounds |f'| on [x - r, x + r]."""
        x, r = self.to_float()
        with np.errstate(divide="ignore", invalid="ignore"):
            m = f(x)
            radius = np.where(r == 0, 0.0, lipschitz(x, r) * r) + UNIT * (np.abs(m) + np.abs(x))
        return ScaledArray(m, UP * radius, np.zeros_like(self.e))

    # -- reductions ---------------------------------------------------------------------------------------------
    def sum(self, axis: int) -> ScaledArray:
        """Sum over an axis (kept, with length 1)."""
        a = one_exponent(self, axis)
        n = a.m.shape[axis]
        m = a.m.sum(axis=axis, keepdims=True)
        r = np.broadcast_to(a.r, radius_shape(a.m.shape, a.r)).sum(axis=axis, keepdims=True)
        size = _size(np.abs(a.m).sum(axis=axis, keepdims=True))
        return ScaledArray(m, UP * (r + n * UNIT * size), a.e)

    def max(self, axis: int) -> ScaledArray:
        """Maximum over an axis (kept, with length 1); the error of a maximum is at most the largest error."""
        a = one_exponent(self, axis)
        r = np.broadcast_to(a.r, a.m.shape)
        top = a.m.max(axis=axis, keepdims=True)
        # only entries that may attain the maximum contribute their error
        return ScaledArray(
            top,
            _reach(
                top,
                (a.m + r).max(axis, keepdims=True),
                (a.m - r).max(axis, keepdims=True),
                r.max(axis, keepdims=True),
            ),
            a.e,
        )

    def min(self, axis: int) -> ScaledArray:
        """Minimum over an axis (kept, with length 1)."""
        return -((-self).max(axis))

    # -- vectors ------------------------------------------------------------------------------------------------
    def sqnorm(self) -> ScaledArray:
        """Squared Euclidean norm over the last axis."""
        s = np.sum(self.m * self.m, axis=-1, keepdims=True)
        d = self.m.shape[-1]
        r = bound(lambda: 2.0 * np.sqrt(s) * self.r + self.r * self.r + d * UNIT * s)
        return _tidy(s, UP * r, 2 * self.e)

    def norm(self) -> ScaledArray:
        """Euclidean norm over the last axis."""
        root = np.sqrt(np.sum(self.m * self.m, axis=-1, keepdims=True))
        return ScaledArray(root, UP * (self.r + self.m.shape[-1] * UNIT * root), self.e)

    # -- leaving ------------------------------------------------------------------------------------------------
    def to_float(self) -> tuple[Float, Float]:
        """(value, radius) in plain float64; what underflows is charged to the radius."""
        with np.errstate(over="ignore", under="ignore"):
            shift = np.clip(self.e, -5000, 5000).astype(np.int32)
            value, radius = np.ldexp(self.m, shift), np.ldexp(self.r, shift)
        lost = _any_last((np.abs(value) < TINY) & (self.m != 0), radius) | (
            (radius < TINY) & (self.r != 0)
        )
        return value, radius + np.where(lost, 2 * TINY, 0.0)

    def log_interval(self) -> tuple[Float, Float, Float]:
        """(log of the value, log of its lower end, log of its upper end) for a nonnegative quantity."""
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = self.e * LOG2
            mid = np.log(np.maximum(self.m, 0.0)) + shift
            low = np.log(np.maximum(self.m - self.r, 0.0)) + shift
            high = np.log(np.maximum(self.m + self.r, 0.0)) + shift
        rounding = UNIT * (np.abs(shift) + 2.0)
        return mid, low - rounding, high + rounding


# -- construction -------------------------------------------------------------------------------------------------
def scaled(m: Float, r: Float | float = 0.0, e: Int | int = 0) -> ScaledArray:
    """A scaled array from mantissas, radii and exponents of the same number of dimensions."""
    m = np.asarray(m, dtype=np.float64)
    radius = np.asarray(r, dtype=np.float64)
    if radius.ndim not in (0, m.ndim):
        raise NumericsError(
            f"radius has {radius.ndim} dimensions, the value {m.ndim}; give the same number"
        )
    exponent = np.asarray(e, dtype=np.int64)
    ones = (1,) * m.ndim
    return ScaledArray(
        m,
        radius if radius.ndim else np.full(ones, float(radius)),
        exponent if exponent.ndim else np.full(ones, int(exponent), dtype=np.int64),
    )


def constant(value: float, ndim: int, radius: float = 0.0) -> ScaledArray:
    """A single number with ``ndim`` axes of length 1."""
    return scaled(np.full((1,) * ndim, float(value)), np.full((1,) * ndim, float(radius)))


def maximum(a: ScaledArray, b: ScaledArray) -> ScaledArray:
    """Element-wise maximum."""
    x, y, e = _align(a, b)
    top = np.maximum(x.m, y.m)
    high, low = np.maximum(x.m + x.r, y.m + y.r), np.maximum(x.m - x.r, y.m - y.r)
    return ScaledArray(top, _reach(top, high, low, np.maximum(x.r, y.r)), e)


def _reach(top: Float, high: Float, low: Float, r: Float) -> Float:
    """Radius of a maximum: its ends against its value, with the rounding of the ends unless nothing is uncertain.

    Every entry by itself, so that its radius does not depend on what is measured beside it.
    """
    exact = (high == top) & (low == top) & (r == 0)
    return np.where(exact, 0.0, UP * np.maximum(high - top, top - low) + UNIT * np.abs(top))


# -- internals ----------------------------------------------------------------------------------------------------
def _size(m: Float) -> Float:
    """|m|, or the Euclidean length over the last axis for vectors."""
    return np.abs(m) if m.shape[-1] == 1 else length(m)


def bound(radius: Callable[[], Float]) -> Float:
    """A radius from products of sizes and radii, some of which may be infinite.

    What is divided by a ball around 0 has an infinite radius. Its product with an exact 0 is no number in floating
    point, and a product of large radii overflows: nothing is known of either, so both are infinite, without a warning.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        r = radius()
        known = r.size == 0 or not np.isnan(r.min())
    return r if known else np.where(np.isnan(r), np.inf, r)


def _exact(a: ScaledArray) -> bool:
    return a.r.size == 1 and a.r.item() == 0.0


def length(m: Float) -> Float:
    """The Euclidean length over the last axis (kept, with length 1)."""
    return np.sqrt(np.sum(m * m, axis=-1, keepdims=True))


def radius_shape(shape: tuple[int, ...], r: Float) -> tuple[int, ...]:
    """The shape of the radius of an array of this shape."""
    return shape[:-1] + r.shape[-1:]


def _any_last(mask: NDArray[np.bool_], like: Float) -> NDArray[np.bool_]:
    if like.shape[-1] == 1 and mask.shape[-1] > 1:
        return np.asarray(mask.any(axis=-1, keepdims=True))
    return mask


def _shift(a: ScaledArray, e: Int) -> ScaledArray:
    """Rewrite with the larger exponent ``e``; entries 2**-1000 below vanish into the radius of the result."""
    by = np.clip(a.e - e, -2000, 0).astype(np.int32)
    if not by.any():
        return ScaledArray(a.m, a.r, e)
    with np.errstate(under="ignore"):
        m, r = np.ldexp(a.m, by), np.ldexp(a.r, by)
    lost = _any_last((np.abs(m) < TINY) & (a.m != 0), r) | ((r < TINY) & (a.r != 0))
    return ScaledArray(m, r + np.where(lost, 2 * TINY, 0.0), e)


def _align(a: ScaledArray, b: ScaledArray) -> tuple[ScaledArray, ScaledArray, Int]:
    if a.e is b.e:
        return a, b, a.e
    # an exact zero has no say in the exponent: it would drown the other operand
    ea, eb = _effective(a), _effective(b)
    e = np.maximum(ea, eb)
    e = np.where(e == _NEVER, 0, e)
    return (
        _shift(ScaledArray(a.m, a.r, np.where(ea == _NEVER, e, a.e)), e),
        _shift(ScaledArray(b.m, b.r, np.where(eb == _NEVER, e, b.e)), e),
        e,
    )


_NEVER = np.int64(-(2**62))


def _effective(a: ScaledArray) -> Int:
    sure = a.r == 0
    if not sure.any():
        return a.e
    zero = a.m == 0
    if zero.shape[-1] > 1:
        zero = zero.all(axis=-1, keepdims=True)
    if sure.shape[-1] > 1:
        sure = sure.all(axis=-1, keepdims=True)
    zero = zero & sure
    if not zero.any():
        return a.e
    shape = np.broadcast_shapes((*a.m.shape[:-1], 1), a.e.shape)
    return np.where(np.broadcast_to(zero, shape), _NEVER, a.e)


def one_exponent(a: ScaledArray, axis: int) -> ScaledArray:
    """The same array with one exponent along ``axis``."""
    if a.e.shape[axis] == 1:
        return a
    own = _effective(a)
    e = own.max(axis=axis, keepdims=True)
    e = np.where(e == _NEVER, 0, e)
    return _shift(ScaledArray(a.m, a.r, np.where(own == _NEVER, e, own)), e)


def _tidy(m: Float, r: Float, e: Int) -> ScaledArray:
    """Renormalise mantissas that leave the comfortable range, each by itself: no entry depends on those beside it."""
    size = np.abs(m)
    if not size.size or (size.max() <= SAFE and np.where(size == 0, 1.0, size).min() >= 1 / SAFE):
        return ScaledArray(m, r, e)
    biggest = size.max(axis=-1, keepdims=True)
    out = ((biggest > SAFE) | ((biggest < 1 / SAFE) & (biggest > 0))) & np.isfinite(biggest)
    by = np.where(out, np.frexp(biggest)[1], 0).astype(np.int32)
    return ScaledArray(np.ldexp(m, -by), np.ldexp(r, -by), e + by)
