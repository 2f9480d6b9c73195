"""Derivations that are checked, step by step.

A `Derivation` is a list of steps. A `Step` is a relation and one justification (`theory.justifications`,
`theory.justifications_flow`); `Derivation.verify` checks every justification and returns a
`VerifiedDerivation`, or raises a `StepError` that names the step, its relation and a point where it fails.

What a verified step means: for all values of its free indices, all parameters with the declared
signs, every solution of the declared flow that satisfies the hypotheses, and all t in [0, T]:

    if every open premise of the step holds on [0, t], its relation holds at t

(for relations that contain a rate: at almost every t, or at every t that is no kink, see `Validity`).
Premises are opened by `While` and closed by `Continuation` only. Trusted are the meta-theorem that each
justification names in its docstring, sympy's expansion of polynomials, and ball arithmetic.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction
from typing import Any, Protocol

import sympy
from sympy import Expr, Symbol

from theory.errors import DerivationError
from theory.instances import Instance, Undetermined, free_indices
from theory.normal_form import is_zero, normal
from theory.positivity import Facts
from theory.symbols import Rel, at_start, instantiate, labels, map_expressions

Values = Mapping[str, "Fraction | int"]
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


@dataclass(frozen=True)
class Constant:
    """A named constant of a derivation: stated value and the direction in which it improves."""

    name: str
    stated: Fraction
    better: str = "smaller"

    def __post_init__(self) -> None:
        if self.better not in ("smaller", "larger"):
            raise DerivationError(
                f"constant {self.name}: better is 'smaller' or 'larger', not {self.better!r}"
            )

    @property
    def symbol(self) -> Symbol:
        """Its symbol in relations."""
        return Symbol(self.name, positive=True)


@dataclass(frozen=True)
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


class Justification(Protocol):
    """What a justification provides; all are frozen dataclasses of expressions, names and tuples."""

    kind: str

    def check(self, stated: Rel, ctx: Context) -> None:
        """Raise a `StepError` (through ``ctx.fail``) unless the stated relation follows."""


@dataclass(frozen=True)
class Step:
    """One link of a derivation.

    Attributes:
        name: unique within the derivation.
        relation: what it says.
        by: why.
        text: the same in words.
    """

    name: str
    relation: Rel
    by: Any
    text: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "relation", Rel.of(self.relation))


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

    def require_zero(self, e: Expr, reason: str) -> None:
        """Raise unless an expression vanishes identically: on random instances and symbolically."""
        point = self.refute(Rel(normal(e), "=", sympy.Integer(0)))
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


@dataclass(frozen=True)
class Link:
    """One link of a derivation's spine: the quantity that a step reaches.

    Attributes:
        step: the step that bounds the previous link by this one (for the first link: that defines it).
        label: short text.
        kind: "rate" (integrated over [0, t] when profiled) or "value".
        expr: the expression; for rate links the relative growth rate of the measured quantity.
    """

    step: str
    label: str
    kind: str
    expr: Expr


@dataclass(frozen=True)
class Spine:
    """The chain from the measured quantity to the stated bound.

    Attributes:
        part: the part of the statement that it profiles.
        measured: the quantity that is bounded.
        links: in order; the last is the stated bound.
    """

    part: str
    measured: Expr
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Derivation:
    """A chain of steps from declared hypotheses to conclusions.

    Attributes:
        name: for messages.
        hypotheses: name -> relation: definitions and hypotheses that the statement declares.
        constants: named constants with their stated values.
        concludes: part of the statement -> name of the step that proves it.
        spines: for profiles; see `Spine`.
    """

    name: str
    setting: Setting
    hypotheses: Mapping[str, Rel]
    constants: tuple[Constant, ...]
    steps: tuple[Step, ...]
    concludes: Mapping[str, str]
    spines: tuple[Spine, ...] = ()

    def __post_init__(self) -> None:
        names = [s.name for s in self.steps]
        repeated = {a for a in names if names.count(a) > 1}
        if repeated:
            raise DerivationError(
                f"derivation {self.name}: steps named twice: {', '.join(sorted(repeated))}"
            )
        for part, name in self.concludes.items():
            if name not in names:
                raise DerivationError(
                    f"derivation {self.name}: part {part!r} names {name!r}, which is no step"
                )

    def values(self, constants: Values | None = None) -> dict[str, Fraction]:
        """Stated values, overridden.

        Raises:
            DerivationError: an unknown constant, or a value that is not a positive rational.
        """
        out = {c.name: c.stated for c in self.constants}
        for name, value in (constants or {}).items():
            if name not in out:
                raise DerivationError(
                    f"{self.name} has no constant {name!r}; it has: {', '.join(out) or 'none'}"
                )
            if isinstance(value, float) or Fraction(value) <= 0:
                raise DerivationError(f"constant {name} = {value!r}: give a positive Fraction")
            out[name] = Fraction(value)
        return out

    def verify(
        self, constants: Values | None = None, *, memo: MutableMapping[Any, Any] | None = None
    ) -> VerifiedDerivation:
        """Check every step with the given values of the constants (default: as stated).

        Args:
            memo: results of earlier calls; steps whose inputs did not change are not checked again.

        Raises:
            StepError: a step does not verify.
            DerivationError: a conclusion has an open premise or holds off kinks only.
        """
        values = self.values(constants)
        table = {
            c.symbol: sympy.Rational(values[c.name].numerator, values[c.name].denominator)
            for c in self.constants
        }

        def put(e: Expr) -> Expr:
            return instantiate(e, table)

        hypotheses = {k: Rel.of(r).map(put) for k, r in self.hypotheses.items()}
        checked: dict[str, Checked] = {}
        closed: dict[str, str] = {}
        for step in self.steps:
            relation, by = step.relation.map(put), map_expressions(step.by, put)
            done, closes = _check(self, step, relation, by, hypotheses, checked, memo)
            premises = done.premises - set(closed)
            through = tuple(sorted({closed[p] for p in done.premises & set(closed)}))
            if closes:
                if premises - closes:
                    raise StepError(
                        step.name,
                        str(relation),
                        f"other premises are still open: {sorted(premises - closes)}",
                    )
                closed.update(dict.fromkeys(closes, step.name))
                premises = frozenset()
            checked[step.name] = Checked(
                done.name,
                relation,
                done.kind,
                premises,
                done.validity,
                done.depends + through,
                step.text,
            )
        for part, name in self.concludes.items():
            final = checked[name]
            if final.premises:
                raise StepError(
                    name,
                    str(final.relation),
                    f"part {part!r} rests on open premises {sorted(final.premises)}; close them by continuation",
                )
            if final.validity == Validity.OFF_KINKS:
                raise StepError(
                    name,
                    str(final.relation),
                    f"part {part!r} holds off kinks only; promote it by almost_everywhere",
                )
        return VerifiedDerivation(self, values, checked)


def _check(
    derivation: Derivation,
    step: Step,
    relation: Rel,
    by: Any,
    hypotheses: Mapping[str, Rel],
    earlier: Mapping[str, Checked],
    memo: MutableMapping[Any, Any] | None,
) -> tuple[Checked, set[str]]:
    """Check one step, or take the result of an identical earlier check."""
    key = (derivation.setting.name, step.name, relation, by)
    for used, assumed, result in (memo or {}).get(key, ()):
        if all(earlier.get(k) == c for k, c in used.items()) and all(
            hypotheses.get(k) == r for k, r in assumed
        ):
            return result
    ctx = Context(step.name, derivation.setting, hypotheses, earlier, relation)
    by.check(relation, ctx)
    premises = frozenset().union(ctx.opens, *(c.premises for c in ctx.used.values()))
    validity = max((c.validity for c in ctx.used.values()), default=Validity.ALWAYS)
    if ctx.validity is not None:
        validity = ctx.validity
    result = (
        Checked(step.name, relation, by.kind, premises, validity, tuple(ctx.used)),
        set(ctx.closes),
    )
    if memo is not None:
        assumed = tuple(hypotheses.items()) if by.kind == "assume" else ()
        memo.setdefault(key, []).append((dict(ctx.used), assumed, result))
    return result


@dataclass(frozen=True)
class VerifiedDerivation:
    """A derivation all of whose steps were checked, with the values of the constants.

    Built by `Derivation.verify` only.
    """

    derivation: Derivation
    constants: Mapping[str, Fraction]
    steps: Mapping[str, Checked]

    def conclusion(self, part: str) -> Rel:
        """The relation proved for a part of the statement."""
        return self.steps[self.derivation.concludes[part]].relation

    def describe(self) -> list[dict[str, str]]:
        """One entry per step: see `Checked.describe`."""
        return [s.describe() for s in self.steps.values()]

    def ancestors(self, name: str) -> tuple[str, ...]:
        """The steps on which a step rests, itself included, in order."""
        needed = {name}
        for step in reversed(list(self.steps.values())):
            if step.name in needed:
                needed |= set(step.depends)
        return tuple(k for k in self.steps if k in needed)

    def spine_data(self) -> list[dict[str, Any]]:
        """The spines as plain data of quantities; see `theory.spine`."""
        from theory.spine import spine_data

        return spine_data(self)
