"""The typed language of quantities.

A *quantity* is an expression over the arrays of a case: weights ``w(j,k)`` and ``v(j)``, points ``x(i,k)``, labels
``y(i)``, network values ``f(i)``, named scalars (``eps``, ``n``, ``X_max``, ...), and the constants of a statement. Its
type is the set of its free axes, out of

* ``j`` neurons (length h), ``i`` data points (length n), ``k`` coordinates (length d).

A quantity is immutable and serialises to nested lists (``to_data`` / ``from_data``): this module knows nothing about
arrays, ``numerics`` evaluates the plain data, the derivation engine and the audit kernel read the same format.

Vectors (axis ``k``) may be added, and multiplied by scalars; every other operation on them goes through ``inner``,
``norm``, ``sqnorm``, ``project_out`` or ``specnorm``. A type error is raised when the expression is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from theory.errors import LemmataError

Data: TypeAlias = "list[Any]"
AXES = ("j", "i", "k")

# element by element
UNARY = frozenset(
    {"neg", "abs", "sqrt", "exp", "expm1", "log", "log1p"}
    | {"tanh", "cos", "acos", "sign", "relu", "step"}
)
VARIADIC = frozenset({"add", "mul", "max", "min"})
REDUCTIONS = frozenset({"sum", "amax", "amin"})
VECTOR = frozenset({"inner", "norm", "sqnorm", "project_out", "specnorm"})
LINEAR = frozenset({"neg", "add", "mul", "div"})  # element-wise operations that vectors admit


class QuantityError(LemmataError):
    """An expression that has no type, or plain data that is no quantity."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One node of an expression.

    Attributes:
        op: the operator (the first element of the plain data).
        args: the operands.
        label: the name of a variable, the value "p/q" of a rational, the exponent of a power or the axis of a
            reduction.
        axes: the free axes, a subset of {"j", "i", "k"}.
    """

    op: str
    args: tuple[Quantity, ...] = ()
    label: str = ""
    axes: frozenset[str] = frozenset()

    # -- arithmetic ---------------------------------------------------------------------------------------------
    def __add__(self, other: Operand) -> Quantity:
        return _node("add", (self, quantity(other)))

    def __radd__(self, other: Operand) -> Quantity:
        return _node("add", (quantity(other), self))

    def __sub__(self, other: Operand) -> Quantity:
        return _node("add", (self, _node("neg", (quantity(other),))))

    def __rsub__(self, other: Operand) -> Quantity:
        return _node("add", (quantity(other), _node("neg", (self,))))

    def __mul__(self, other: Operand) -> Quantity:
        return _node("mul", (self, quantity(other)))

    def __rmul__(self, other: Operand) -> Quantity:
        return _node("mul", (quantity(other), self))

    def __truediv__(self, other: Operand) -> Quantity:
        return _node("div", (self, quantity(other)))

    def __rtruediv__(self, other: Operand) -> Quantity:
        return _node("div", (quantity(other), self))

    def __neg__(self) -> Quantity:
        return _node("neg", (self,))

    def __pow__(self, exponent: int | Fraction) -> Quantity:
        return _node("pow", (self,), str(Fraction(exponent)))

    def __le__(self, other: Operand) -> Relation:
        return Relation(self, "<=", quantity(other))

    def __ge__(self, other: Operand) -> Relation:
        return Relation(quantity(other), "<=", self)

    def __lt__(self, other: Operand) -> Relation:
        return Relation(self, "<", quantity(other))

    def __gt__(self, other: Operand) -> Relation:
        return Relation(quantity(other), "<", self)

    # -- plain data ---------------------------------------------------------------------------------------------
    def to_data(self) -> Data:
        """Nested lists, operator first; see the module's docstring."""
        if self.op == "rat":
            return ["rat", self.label]
        if self.op == "pi":
            return ["pi"]
        if self.op == "var":
            return ["var", self.label, [a for a in AXES if a in self.axes]]
        if self.op == "pow":
            return ["pow", self.args[0].to_data(), ["rat", self.label]]
        if self.op in REDUCTIONS:
            return [self.op, self.label, self.args[0].to_data()]
        return [self.op, *(a.to_data() for a in self.args)]

    def variables(self) -> frozenset[str]:
        """The names of all variables that occur."""
        if self.op == "var":
            return frozenset({self.label})
        return frozenset().union(*(a.variables() for a in self.args))

    def substitute(self, values: Mapping[str, Quantity]) -> Quantity:
        """Replace variables by quantities of the same type."""
        if self.op == "var":
            new = values.get(self.label, self)
            if new.axes != self.axes:
                raise QuantityError(
                    f"cannot replace {self.label} with axes {sorted(self.axes)} by a quantity with axes "
                    f"{sorted(new.axes)}; give a quantity of the same type"
                )
            return new
        if not self.args:
            return self
        return _node(self.op, tuple(a.substitute(values) for a in self.args), self.label)

    def __str__(self) -> str:
        from theory.printing import text

        return text(self)


