"""A planted wrong step of every justification kind raises, names the step, and says where it fails."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy
from sympy import Abs, Rational, Symbol, exp, sqrt

from theory.derivation import Cite, Derivation, Step, StepError, VerifiedDerivation
from theory.early_alignment_setting import (
    EXPONENTIAL,
    NEURONS,
    POINTS,
    G,
    U,
    X_max,
    active,
    eps,
    f,
    g,
    h,
    i,
    j,
    n,
    overlap,
    relu,
    t,
    two_layer_relu,
    u,
    v,
    w,
    w_start,
    x,
    y,
)
from theory.gronwall import Gronwall
from theory.justifications import (
    Assume,
    Cases,
    Identity,
    Inequality,
    OnBox,
    SumBound,
    Sup,
    combine,
    lib,
)
from theory.justifications_flow import AlmostEverywhere, AlongFlow, Continuation, While
from theory.symbols import Indicator, Inner, MaxOver, Norm, Rate, Rel, eq, le, lt

total = sympy.Sum
r = Symbol("r", positive=True)
HYPOTHESES = {
    "data": le(Norm(x), X_max),
    "slopes": le(G, 3),
    "start": le(Norm(w_start) ** 2, eps),
    "start of the largest": le(MaxOver(Norm(w_start) ** 2, NEURONS), eps),
    "rate": le(Rate(u), 2 * u),
    "rate of the largest": le(Rate(U), U + U**2),
    "rate with state": le(Rate(u), G * u),
    "small": lt(eps, 1),
    "gap": eq(Rate(v**2 - Norm(w) ** 2), 0),
}
GIVEN = {name: Step(name, relation, Assume(name)) for name, relation in HYPOTHESES.items()}


def verify(*steps: Step, concludes: str | None = None) -> VerifiedDerivation:
    """Check a small chain with the hypotheses above."""
    return Derivation(
        name="planted",
        setting=two_layer_relu(EXPONENTIAL),
        hypotheses=HYPOTHESES,
        constants=(),
        steps=steps,
        concludes={"part": concludes or steps[-1].name},
    ).verify(memo={})


def refused(wrong: Step, *before: Step, point: bool = True, reason: str = "") -> StepError:
    """The error of the last step; the steps before it are fine."""
    if before:
        verify(*before)
    with pytest.raises(StepError) as caught:
        verify(*before, wrong)
    error = caught.value
    assert error.step == wrong.name
    assert repr(wrong.name) in str(error)
    assert error.relation == str(wrong.relation)
    assert reason in str(error)
    if point:
        assert error.point, f"no failing point: {error}"
        assert all(name in str(error) for name in error.point)
    return error


def test_assume() -> None:
    refused(Step("A", le(Norm(x), X_max / 2), Assume("data")), reason="says")
    refused(Step("A", le(Norm(x), 2), Assume("unknown")), reason="no declared hypothesis")


@pytest.mark.parametrize(
    "relation",
    [
        eq((v + y) ** 2, v**2 + y**2),
        eq(Norm(w + x), Norm(w) + Norm(x)),
        eq(Norm(total(x, POINTS)) ** 2, total(Norm(x) ** 2, POINTS)),
        eq(total(v * relu, NEURONS), v * total(relu, NEURONS)),
        eq(relu, overlap),
        eq(MaxOver(Abs(f), POINTS), Abs(f)),
    ],
)
def test_identity(relation: Rel) -> None:
    refused(Step("I", relation, Identity()), reason="not identical")


def test_identity_cannot_rewrite_with_an_inequality() -> None:
    step = Step("I", eq(Norm(x) ** 2, X_max**2), Identity(using=("data",)))
    refused(step, GIVEN["data"], reason="no equation")


FLOW = 2 * v * total(g * relu, POINTS)


@pytest.mark.parametrize("wrong", [FLOW / 2, -FLOW, 2 * v * total(g * overlap, POINTS)])
def test_along_flow(wrong: sympy.Expr) -> None:
    error = refused(Step("F", eq(Rate(u), wrong), AlongFlow()), reason="concrete network")
    assert {"h", "n", "w[1]", "x[1]", "v[1]"} <= set(error.point)


def test_along_flow_needs_a_nonzero_norm_and_declared_derivatives() -> None:
    norm = Step("F", eq(Rate(Norm(w)), v / Norm(w) * total(g * relu, POINTS)), AlongFlow())
    refused(norm, point=False, reason="positive")
    refused(Step("F", eq(Rate(g), f), AlongFlow()), point=False, reason="not declared")


def test_inequality() -> None:
    wrong = le(Abs(exp(-f) - 1), 2 * Abs(f))
    error = refused(
        Step("L", wrong, Inequality(lib("exp_lipschitz", z=f))), reason="side condition"
    )
    assert error.point
    half = le(Inner(w, x), Norm(w) * Norm(x) / 2)
    refused(Step("L", half, Inequality(lib("cauchy_schwarz", a=w, b=x))))
    reverse = le(Norm(w) * Norm(x), Inner(w, x))
    refused(Step("L", reverse, Inequality(lib("cauchy_schwarz", a=w, b=x))))
    refused(Step("L", lt(v, Abs(v)), Inequality(lib("le_abs", a=v))), reason="does not imply")
    refused(Step("L", le(v, y), Inequality(lib("no_such_entry", a=v))), reason="no entry")


def test_combination() -> None:
    data = GIVEN["data"]
    refused(Step("C", le(v * Norm(x), v * X_max), combine((v, "data"))), data, reason="multiplier")
    refused(Step("C", le(2 * Norm(x), X_max), combine((2, "data"))), data, reason="add up")
    slack = combine((1, "data"), remainder=-eps)
    refused(Step("C", le(Norm(x), X_max - eps), slack), data, reason="remainder")
    refused(Step("C", lt(Norm(x), X_max), combine((1, "data"))), data, reason="strict")


def test_combination_cannot_divide_by_what_may_vanish() -> None:
    zero = Step("zero", eq(overlap - overlap * active - overlap * (1 - active), 0), Identity())
    chain = Step("I", eq(v * Norm(w), 0), combine((0, "data"), remainder=v / Norm(w)))
    refused(chain, GIVEN["data"], zero, reason="positive")
    refused(Step("I", le(1 / Norm(w), 2), Identity()), reason="positive")


def test_sum_bound() -> None:
    element = Step("element", le(Abs(g), G), Sup("element", i))
    refused(Step("S", le(total(Abs(g), POINTS), G), SumBound("element", i)), element)
    refused(Step("S", le(total(Abs(g), POINTS), h * G), SumBound("element", i)), element)


def test_sup() -> None:
    refused(Step("M", le(MaxOver(u, NEURONS), u), Sup("element", j)), reason="element")
    product = Step(
        "product", le(Inner(w, x), Norm(w) * Norm(x)), Inequality(lib("cauchy_schwarz", a=w, b=x))
    )
    largest = Step(
        "M", le(MaxOver(overlap, NEURONS), Norm(w) * Norm(x)), Sup("bound", j, "product")
    )
    refused(largest, product, reason="depends on j")
    refused(Step("M", le(Rate(U), U), Sup("rate", j, "rate")), GIVEN["rate"])
    other = Step("other", le(Rate(u), 2 * u + v**2), combine((1, "rate"), remainder=v**2))
    refused(
        Step("M", le(Rate(U), 2 * U + v**2), Sup("rate", j, "other")),
        GIVEN["rate"],
        other,
        point=False,
        reason="depends on j",
    )


def test_almost_everywhere() -> None:
    jump = Step("jump", eq(Rate(active * u), active * FLOW), AlongFlow())
    wrong = Step("P", eq(Rate(active * u), active * FLOW), AlmostEverywhere("jump"))
    kinky = Derivation("planted", two_layer_relu(EXPONENTIAL), {}, (), (jump, wrong), {})
    with pytest.raises(StepError, match="locally Lipschitz") as caught:
        kinky.verify(memo={})
    assert caught.value.step == "P"
    assert str(Indicator(overlap)) in caught.value.point
    smooth = Step("smooth", eq(Rate(u), FLOW), AlongFlow())
    changed = Step("P", eq(Rate(u), FLOW / 2), AlmostEverywhere("smooth"))
    promoted = Step("fine", eq(Rate(u), FLOW), AlmostEverywhere("smooth"))
    with pytest.raises(StepError, match="repeat"):
        verify(smooth, promoted, changed)


def test_gronwall() -> None:
    rate, start = GIVEN["rate"], GIVEN["start"]
    good = Step("G", le(u, eps * exp(2 * t)), Gronwall("rate", "start"))
    verify(rate, start, good)
    slow = Step("G", le(u, eps * exp(t)), Gronwall("rate", "start"))
    refused(slow, rate, start, reason="does not solve")
    low = Step("G", le(u, eps / 2 * exp(2 * t)), Gronwall("rate", "start"))
    refused(low, rate, start, reason="does not start")
    moving = Step("G", le(u, eps * exp(G * t)), Gronwall("rate with state", "start"))
    refused(moving, GIVEN["rate with state"], start, point=False, reason="depends on the state")
    strict = Step("G", lt(u, eps * exp(2 * t)), Gronwall("rate", "start"))
    refused(strict, rate, start, point=False, reason="not <")


def test_gronwall_excludes_blow_up() -> None:
    before = (GIVEN["rate of the largest"], GIVEN["start of the largest"])
    closed = eps * exp(t) / (1 - eps * (exp(t) - 1))
    step = Step("G", le(U, closed), Gronwall("rate of the largest", "start of the largest"))
    error = refused(step, *before, reason="positive")
    assert Fraction(error.point["eps"]) * Fraction(error.point["t"]) > 0


def test_gronwall_conservation() -> None:
    gap = v**2 - Norm(w) ** 2
    wrong = Step("G", eq(gap, 0), Gronwall("gap"))
    refused(wrong, GIVEN["gap"], reason="initial value")


def test_gronwall_refuses_rates_off_kinks() -> None:
    kinks = Step("kinks", eq(Rate(v**2 - Norm(w) ** 2), 0), AlongFlow())
    gap = v**2 - Norm(w) ** 2
    from theory.symbols import Atom

    start = Atom("v@0", j) ** 2 - Norm(w_start) ** 2
    step = Step("G", eq(gap, start), Gronwall("kinks"))
    promoted = Step("ae", eq(Rate(gap), 0), AlmostEverywhere("kinks"))
    verify(kinks, promoted, Step("G", eq(gap, start), Gronwall("ae")))
    with pytest.raises(StepError, match="off kinks") as caught:
        verify(kinks, promoted, step)
    assert caught.value.step == "G"


def continuation_chain(limit: sympy.Expr, bound: Rel, **changes: Step) -> list[Step]:
    """While U <= limit, U <= 3 eps; eps small."""
    steps = {
        "start": GIVEN["start of the largest"],
        "premise": Step("premise", le(U, limit), While()),
        "rate": GIVEN["rate of the largest"],
        "linear": Step(
            "linear",
            le(Rate(U), (1 + limit) * U),
            combine((1, "rate of the largest"), (U, "premise")),
        ),
        "closed": Step(
            "closed",
            le(U, eps * exp((1 + limit) * t)),
            Gronwall("linear", "start of the largest"),
        ),
        "below": Step("below", bound, Assume("below")),
        "exit": Step(
            "exit", le(U, limit), Continuation("premise", "closed", "below", "start of the largest")
        ),
    }
    return list((steps | changes).values())


def continuation(limit: sympy.Expr, bound: Rel, **changes: Step) -> VerifiedDerivation:
    steps = continuation_chain(limit, bound, **changes)
    return Derivation(
        "planted",
        two_layer_relu(EXPONENTIAL),
        {**HYPOTHESES, "below": bound},
        (),
        tuple(steps),
        {"part": steps[-1].name},
    ).verify(memo={})


def test_continuation() -> None:
    one = sympy.Integer(1)
    closed = eps * exp(2 * t)
    done = continuation(one, lt(closed, 1))
    assert done.steps["closed"].premises == {"premise"}
    assert not done.steps["exit"].premises
    with pytest.raises(StepError, match="strictly") as caught:
        continuation(one, le(closed, 1))
    assert caught.value.step == "exit"
    with pytest.raises(StepError, match="does not say") as caught:
        continuation(one, lt(closed, 2))
    assert caught.value.step == "exit"
    assert caught.value.point


def test_continuation_refuses_a_bound_that_rests_on_the_premise() -> None:
    one = sympy.Integer(1)
    closed = eps * exp(2 * t)
    resting = Step("below", lt(closed, 1), combine((0, "premise"), (1, "assumed")))
    steps = continuation_chain(one, lt(closed, 1), below=resting)
    assumed = Step("assumed", lt(closed, 1), Assume("below"))
    with pytest.raises(StepError, match="rests on the premise"):
        Derivation(
            "planted",
            two_layer_relu(EXPONENTIAL),
            {**HYPOTHESES, "below": lt(closed, 1)},
            (),
            (assumed, *steps),
            {"part": "exit"},
        ).verify(memo={})


def test_open_premise_is_refused() -> None:
    steps = continuation_chain(sympy.Integer(1), lt(eps, 1))[:5]
    with pytest.raises(StepError, match="open premises") as caught:
        verify(*steps)
    assert caught.value.step == "closed"


def test_on_box() -> None:
    box = ((r, sqrt(h) * eps, sympy.Integer(0), Rational(1, 2), "(]"),)
    known = Step("known", le(sqrt(h) * eps, Rational(1, 2)), Assume("box"))

    def check(step: Step) -> None:
        Derivation(
            "planted",
            two_layer_relu(EXPONENTIAL),
            {"box": known.relation},
            (),
            (known, step),
            {"part": step.name},
        ).verify(memo={})

    root = sqrt(h) * eps
    check(Step("B", lt(root**2, root), OnBox(box, lt(r**2, r), given=("known",))))
    with pytest.raises(StepError, match="fails in the box") as caught:
        check(Step("B", le(root**2, root / 4), OnBox(box, le(r**2, r / 4), given=("known",))))
    assert caught.value.step == "B"
    at = Fraction(caught.value.point["r"])
    assert 0 < at <= Fraction(1, 2)
    assert at**2 > at / 4
    with pytest.raises(StepError, match="change of variables") as caught:
        check(Step("B", lt(root**2, root), OnBox(box, lt(r**3, r), given=("known",))))
    assert caught.value.point
    with pytest.raises(StepError, match="is not shown, which the box needs"):
        check(Step("B", lt(root**2, root), OnBox(box, lt(r**2, r))))
    with pytest.raises(StepError, match="factor"):
        check(Step("B", lt(-(root**2), root), OnBox(box, lt(r, -1), -root, ("known",))))


def test_cases() -> None:
    plus = Step("plus", le(f, Abs(f)), Inequality(lib("le_abs", a=f)))
    minus = Step("minus", le(-f, Abs(f)), Inequality(lib("le_abs", a=-f)))
    verify(plus, minus, Step("K", le(y * f, Abs(f)), Cases(y, ((1, "plus"), (-1, "minus")))))
    error = refused(
        Step("K", le(y * f, Abs(f)), Cases(y, ((1, "plus"),))), plus, minus, reason="missing"
    )
    assert error.point == {str(y): "-1"}
    wrong = Step("K", le(y * f, f), Cases(y, ((1, "plus"), (-1, "minus"))))
    refused(wrong, plus, minus, reason="needs")
    refused(
        Step("K", le(f, Abs(f)), Cases(f, ((1, "plus"),))), plus, point=False, reason="no finite"
    )


def test_citations() -> None:
    later = Step("later", le(Norm(x), X_max), combine((1, "data")))
    refused(Step("E", le(Norm(x), X_max), combine((1, "later"))), reason="no earlier step")
    refused(
        Step("E", le(Norm(x), 1), combine((1, Cite("data", ((X_max, sympy.Integer(1)),))))),
        GIVEN["data"],
        later,
        reason="no index",
    )
    refused(
        Step("E", le(Norm(x), X_max), combine((1, Cite("data", ((i, j),))))),
        GIVEN["data"],
        reason="same size",
        point=False,
    )
    assert verify(GIVEN["data"], later).steps["later"].depends == ("data",)
    assert verify(GIVEN["data"], later).conclusion("part") == later.relation


def test_index_of_a_hypothesis_is_not_captured() -> None:
    """Σ_i |x_i| is not Σ_i |x_k|: instantiating under a sum must rename."""
    inside = Step("E", eq(total(Norm(x) * Abs(f), POINTS), n * Norm(x) * Abs(f)), Identity())
    refused(inside)
