"""Models and laws from sympy expressions: polynomial or rational in the parameters, with rational coefficients."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from math import lcm
from pathlib import Path

import sympy

from theory.conservation.builders_layout import MAX_PARAMETERS
from theory.conservation.model import Law, Model
from theory.conservation.polynomials import ONE, Polynomial, scale
from theory.conservation.symbolic_reader import Reader, expression_of, flat, reduced
from theory.errors import LemmataError
from theory.user_file import load, run


def from_sympy(
    phi: object,
    symbols: Sequence[sympy.Symbol] | None = None,
    *,
    spec: str = "phi",
    metric: object = None,
    groups: Sequence[Sequence[int]] = (),
    default_degree: int = 2,
    default_mixed: bool = False,
) -> Model:
    """The model L(θ) = ℓ(φ(θ)) for a vector φ of expressions, polynomial or rational in θ over Q.

    Args:
        phi: matrix, or (nested) sequence, of expressions. symbols: θ; by default all free symbols, sorted by name.
        spec: how messages call it. metric: the diagonal of M (D,), or M (D, D) symmetric, of polynomials in θ; by
            default the identity. Rational coefficients are scaled to integers, which rescales time by a constant.
        groups: entries of φ that differ in the output only, for a cross-entropy.

    Raises:
        LemmataError: φ is empty, has no parameter, or an entry is not rational over Q; says which and why.
    """
    listed = [expression_of(e, f"{spec}, entry {k}") for k, e in enumerate(flat(phi), start=1)]
    if not listed:
        raise LemmataError(f"{spec}: φ is empty; give at least one expression")
    variables = _parameters(listed, symbols, spec)
    place = {s: i for i, s in enumerate(variables)}
    fractions = []
    for k, e in enumerate(listed, start=1):
        fractions.append(reduced(e, Reader(place, f"{spec}, entry {k}")))
    # Constant denominators stay too: without them ∂ℓ/∂φ would not be that of the given φ.
    plain = all(d == ONE for _, d in fractions)
    _check_groups(groups, len(fractions), spec)
    return Model(
        spec=spec,
        variables=_names([s.name for s in variables]),
        phi=tuple(n for n, _ in fractions),
        denominators=() if plain else tuple(d for _, d in fractions),
        metric=() if metric is None else _metric(metric, place, spec),
        groups=tuple(map(tuple, groups)),
        default_degree=default_degree,
        default_mixed=default_mixed,
        latex_names=tuple(sympy.latex(s) for s in variables),
    )


def law_from_sympy(expr: object, model: Model) -> Law:
    """A multiple of P(θ) + Σ_k c_k log|q_k(θ)|, from an expression in the names of the model's field variables.

    Raises:
        LemmataError: another form, or another symbol.
    """
    h = expression_of(expr, "law")
    place = {name: i for i, name in enumerate(model.field_variables)}
    symbols = {}
    for s in sorted(h.free_symbols, key=lambda s: s.name):
        if s.name not in place and _clean(s.name) not in place:
            raise LemmataError(f"law: {s} is no variable of {model.spec}; use {', '.join(place)}")
        symbols[s] = place.get(s.name, place.get(_clean(s.name), 0))
    reader = Reader(symbols, "law")
    rest, logarithms = [], []
    for term in sympy.Add.make_args(sympy.expand_mul(h, deep=False) if h.has(sympy.log) else h):
        c, factor = term.as_coeff_Mul()
        if isinstance(factor, sympy.log):
            inside = factor.args[0]
            q, _ = reader.polynomial(inside.args[0] if isinstance(inside, sympy.Abs) else inside)
            value, unit = reader.polynomial(c)
            logarithms.append((Fraction(value[()], unit), q))
        else:
            rest.append(term)
    p, unit = reader.polynomial(sympy.Add(*rest))
    common = lcm(unit, *(c.denominator for c, _ in logarithms))
    return Law(scale(p, common // unit), tuple((int(c * common), q) for c, q in logarithms))


def law_to_sympy(law: Law, model: Model) -> sympy.Expr:
    """The law in plain symbols with the names of the model's field variables."""
    symbols = [sympy.Symbol(name) for name in model.field_variables]

    def expression(p: Polynomial) -> sympy.Expr:
        return sympy.Add(*(c * sympy.Mul(*(symbols[i] for i in m)) for m, c in p.items()))

    logs = (c * sympy.log(sympy.Abs(expression(q))) for c, q in law.logarithms)
    return sympy.Add(expression(law.polynomial), *logs)


