"""Justifications without dynamics: assume, identity, inequality, sum_bound, sup, cases, on_box.

Each class is the data of one kind of argument; ``check`` verifies it against the stated relation and
raises a `theory.derivation.StepError` otherwise. Fields named ``given`` and ``facts`` cite earlier steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import sympy
from sympy import Expr, Symbol

from theory.checking import Cite, Context, Validity
from theory.inequalities import LIBRARY
from theory.normal_form import is_zero, normal
from theory.positivity import Facts, is_nonnegative, is_positive
from theory.symbols import Atom, MaxOver, Rate, Rel, bound_symbols, instantiate, rename_bound

Reference = str | Cite


@dataclass(frozen=True)
class Assume:
    """A hypothesis or definition that the derivation declares, word for word."""

    hypothesis: str
    kind: ClassVar[str] = "assume"

    def check(self, stated: Rel, ctx: Context) -> None:
        """The stated relation must be the declared one."""
        if self.hypothesis not in ctx.hypotheses:
            declared = ", ".join(ctx.hypotheses) or "none"
            raise ctx.fail(f"{self.hypothesis!r} is no declared hypothesis (declared: {declared})")
        declared_rel = ctx.hypotheses[self.hypothesis]
        if declared_rel != stated:
            raise ctx.fail(f"the hypothesis {self.hypothesis!r} says {declared_rel}")
        if stated.lhs.has(Rate) or stated.rhs.has(Rate):
            ctx.validity = Validity.ALMOST_EVERYWHERE


def rewrite(e: Expr, rules: tuple[Rel, ...], indices: set[Symbol]) -> Expr:
    """Replace every instance of a rule's left side (for all values of its indices) by its right side."""
    for rule in rules:
        wild = {i: sympy.Wild(i.name) for i in rule.lhs.free_symbols & indices}
        pattern = rule.lhs.xreplace(wild)
        taken = e.free_symbols | bound_symbols(e)
        rhs = rename_bound(rule.rhs, taken | bound_symbols(rule.rhs))

        def matches(a: Expr, pattern: Expr = pattern) -> bool:
            return type(a) is type(pattern) and a.match(pattern) is not None

        def put(
            a: Expr, pattern: Expr = pattern, wild: dict[Symbol, Expr] = wild, rhs: Expr = rhs
        ) -> Expr:
            found = a.match(pattern)
            return instantiate(rhs, {i: found[symbol] for i, symbol in wild.items()})

        e = e.replace(matches, put)
    return e


@dataclass(frozen=True)
class Identity:
    """Exact algebra: both sides agree after rewriting with cited equations.

    With ``of``, the stated relation is the cited relation rewritten; without, it is an equation. Proved
    by normal form and simplification, and evaluated on random instances in ball arithmetic.
    """

    of: Reference | None = None
    using: tuple[Reference, ...] = ()
    kind: ClassVar[str] = "identity"

    def check(self, stated: Rel, ctx: Context) -> None:
        """Rewrite, subtract, simplify, evaluate."""
        rules = tuple(ctx.cite(r) for r in self.using)
        for rule in rules:
            if rule.op != "=":
                raise ctx.fail(f"it rewrites with {rule}, which is no equation")
        indices = set(ctx.setting.indices)

        def put(e: Expr) -> Expr:
            return rewrite(e, rules, indices)

        if self.of is None:
            if stated.op != "=":
                raise ctx.fail("an identity without a cited relation must be an equation")
            ctx.require_zero(put(stated.rhs) - put(stated.lhs), "the two sides are not identical")
            return
        derived, ctx_stated = ctx.cite(self.of).map(put), stated.map(put)
        order = {"=": 2, "<": 1, "<=": 0}
        if derived.op != stated.op and not (stated.op == "<=" and order[derived.op] > 0):
            raise ctx.fail(f"{derived} does not imply a relation with {stated.op!r}")
        ctx.require_zero(ctx_stated.gap - derived.gap, f"it differs from {derived}")


