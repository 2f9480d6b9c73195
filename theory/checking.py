"""What a justification sees while its step is checked: setting, earlier steps, ways to fail.

See `theory.derivation` for the meaning of a verified step.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

import sympy
from sympy import Expr, Symbol

from theory.errors import DerivationError
from theory.instances import Instance, Undetermined, free_indices
from theory.normal_form import is_zero
from theory.positivity import Facts, undefined_part
from theory.symbols import Rel, at_start, labels

_TRIALS = 6  # random instances per check
_SEARCH = 60  # random instances when a counterexample is wanted


class Validity(IntEnum):
    """At which times a relation with a rate holds."""

    ALWAYS = 0
    ALMOST_EVERYWHERE = 1
    OFF_KINKS = 2


class StepError(DerivationError):
    """A step that does not verify.

    Attributes:
        step: its name.
        relation: its relation as text.
        point: exact values at which it fails; empty where none was found.
    """

    def __init__(
        self, step: str, relation: str, reason: str, point: Mapping[str, str] | None = None
    ) -> None:
        self.step, self.relation, self.reason = step, relation, reason
        self.point = dict(point or {})
        where = (
            ", ".join(f"{k} = {v}" for k, v in self.point.items()) or "no failing point was found"
        )
        super().__init__(f"step {step!r} ({relation}) does not verify: {reason} [{where}]")


@dataclass(frozen=True, eq=False)  # compared by identity: memos are keyed by it
class Setting:
    """The dynamics and the names that relations use.

    Attributes:
        name: for messages.
        time: the symbol t.
        indices: index symbol -> symbol of its size.
        flow: label of a state variable -> (index symbols, right-hand side of its equation).
        state: labels of everything that depends on time (state variables and what is computed from them).
        domains: label of an atom -> its finite set of values.
        definitions: label -> (index symbols, expression), used to build consistent instances.
        prepare: sets values on an instance so that it satisfies the setting (balance, maxima, ...);
            used in the search for counterexamples only.
    """

    name: str
    time: Symbol
    indices: Mapping[Symbol, Symbol]
    flow: Mapping[str, tuple[tuple[Symbol, ...], Expr]] = field(default_factory=dict)
    state: frozenset[str] = frozenset()
    domains: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    definitions: Mapping[str, tuple[tuple[Symbol, ...], Expr]] = field(default_factory=dict)
    prepare: Callable[[Instance], None] | None = None

    def initial(self, e: Expr) -> Expr:
        """The value of an expression at t = 0."""
        return at_start(e, self.state, self.time)

    def depends_on_time(self, e: Expr) -> bool:
        """Whether an expression mentions the time or a variable that moves."""
        return self.time in e.free_symbols or bool(labels(e) & self.state)

    def free_instance(self, rng: random.Random) -> Instance:
        """An instance on which all atoms are independent."""
        return Instance(rng, domains=self.domains)

    def consistent_instance(self, rng: random.Random) -> Instance:
        """An instance on which definitions, flow and `prepare` hold."""
        instance = Instance(rng, domains=self.domains, definitions=self.definitions, flow=self.flow)
        if self.prepare is not None:
            self.prepare(instance)
        return instance

    def assignments(self, relation: Rel, instance: Instance) -> list[dict[Symbol, int]]:
        """All values of a relation's free indices on an instance."""
        out: list[dict[Symbol, int]] = [{}]
        for i in free_indices(relation):
            upper = instance.size(self.indices[i]) if i in self.indices else 2
            out = [{**a, i: k} for a in out for k in range(1, upper + 1)]
        return out


@dataclass(frozen=True)
class Cite:
    """An earlier step, with values for its free indices or parameters: ``Cite("relu", ((i, k),))``."""

    name: str
    at: tuple[tuple[Expr, Expr], ...] = ()


@dataclass(frozen=True)
class Checked:
    """A verified step, with the constants replaced by their values."""

    name: str
    relation: Rel
    kind: str
    premises: frozenset[str]
    validity: Validity
    depends: tuple[str, ...]
    text: str = ""

    def describe(self) -> dict[str, str]:
        """Name, justification, relation as text and as LaTeX, words."""
        return {
            "name": self.name,
            "justification": self.kind,
            "text": str(self.relation),
            "latex": self.relation.latex,
            "words": self.text,
        }


