"""Whether the claim of a counterexample is true, decided without the kernel: fractions, mpmath and numpy's objects."""

from __future__ import annotations

import operator
from fractions import Fraction as F
from functools import reduce
from typing import Any

import mpmath
import numpy as np

MAX_BITS = 10_000
DIGITS, TOLERANCE = 60, mpmath.mpf(10) ** -45


def exact(text: str) -> F:
    """A rational or a hexadecimal float."""
    return F(float.fromhex(text)) if "x" in text else F(text)


def _each(function: Any) -> Any:
    """Entry by entry; nan where a function is undefined, and where an argument is."""

    def apply(*args: Any) -> Any:
        try:
            return mpmath.nan if any(map(_nothing, args)) else function(*args)
        except (ValueError, ZeroDivisionError):
            return mpmath.nan

    return np.vectorize(apply, otypes=[object])


def _nothing(x: Any) -> bool:
    return not isinstance(x, F) and bool(mpmath.isnan(x))


def _mp(name: str) -> Any:
    def apply(x: Any) -> Any:
        out = getattr(mpmath, name)(
            mpmath.mpf(x.numerator) / x.denominator if isinstance(x, F) else x
        )
        if isinstance(out, mpmath.mpc) or not mpmath.isfinite(out):
            raise ValueError(f"{name} is undefined")
        return out

    return apply


def _power(q: F) -> Any:
    def apply(x: Any) -> Any:
        if q.denominator == 1:
            return (x if abs(q) < MAX_BITS else _number(x)) ** int(q)
        if x < 0:
            raise ValueError("a root of a negative number")
        return _mp("sqrt")(x) ** q.numerator if q.denominator == 2 else _root(x, q)

    return apply


def _root(x: Any, q: F) -> Any:
    if x == 0 and q < 0:
        raise ZeroDivisionError
    return F(0) if x == 0 else mpmath.power(_number(x), mpmath.mpf(q.numerator) / q.denominator)


def _number(x: Any) -> Any:
    return mpmath.mpf(x.numerator) / x.denominator if isinstance(x, F) else x


def _tidy(x: Any) -> Any:
    """Fractions whose digits multiply from step to step are given up."""
    long = isinstance(x, F) and max(abs(x.numerator), x.denominator).bit_length() > MAX_BITS
    return _number(x) if long else x


def _alike(arrays: list[Any]) -> list[Any]:
    """Numbers of mpmath everywhere as soon as there is one: fractions do not add to them."""
    if all(isinstance(x, F) for a in arrays for x in a.ravel()):
        return arrays
    return [_each(_number)(a) if a.size else a for a in arrays]


def _eigenvalues(a: Any) -> Any:
    if any(map(_nothing, a.ravel())):
        return np.full(len(a), mpmath.nan, dtype=object)
    sizes = mpmath.matrix([[_number(x) for x in row] for row in (a + a.T) / 2])
    return np.array(sorted(mpmath.eigsy(sizes, eigvals_only=True)), dtype=object)


def _singular(a: Any) -> Any:
    small = a @ a.T if a.shape[0] <= a.shape[1] else a.T @ a
    return np.array(
        [mpmath.sqrt(x if x > 0 or _nothing(x) else 0) for x in _eigenvalues(small)[::-1]],
        dtype=object,
    )


UNARY = {
    "neg": lambda x: -x,
    "abs": abs,
    "relu": lambda x: max(x, F(0)),
    "step": lambda x: F(int(x > 0)),
    "sign": lambda x: F(int(x > 0) - int(x < 0)),
}
UNARY.update(
    {op: _mp(op) for op in ("sqrt", "exp", "expm1", "log", "log1p", "tanh", "sin", "cos", "acos")}
)
BINARY = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "max": max,
    "min": min,
}


def _least_loss(X: Any, y: Any, beta: Any) -> Any:
    """min ½ (f - y)² + β |f| / |x|: the least regularised squared loss on one point."""
    assert X.shape[0] == y.shape[0] == 1
    threshold = _number(beta) / mpmath.sqrt(_number(sum(x * x for x in X[0])))
    size = abs(_number(y[0]))
    return size * size / 2 if size <= threshold else threshold * size - threshold * threshold / 2