@dataclass(frozen=True)
class Lib:
    """A library inequality with its arguments; ``given`` cites steps that discharge its side conditions."""

    entry: str
    args: tuple[tuple[str, Any], ...]
    given: tuple[Reference, ...] = ()

    def relation(self, ctx: Context) -> Rel:
        """The instantiated relation, after its side conditions are discharged."""
        if self.entry not in LIBRARY:
            raise ctx.fail(f"{self.entry!r} is no entry of the inequality library")
        entry = LIBRARY[self.entry]
        names = [name for name, _ in self.args]
        if sorted(names) != sorted(entry.parameters):
            raise ctx.fail(f"{self.entry} takes {entry.parameters}, not {tuple(names)}")
        claim = entry.build(**dict(self.args))
        relations = tuple(ctx.cite(r) for r in self.given)
        for condition in claim.conditions:
            if not discharged(condition, relations):
                raise ctx.fail(
                    f"the side condition {condition} of {self.entry} is not discharged",
                    ctx.counterexample(claim.relation) or ctx.counterexample(condition),
                )
        ctx.require_defined(claim.relation.lhs, claim.relation.rhs)
        return claim.relation


def discharged(condition: Rel, relations: tuple[Rel, ...]) -> bool:
    """Whether a condition holds structurally or is one of the given relations."""
    gap = condition.gap
    if condition.op == "=":
        return is_zero(gap) or any(
            r.op == "=" and (is_zero(gap - r.gap) or is_zero(gap + r.gap)) for r in relations
        )
    facts = Facts.of(relations)
    return is_positive(gap, facts) if condition.op == "<" else is_nonnegative(gap, facts)


def lib(entry: str, *given: Reference, **args: Any) -> Lib:
    """``lib("cauchy_schwarz", a=..., b=...)``; positional arguments cite steps for the side conditions."""
    return Lib(entry, tuple(sorted(args.items())), given)


@dataclass(frozen=True)
class Inequality:
    """One entry of the library under a substitution."""

    use: Lib
    kind: ClassVar[str] = "inequality"

    def check(self, stated: Rel, ctx: Context) -> None:
        """The stated relation must be the instantiated entry."""
        ctx.require_implied(self.use.relation(ctx), f"the library entry {self.use.entry}")


@dataclass(frozen=True)
class Combination:
    """A non-negative combination: ``rhs - lhs = Σ_k m_k (rhs_k - lhs_k) + remainder``.

    ``terms`` are pairs (m_k, step or library inequality). Multipliers of inequalities and the remainder
    must be provably non-negative (``facts`` cites steps that say so); the identity is verified exactly.
    """

    terms: tuple[tuple[Expr, Reference | Lib], ...]
    remainder: Expr = sympy.S.Zero
    facts: tuple[Reference, ...] = ()
    kind: ClassVar[str] = "inequality"

    def check(self, stated: Rel, ctx: Context) -> None:
        """Signs of the multipliers, then the identity."""
        relations = [
            (m, r.relation(ctx) if isinstance(r, Lib) else ctx.cite(r)) for m, r in self.terms
        ]
        facts = ctx.facts(self.facts)
        ctx.require_defined(self.remainder)
        total: Expr = self.remainder
        strict = is_positive(self.remainder, facts)
        exact = self.remainder == 0
        for m, relation in relations:
            ctx.require_defined(m)
            total = total + m * relation.gap
            if relation.op == "=":
                continue
            exact = False
            if not is_nonnegative(m, facts):
                raise ctx.fail(f"the multiplier {m} of {relation} is not shown to be non-negative")
            strict = strict or (relation.op == "<" and is_positive(m, facts))
        ctx.require_zero(
            stated.gap - total, "the combination does not add up to the stated relation"
        )
        if not (self.remainder == 0 or is_nonnegative(self.remainder, facts)):
            negative = Rel(sympy.Integer(0), "<=", self.remainder)
            raise ctx.fail(
                f"the remainder {self.remainder} is not shown to be non-negative",
                ctx.counterexample(stated) or ctx.counterexample(negative),
            )
        if stated.op == "=" and not exact:
            raise ctx.fail("an equation does not follow from inequalities")
        if stated.op == "<" and not strict:
            raise ctx.fail("no term of the combination is strict")


