"""Spines and conclusions of derivations as plain data of quantities (the format of `theory.quantity`).

Variables: arrays w(j,k), v(j), x(i,k), y(i), f(i), g(i) = -∂ℓ/∂f, gy(i) = g - y, s(j,i) = activation;
scalars n, h, eps, X_max, W_max, t, T; the constants of the derivation under their names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sympy
from sympy import Expr

from theory.errors import DerivationError
from theory.symbols import Atom, Indicator, Inner, MaxOver, Norm, Rate, Relu, Vec

if TYPE_CHECKING:
    from theory.derivation import VerifiedDerivation

Data = list[Any]
_FUNCTIONS = {
    sympy.exp: "exp",
    sympy.log: "log",
    sympy.tanh: "tanh",
    sympy.Abs: "abs",
    sympy.sign: "sign",
}


def to_quantity(e: Expr) -> Data:
    """An expression as plain data; its free indices j and i become the free axes.

    Raises:
        DerivationError: it has a rate or another operator without a counterpart.
    """
    if isinstance(e, sympy.Rational):
        return ["rat", str(e)]
    if e == sympy.pi:
        return ["pi"]
    if e == sympy.E:
        return ["exp", ["rat", "1"]]
    if isinstance(e, sympy.Symbol):
        return ["var", e.name, []]
    if isinstance(e, (Vec, Atom)):
        axes = [str(a) for a in e.indices] + (["k"] if isinstance(e, Vec) else [])
        return ["var", e.label, axes]
    if isinstance(e, sympy.Add):
        return _add(e)
    if isinstance(e, sympy.Mul):
        return _product(e)
    if isinstance(e, sympy.Pow):
        return _power(e)
    if isinstance(e, Inner):
        return ["inner", *map(to_quantity, e.args)]
    if isinstance(e, Norm):
        return ["norm", to_quantity(e.args[0])]
    if isinstance(e, Indicator):
        return _activation(e.args[0])
    if isinstance(e, Relu):
        return ["relu", to_quantity(e.args[0])]
    if isinstance(e, (sympy.Sum, MaxOver)):
        data = to_quantity(e.function)
        for variable, _, _ in e.limits:
            data = ["sum" if isinstance(e, sympy.Sum) else "amax", str(variable), data]
        return data
    if type(e) in _FUNCTIONS:
        return [_FUNCTIONS[type(e)], to_quantity(e.args[0])]
    raise DerivationError(f"{e} has no counterpart among quantities ({type(e).__name__})")


def _activation(z: Expr) -> Data:
    if isinstance(z, Inner) and {a.label for a in z.args if isinstance(a, Vec)} == {"w", "x"}:
        where = {a.label: str(a.indices[0]) for a in z.args}
        return ["var", "s", [where["w"], where["x"]]]
    return ["step", to_quantity(z)]


def _add(e: sympy.Add) -> Data:
    # g - y is a variable of its own: computed from g and y it would lose all digits where g is close to y
    g = next((a for a in e.args if isinstance(a, Atom) and a.label == "g"), None)
    if g is not None and set(e.args) == {g, -Atom("y", *g.indices)}:
        return ["var", "gy", [str(a) for a in g.indices]]
    for a in e.args:
        for b in e.atoms(Vec) if len(e.args) == 2 else ():
            if e - a == -Inner(a, b) / Norm(b) ** 2 * b:
                return ["project_out", to_quantity(a), to_quantity(b)]
    return ["add", *map(_signed, e.args)]


def _signed(e: Expr) -> Data:
    if e.could_extract_minus_sign():
        return ["neg", to_quantity(-e)]
    return to_quantity(e)


def _product(e: sympy.Mul) -> Data:
    if e.could_extract_minus_sign():
        return ["neg", to_quantity(-e)]
    above, below = [], []
    for a in e.args:
        if isinstance(a, sympy.Pow) and a.exp.could_extract_minus_sign():
            below.append(1 / a)
        elif isinstance(a, sympy.Rational) and a.q != 1:
            above.append(sympy.Integer(a.p))
            below.append(sympy.Integer(a.q))
        else:
            above.append(a)
    above = [a for a in above if a != 1]

    def joined(factors: list[Expr]) -> Data:
        parts = [to_quantity(a) for a in factors] or [["rat", "1"]]
        return parts[0] if len(parts) == 1 else ["mul", *parts]

    return ["div", joined(above), joined(below)] if below else joined(above)


def _power(e: sympy.Pow) -> Data:
    if e.exp == 2 and isinstance(e.base, Norm):
        return ["sqnorm", to_quantity(e.base.args[0])]
    if e.exp == sympy.Rational(1, 2):
        return ["sqrt", to_quantity(e.base)]
    if e.exp.could_extract_minus_sign():
        return ["div", ["rat", "1"], to_quantity(1 / e)]
    if isinstance(e.exp, sympy.Rational):
        return ["pow", to_quantity(e.base), ["rat", str(e.exp)]]
    return ["exp", ["mul", to_quantity(e.exp), ["log", to_quantity(e.base)]]]


def spine_data(verified: VerifiedDerivation) -> list[dict[str, Any]]:
    """The spines of a derivation.

    Each is ``{"part", "measured", "links": [{"step", "label", "kind", "data"}]}``; free axis j is the neuron
    that is profiled. Constants keep their names. Where the measured quantity is a rate, ``measured`` is
    the first link, which equals it.
    """
    out = []
    for spine in verified.derivation.spines:
        links = [
            {"step": a.step, "label": a.label, "kind": a.kind, "data": to_quantity(a.expr)}
            for a in spine.links
        ]
        measured = links[0]["data"] if spine.measured.has(Rate) else to_quantity(spine.measured)
        out.append({"part": spine.part, "measured": measured, "links": links})
    return out


def conclusion_data(verified: VerifiedDerivation, part: str) -> Data:
    """``[op, lhs, rhs]`` of a conclusion, with the names of the constants.

    A left side with a rate is replaced by the first link of the part's spine.
    """
    derivation = verified.derivation
    verified.conclusion(part)  # refuses unknown parts
    name = derivation.concludes[part]
    relation = next(s.relation for s in derivation.steps if s.name == name)
    lhs = relation.lhs
    if lhs.has(Rate):
        spine = next((s for s in derivation.spines if s.part == part), None)
        if spine is None:
            raise DerivationError(f"{derivation.name}: part {part!r} needs a spine to be evaluated")
        lhs = spine.links[0].expr
    return [relation.op, to_quantity(lhs), to_quantity(relation.rhs)]