@dataclass
class Context:
    """What a justification may use while its step is checked."""

    step: str
    setting: Setting
    hypotheses: Mapping[str, Rel]
    earlier: Mapping[str, Checked]
    stated: Rel
    used: dict[str, Checked] = field(default_factory=dict)
    closes: set[str] = field(default_factory=set)
    opens: set[str] = field(default_factory=set)
    validity: Validity | None = None  # set by justifications that change it
    searching: bool = True  # whether failures look for a counterexample

    @property
    def rng(self) -> random.Random:
        """A generator that depends on the step only, so that checks are reproducible."""
        return random.Random(f"{self.step}|{self.stated}")

    def fail(self, reason: str, point: Mapping[str, str] | None = None) -> StepError:
        """The error to raise; without a point, one is searched for."""
        return StepError(
            self.step, str(self.stated), reason, point or self.counterexample(self.stated)
        )

    def record(self, name: str) -> Checked:
        """An earlier verified step."""
        if name not in self.earlier:
            known = ", ".join(self.earlier) or "none"
            raise self.fail(f"it cites {name!r}, which is no earlier step (earlier steps: {known})")
        self.used[name] = self.earlier[name]
        return self.earlier[name]

    def cite(self, reference: str | Cite) -> Rel:
        """The relation of an earlier step; only its indices may be replaced, by indices of the same size."""
        if isinstance(reference, str):
            return self.record(reference).relation
        sizes = self.setting.indices
        for old, new in reference.at:
            if old not in sizes or sizes.get(new) != sizes[old]:
                raise self.fail(f"{old} -> {new} replaces no index by another of the same size")
        return self.record(reference.name).relation.at(dict(reference.at))

    def facts(self, references: tuple[str | Cite, ...]) -> Facts:
        """The sign information of cited steps."""
        return Facts.of(self.cite(r) for r in references)

    def require_defined(self, *expressions: Expr) -> None:
        """Raise unless all denominators, roots and logarithms are defined, by structure or by earlier steps.

        Without this, an equation multiplied by 1/0 would prove anything.
        """
        for e in expressions:
            if undefined_part(e) is None:
                continue
            strict = [c for c in self.earlier.values() if c.relation.op == "<" and not c.premises]
            facts = Facts.of(c.relation for c in strict)
            culprit = undefined_part(e, facts)
            if culprit is not None:
                raise self.fail(
                    f"{culprit} must be shown to be positive before {e} has a meaning",
                    self.counterexample(Rel(sympy.Integer(0), "<", culprit)),
                )
            for c in strict:  # record those that are needed
                if not facts.called_upon(c.relation):
                    continue
                rest = Facts.of(b.relation for b in strict if b is not c)
                if undefined_part(e, rest) is not None:
                    self.used[c.name] = c

    def require_zero(self, e: Expr, reason: str) -> None:
        """Raise unless an expression vanishes identically: on random instances and symbolically."""
        point = self.refute(Rel(e, "=", sympy.Integer(0)))
        if point is not None:
            raise StepError(
                self.step, str(self.stated), reason, self.counterexample(self.stated) or point
            )
        if not is_zero(e):
            raise self.fail(
                f"{reason}; no instance contradicts it, but the algebra does not prove it"
            )

    def require_implied(self, derived: Rel, what: str) -> None:
        """Raise unless the stated relation is the derived one (same gap; <= may follow from = or <)."""
        order = {"=": 2, "<": 1, "<=": 0}
        weaker = derived.op == self.stated.op or (self.stated.op == "<=" and order[derived.op] > 0)
        reason = f"{what} gives {derived}"
        if not weaker:
            raise self.fail(f"{reason}, which does not imply the relation {self.stated.op!r}")
        self.require_zero(self.stated.gap - derived.gap, reason)

    def refute(self, relation: Rel, trials: int = _TRIALS) -> dict[str, str] | None:
        """A free instance on which a relation certainly fails, or None."""
        return self._search(relation, self.setting.free_instance, (), trials)

    def counterexample(self, relation: Rel, trials: int = _SEARCH) -> dict[str, str]:
        """A point where a relation fails: if possible on an instance of the setting on which every cited step
        holds, else on a free instance; empty if none is found."""
        if not self.searching:
            return {}
        given = tuple(c.relation for c in self.used.values())
        for draw in (self.setting.consistent_instance, self.setting.free_instance):
            point = self._search(relation, draw, given, trials)
            if point is not None:
                return point
        return {}

    def _search(
        self,
        relation: Rel,
        draw: Callable[[random.Random], Instance],
        given: tuple[Rel, ...],
        trials: int,
    ) -> dict[str, str] | None:
        rng = self.rng
        for _ in range(trials):
            instance = draw(random.Random(rng.random()))
            try:
                for where in self.setting.assignments(relation, instance):
                    if instance.compare(relation, where) is not False:
                        continue
                    if all(
                        instance.compare(g, a) is not False
                        for g in given
                        for a in self.setting.assignments(g, instance)
                    ):
                        return instance.point() | {str(k): str(v) for k, v in where.items()}
            except (Undetermined, DerivationError, ZeroDivisionError):
                continue
        return None


class Justification(Protocol):
    """What a justification provides; all are frozen dataclasses of expressions, names and tuples."""

    kind: str

    def check(self, stated: Rel, ctx: Context) -> None:
        """Raise a `StepError` (through ``ctx.fail``) unless the stated relation follows."""