def _result(op: str, args: list[Any], attributes: dict[str, Any], inputs: dict[str, Any]) -> Any:
    if op == "input":
        given = inputs[attributes["name"]]
        assert given["shape"] == attributes["shape"]
        return np.array([exact(t) for t in given["values"]], dtype=object).reshape(given["shape"])
    if op == "constant":
        listed = [exact(t) for t in attributes["values"]]
        return np.array(listed, dtype=object).reshape(attributes["shape"])
    if op == "pi":
        return np.array(+mpmath.pi, dtype=object)
    if op in UNARY:
        return _each(UNARY[op])(args[0]) if args[0].size else args[0]
    if op in BINARY:
        wide = np.broadcast(*args)
        return _each(BINARY[op])(*args) if wide.size else np.empty(wide.shape, dtype=object)
    if op == "power":
        return _each(_power(exact(attributes["exponent"])))(args[0])
    if op in ("sum", "amax", "amin"):
        function = _each({"sum": operator.add, "amax": max, "amin": min}[op])
        first = np.moveaxis(args[0], attributes["axis"], 0)
        empty = np.full(first.shape[1:], F(0), dtype=object)
        return np.asarray(reduce(function, first[1:], first[0]) if len(first) else empty, object)
    if op == "matmul":
        return args[0] @ args[1]
    if op == "transpose":
        return args[0].T
    if op == "reshape":
        return args[0].reshape(attributes["shape"])
    if op == "gather":
        return args[0].ravel()[attributes["indices"]].reshape(attributes["shape"])
    if op == "concatenate":
        return np.concatenate([a.ravel() for a in args]).reshape(attributes["shape"])
    if op == "oracle":
        assert attributes["parameters"]["fixed"] == {"loss": "squared"}
        named = {k: a for k, a in zip(attributes["parameters"]["arguments"], args, strict=True)}
        return np.array(_least_loss(named["X"], named["y"], named["beta"][()]), dtype=object)
    return {"eigenvalues": _eigenvalues, "singular_values": _singular}[op](args[0])


def values(program: dict[str, Any], inputs: dict[str, Any]) -> list[Any]:
    """The arrays of all instructions: fractions, and numbers of DIGITS digits, nan where undefined."""
    results: list[Any] = []
    with mpmath.workdps(DIGITS):
        for op, args, attributes in program["instructions"]:
            found = _result(op, _alike([results[a] for a in args]), attributes, inputs)
            results.append(_alike([_each(_tidy)(found) if found.size else found])[0])
    return results


def _compare(a: Any, b: Any) -> int | None:
    """The sign of a - b; 0 also where the digits do not tell, None where there is none."""
    if _nothing(a) or _nothing(b):
        return None
    if isinstance(a, F) and isinstance(b, F):
        return (a > b) - (a < b)
    a, b = _number(a), _number(b)
    far = abs(a - b) > TOLERANCE * max(abs(a), abs(b), 1)
    return int(mpmath.sign(a - b)) if far else 0


def is_true(claim: dict[str, Any]) -> bool:
    """Whether the hypotheses hold and the conclusion fails, as far as the digits tell."""
    program = claim["program"]
    results = values(program, claim["inputs"])
    with mpmath.workdps(DIGITS):
        signs = {}
        for group in ("hypotheses", "conclusions"):
            signs[group] = [
                (
                    [_compare(a, b) for a, b in np.broadcast(results[lhs], results[rhs])],
                    op,
                    (lhs, rhs),
                )
                for lhs, op, rhs in program[group]
            ]
        for found, op, sides in signs["hypotheses"]:
            allowed = {"<=": (-1, 0), "<": (-1,), "==": (0,)}[op]
            exactly = all(isinstance(x, F) for k in sides for x in results[k].ravel())
            # where digits do not tell, a strict inequality may hold
            allowed = allowed if exactly or op != "<" else (-1, 0)
            if not set(found) <= set(allowed):
                return False
        found, op, sides = signs["conclusions"][claim["fails"]["conclusion"]]
        exactly = all(isinstance(x, F) for k in sides for x in results[k].ravel())
        sign = found[claim["fails"]["entry"]]
        if sign is None or (sign == 0 and not exactly):
            return sign == 0
        return {"<=": sign > 0, "<": sign >= 0, "==": sign != 0}[op]
