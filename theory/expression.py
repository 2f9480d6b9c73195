"""Closed-form sympy expressions as plain data, and back (sympy is loaded on first use)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from theory.errors import LemmataError

if TYPE_CHECKING:
    import sympy


def to_data(expr: Any) -> list[Any]:
    """Scalar plain data of a closed-form sympy expression (or a Python int, or a Fraction).

    Understands rationals, pi, E, symbols (by name), Add, Mul, Pow, exp, log, sqrt, Abs, Max, Min,
    tanh, sinh, cosh, cos, acos, sign, Heaviside(x, 0).  A power whose exponent is not rational
    becomes exp(exponent * log(base)). Raises `LemmataError` for floats (give a Rational) and for
    anything else.
    """
    import sympy

    return _to_data(sympy.sympify(expr), sympy)


def _rat(p: Any, q: Any = 1) -> list[Any]:
    return ["rat", str(p) if q == 1 else f"{p}/{q}"]


def _to_data(e: Any, sp: Any) -> list[Any]:
    def walk(x: Any) -> list[Any]:
        return _to_data(x, sp)

    if e.is_Rational:
        return _rat(e.p, e.q)
    if e.is_Float:
        raise LemmataError(f"the float {e} is not exact; use sympy.Rational")
    if e.is_Symbol:
        return ["var", e.name, []]
    if e is sp.pi:
        return ["pi"]
    if e is sp.E:
        return ["exp", _rat(1)]
    if e.is_Add:
        return ["add", *map(walk, sp.Add.make_args(e))]
    if e.is_Mul:
        return _product(e, sp)
    if isinstance(e, sp.exp):
        return ["exp", walk(e.exp)]
    if e.is_Pow:
        return _power(e, sp)
    if isinstance(e, sp.Heaviside) and e.args[1] == 0:
        return ["step", walk(e.args[0])]
    if isinstance(e, sp.sinh | sp.cosh):
        part = _rat(-1 if isinstance(e, sp.sinh) else 1)
        x = walk(e.args[0])
        return ["div", ["add", ["exp", x], ["mul", part, ["exp", ["neg", x]]]], _rat(2)]
    name = type(e).__name__
    known = ("log", "Abs", "tanh", "cos", "acos", "sign", "Max", "Min")
    if name in known and isinstance(e, getattr(sp, name)):  # not an undefined function called log
        return [name.lower(), *map(walk, sorted(e.args, key=sp.default_sort_key))]
    raise LemmataError(
        f"{e} ({name}) is not a closed form; rewrite it with exp, log, powers, abs, max, ..."
    )


def _power(e: Any, sp: Any) -> list[Any]:
    base, exponent = _to_data(e.base, sp), e.exp
    if exponent == sp.Rational(1, 2):
        return ["sqrt", base]
    if exponent == -1:
        return ["div", _rat(1), base]
    if exponent.is_Rational:
        return ["pow", base, _rat(exponent.p, exponent.q)]
    return ["exp", ["mul", _to_data(exponent, sp), ["log", base]]]


def _product(e: Any, sp: Any) -> list[Any]:
    coefficient, rest = e.as_coeff_Mul(rational=True)
    over: list[Any] = []
    under: list[Any] = []
    for factor in sp.Mul.make_args(rest):
        inverted = factor.is_Pow and factor.exp.is_Rational and factor.exp < 0
        (under if inverted else over).append(1 / factor if inverted else factor)
    negative = coefficient < 0
    scale = abs(coefficient)
    top = [_rat(scale.p)] * (scale.p != 1) + [_to_data(f, sp) for f in over]
    bottom = [_rat(scale.q)] * (scale.q != 1) + [_to_data(f, sp) for f in under]
    out = _multiply(top)
    out = ["div", out, _multiply(bottom)] if bottom else out
    return ["neg", out] if negative else out


def _multiply(factors: list[Any]) -> list[Any]:
    if not factors:
        return _rat(1)
    return factors[0] if len(factors) == 1 else ["mul", *factors]


def from_data(data: Sequence[Any], symbols: Mapping[str, sympy.Symbol] | None = None) -> sympy.Expr:
    """The sympy expression of scalar plain data; ``symbols`` gives each name its symbol (with its
    assumptions).

    Raises `LemmataError` for an operator that scalar closed forms do not have, or a wrong number
    of arguments.
    """
    import sympy as sp

    known = dict(symbols or {})

    def build(node: Any) -> Any:
        if not isinstance(node, list | tuple) or not node:
            raise LemmataError(
                f"not a closed form: {node!r:.80}; expected [operator, argument, ...]"
            )
        op, *args = node
        if op == "rat" and len(args) == 1:
            return sp.Rational(args[0])
        if op == "var" and args and not any(args[1:]):
            return known.get(args[0], sp.Symbol(args[0]))
        if op not in table or (op in _ARITY and len(args) != _ARITY[op]):
            raise LemmataError(
                f"{op!r} with {len(args)} arguments is not a scalar operator of closed forms"
            )
        return table[op](*map(build, args))

    table: dict[str, Any] = {
        "pi": lambda: sp.pi, "add": sp.Add, "mul": sp.Mul, "max": sp.Max, "min": sp.Min,
        "neg": lambda a: -a, "div": lambda a, b: a / b, "pow": sp.Pow, "sqrt": sp.sqrt,
        "abs": sp.Abs, "exp": sp.exp, "expm1": lambda a: sp.exp(a) - 1, "log": sp.log,
        "log1p": lambda a: sp.log(1 + a), "tanh": sp.tanh, "cos": sp.cos, "acos": sp.acos,
        "sign": sp.sign, "relu": lambda a: sp.Max(0, a), "step": lambda a: sp.Heaviside(a, 0),
    }  # fmt: skip
    return build(data)


_ARITY = dict.fromkeys(
    (
        "neg",
        "sqrt",
        "abs",
        "exp",
        "expm1",
        "log",
        "log1p",
        "tanh",
        "cos",
        "acos",
        "sign",
        "relu",
        "step",
    ),
    1,
) | {"pi": 0, "div": 2, "pow": 2}