def combine(
    *terms: tuple[Any, Reference | Lib], remainder: Any = 0, facts: tuple[Reference, ...] = ()
) -> Combination:
    """`Combination` with plain numbers allowed as multipliers."""
    return Combination(
        tuple((sympy.sympify(m), r) for m, r in terms), sympy.sympify(remainder), facts
    )


@dataclass(frozen=True)
class SumBound:
    """Sum a relation over an index: from a_i <= b_i for all i, Σ a_i <= Σ b_i (and n terms of size B make n B)."""

    of: Reference
    index: Symbol
    kind: ClassVar[str] = "sum_bound"

    def check(self, stated: Rel, ctx: Context) -> None:
        """The stated relation must be the sum of the cited one."""
        cited = ctx.cite(self.of)
        if self.index not in ctx.setting.indices:
            raise ctx.fail(f"{self.index} is no index of the setting {ctx.setting.name}")
        upper = ctx.setting.indices[self.index]
        summed = cited.map(lambda e: sympy.Sum(e, (self.index, 1, upper)))
        ctx.require_implied(summed, f"the sum over {self.index}")


@dataclass(frozen=True)
class Sup:
    """Maximum over an index of finitely many quantities.

    * ``element``: q_j <= max_j q_j.
    * ``bound``: from q_j <= B for all j, B without j: max_j q_j <= B (strict if the cited one is).
    * ``rate``: from dq_j/dt <= Φ(t, q_j) for all j and almost every t, with Φ independent of j otherwise:
      M = max_j q_j satisfies dM/dt <= Φ(t, M) almost everywhere. (M is absolutely continuous, and where M and
      all q_j are differentiable, M' = q_j' for every j that attains the maximum: Danskin's theorem for a
      finite maximum, in the form of Dini derivatives.)
    """

    mode: str
    index: Symbol
    of: Reference | None = None
    kind: ClassVar[str] = "sup"

    def check(self, stated: Rel, ctx: Context) -> None:
        """Build the relation that the mode gives and compare."""
        if self.index not in ctx.setting.indices:
            raise ctx.fail(f"{self.index} is no index of the setting {ctx.setting.name}")
        limits = (self.index, 1, ctx.setting.indices[self.index])
        if self.mode == "element":
            ctx.require_implied(
                Rel(stated.lhs, "<=", MaxOver(stated.lhs, limits)), "an element of a maximum"
            )
            return
        if self.of is None:
            raise ctx.fail(f"mode {self.mode!r} needs a cited step")
        cited = ctx.cite(self.of)
        if self.mode == "bound":
            if self.index in cited.rhs.free_symbols:
                raise ctx.fail(f"the bound {cited.rhs} depends on {self.index}")
            op = "<=" if cited.op == "=" else cited.op
            ctx.require_implied(
                Rel(MaxOver(cited.lhs, limits), op, cited.rhs), "the maximum of the bounds"
            )
        elif self.mode == "rate":
            self._rate(cited, limits, ctx)
        else:
            raise ctx.fail(f"unknown mode {self.mode!r}; use 'element', 'bound' or 'rate'")

    def _rate(self, cited: Rel, limits: tuple[Any, ...], ctx: Context) -> None:
        if not isinstance(cited.lhs, Rate) or cited.rhs.atoms(Rate):
            raise ctx.fail(f"{cited} does not bound a single rate")
        if any(c.validity == Validity.OFF_KINKS for c in ctx.used.values()):
            raise ctx.fail("the rates are known off kinks only; promote them by almost_everywhere")
        q = normal(cited.lhs.args[0])
        hole = sympy.Dummy("u", real=True)
        bound = normal(cited.rhs).xreplace(
            {q: hole}
        )  # q is a product or power that `normal` keeps whole
        if self.index in bound.free_symbols:
            raise ctx.fail(
                f"the bound {cited.rhs} depends on {self.index} otherwise than through {q}"
            )
        top = MaxOver(q, limits)
        op = "<=" if cited.op == "=" else cited.op
        ctx.require_implied(
            Rel(Rate(top), op, bound.xreplace({hole: top})), "the maximum of the rates"
        )


