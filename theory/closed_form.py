"""Scalar closed forms as plain data, compiled, and enclosed together with their slopes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flint import arb, fmpq, fmpz

from theory import elementary as el
from theory import intervals as iv
from theory.errors import LemmataError
from theory.intervals import UNDEFINED, ZERO, Interval, add, mul, neg, point

_UNARY: dict[str, Callable[[Interval], Interval]] = {
    "neg": neg, "abs": iv.absolute, "exp": el.exp, "expm1": el.expm1, "log": el.log,
    "log1p": el.log1p, "tanh": el.tanh, "cos": el.cos, "acos": el.acos, "sign": iv.sign,
    "step": iv.step, "relu": lambda a: iv.maximum(ZERO, a),
    "sqrt": lambda a: iv.power(a, fmpq(1, 2)),
}  # fmt: skip
_FOLDS = {"add": add, "mul": mul, "max": iv.maximum, "min": iv.minimum}
_RATIONAL = re.compile(r"(-?[0-9]+)(?:/([0-9]*[1-9][0-9]*))?")


def rational(value: Any) -> fmpq:
    """An exact rational from int, Fraction, fmpq, "p/q" or a sympy Rational; floats are refused."""
    if isinstance(value, fmpq):
        return value
    if isinstance(value, str):
        match = _RATIONAL.fullmatch(value)
        if match:
            return fmpq(fmpz(match[1]), fmpz(match[2] or "1"))
    elif not isinstance(value, bool | float):
        num, den = getattr(value, "numerator", None), getattr(value, "denominator", None)
        if num is None and getattr(value, "is_Rational", False):  # sympy
            num, den = value.p, value.q
        if isinstance(num, int) and isinstance(den, int):
            return fmpq(num, den)
    raise LemmataError(
        f"{value!r} is not an exact rational; give an int, a Fraction or a string 'p/q'"
    )


class ClosedForm:
    """A scalar closed form, compiled from plain data to a straight-line program (equal
    sub-expressions once).

    Operators: ``["rat", "p/q"]``, ``["var", name]`` (an empty list of axes may follow),
    ``["pi"]``, add, mul, neg, div, ``["pow", a, ["rat", q]]``, sqrt, abs, exp, expm1, log, log1p,
    tanh, cos, acos, sign, relu, step (1 if a > 0 else 0), max, min.  Raises `LemmataError` on
    anything else.
    """

    def __init__(self, data: Sequence[Any]) -> None:
        self._code: list[tuple[str, tuple[int, ...], Any]] = []
        self._index: dict[tuple[str, tuple[int, ...], Any], int] = {}
        try:
            self._compile(data)
        except RecursionError:
            raise LemmataError("closed form nested too deeply; split it into named parts") from None
        self.variables: tuple[str, ...] = tuple(
            sorted({x for op, _, x in self._code if op == "var"})
        )

    def _compile(self, data: Any) -> int:
        if not isinstance(data, list | tuple) or not data or not isinstance(data[0], str):
            raise LemmataError(
                f"not a closed form: {data!r:.80}; expected [operator, argument, ...]"
            )
        op, args = data[0], list(data[1:])
        extra: Any = None
        if op == "rat" and len(args) == 1:
            extra, args = rational(args[0]), []
        elif op == "var" and len(args) in (1, 2) and isinstance(args[0], str) and not any(args[1:]):
            extra, args = args[0], []
        elif (
            op == "pow"
            and len(args) == 2
            and isinstance(args[1], list | tuple)
            and args[1][:1] in (["rat"], ("rat",))
        ):
            extra, args = rational(args[1][1]), args[:1]
        elif not (
            (op == "pi" and not args)
            or (op in _UNARY and len(args) == 1)
            or (op == "div" and len(args) == 2)
            or (op in _FOLDS and args)
        ):
            raise LemmataError(
                f"{op!r} with {len(args)} arguments is not a scalar operator of closed forms"
            )
        key = (op, tuple(self._compile(arg) for arg in args), extra)
        if key not in self._index:
            self._index[key] = len(self._code)
            self._code.append(key)
        return self._index[key]

    def enclose(self, env: Mapping[str, Interval]) -> Interval:
        """Enclosure of the value for all assignments in ``env`` (name -> Interval)."""
        values: list[Interval] = []
        for op, args, extra in self._code:
            values.append(_value(op, [values[k] for k in args], extra, env))
        return values[-1]

    def with_slopes(
        self, env: Mapping[str, Interval], wrt: Sequence[str]
    ) -> tuple[Interval, tuple[Interval, ...]]:
        """Enclosures of the value, and of the slopes in each variable of ``wrt`` with the others
        fixed in ``env``.

        A slope is the quotient (f(y) - f(x)) / (y - x), x != y in the variable's interval; see
        theory.elementary.
        """
        values: list[Interval] = []
        slopes: list[list[Interval | None]] = []  # None: does not depend on the variable
        for op, args, extra in self._code:
            inputs = [values[k] for k in args]
            value = _value(op, inputs, extra, env)
            values.append(value)
            row: list[Interval | None] = []
            for i, name in enumerate(wrt):
                if op == "var":
                    row.append(iv.ONE if extra == name else None)
                else:
                    inner = [slopes[k][i] for k in args]
                    row.append(_slope(op, inputs, inner, value, extra) if any(inner) else None)
            slopes.append(row)
        if not values[-1].defined:
            return UNDEFINED, (UNDEFINED,) * len(wrt)
        return values[-1], tuple(ZERO if s is None else s for s in slopes[-1])


def _value(op: str, args: list[Interval], extra: Any, env: Mapping[str, Interval]) -> Interval:
    if op in _UNARY:
        return _UNARY[op](args[0])
    if op in _FOLDS:
        out = args[0]
        for other in args[1:]:
            out = _FOLDS[op](out, other)
        return out
    if op == "rat":
        return point(extra)
    if op == "var":
        if extra not in env:
            raise LemmataError(
                f"no value for the variable {extra!r}; add it to the environment or the box"
            )
        return env[extra]
    if op == "pow":
        return iv.power(args[0], extra)
    return mul(args[0], iv.inverse(args[1])) if op == "div" else iv.from_arb(arb.pi())


def _slope(
    op: str, x: list[Interval], d: list[Interval | None], value: Interval, extra: Any
) -> Interval:
    """Slopes of ``op`` from its arguments x, their slopes d (None is zero), and its value."""
    if op in ("add", "mul", "max", "min"):
        out, slope = x[0], d[0] or ZERO
        for y, e in zip(x[1:], d[1:], strict=True):
            e = e or ZERO
            if op == "add":
                slope = add(slope, e)
            elif op == "mul":  # f2 g2 - f1 g1 = f2 (g2 - g1) + g1 (f2 - f1)
                out, slope = mul(out, y), add(mul(out, e), mul(y, slope))
            else:
                high, low = (out, y) if op == "max" else (y, out)
                if high.lo is not None and low.hi is not None and high.lo >= low.hi:
                    chosen = slope
                elif high.hi is not None and low.lo is not None and high.hi <= low.lo:
                    chosen = e
                else:
                    chosen = iv.hull(slope, e)
                out, slope = _FOLDS[op](out, y), chosen
        return slope
    if op == "div":  # a2/b2 - a1/b1 = ((a2 - a1) - (a1/b1)(b2 - b1)) / b2
        return mul(add(d[0] or ZERO, neg(mul(value, d[1] or ZERO))), iv.inverse(x[1]))
    inner = d[0] or ZERO
    return neg(inner) if op == "neg" else mul(_outer_slope(op, x[0], value, extra), inner)


def _outer_slope(op: str, a: Interval, value: Interval, extra: Any) -> Interval:
    if op == "pow" or op == "sqrt":
        return el.slope_power(a, extra if op == "pow" else fmpq(1, 2))
    if op == "exp":
        return value
    if op == "expm1":
        return el.exp(a)
    if op == "log":
        return el.slope_log(a)
    if op == "log1p":
        return el.slope_log(add(a, iv.ONE))
    if op == "tanh":
        return el.slope_tanh(value)
    if op == "cos":
        return el.slope_cos(a)
    if op == "acos":
        return el.slope_acos(a)
    if op == "abs":
        return el.slope_abs(a)
    if op == "relu":
        return (
            iv.ONE if a.is_nonnegative else ZERO if a.is_nonpositive else Interval(fmpq(0), fmpq(1))
        )
    return el.slope_step(a, value)  # sign, step