Operand: TypeAlias = Quantity | int | Fraction


@dataclass(frozen=True, slots=True)
class Relation:
    """``lhs <= rhs``, ``lhs < rhs`` or ``lhs == rhs`` between two quantities without free axes."""

    lhs: Quantity
    op: str
    rhs: Quantity

    def __post_init__(self) -> None:
        if self.op not in ("<=", "<", "=="):
            raise QuantityError(f"relation {self.op!r} is unknown; use '<=', '<' or '=='")
        for side in (self.lhs, self.rhs):
            if side.axes:
                raise QuantityError(
                    f"the side {side} still depends on {sorted(side.axes)}; reduce it with amax, amin or sum"
                )

    def substitute(self, values: Mapping[str, Quantity]) -> Relation:
        """Replace variables on both sides."""
        return Relation(self.lhs.substitute(values), self.op, self.rhs.substitute(values))

    def variables(self) -> frozenset[str]:
        """The names of all variables of both sides."""
        return self.lhs.variables() | self.rhs.variables()

    def to_data(self) -> Data:
        """``[op, lhs, rhs]`` as plain data."""
        return [self.op, self.lhs.to_data(), self.rhs.to_data()]

    def __bool__(self) -> bool:
        # Without this, `a <= b <= c` would silently drop the first half.
        raise QuantityError("a relation has no truth value; give each comparison by itself")

    def __str__(self) -> str:
        from theory.printing import relation_text

        return relation_text(self)


def _node(op: str, args: tuple[Quantity, ...], label: str = "") -> Quantity:
    """Build a node and type it."""
    union = frozenset().union(*(a.axes for a in args))
    vectors = [a for a in args if "k" in a.axes]
    if op in UNARY | VARIADIC | {"div", "pow"}:
        if vectors and op not in LINEAR:
            raise QuantityError(f"{op} of a vector has no meaning; take norm or inner first")
        if op == "mul" and len(vectors) > 1:
            raise QuantityError("a product of two vectors is ambiguous; use inner(a, b)")
        if op == "div" and "k" in args[1].axes:
            raise QuantityError("division by a vector has no meaning; divide by its norm")
        if op == "add" and vectors and len(vectors) != len(args):
            raise QuantityError("a vector and a scalar cannot be added")
        return Quantity(op, args, label, union)
    if op in REDUCTIONS:
        (a,) = args
        if label not in ("j", "i") or label not in a.axes:
            raise QuantityError(
                f"{op} over {label!r} of a quantity with axes {sorted(a.axes)}; name one of its axes j, i"
            )
        if op != "sum" and vectors:
            raise QuantityError(f"{op} of a vector has no meaning; take norm first")
        return Quantity(op, args, label, a.axes - {label})
    if op in VECTOR:
        if any("k" not in a.axes for a in args):
            raise QuantityError(f"{op} takes vectors (axis k)")
        if op == "specnorm":
            if union != {"j", "k"}:
                raise QuantityError("specnorm takes a matrix with axes j and k")
            return Quantity(op, args, label, frozenset())
        return Quantity(op, args, label, union if op == "project_out" else union - {"k"})
    raise QuantityError(f"unknown operator {op!r}")