@dataclass(frozen=True)
class Cases:
    """A finite split: the relation holds for each value of an atom whose values the setting declares.

    ``branches`` are pairs (value, step); each step is the relation with the atom replaced by the value.
    """

    on: Expr
    branches: tuple[tuple[int, Reference], ...]
    kind: ClassVar[str] = "cases"

    def check(self, stated: Rel, ctx: Context) -> None:
        """Exhaustive, and every branch is the stated relation with the value put in."""
        if not isinstance(self.on, Atom):
            raise ctx.fail(f"{self.on} is no atom with finitely many values")
        domain = ctx.setting.domains.get(self.on.label, ())
        missing = set(domain) - {value for value, _ in self.branches}
        if not domain:
            raise ctx.fail(f"the setting declares no finite set of values for {self.on}")
        if missing:
            value = min(missing)
            raise ctx.fail(f"the case {self.on} = {value} is missing", {str(self.on): str(value)})
        for value, reference in self.branches:
            branch = ctx.cite(reference)
            wanted = stated.at({self.on: value})
            ok = branch.op == wanted.op or (wanted.op == "<=" and branch.op in ("=", "<"))
            if not ok or not is_zero(wanted.gap - branch.gap):
                point = ctx.counterexample(stated) or {str(self.on): str(value)}
                raise ctx.fail(
                    f"the case {self.on} = {value} needs {wanted}, the cited step says {branch}",
                    point,
                )


@dataclass(frozen=True)
class OnBox:
    """A scalar inequality proved by ball-arithmetic branch and bound after a change of variables.

    The stated gap equals ``factor`` times the gap of ``reduced`` with the box variables replaced by their
    expressions (checked exactly), the factor is positive, and each expression lies in its interval
    (structurally, or by a step cited in ``given``). Meta-theorem: inclusion monotonicity of ball arithmetic.

    Attributes:
        variables: (box variable, expression, lower end, upper end, ends), ends being one of "[]", "(]", "[)", "()".
        reduced: the inequality in the box variables.
    """

    variables: tuple[tuple[Symbol, Expr, Expr, Expr, str], ...]
    reduced: Rel
    factor: Expr = sympy.S.One
    given: tuple[Reference, ...] = ()
    kind: ClassVar[str] = "on_box"

    def check(self, stated: Rel, ctx: Context) -> None:
        """The change of variables, the ranges, then the box."""
        from theory.box_steps import search
        from theory.boxes import BoxProof, BoxRefutation

        table = {r: e for r, e, *_ in self.variables}
        facts = ctx.facts(self.given)
        order = {"<=": 0, "<": 1}
        if self.reduced.op not in order or order.get(stated.op, 2) > order[self.reduced.op]:
            raise ctx.fail(f"{self.reduced} does not imply a relation with {stated.op!r}")
        strays = (self.reduced.lhs.free_symbols | self.reduced.rhs.free_symbols) - set(table)
        if strays:
            raise ctx.fail(f"{', '.join(map(str, strays))} are no box variables")
        positive = is_positive if stated.op == "<" else is_nonnegative
        if not positive(self.factor, facts):
            raise ctx.fail(f"the factor {self.factor} is not shown to be positive")
        image = instantiate(self.reduced.gap, table)
        ctx.require_zero(stated.gap - self.factor * image, "the change of variables is wrong")
        for symbol, e, lower, upper, ends in self.variables:
            if ends not in ("[]", "(]", "[)", "()"):
                raise ctx.fail(f"the ends {ends!r} of {symbol} are none of '[]', '(]', '[)', '()'")
            for side, strict in (
                (Rel(lower, "<=", e), ends[0] == "("),
                (Rel(e, "<=", upper), ends[1] == ")"),
            ):
                if not (is_positive if strict else is_nonnegative)(side.gap, facts):
                    raise ctx.fail(
                        f"{side} is not shown, which the box needs", ctx.counterexample(side)
                    )
        result = search(self)
        if isinstance(result, BoxRefutation):
            point = {str(k): str(v) for k, v in result.point.items()} or {
                "(no variables)": "a relation of numbers"
            }
            raise ctx.fail(f"{self.reduced} fails in the box", point)
        if not isinstance(result, BoxProof):
            raise ctx.fail(f"{self.reduced} is undecided on the box: {result}")
