"""Closed forms as plain data: reading them, and enclosing values and slopes.

The *slope* of f in one variable encloses all (f(b) - f(a)) / (b - a), a != b in that variable's
range, the others anywhere in theirs; by the mean value theorem, the range of a derivative will do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import reduce
from typing import Any

from flint import arb, fmpq

from proofs_checks.audit import arithmetic as ar
from proofs_checks.audit.arithmetic import MINUS_ONE, ONE, ZERO, Pair, add, inverse, mul, neg
from proofs_checks.audit.core import Clock, Rejected, exact

MAX_DEPTH, PI_BELOW, Q0 = 100, (0, fmpq(314159, 100000), 0), fmpq(0)
INSIDE = (0, fmpq(-1), 1), (0, fmpq(1), -1)  # the open interval (-1, 1)
NOTHING, UNIT, ANY = ar.constant(0), ar.constant(1), (ar.MINUS_INF, ar.PLUS_INF)
ONES = ("neg", "sqrt", "abs", "exp", "expm1", "log", "log1p", "tanh", "cos", "acos", "sign", "relu")
ARITY = {"pi": 0, "div": 2, "step": 1} | dict.fromkeys(ONES, 1)


def parse(data: Any, names: Collection[str], clock: Clock, depth: int = 0) -> tuple[Any, ...]:
    """Plain data as (operator, arguments, constant or exponent or name), with fewer operators."""
    clock.tick()
    op, *args = data if isinstance(data, list) and data else [None]
    if depth > MAX_DEPTH or not isinstance(op, str):
        raise Rejected(f"not an expression, or nested deeper than {MAX_DEPTH}")
    if op == "var" and args and args[0] in list(names) and args[1:] in ([], [[]]):
        return op, (), args[0]
    if op == "rat" and len(args) == 1:
        return op, (), exact(args[0], "a constant")
    if op == "pow" and len(args) == 2 and isinstance(args[1], list) and args[1][:1] == ["rat"]:
        return op, (parse(args[0], names, clock, depth + 1),), parse(args[1], (), clock)[2]
    if not (op in ("min", *FOLDS) and args) and len(args) != ARITY.get(op):
        raise Rejected(f"{op!a:.40} with {len(args)} arguments is no operator, or no variable here")
    sub = tuple(parse(arg, names, clock, depth + 1) for arg in args)
    if op in ("min", "sign"):  # min(a, ...) = -max(-a, ...), sign(a) = step(a) - step(-a)
        turned = tuple(("neg", (arg,), None) for arg in sub)
        if op == "min":
            return "neg", (("max", turned, None),), None
        return "add", (("step", sub, None), ("neg", (("step", turned, None),), None)), None
    if op == "relu":
        return "max", (("rat", (), Q0), *sub), None
    return ("pow", sub, fmpq(1, 2)) if op == "sqrt" else (op, sub, None)


def evaluate(
    tree: tuple[Any, ...], box: Mapping[str, Pair], name: str | None, clock: Clock
) -> tuple[Pair, Pair]:
    """Value on the box, and slope in the variable ``name``."""
    clock.tick()
    op, sub, q = tree
    if op == "var":
        return box[q], UNIT if q == name else NOTHING
    if op in ("rat", "pi"):
        pi = ar.bound(arb.pi(), 1), ar.bound(arb.pi(), -1)
        return pi if op == "pi" else ar.constant(q), NOTHING
    parts = [evaluate(part, box, name, clock) for part in sub]
    if op in FOLDS:
        return reduce(FOLDS[op], parts)
    x, dx = parts[0]
    if op == "div":
        (y, dy), quotient = parts[1], mul(x, inverse(parts[1][0]))
        return quotient, mul(add(dx, neg(mul(quotient, dy))), inverse(y))
    value = ar.power(x, q) if op == "pow" else FUNCTIONS[op](x)
    return value, NOTHING if dx == NOTHING else mul(outer_slope(op, x, value, q), dx)


def _sum(x: tuple[Pair, Pair], y: tuple[Pair, Pair]) -> tuple[Pair, Pair]:
    return add(x[0], y[0]), add(x[1], y[1])


def _product(x: tuple[Pair, Pair], y: tuple[Pair, Pair]) -> tuple[Pair, Pair]:
    # f(b) g(b) - f(a) g(a) = f(b) (g(b) - g(a)) + g(a) (f(b) - f(a))
    return mul(x[0], y[0]), add(mul(x[0], y[1]), mul(y[0], x[1]))


def _maximum(x: tuple[Pair, Pair], y: tuple[Pair, Pair]) -> tuple[Pair, Pair]:
    (a, da), (b, db) = x, y
    if a[0] >= b[1] or b[0] >= a[1]:
        return ar.maximum(a, b), da if a[0] >= b[1] else db
    return ar.maximum(a, b), (min(da[0], db[0]), max(da[1], db[1]))


def log(x: Pair, shift: int = 0) -> Pair:
    low = add(x, ar.constant(shift))[0]
    if low <= ZERO:
        raise Rejected("a logarithm of what may not be positive")
    x = ar.MINUS_INF if x[0][1] == -shift else x[0], x[1]
    f = (lambda v: v.log1p()) if shift else (lambda v: v.log())
    return ar.increasing(x, f, at(1 - shift, 0), *ANY)


def acos(x: Pair) -> Pair:
    if x[0] < MINUS_ONE or x[1] > ONE:
        raise Rejected("an arc cosine of what may lie outside [-1, 1]")
    return neg(ar.increasing(x, lambda v: -v.acos(), at(1, 0), ar.MINUS_INF, ZERO))


def cos(x: Pair) -> Pair:
    """Sharp on [-pi, pi]."""
    x = ar.absolute(x)
    if x[1] <= PI_BELOW:
        return neg(ar.increasing(x, lambda v: -v.cos(), at(0, -1), MINUS_ONE, ONE))
    ball = arb(0, 2) if x[1][0] else arb(x[0][1]).union(arb(x[1][1])).cos()
    return max(MINUS_ONE, ar.bound(ball, 1)), min(ONE, ar.bound(ball, -1))


def minus_sin(x: Pair) -> Pair:
    """At most 0 on [0, pi]."""
    ball = arb(0, 2) if x[0][0] or x[1][0] else -arb(x[0][1]).union(arb(x[1][1])).sin()
    high = ZERO if x[0] >= ZERO and x[1] <= PI_BELOW else ONE
    return max(MINUS_ONE, ar.bound(ball, 1)), min(high, ar.bound(ball, -1))


def at(point: int, image: int) -> Callable[[Any], Any]:
    return lambda v: image if v == point else None


def outer_slope(op: str, x: Pair, value: Pair, q: Any) -> Pair:
    def next_to_pole(base: Pair, e: fmpq) -> Pair:  # base >= 0, e < 0: unbounded next to base = 0
        return ANY if base[1] <= ZERO else ar.power((max(base[0], ar.ABOVE_ZERO), base[1]), e)

    def rest(y: Pair) -> Pair:  # 1 - y**2, known to be nonnegative
        low, high = add(UNIT, neg(ar.power(y, fmpq(2))))
        return max(low, ZERO), high

    if op == "pow":
        pole = q < 1 and x[0] >= ZERO
        return mul(ar.constant(q), next_to_pole(x, q - 1) if pole else ar.power(x, q - 1))
    slopes: dict[str, Callable[[], Pair]] = {
        "neg": lambda: ar.constant(-1), "exp": lambda: value, "expm1": lambda: FUNCTIONS["exp"](x),
        "log": lambda: inverse(x), "log1p": lambda: inverse(add(x, UNIT)),
        "tanh": lambda: rest(value), "cos": lambda: minus_sin(x),
        "acos": lambda: neg(next_to_pole(rest(x), fmpq(-1, 2))),
        "abs": lambda: UNIT if x[0] >= ZERO else neg(UNIT) if x[1] <= ZERO else (MINUS_ONE, ONE),
        "step": lambda: NOTHING if value[0] == value[1] else (ZERO, ar.PLUS_INF),
    }  # fmt: skip
    return slopes[op]()


FOLDS = {"add": _sum, "mul": _product, "max": _maximum}
FUNCTIONS: dict[str, Callable[[Pair], Pair]] = {
    "neg": neg, "abs": ar.absolute, "step": ar.step, "cos": cos, "acos": acos,
    "log": log, "log1p": lambda x: log(x, 1),
    "exp": lambda x: ar.increasing(x, lambda v: v.exp(), at(0, 1), ar.ABOVE_ZERO, ar.PLUS_INF),
    "expm1": lambda x: ar.increasing(x, lambda v: v.expm1(), at(0, 0), INSIDE[0], ar.PLUS_INF),
    "tanh": lambda x: ar.increasing(x, lambda v: v.tanh(), at(0, 0), *INSIDE),
}  # fmt: skip
