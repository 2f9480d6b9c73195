"""Comparison theorems: from a differential inequality to a closed form.

Meta-theorem (comparison; Walter, *Ordinary Differential Equations*, §9): let u be absolutely continuous on
[0, t] with u' <= F(s, u) almost everywhere, F continuous in s and locally Lipschitz in u; let z be
differentiable on [0, t] with z' = F(s, z) and u(0) <= z(0). Then u <= z on [0, t].

* linear: F = a(s) u + b(s);
* Bernoulli: F = a(s) u + b(s) u^p with rational p > 1, for u >= 0;
* conserved: u' = 0, then u(t) = u(0).

The closed form z is written down by the author of the derivation; that it solves its equation, starts
where it should and does not blow up on [0, t] is verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import sympy
from sympy import Expr, Symbol

from theory.checking import Cite, Context, Setting, Validity
from theory.errors import DerivationError
from theory.normal_form import elementary, normal
from theory.positivity import NONE, Facts, is_nonnegative, is_positive
from theory.symbols import Atom, Indicator, Inner, MaxOver, Norm, Rate, Rel, Relu, Vec, labels

Reference = str | Cite


def locally_lipschitz(q: Expr, setting: Setting, facts: Facts = NONE) -> bool:
    """Whether a quantity is a locally Lipschitz function of the state, by its structure.

    Such a function of an absolutely continuous trajectory is absolutely continuous, and the chain rule
    holds almost everywhere, with 1[z > 0] as the derivative of relu(z) (on {z = 0}, z' = 0 a.e.).
    """
    if isinstance(q, (Vec, Atom)):
        if q.label in setting.flow or q.label not in setting.state:
            return True
        definition = setting.definitions.get(q.label)
        return definition is not None and locally_lipschitz(definition[1], setting, facts)
    if isinstance(q, (Indicator, sympy.sign)):
        return not setting.depends_on_time(q)
    if not q.args:
        return True
    if isinstance(q, sympy.Pow):
        if not all(locally_lipschitz(a, setting, facts) for a in q.args):
            return False
        if q.exp.is_Integer and q.exp >= 1:
            return True
        if is_positive(q.base, facts) or is_positive(1 / q, facts):
            return True
        return bool(q.exp.is_Rational and q.exp >= 1) and is_nonnegative(q.base, facts)
    if isinstance(q, sympy.log):
        return is_positive(q.args[0], facts) and locally_lipschitz(q.args[0], setting, facts)
    if isinstance(q, (sympy.Sum, MaxOver)):
        return locally_lipschitz(q.function, setting, facts)
    known = (sympy.Add, sympy.Mul, Inner, Norm, Relu, sympy.Abs, sympy.exp, sympy.tanh)
    return isinstance(q, known) and all(locally_lipschitz(a, setting, facts) for a in q.args)


def defined_everywhere(z: Expr, facts: Facts) -> Expr | None:
    """None if every denominator, fractional power and logarithm in z has a positive argument; else a culprit."""
    for a in sympy.preorder_traversal(z):
        if (
            isinstance(a, sympy.Pow)
            and not (a.exp.is_Integer and a.exp >= 0)
            and not is_positive(a.base, facts)
        ):
            return a.base
        if isinstance(a, sympy.log) and not is_positive(a.args[0], facts):
            return a.args[0]
    return None


@dataclass(frozen=True)
class Gronwall:
    """From a rate to a closed form, by comparison.

    Attributes:
        rate: the step du/dt <= a u + b (or a u + b u^p, or = 0).
        initial: the step u(0) <= u0 (or =); None if the closed form starts at u(0) itself.
        positive: steps that show the denominators of the closed form to be positive on [0, T].
    """

    rate: Reference
    initial: Reference | None = None
    positive: tuple[Reference, ...] = ()
    kind: ClassVar[str] = "gronwall"

    def check(self, stated: Rel, ctx: Context) -> None:
        """The form of the rate, then the closed form: equation, start, no blow-up."""
        setting, time = ctx.setting, ctx.setting.time
        cited = ctx.cite(self.rate)
        if not isinstance(cited.lhs, Rate):
            raise ctx.fail(f"{cited} does not bound a rate")
        if any(c.validity == Validity.OFF_KINKS for c in ctx.used.values()):
            raise ctx.fail("the rate is known off kinks only; promote it by almost_everywhere")
        u = normal(cited.lhs.args[0])
        if not locally_lipschitz(u, setting):
            raise ctx.fail(f"{u} is not shown to be absolutely continuous along the flow")
        ctx.validity = Validity.ALWAYS
        if normal(stated.lhs) != u:
            raise ctx.fail(f"the left side must be the quantity {u} whose rate is cited")
        if stated.op == "=":
            if cited.op != "=" or normal(cited.rhs) != 0:
                raise ctx.fail(f"an equation needs a vanishing rate, not {cited}")
            ctx.require_zero(
                stated.rhs - setting.initial(u), "a conserved quantity keeps its initial value"
            )
            return
        if stated.op != "<=":
            raise ctx.fail("comparison gives <=, not <")
        z = stated.rhs
        if labels(z) & setting.state:
            raise ctx.fail(f"the closed form {z} depends on the state")
        hole = sympy.Dummy("u", positive=True)
        field = right_side(cited.rhs, u, hole, ctx)
        facts = ctx.facts(self.positive)
        ctx.require_zero(
            field.xreplace({hole: z}) - sympy.diff(z, time),
            "the closed form does not solve the comparison equation",
        )
        start = setting.initial(u)
        if self.initial is not None:
            initial = ctx.cite(self.initial)
            if normal(initial.lhs) != normal(start) or initial.op == "<":
                raise ctx.fail(f"the initial bound must be about {start}, not {initial}")
            start = initial.rhs
        ctx.require_zero(
            z.subs(time, 0) - start, "the closed form does not start at the initial bound"
        )
        culprit = defined_everywhere(z, facts) or defined_everywhere(field, facts)
        if culprit is not None:
            raise ctx.fail(
                f"the closed form may blow up: {culprit} is not shown to be positive on [0, T]",
                ctx.counterexample(Rel(sympy.Integer(0), "<", culprit)),
            )


def right_side(bound: Expr, u: Expr, hole: Symbol, ctx: Context) -> Expr:
    """The bound on a rate as a function of u, of the form a u + b or a u + b u^p.

    Raises:
        StepError: it has another form, or its coefficients depend on the state.
    """
    factor, base = u.as_coeff_Mul()
    field = normal(bound).xreplace({base: hole / factor})
    if labels(field) & ctx.setting.state:
        raise ctx.fail(f"the bound {bound} depends on the state otherwise than through {u}")
    powers: set[Expr] = set()
    for term in sympy.Add.make_args(sympy.expand(elementary(field))):
        _, dependent = term.as_independent(hole, as_Add=False)
        exponent = sympy.Integer(0) if dependent == 1 else dependent.as_base_exp()[1]
        if dependent not in (1, hole) and dependent.as_base_exp()[0] != hole:
            raise ctx.fail(f"the bound {bound} is neither linear nor of Bernoulli type in {u}")
        powers.add(exponent)
    higher = powers - {sympy.Integer(0), sympy.Integer(1)}
    if not higher:
        return field
    p = higher.pop()
    if higher or sympy.Integer(0) in powers or not (p.is_Rational and p > 1):
        raise ctx.fail(f"the bound {bound} is neither linear nor of Bernoulli type in {u}")
    if factor != 1 or not is_nonnegative(u):
        raise ctx.fail(f"Bernoulli's equation needs {u} >= 0")
    return field


def bernoulli(u0: Expr, a: Expr, b: Expr, p: Expr, time: Symbol) -> Expr:
    """The solution of z' = a z + b z^p, z(0) = u0, for constant a != 0, b and p != 1.

    Raises:
        DerivationError: p = 1 (the equation is linear).
    """
    if p == 1:
        raise DerivationError(
            "p = 1: the equation is linear; use the linear closed form u0 exp((a + b) t)"
        )
    k = p - 1
    growth = sympy.exp(k * a * time)
    return u0 * sympy.exp(a * time) * (1 - b / a * u0**k * (growth - 1)) ** (-1 / sympy.sympify(k))