def load_phi(spec: str) -> Model:
    """The model NAME in a Python file, from ``PATH.py:NAME``; the file is executed, what it prints goes to stderr.

    NAME is a `Model`, a sympy matrix or a sequence of expressions, or a function without arguments that returns one.

    Raises:
        LemmataError: no such file or name, the file does not run, or its value is no model.
    """
    path_text, _, name = spec.rpartition(":")
    path_text = path_text.removesuffix(":")
    path = Path(path_text)
    if path.suffix != ".py" or not name.isidentifier():
        raise LemmataError(f"{spec}: give PATH.py:NAME, such as model.py:phi")
    module = load(path_text, "PATH.py:NAME")
    if not hasattr(module, name):
        names = [k for k, v in vars(module).items() if _may_be_model(k, v)]
        raise LemmataError(f"{path_text} has no {name!r}; it has: {', '.join(names) or 'nothing'}")
    value = getattr(module, name)
    if callable(value) and not isinstance(value, sympy.Basic):
        value = run(value, f"{name}() in {path_text}")
    if isinstance(value, Model):
        return replace(value, spec=spec)
    if isinstance(value, str) or not isinstance(value, sympy.Basic | sympy.MatrixBase | Iterable):
        raise LemmataError(
            f"{spec} is of type {type(value).__name__}; give a sympy Matrix, a list of expressions or a Model"
        )
    return from_sympy(value, spec=spec)


def _may_be_model(name: str, value: object) -> bool:
    kinds = Model | sympy.MatrixBase | sympy.Expr | list | tuple
    return not name.startswith("_") and isinstance(value, kinds)


# -- parameters and their names


def _parameters(
    listed: Sequence[sympy.Expr], symbols: Sequence[sympy.Symbol] | None, spec: str
) -> list[sympy.Symbol]:
    if symbols is None:
        free = set().union(*(e.free_symbols for e in listed))
        variables = sorted(free, key=lambda s: (_natural(str(s)), str(s)))
    else:
        variables = list(symbols)
    for s in variables:
        if not isinstance(s, sympy.Symbol) or not s.is_commutative:
            raise LemmataError(f"{spec}: the parameter {s!r} is no commutative sympy Symbol")
    names = [s.name for s in variables]
    for name in names:
        if names.count(name) > 1:
            raise LemmataError(
                f"{spec}: several parameters are called {name} (with other assumptions?); use one symbol, or rename"
            )
    if not variables:
        raise LemmataError(f"{spec}: φ has no parameter; write it in sympy symbols")
    if len(variables) > MAX_PARAMETERS:
        raise LemmataError(
            f"{spec}: {len(variables):,} parameters; at most {MAX_PARAMETERS:,}: give a smaller model"
        )
    return variables


def _natural(name: str) -> list[tuple[int, int, str]]:
    """w2 before w10."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d+)", name)
        if part
    ]


def _names(given: Sequence[str]) -> tuple[str, ...]:
    """Letters, digits and underscores only; a name that is taken gets a number."""
    out: list[str] = []
    taken = {name for name in given if _clean(name) == name}
    for name in given:
        clean = unique = _clean(name)
        k = 2
        while unique in out or (unique in taken and unique != name):
            unique, k = f"{clean[:56]}_{k}", k + 1
        out.append(unique)
    return tuple(out)


def _clean(name: str) -> str:
    """θ₁ as theta1, w^{(1)}_{2} as w_1_2."""
    text = ""
    for c in unicodedata.normalize("NFKD", name):
        kind = unicodedata.name(c, "") if not c.isascii() else ""
        text += kind.split()[-1].lower() if kind.startswith("GREEK") else c
    text = re.sub("[^A-Za-z0-9]+", "_", text).strip("_")[:60]
    return text if text[:1].isalpha() else f"x{text}"


def _check_groups(groups: Sequence[Sequence[int]], size: int, spec: str) -> None:
    listed = [i for group in groups for i in group]
    if len(set(listed)) < len(listed) or any(not 0 <= i < size for i in listed):
        raise LemmataError(
            f"{spec}: groups are disjoint lists of indices of φ, each from 0 to {size - 1}"
        )


def _metric(
    metric: object, place: Mapping[sympy.Symbol, int], spec: str
) -> tuple[tuple[int, int, Polynomial], ...]:
    size = len(place)
    given = list(flat(metric))
    if len(given) == size and not (isinstance(metric, sympy.MatrixBase) and 1 not in metric.shape):
        places = [(a, a) for a in range(size)]
    elif len(given) == size * size:
        places = [(a, b) for a in range(size) for b in range(size)]
    else:
        raise LemmataError(
            f"{spec}: the metric has {len(given)} entries; give the diagonal ({size}) or all {size} × {size}"
        )
    read = {}
    for (a, b), e in zip(places, given, strict=True):
        where = f"{spec}, metric entry ({a + 1}, {b + 1})"
        read[a, b] = Reader(place, where).polynomial(expression_of(e, where))
    common = lcm(*(q for _, q in read.values()))
    Reader(place, f"{spec}, metric").check_bits(common.bit_length())
    out = {at: scale(p, common // q) for at, (p, q) in read.items()}
    for (a, b), p in out.items():
        if out[b, a] != p:
            raise LemmataError(
                f"{spec}: the metric is not symmetric at ({a + 1}, {b + 1}); give M = Mᵀ"
            )
    if not any(out.values()):
        raise LemmataError(f"{spec}: the metric is zero; give a positive definite one")
    return tuple((a, b, p) for (a, b), p in out.items() if p)
