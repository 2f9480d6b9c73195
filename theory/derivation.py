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

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import sympy
from sympy import Expr, Symbol

from theory.checking import Checked, Cite, Context, Justification, Setting, StepError, Validity
from theory.errors import DerivationError
from theory.normal_form import is_zero
from theory.symbols import Rel, instantiate, map_expressions

if TYPE_CHECKING:
    from theory.sharpen import Sharpened

__all__ = [
    "Checked",
    "Cite",
    "Constant",
    "Context",
    "Derivation",
    "Justification",
    "Link",
    "Setting",
    "Spine",
    "Step",
    "StepError",
    "Validity",
    "Values",
    "VerifiedDerivation",
]

Values = Mapping[str, "Fraction | int"]


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


@dataclass(frozen=True, eq=False)  # compared by identity: memos are keyed by it
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

        Steps that hold for all values of the constants are checked once, with the constants as symbols.

        Args:
            memo: results of earlier calls (default: kept by this module).

        Raises:
            StepError: a step does not verify, or a conclusion has an open premise or holds off kinks only.
            DerivationError: an unknown constant, or a spine that does not match its steps.
        """
        values = self.values(constants)
        memo = _MEMO if memo is None else memo
        if ("generic", self) not in memo:
            memo["generic", self] = self._generic(memo)
        generic: Mapping[str, _Outcome] = memo["generic", self]
        table = {
            c.symbol: sympy.Rational(values[c.name].numerator, values[c.name].denominator)
            for c in self.constants
        }

        def check(step: Step, ctx: Context, by: Justification) -> _Outcome:
            found = generic.get(step.name)
            if found is not None and found.fits(ctx.earlier):
                return found
            return _check(ctx, by, memo)

        verified = VerifiedDerivation(self, values, self._walk(table, check))
        verified.require_conclusions()
        if ("spines", self) not in memo:
            self._check_spines()
            memo["spines", self] = True
        return verified

    def _generic(self, memo: MutableMapping[Any, Any]) -> dict[str, _Outcome]:
        """The steps that verify with symbols for the constants, that is, for all their positive values."""
        found: dict[str, _Outcome] = {}

        def check(step: Step, ctx: Context, by: Justification) -> _Outcome:
            ctx.searching = False
            try:
                found[step.name] = _check(ctx, by, memo)
            except DerivationError:
                return _Outcome()  # `verify` checks it with numbers
            return found[step.name]

        self._walk({}, check)
        return found

    def _walk(
        self,
        table: Mapping[Symbol, Expr],
        check: Callable[[Step, Context, Justification], _Outcome],
    ) -> dict[str, Checked]:
        """Run a check over all steps and keep the books: premises, validity, dependencies."""

        def put(e: Expr) -> Expr:
            return instantiate(e, table) if table else e

        hypotheses = {k: Rel.of(r).map(put) for k, r in self.hypotheses.items()}
        checked: dict[str, Checked] = {}
        closed: dict[str, str] = {}
        for step in self.steps:
            relation, by = step.relation.map(put), map_expressions(step.by, put)
            ctx = Context(step.name, self.setting, hypotheses, dict(checked), relation)
            outcome = check(step, ctx, by)
            used = [checked[k] for k in outcome.used]
            premises = outcome.opens.union(*(c.premises for c in used))
            through = tuple(sorted({closed[p] for p in premises & set(closed)}))
            premises -= set(closed)
            if outcome.closes:
                if premises - outcome.closes:
                    raise StepError(
                        step.name,
                        str(relation),
                        f"other premises are still open: {sorted(premises - outcome.closes)}",
                    )
                closed.update(dict.fromkeys(outcome.closes, step.name))
                premises = frozenset()
            validity = outcome.validity
            if validity is None:
                validity = max((c.validity for c in used), default=Validity.ALWAYS)
            checked[step.name] = Checked(
                step.name,
                relation,
                by.kind,
                premises,
                validity,
                tuple(outcome.used) + through,
                step.text,
            )
        return checked

    def _check_spines(self) -> None:
        """Every link of a spine is the bound of its step."""
        steps = {s.name: s.relation for s in self.steps}
        for spine in self.spines:
            for link in spine.links:
                if link.kind not in ("rate", "value") or link.step not in steps:
                    raise DerivationError(f"{self.name}: link {link.label!r} names no step or kind")
                bound = link.expr * (spine.measured if link.kind == "rate" else 1)
                if not is_zero(steps[link.step].rhs - bound):
                    raise DerivationError(
                        f"{self.name}: link {link.label!r} is not the bound of step {link.step!r}, "
                        f"{steps[link.step]}"
                    )


@dataclass(frozen=True)
class _Outcome:
    """What a check established: the steps it used, the premises it opened or closed."""

    used: Mapping[str, Checked] = field(default_factory=dict)
    opens: frozenset[str] = frozenset()
    closes: frozenset[str] = frozenset()
    validity: Validity | None = None

    def fits(self, earlier: Mapping[str, Checked]) -> bool:
        """Whether the steps used have the same standing here (their relations may have other constants)."""
        return all(
            k in earlier and (earlier[k].premises, earlier[k].validity) == (c.premises, c.validity)
            for k, c in self.used.items()
        )


_MEMO: dict[Any, Any] = {}


def _check(ctx: Context, by: Justification, memo: MutableMapping[Any, Any]) -> _Outcome:
    """Check one step, or take the result of an identical earlier check."""
    key = (ctx.setting, ctx.step, ctx.stated, by)
    for assumed, outcome in memo.get(key, ()):
        same = all(ctx.earlier.get(k) == c for k, c in outcome.used.items())
        if same and all(ctx.hypotheses.get(k) == r for k, r in assumed):
            return outcome
    ctx.require_defined(ctx.stated.lhs, ctx.stated.rhs)
    by.check(ctx.stated, ctx)
    outcome = _Outcome(dict(ctx.used), frozenset(ctx.opens), frozenset(ctx.closes), ctx.validity)
    assumed = tuple(ctx.hypotheses.items()) if by.kind == "assume" else ()
    memo.setdefault(key, []).append((assumed, outcome))
    return outcome


@dataclass(frozen=True)
class VerifiedDerivation:
    """A derivation all of whose steps were checked, with the values of the constants.

    Built by `Derivation.verify` only.
    """

    derivation: Derivation
    constants: Mapping[str, Fraction]
    steps: Mapping[str, Checked]

    def require_conclusions(self) -> None:
        """Refuse conclusions with open premises, or that hold off kinks only.

        Raises:
            StepError: there is one.
        """
        for part, name in self.derivation.concludes.items():
            final = self.steps[name]
            if final.premises:
                reason = (
                    f"part {part!r} rests on open premises {sorted(final.premises)}; "
                    "close them by continuation"
                )
                raise StepError(name, str(final.relation), reason)
            if final.validity == Validity.OFF_KINKS:
                reason = f"part {part!r} holds off kinks only; promote it by almost_everywhere"
                raise StepError(name, str(final.relation), reason)

    def conclusion(self, part: str) -> Rel:
        """The relation proved for a part of the statement.

        Raises:
            DerivationError: there is no such part.
        """
        if part not in self.derivation.concludes:
            known = ", ".join(self.derivation.concludes)
            raise DerivationError(
                f"{self.derivation.name} proves no part {part!r}; it proves: {known}"
            )
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

    def sharpen(self, constant: str, **options: Any) -> Sharpened:
        """The best value of a constant that this proof gives; see `theory.sharpen.sharpen`."""
        from theory.sharpen import sharpen

        return sharpen(self.derivation, constant, others=self.constants, **options)

    def spine_data(self) -> list[dict[str, Any]]:
        """The spines as plain data of quantities; see `theory.spine.spine_data`."""
        from theory.spine import spine_data

        return spine_data(self)

    def conclusion_data(self, part: str) -> list[Any]:
        """``[op, lhs, rhs]`` of a part as plain data of quantities; see `theory.spine.conclusion_data`."""
        from theory.spine import conclusion_data

        return conclusion_data(self, part)
