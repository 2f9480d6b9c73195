"""Symbols of derivations: vectors and scalars with an index, norms, inner products, rates, relations.

An expression of a derivation is a sympy expression over

* plain symbols: sizes (h, n), parameters (eps, X_max, ...), the time t, constants (C_w, ...);
* `Vec("w", j)`, a vector, and `Atom("v", j)`, a real number, both with an index that is a symbol or
  an integer; state variables carry the time implicitly, `initial` gives their value at t = 0;
* `Inner`, `Norm`, `Relu`, `Indicator` (1 where its argument is positive, else 0), sums
  `Sum(a, (i, 1, n))`, maxima `MaxOver(a, (i, 1, n))`, and `Rate(q)` = dq/dt.

Free indices of a relation are universally quantified, and so is the time t in [0, T].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy
from sympy import Expr, Symbol
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.core.symbol import Str
from sympy.printing.str import StrPrinter

from theory.errors import DerivationError
from theory.printing import GREEK_TEX

START = "@0"  # suffix of the name of a state variable at t = 0


class _Indexed(Expr):
    """Common part of `Vec` and `Atom`: a name and indices."""

    is_commutative = True

    def __new__(cls, name: str | Str, *indices: Any) -> _Indexed:
        label = name if isinstance(name, Str) else Str(name)
        return Expr.__new__(cls, label, *map(sympy.sympify, indices))

    @property
    def label(self) -> str:
        """The name without indices."""
        return str(self.args[0].name)

    @property
    def indices(self) -> tuple[Expr, ...]:
        """The indices, symbols or integers."""
        return tuple(self.args[1:])

    def _sympystr(self, printer: Any) -> str:
        inner = ",".join(printer._print(a) for a in self.indices)
        base, _, at_start = self.label.partition("@")
        text = f"{base}[{inner}]" if inner else base
        return f"{text}(0)" if at_start else text

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        inner = "".join(printer._print(a) for a in self.indices)
        base, _, at_start = self.label.partition("@")
        base = {"gy": r"\Delta"}.get(base, base)
        base, plus, _ = base.partition("+")  # the value after a step
        base, _, word = base.partition("_")
        base = GREEK_TEX.get(base, base)
        below = ",".join(filter(None, (rf"\mathrm{{{word}}}" if word else "", inner)))
        text = base + (f"_{{{below}}}" if below else "") + ("(0)" if at_start and inner else "")
        if plus:
            text = f"({text}^{{+}})" if exp else f"{text}^{{+}}"
        return f"{text}^{{{exp}}}" if exp else text


class Vec(_Indexed):
    """A vector, for instance ``Vec("w", j)``: linear combinations of vectors are vectors."""


class Atom(_Indexed):
    """A real number with indices, for instance ``Atom("v", j)``."""

    is_extended_real = True
    is_real = True


class Inner(Expr):
    """Inner product of two vectors; symmetric by construction."""

    is_commutative = True
    is_extended_real = True
    is_real = True

    def __new__(cls, a: Expr, b: Expr) -> Inner:
        first, second = sorted((sympy.sympify(a), sympy.sympify(b)), key=sympy.default_sort_key)
        return Expr.__new__(cls, first, second)

    def _sympystr(self, printer: Any) -> str:
        return "<" + ", ".join(map(printer._print, self.args)) + ">"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = r"\langle " + ", ".join(map(printer._print, self.args)) + r" \rangle"
        return f"{text}^{{{exp}}}" if exp else text


class Norm(Expr):
    """Euclidean norm of a vector."""

    is_commutative = True
    is_extended_real = True
    is_real = True
    is_extended_nonnegative = True
    is_nonnegative = True

    def __new__(cls, a: Expr) -> Norm:
        return Expr.__new__(cls, sympy.sympify(a))

    def _sympystr(self, printer: Any) -> str:
        return f"|{printer._print(self.args[0])}|"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = rf"\| {printer._print(self.args[0])} \|"
        return f"{text}^{{{exp}}}" if exp else text


class Indicator(Expr):
    """1 where the argument is positive, else 0 (the derivative of the ReLU, with σ'(0) = 0)."""

    is_commutative = True
    is_extended_real = True
    is_real = True
    is_extended_nonnegative = True
    is_nonnegative = True

    def __new__(cls, z: Expr) -> Indicator:
        return Expr.__new__(cls, sympy.sympify(z))

    def _sympystr(self, printer: Any) -> str:
        return f"1[{printer._print(self.args[0])} > 0]"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return rf"\mathbf{{1}}_{{{printer._print(self.args[0])} > 0}}"


class Relu(Expr):
    """max(z, 0)."""

    is_commutative = True
    is_extended_real = True
    is_real = True
    is_extended_nonnegative = True
    is_nonnegative = True

    def __new__(cls, z: Expr) -> Relu:
        return Expr.__new__(cls, sympy.sympify(z))

    def _sympystr(self, printer: Any) -> str:
        return f"relu({printer._print(self.args[0])})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = rf"\sigma({printer._print(self.args[0])})"
        return f"{text}^{{{exp}}}" if exp else text


class Rate(Expr):
    """The time derivative of a number or a vector along the flow."""

    is_commutative = True
    is_extended_real = True
    is_real = True

    def __new__(cls, q: Expr) -> Rate:
        return Expr.__new__(cls, sympy.sympify(q))

    def _sympystr(self, printer: Any) -> str:
        return f"d/dt({printer._print(self.args[0])})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return rf"\tfrac{{d}}{{dt}} \left({printer._print(self.args[0])}\right)"


class MaxOver(ExprWithLimits):
    """Maximum over an index: ``MaxOver(a, (j, 1, h))``."""

    is_commutative = True
    is_extended_real = True
    is_real = True

    def _eval_is_nonnegative(self) -> bool | None:
        return True if self.function.is_nonnegative else None

    def _sympystr(self, printer: Any) -> str:
        names = "".join(f"max_{v}(" for v in reversed(self.variables))
        return names + printer._print(self.function) + ")" * len(self.variables)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        index = ",".join(printer._print(v) for v in reversed(self.variables))
        text = rf"\max_{{{index}}} {printer.parenthesize(self.function, 40)}"
        return rf"\left({text}\right)^{{{exp}}}" if exp else text


class _Text(StrPrinter):
    """Plain text with |a| for absolute values and sum_i(a) for sums."""

    def _print_Abs(self, e: Expr) -> str:
        return f"|{self._print(e.args[0])}|"

    def _print_Sum(self, e: Expr) -> str:
        names = "".join(f"sum_{v}(" for v in reversed(e.variables))
        return names + self._print(e.function) + ")" * len(e.variables)


_LATEX_NAMES = {
    "eps": r"\varepsilon",
    "X_max": r"X_{\max}",
    "W_max": r"W_{\max}",
}


def text_of(e: Expr) -> str:
    """An expression as plain text."""
    return str(_Text().doprint(e))


def latex_of(e: Expr) -> str:
    """An expression as LaTeX."""
    names = {a: _LATEX_NAMES[a.name] for a in e.free_symbols if a.name in _LATEX_NAMES}
    return str(sympy.latex(e, symbol_names=names))


def index(name: str) -> Symbol:
    """An index symbol (a positive integer)."""
    return Symbol(name, integer=True, positive=True)


def size(name: str) -> Symbol:
    """A size such as the number of neurons (a positive integer)."""
    return Symbol(name, integer=True, positive=True)


def is_vector(e: Expr) -> bool:
    """Whether an expression is a vector.

    Raises:
        DerivationError: a sum mixes vectors with numbers, or vectors are multiplied.
    """
    if isinstance(e, Vec):
        return True
    if isinstance(e, sympy.Add):
        kinds = {is_vector(a) for a in e.args}
        if len(kinds) > 1:
            raise DerivationError(f"{e} adds a vector and a number; write one of them only")
        return kinds.pop()
    if isinstance(e, sympy.Mul):
        vectors = sum(is_vector(a) for a in e.args)
        if vectors > 1:
            raise DerivationError(f"{e} multiplies vectors; use Inner(a, b)")
        return vectors == 1
    if isinstance(e, sympy.Sum):
        return is_vector(e.function)
    if isinstance(e, Rate):
        return is_vector(e.args[0])
    if isinstance(e, sympy.Pow) and (is_vector(e.base) or is_vector(e.exp)):
        raise DerivationError(f"{e} is a power of a vector; use Norm or Inner")
    return False


def bound_symbols(e: Expr) -> set[Symbol]:
    """The indices that sums and maxima bind."""
    return {v for s in e.atoms(ExprWithLimits) for v in s.variables}


def rename_bound(e: Expr, avoid: Iterable[Symbol]) -> Expr:
    """Rename bound indices that occur in ``avoid`` to fresh ones."""
    taken = set(avoid)

    def rename(s: ExprWithLimits) -> Expr:
        table = {
            v: sympy.Dummy(v.name, integer=True, positive=True) for v in s.variables if v in taken
        }
        if not table:
            return s
        limits = [(table.get(v, v), lower, upper) for v, lower, upper in s.limits]
        return s.func(s.function.xreplace(table), *limits)

    if not taken & bound_symbols(e):
        return e
    return e.replace(lambda s: isinstance(s, ExprWithLimits), rename)


def instantiate(e: Expr, mapping: Mapping[Expr, Any]) -> Expr:
    """Substitute free symbols (indices, constants, parameters) without capture by sums and maxima."""
    new = {k: sympy.sympify(v) for k, v in mapping.items()}
    incoming = set().union(*(a.free_symbols for a in (*new, *new.values())))
    e = rename_bound(e, incoming)
    return e.xreplace(new)


def at_start(e: Expr, state: Iterable[str], time: Symbol) -> Expr:
    """The value at t = 0: every state variable is replaced by its initial value.

    ``state`` holds the names of all variables that depend on the time.
    """
    names = set(state)

    def start(a: _Indexed) -> Expr:
        return type(a)(a.label + START, *a.indices) if a.label in names else a

    return e.replace(lambda a: isinstance(a, _Indexed), start).subs(time, 0)


def labels(e: Expr) -> set[str]:
    """The names of the indexed variables that occur."""
    return {a.label for a in sympy.preorder_traversal(e) if isinstance(a, _Indexed)}


def map_expressions(obj: Any, transform: Callable[[Expr], Expr]) -> Any:
    """Apply a transformation to every expression inside nested tuples and dataclasses."""
    import dataclasses

    if isinstance(obj, Expr):
        return transform(obj)
    if isinstance(obj, tuple):
        return tuple(map_expressions(a, transform) for a in obj)
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        new = {
            f.name: map_expressions(getattr(obj, f.name), transform)
            for f in dataclasses.fields(obj)
            if f.init
        }
        return type(obj)(**new)
    return obj


@dataclass(frozen=True)
class Rel:
    """``lhs op rhs`` with op one of ``=``, ``<=``, ``<``; never evaluated by sympy behind our back."""

    lhs: Expr
    op: str
    rhs: Expr

    @classmethod
    def of(cls, relation: Any) -> Rel:
        """From a sympy Eq, Le, Lt, Ge or Gt (or a Rel).

        Raises:
            DerivationError: it is none of these, for instance because sympy evaluated it; use `le`, `lt`, `eq`.
        """
        if isinstance(relation, Rel):
            return relation
        if isinstance(relation, (sympy.Ge, sympy.Gt)):
            relation = relation.reversed
        for kind, op in ((sympy.Eq, "="), (sympy.Le, "<="), (sympy.Lt, "<")):
            if isinstance(relation, kind):
                return cls(relation.lhs, op, relation.rhs)
        raise DerivationError(
            f"{relation!r} is no relation; build it with theory.symbols.eq, le or lt"
        )

    @property
    def gap(self) -> Expr:
        """rhs - lhs."""
        return self.rhs - self.lhs

    def map(self, transform: Callable[[Expr], Expr]) -> Rel:
        """Transform both sides."""
        return Rel(transform(self.lhs), self.op, transform(self.rhs))

    def at(self, mapping: Mapping[Expr, Any]) -> Rel:
        """Substitute free symbols on both sides."""
        return self.map(lambda e: instantiate(e, mapping))

    def sympy(self) -> Any:
        """The sympy relation, unevaluated."""
        kind = {"=": sympy.Eq, "<=": sympy.Le, "<": sympy.Lt}[self.op]
        return kind(self.lhs, self.rhs, evaluate=False)

    @property
    def latex(self) -> str:
        """Both sides as LaTeX."""
        sign = {"=": "=", "<=": r"\le", "<": "<"}[self.op]
        return f"{latex_of(self.lhs)} {sign} {latex_of(self.rhs)}"

    def __str__(self) -> str:
        return f"{text_of(self.lhs)} {self.op} {text_of(self.rhs)}"


def eq(a: Any, b: Any) -> Rel:
    """a = b."""
    return Rel(sympy.sympify(a), "=", sympy.sympify(b))


def le(a: Any, b: Any) -> Rel:
    """a <= b."""
    return Rel(sympy.sympify(a), "<=", sympy.sympify(b))


def lt(a: Any, b: Any) -> Rel:
    """a < b."""
    return Rel(sympy.sympify(a), "<", sympy.sympify(b))