# -- constructors -------------------------------------------------------------------------------------------------
def quantity(value: Operand) -> Quantity:
    """A quantity from an int, a Fraction or a quantity; floats are refused because they are not exact."""
    if isinstance(value, Quantity):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, Fraction)):
        raise QuantityError(f"{value!r} is not exact; write a Fraction such as Fraction('0.1')")
    return Quantity("rat", (), str(Fraction(value)))


def var(name: str, axes: str = "") -> Quantity:
    """A variable with the given axes, for instance ``var("w", "jk")``."""
    if not name.isidentifier() or any(a not in AXES for a in axes):
        raise QuantityError(
            f"variable {name!r} with axes {axes!r}: a name and a subset of 'jik' are needed"
        )
    return Quantity("var", (), name, frozenset(axes))


PI = Quantity("pi")


def _unary(op: str):  # type: ignore[no-untyped-def]
    def build(a: Operand) -> Quantity:
        return _node(op, (quantity(a),))

    build.__name__ = op
    build.__doc__ = f"``{op}`` element by element."
    return build


qabs, sqrt, exp, expm1, log, log1p = map(_unary, ("abs", "sqrt", "exp", "expm1", "log", "log1p"))
tanh, cos, acos, sign, relu, step = map(_unary, ("tanh", "cos", "acos", "sign", "relu", "step"))
norm, sqnorm, specnorm = map(_unary, ("norm", "sqnorm", "specnorm"))


def maximum(*args: Operand) -> Quantity:
    """The largest of its arguments, element by element."""
    return _node("max", tuple(map(quantity, args)))


def minimum(*args: Operand) -> Quantity:
    """The smallest of its arguments, element by element."""
    return _node("min", tuple(map(quantity, args)))


def equals(a: Operand, b: Operand) -> Relation:
    """The relation ``a == b``; the operator ``==`` compares expressions, not values."""
    return Relation(quantity(a), "==", quantity(b))


def inner(a: Quantity, b: Quantity) -> Quantity:
    """The inner product over coordinates k."""
    return _node("inner", (a, b))


def project_out(a: Quantity, b: Quantity) -> Quantity:
    """``a - b <a,b>/|b|^2``: the part of a orthogonal to b."""
    return _node("project_out", (a, b))


def total(a: Quantity, axis: str) -> Quantity:
    """The sum over an axis, j or i."""
    return _node("sum", (a,), axis)


def amax(a: Quantity, axis: str) -> Quantity:
    """The maximum over an axis, j or i."""
    return _node("amax", (a,), axis)


def amin(a: Quantity, axis: str) -> Quantity:
    """The minimum over an axis, j or i."""
    return _node("amin", (a,), axis)


def from_data(data: Any) -> Quantity:
    """The inverse of `Quantity.to_data`.

    Raises:
        QuantityError: the data are no quantity; the message names the offending part.
    """
    if not isinstance(data, (list, tuple)) or not data or not isinstance(data[0], str):
        raise QuantityError(
            f"{data!r} is no quantity; expected a list with the operator's name first"
        )
    op, rest = data[0], list(data[1:])
    try:
        if op == "rat":
            if not isinstance(rest[0], str):
                raise TypeError("a rational is written as text, 'p/q'")
            return Quantity("rat", (), str(Fraction(rest[0])))
        if op == "pi":
            return PI
        if op == "var":
            return var(rest[0], "".join(rest[1]) if len(rest) > 1 else "")
        if op == "pow":
            return _node("pow", (from_data(rest[0]),), str(Fraction(rest[1][1])))
        if op in REDUCTIONS:
            return _node(op, (from_data(rest[1]),), rest[0])
    except (AttributeError, IndexError, TypeError, ValueError, ZeroDivisionError) as error:
        if isinstance(error, QuantityError):
            raise
        raise QuantityError(f"malformed {op!r} in {data!r}: {error}") from error
    arity = {"div": 2, "inner": 2, "project_out": 2}.get(op, None if op in VARIADIC else 1)
    if arity is not None and len(rest) != arity:
        raise QuantityError(f"{op} takes {arity} argument(s), not {len(rest)}")
    if not rest:
        raise QuantityError(f"{op} takes at least one argument")
    return _node(op, tuple(map(from_data, rest)))
