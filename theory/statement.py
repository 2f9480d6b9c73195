"""What is said: statements, their hypotheses, constants and sources.

A statement is *hypotheses ⇒ conclusion*. The conclusion has one or more parts, each a relation between quantities that
are numbers at every instant, on a domain of time (or, for orders and deadlines, a single relation between times). All
classes are immutable; nothing here measures anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from typing import Any

from theory.errors import LemmataError
from theory.printing import relation_latex, relation_text
from theory.quantity import Quantity, Relation, quantity


class Kind(StrEnum):
    """What sort of conclusion a statement has."""

    INEQUALITY = "inequality"
    EQUALITY = "equality"
    ORDER = "order"
    PROBABILITY = "probability"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a statement comes from: paper, number within it, and what differs from it."""

    paper: str
    where: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.paper}, {self.where}" + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True, slots=True)
class Constant:
    """A named number of a statement.

    Attributes:
        name: the letter in formulas; a variable of the statement's quantities.
        value: the stated value, exact.
        better: "smaller" or "larger", the direction in which the statement improves.
        text: what it multiplies.
    """

    name: str
    value: Fraction
    better: str
    text: str

    def __post_init__(self) -> None:
        if self.better not in ("smaller", "larger"):
            raise LemmataError(
                f"constant {self.name}: better must be 'smaller' or 'larger', not {self.better!r}"
            )


@dataclass(frozen=True, slots=True)
class Definition:
    """A named expression of a statement, for instance ``T = log(1/(√h ε)) / (c_T n X_max)``."""

    name: str
    value: Quantity
    text: str = ""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A predicate on a case that can be decided, with a margin.

    Attributes:
        name: short name, used in messages.
        relation: the predicate, between numbers of the case.
        text: in words.
        remedy: what the user can do where it fails; may contain ``{worst}``, filled in by whoever measures the case.
        eventual: it speaks of the trajectory (an event time), so it is decided after the integration.
    """

    name: str
    relation: Relation
    text: str
    remedy: str
    eventual: bool = False


@dataclass(frozen=True, slots=True)
class Domain:
    """The times on which a relation is claimed: from ``start`` to ``end``, without end where ``end`` is None."""

    start: Quantity
    end: Quantity | None
    text: str


@dataclass(frozen=True, slots=True)
class Touch:
    """The relation is an equality at the start of its domain, by construction.

    The window after the start is decided by ``differential`` instead, and tightness excludes it.
    """

    window: Quantity
    differential: Relation


@dataclass(frozen=True, slots=True)
class Part:
    """One relation of a conclusion.

    Attributes:
        name: short name.
        relation: for every instant of the domain, or once where ``domain`` is None (a relation between times).
        domain: the times.
        touch: see `Touch`.
        vanishing: both sides vanish together at isolated instants (an output that dies at a kink); there the limit of
            their ratio decides.
        resolution: for equalities only: the largest error bound, relative to the scale, with which it counts as
            checked.
    """

    name: str
    relation: Relation
    domain: Domain | None = None
    touch: Touch | None = None
    vanishing: bool = False
    resolution: float | None = None

    def __post_init__(self) -> None:
        if (self.relation.op == "==") != (self.resolution is not None):
            raise LemmataError(
                f"part {self.name!r}: an equality, and only an equality, declares the resolution it is checked with"
            )


@dataclass(frozen=True, slots=True)
class Setting:
    """The dynamics a statement speaks of: model, losses, how the loss adds up over points."""

    model: str = "two-layer-relu"
    losses: tuple[str, ...] = ("exponential", "logistic2")
    reduction: str = "sum"


@dataclass(frozen=True)
class Statement:
    """Hypotheses ⇒ conclusion, with named constants, a source and a permanent id.

    Attributes:
        id: ``topic/name``.
        derivations: for each loss, "module:function" of the derivation that verifies it; empty where the statement is
            only stated. Kept by name, so that reading a statement loads no computer algebra.
        horizon: how far past the last time of its domains an unbounded domain is followed.
    """

    id: str
    title: str
    kind: Kind
    source: Source
    hypotheses: tuple[Hypothesis, ...]
    parts: tuple[Part, ...]
    constants: tuple[Constant, ...] = ()
    definitions: tuple[Definition, ...] = ()
    setting: Setting = Setting()
    derivations: Mapping[str, str] = field(default_factory=dict)
    claim: str = "proofs_checks.claims.trajectory:TrajectoryClaim"
    horizon: Quantity | None = None

    def __post_init__(self) -> None:
        topic, _, name = self.id.partition("/")
        if not topic or not name:
            raise LemmataError(f"statement id {self.id!r} must have the form 'topic/name'")
        names = [c.name for c in self.constants] + [d.name for d in self.definitions]
        if len(set(names)) != len(names):
            raise LemmataError(f"statement {self.id}: a constant or definition is named twice")

    def constant(self, name: str) -> Constant:
        """The constant of this name.

        Raises:
            LemmataError: there is none.
        """
        for c in self.constants:
            if c.name == name:
                return c
        known = ", ".join(c.name for c in self.constants) or "none"
        raise LemmataError(f"statement {self.id} has no constant {name!r}; it has: {known}")

    def with_constants(self, **values: int | Fraction) -> Statement:
        """The same statement with other values; the derivation no longer speaks for it, so it becomes `stated`."""
        for name in values:
            self.constant(name)
        new = tuple(replace(c, value=Fraction(values.get(c.name, c.value))) for c in self.constants)
        return replace(self, constants=new, derivations={})

    def expand(self, relation_or_quantity: Any, *, keep: str = "") -> Any:
        """Replace definitions and constants by their values, so that only variables of the case remain.

        Args:
            keep: the name of a constant that stays a variable.
        """
        return relation_or_quantity.substitute(self.bindings(keep=keep))

    def bindings(self, *, keep: str = "") -> dict[str, Quantity]:
        """Name -> expanded value of every constant and definition; later definitions may use earlier ones."""
        values: dict[str, Quantity] = {
            c.name: quantity(c.value) for c in self.constants if c.name != keep
        }
        for d in self.definitions:
            values[d.name] = d.value.substitute(values)
        return values

    @property
    def topic(self) -> str:
        """The part of the id before the slash."""
        return self.id.partition("/")[0]

    @property
    def text(self) -> str:
        """The conclusion in one or more lines of text."""
        return "\n".join(
            relation_text(p.relation) + (f"   {p.domain.text}" if p.domain else "")
            for p in self.parts
        )

    @property
    def latex(self) -> str:
        """The conclusion as LaTeX, one line per part."""
        return " \\\\\n".join(
            relation_latex(p.relation)
            + (rf" \quad \text{{{_in_text(p.domain.text)}}}" if p.domain else "")
            for p in self.parts
        )


def _in_text(words: str) -> str:
    """Words with comparisons, for LaTeX's text mode."""
    return words.replace("≤", r"$\le$").replace("≥", r"$\ge$")
