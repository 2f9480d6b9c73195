"""Justifications about the flow: along_flow, almost_everywhere, continuation (and its premises)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import ClassVar

import sympy
from sympy import Expr

from theory.checking import Cite, Context, Setting, Validity
from theory.errors import DerivationError
from theory.gronwall import Gronwall, locally_lipschitz
from theory.instances import Instance, Undetermined
from theory.normal_form import is_zero, normal
from theory.positivity import Facts, is_positive
from theory.symbols import Atom, Indicator, Inner, Norm, Rate, Rel, Relu, Vec, instantiate, labels

__all__ = ["AlmostEverywhere", "AlongFlow", "Continuation", "Gronwall", "While", "rate_of"]

Reference = str | Cite


def rate_of(e: Expr, setting: Setting, facts: Facts) -> Expr:
    """The time derivative along the flow, by the chain rule, away from kinks.

    Raises:
        DerivationError: the derivative of a part is not declared, or a norm or denominator is not known to be positive.
    """

    def d(a: Expr) -> Expr:
        return rate_of(a, setting, facts)

    if isinstance(e, (Vec, Atom)):
        if e.label in setting.flow:
            indices, rhs = setting.flow[e.label]
            return instantiate(rhs, dict(zip(indices, e.indices, strict=True)))
        if e.label in setting.state:
            raise DerivationError(
                f"the derivative of {e} is not declared; write its definition out first"
            )
        return sympy.Integer(0)
    if e == setting.time:
        return sympy.Integer(1)
    if not setting.depends_on_time(e):
        return sympy.Integer(0)
    if isinstance(e, sympy.Add):
        return sympy.Add(*map(d, e.args))
    if isinstance(e, sympy.Mul):
        return sympy.Add(
            *(
                sympy.Mul(*(d(b) if k == m else b for m, b in enumerate(e.args)))
                for k in range(len(e.args))
            )
        )
    if isinstance(e, sympy.Pow):
        return _rate_of_power(e, setting, facts)
    if isinstance(e, Inner):
        a, b = e.args
        return sympy.Add(*(Inner(p, q) for p, q in ((d(a), b), (a, d(b))) if p != 0 and q != 0))
    if isinstance(e, Norm):
        if not is_positive(e, facts):
            raise DerivationError(
                f"{e} is differentiable only where it is positive; cite a step that shows it"
            )
        return Inner(e.args[0], d(e.args[0])) / e
    if isinstance(e, sympy.Sum):
        return sympy.Sum(d(e.function), *e.limits)
    if isinstance(e, Relu):
        return Indicator(e.args[0]) * d(e.args[0])
    if isinstance(e, sympy.Abs):
        return sympy.sign(e.args[0]) * d(e.args[0])
    if isinstance(e, (sympy.exp, sympy.tanh, sympy.log)):
        z = sympy.Dummy("z", real=True)
        return sympy.diff(e.func(z), z).subs(z, e.args[0]) * d(e.args[0])
    if isinstance(e, Indicator):
        return sympy.Integer(0)  # locally constant away from kinks; `almost_everywhere` refuses it
    raise DerivationError(
        f"no rule for the derivative of {type(e).__name__}; take a maximum with sup"
    )


def _rate_of_power(e: sympy.Pow, setting: Setting, facts: Facts) -> Expr:
    base, exponent = e.base, e.exp
    if setting.depends_on_time(exponent):
        raise DerivationError(f"the exponent of {e} depends on the time")
    if isinstance(base, Norm) and exponent.is_Integer and exponent % 2 == 0 and exponent > 0:
        a = base.args[0]  # |a|^2k is smooth where a vanishes, too
        return exponent * base ** (exponent - 2) * Inner(a, rate_of(a, setting, facts))
    if not (exponent.is_Integer and exponent > 0) and not is_positive(base, facts):
        raise DerivationError(f"{e} needs {base} > 0; cite a step that shows it")
    return exponent * base ** (exponent - 1) * rate_of(base, setting, facts)


@dataclass(frozen=True)
class AlongFlow:
    """``Rate(q) = expression``: q differentiated along the declared flow.

    Checked twice: symbolically (chain rule, formal vector algebra), and on random small networks by
    propagating values and derivatives together. If the flow or q has activations, the relation holds off kinks.

    Attributes:
        positive: steps that show norms and denominators to be positive.
    """

    positive: tuple[Reference, ...] = ()
    kind: ClassVar[str] = "along_flow"

    def check(self, stated: Rel, ctx: Context) -> None:
        """Differentiate and compare."""
        if not isinstance(stated.lhs, Rate) or stated.op != "=":
            raise ctx.fail("along_flow proves equations Rate(q) = expression")
        if not ctx.setting.flow:
            raise ctx.fail("the setting declares no flow")
        q = stated.lhs.args[0]
        try:
            derivative = rate_of(q, ctx.setting, ctx.facts(self.positive))
        except DerivationError as error:
            raise ctx.fail(str(error)) from error
        point = _moving_mismatch(stated, ctx)
        if point is not None:
            raise ctx.fail("the derivative on a concrete network differs", point)
        ctx.require_zero(stated.rhs - derivative, f"the derivative is {normal(derivative)}")
        jumps = (Indicator, Relu, sympy.Abs, sympy.sign)
        moved = [ctx.setting.flow[name][1] for name in labels(q) & set(ctx.setting.flow)]
        if q.has(*jumps) or any(rhs.has(*jumps) for rhs in moved):
            ctx.validity = Validity.OFF_KINKS


def _moving_mismatch(stated: Rel, ctx: Context) -> dict[str, str] | None:
    """A small network with rational numbers on which the two sides differ."""
    rng = ctx.rng
    for _ in range(6):
        instance = Instance(
            random.Random(rng.random()), domains=ctx.setting.domains, flow=ctx.setting.flow
        )
        try:
            for where in ctx.setting.assignments(stated, instance):
                if instance.compare(stated, where) is False:
                    return instance.point() | {str(k): str(v) for k, v in where.items()}
        except (Undetermined, DerivationError, ZeroDivisionError):
            continue
    return None


@dataclass(frozen=True)
class AlmostEverywhere:
    """Promote a relation between rates from "off kinks" to "almost everywhere".

    Meta-theorem: a locally Lipschitz composition q of an absolutely continuous trajectory is absolutely
    continuous, and its chain rule holds almost everywhere, with 1[z > 0] z' as the derivative of relu(z)
    (Stampacchia: z' = 0 almost everywhere on {z = 0}). Refused for quantities with jumps.
    """

    of: Reference
    positive: tuple[Reference, ...] = ()
    kind: ClassVar[str] = "almost_everywhere"

    def check(self, stated: Rel, ctx: Context) -> None:
        """The same relation, between rates of locally Lipschitz quantities only."""
        cited = ctx.cite(self.of)
        facts = ctx.facts(self.positive)
        if cited.op != stated.op or not is_zero(stated.gap - cited.gap):
            raise ctx.fail(f"it must repeat the relation {cited}")
        rates = set().union(
            *(e.atoms(Rate) for e in (cited.lhs, cited.rhs, stated.lhs, stated.rhs))
        )
        if not rates:
            raise ctx.fail("there is no rate to promote")
        for rate in rates:
            q = rate.args[0]
            if not locally_lipschitz(q, ctx.setting, facts):
                jump = next(iter(q.atoms(Indicator)), q)
                raise ctx.fail(
                    f"{q} is not a locally Lipschitz function of the state", {str(jump): "0"}
                )
        ctx.validity = Validity.ALMOST_EVERYWHERE


@dataclass(frozen=True)
class While:
    """Open the premise "as long as u <= B"; only `Continuation` closes it."""

    kind: ClassVar[str] = "continuation"

    def check(self, stated: Rel, ctx: Context) -> None:
        """The premise bounds a continuous quantity by a constant."""
        if stated.op != "<=" or ctx.setting.depends_on_time(stated.rhs):
            raise ctx.fail("a premise has the form u <= B with B independent of the time")
        if not locally_lipschitz(stated.lhs, ctx.setting):
            raise ctx.fail(f"{stated.lhs} is not shown to be continuous in time")
        ctx.opens.add(ctx.step)


@dataclass(frozen=True)
class Continuation:
    """The first-exit-time argument: closes the premise u <= B.

    Meta-theorem: let u be continuous on [0, T]; suppose that u(t) <= g(t) whenever u <= B on [0, t], that
    u(0) <= g(0), and that g(t) < B for all t in [0, T]. Then u <= B on [0, T]. (The set of t with u <= B on
    [0, t] is closed, contains 0, and is open to the right, since u(t) <= g(t) < B there.)

    Attributes:
        premise: the step with `While`; the stated relation repeats it.
        bound: u <= g(t), under the premise.
        below: g(t) < B, without it.
        initial: u(0) <= g(0), without it.
    """

    premise: Reference
    bound: Reference
    below: Reference
    initial: Reference
    kind: ClassVar[str] = "continuation"

    def check(self, stated: Rel, ctx: Context) -> None:
        """Forms of the four cited relations, and which of them may rest on the premise."""
        premise, bound, below, initial = map(
            ctx.cite, (self.premise, self.bound, self.below, self.initial)
        )
        name = self.premise if isinstance(self.premise, str) else self.premise.name
        if ctx.record(name).kind != "continuation" or name not in ctx.record(name).premises:
            raise ctx.fail(f"{name!r} opens no premise")
        for reference in (self.below, self.initial):
            used = ctx.record(reference if isinstance(reference, str) else reference.name)
            if name in used.premises:
                raise ctx.fail(f"{used.name!r} rests on the premise {name!r} that is to be closed")
        if stated != premise:
            raise ctx.fail(f"it must repeat the premise {premise}")
        u, g, limit = premise.lhs, bound.rhs, premise.rhs
        if bound.op == "<" or not is_zero(bound.lhs - u):
            raise ctx.fail(f"{bound} does not bound {u}")
        if below.op != "<":
            raise ctx.fail(
                f"the bound must stay strictly below {limit}; {below} is not strict",
                ctx.counterexample(Rel(below.lhs, "<", below.rhs)),
            )
        if not is_zero(below.gap - (limit - g)):
            raise ctx.fail(
                f"{below} does not say that {g} < {limit}", ctx.counterexample(Rel(g, "<", limit))
            )
        start = ctx.setting.initial(u)
        if not is_zero(initial.lhs - start) or not is_zero(
            initial.rhs - g.subs(ctx.setting.time, 0)
        ):
            raise ctx.fail(f"{initial} does not say that {start} is at most the bound at t = 0")
        ctx.closes.add(name)
