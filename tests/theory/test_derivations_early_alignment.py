"""The derived statements A1, A2 and A6: they verify, and their planted wrong versions do not."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy

from theory import derivations_early_alignment as derivations
from theory import early_alignment_norms as norms
from theory.derivation import Derivation, Step, StepError
from theory.early_alignment_setting import (
    EXPONENTIAL,
    LOGISTIC2,
    LOSSES,
    X_max,
    eps,
    h,
    i,
    j,
    n,
    two_layer_relu,
    u,
    v,
    y,
)
from theory.errors import DerivationError
from theory.instances import Instance, Undetermined
from theory.justifications import Assume
from theory.quantity import from_data
from theory.symbols import Norm, Rel, eq, le

ALL = [
    getattr(derivations, f"{name}_{loss}")
    for name in ("norm_bound", "direction_bound", "phase_length")
    for loss in LOSSES
]
Build = Callable[[], Derivation]


@pytest.mark.parametrize("build", ALL, ids=lambda b: b.__name__)
def test_verifies_as_stated(build: Build) -> None:
    verified = build().verify(memo={})
    assert set(verified.steps) == {s.name for s in build().steps}
    for name in build().concludes.values():
        assert not verified.steps[name].premises
    # every step serves a conclusion or a spine
    needed = {s for name in build().concludes.values() for s in verified.ancestors(name)}
    needed |= {
        s for spine in build().spines for a in spine.links for s in verified.ancestors(a.step)
    }
    assert set(verified.steps) <= needed


def test_speed() -> None:
    start = time.process_time()
    for build in ALL:
        build().verify(memo={})
    assert time.process_time() - start < 10  # about 1.5 s on an idle core


def test_stated_constants_and_conclusions() -> None:
    verified = derivations.norm_bound_exponential().verify()
    assert verified.constants == {"C_w": 2, "C_f": 2, "c_T": 4, "K": 4}
    assert str(verified.conclusion("norms")) == "max_j(|w[j]|**2) <= 2*W_max**2*eps/sqrt(h)"
    outputs = verified.conclusion("outputs")
    assert str(outputs) == "max_i(|f[i]|) <= 2*W_max**2*X_max*eps*sqrt(h)"
    direction = derivations.direction_bound_logistic2().verify()
    assert direction.constants == {"C_1": 2, "C_2": 4, "C_f": 2, "c_T": 4, "K": 4}
    end = direction.conclusion("end to end").rhs
    assert sympy.simplify(end - 4 * eps * n * sympy.sqrt(h) * X_max**2 * norms.W_max**2) == 0
    assert str(derivations.phase_length_exponential().verify().conclusion("length")).endswith(
        "<= t"
    )


@pytest.mark.parametrize(
    ("build", "constants", "step"),
    [
        (derivations.norm_bound_exponential, {"C_w": Fraction(9, 10)}, "norms at the end at T"),
        (derivations.norm_bound_exponential, {"C_f": Fraction(9, 10)}, "outputs at the end at T"),
        (derivations.norm_bound_exponential, {"c_T": Fraction(19, 10)}, "no blow-up at T"),
        (derivations.norm_bound_exponential, {"K": 1}, "stays small at T"),
        (derivations.norm_bound_logistic2, {"C_w": Fraction(9, 10)}, "norms at the end at T"),
        (derivations.norm_bound_logistic2, {"K": Fraction(1, 6)}, "norms at the end at T"),
        (derivations.direction_bound_exponential, {"C_1": Fraction(5, 4)}, "constant C_1"),
        (derivations.direction_bound_exponential, {"C_2": Fraction(5, 4)}, "gaps at the end at T"),
        (derivations.direction_bound_logistic2, {"C_1": Fraction(49, 100)}, "constant C_1"),
        (derivations.phase_length_exponential, {"c_6": Fraction(11, 10)}, "length"),
    ],
)
def test_wrong_constants(build: Build, constants: dict[str, Any], step: str) -> None:
    with pytest.raises(StepError) as caught:
        build().verify(constants)
    assert caught.value.step == step
    assert caught.value.point or step == "constant C_1"


@pytest.mark.parametrize(
    "better", [{"C_w": 1}, {"C_f": 1}, {"c_T": 2}, {"C_w": 1, "C_f": 1, "c_T": 3}]
)
@pytest.mark.parametrize("loss", LOSSES)
def test_better_constants(better: dict[str, int], loss: str) -> None:
    getattr(derivations, f"norm_bound_{loss}")().verify(better)


def changed(
    build: Build, name: str | None = None, relation: Rel | None = None, **fields: Any
) -> Derivation:
    """A derivation with one step or other fields replaced."""
    derivation = build()
    if name is not None and relation is not None:
        steps = tuple(
            replace(s, relation=relation) if s.name == name else s for s in derivation.steps
        )
        fields["steps"] = steps
    return replace(derivation, **fields)


@pytest.mark.parametrize("build", ALL, ids=lambda b: b.__name__)
def test_every_hypothesis_is_needed(build: Build) -> None:
    for dropped in build().hypotheses:
        rest = {k: r for k, r in build().hypotheses.items() if k != dropped}
        with pytest.raises(StepError, match="no declared hypothesis") as caught:
            changed(build, hypotheses=rest).verify()
        assert dropped in str(caught.value)


@pytest.mark.parametrize("build", ALL, ids=lambda b: b.__name__)
def test_every_step_is_checked(build: Build) -> None:
    """Doubling the smaller side of any inequality, or halving any equation, is noticed at that step or by its users."""
    rng = random.Random(7)
    steps = [s for s in build().steps if not isinstance(s.by, Assume)]
    for step in rng.sample(steps, 12 if len(steps) > 12 else len(steps)):
        side = step.relation.lhs if step.relation.lhs != 0 else step.relation.rhs
        if step.relation.op == "=" and step.relation.rhs == 0:
            wrong = eq(step.relation.lhs, v)
        elif step.relation.lhs == 0:
            wrong = Rel(side * 0 + abs(y) * side**2 + 1, step.relation.op, side / 2)
        else:
            wrong = Rel(
                2 * side + (1 if step.relation.op != "=" else 0),
                step.relation.op,
                step.relation.rhs,
            )
        with pytest.raises(DerivationError) as caught:
            changed(build, step.name, wrong, spines=()).verify()
        if isinstance(caught.value, StepError):
            assert caught.value.step == step.name


def test_planted_wrong_chains() -> None:
    """Sum loss taken as mean, a lost factor, a lost premise, a wrong sign, another loss."""
    build = derivations.norm_bound_exponential
    steps = {s.name: s for s in build().steps}
    n_lost = changed(
        build, "all points", le(steps["all points"].relation.lhs, 2 * X_max * norms.scale * u)
    )
    mean = changed(
        build, hypotheses={**build().hypotheses, "slope of the loss": eq(EXPONENTIAL.slope / n, 0)}
    )
    sign = changed(
        build, "growth off kinks", eq(steps["growth off kinks"].relation.lhs, -2 * v * norms.scale)
    )
    other = replace(
        build(), setting=two_layer_relu(LOGISTIC2), hypotheses=norms.hypotheses(LOGISTIC2)
    )
    for wrong, name in (
        (n_lost, "all points"),
        (mean, "slope of the loss"),
        (sign, "growth off kinks"),
        (other, "slope of the loss"),
    ):
        with pytest.raises(StepError) as caught:
            wrong.verify()
        assert caught.value.step == name


def test_without_continuation_the_bound_is_not_proved() -> None:
    build = derivations.norm_bound_exponential
    open_chain = changed(
        build, steps=tuple(s for s in build().steps if s.name != "network stays small")
    )
    with pytest.raises(StepError, match="open premises"):
        open_chain.verify()
    # the 2·logistic loss needs no premise: its slope bound holds for all outputs
    assert not any(s.by.kind == "continuation" for s in derivations.norm_bound_logistic2().steps)


def test_without_promotion_gronwall_refuses() -> None:
    build = derivations.norm_bound_exponential
    steps = [s for s in build().steps if s.name != "gap"]
    steps = [
        Step("conserved", s.relation, type(s.by)("gap off kinks")) if s.name == "conserved" else s
        for s in steps
    ]
    with pytest.raises(StepError, match="off kinks") as caught:
        changed(build, steps=tuple(steps)).verify()
    assert caught.value.step == "conserved"


def test_a_stronger_hypothesis_than_declared_is_refused() -> None:
    build = derivations.norm_bound_exponential
    wrong = changed(
        build, "size of the data", le(Norm(norms.x if hasattr(norms, "x") else v), X_max / 2)
    )
    with pytest.raises(StepError) as caught:
        wrong.verify()
    assert caught.value.step == "size of the data"


def test_box_steps_say_where_they_fail() -> None:
    with pytest.raises(StepError) as caught:
        derivations.norm_bound_exponential().verify({"C_w": Fraction(1, 2)})
    r, m = (Fraction(caught.value.point[k]) for k in ("r", "m"))
    assert 0 < r < 1
    assert 0 < m <= Fraction(1, 4)
    assert float(r) ** 0.5 * 2 > 1 - 2 * float(m) * (float(r) ** 0.5 - float(r))


# -- spines -----------------------------------------------------------------------------------------------------------
AXES = ("j", "i", "k")


def evaluate_data(data: Any, env: dict[str, np.ndarray]) -> np.ndarray:
    """Plain data on arrays with axes (j, i, k), in floating point: a second, independent reading."""
    op, *rest = data
    if op == "rat":
        return np.full((1, 1, 1), float(Fraction(rest[0])))
    if op == "var":
        return env[rest[0]]
    if op == "pow":
        return evaluate_data(rest[0], env) ** float(Fraction(rest[1][1]))
    if op in ("sum", "amax"):
        value = evaluate_data(rest[1], env)
        return (np.sum if op == "sum" else np.max)(value, axis=AXES.index(rest[0]), keepdims=True)
    args = [evaluate_data(a, env) for a in rest]
    inner = lambda a, b: np.sum(a * b, axis=2, keepdims=True)  # noqa: E731
    table: dict[str, Callable[..., np.ndarray]] = {
        "add": lambda *a: sum(a[1:], a[0]),
        "mul": lambda *a: np.prod(np.broadcast_arrays(*a), axis=0),
        "neg": np.negative,
        "div": np.divide,
        "sqrt": np.sqrt,
        "abs": np.abs,
        "exp": np.exp,
        "log": np.log,
        "relu": lambda a: np.maximum(a, 0),
        "step": lambda a: (a > 0).astype(float),
        "sign": np.sign,
        "tanh": np.tanh,
        "inner": inner,
        "norm": lambda a: np.sqrt(inner(a, a)),
        "sqnorm": lambda a: inner(a, a),
        "project_out": lambda a, b: a - b * inner(a, b) / inner(b, b),
    }
    return table[op](*args)


def environment(instance: Instance, names: set[str]) -> dict[str, np.ndarray]:
    """The arrays of an instance under the names of quantities."""
    rows, points = instance.size(h), instance.size(n)
    env: dict[str, np.ndarray] = {}
    neurons, data = range(1, rows + 1), range(1, points + 1)
    env["w"] = np.array([[[float(c) for c in instance.vector("w", (a,))]] for a in neurons])
    env["x"] = np.array([[[float(c) for c in instance.vector("x", (b,))] for b in data]])
    env["v"] = np.array([[[float(instance.atom("v", (a,)))]] for a in neurons])
    for name in ("y", "f", "g"):
        env[name] = np.array([[[float(instance.atom(name, (b,)))] for b in data]])
    env["gy"] = env["g"] - env["y"]
    env["s"] = (np.sum(env["w"] * env["x"], axis=2, keepdims=True) > 0).astype(float)
    for name in names - set(env):
        symbol = next(s for s in SYMBOLS if s.name == name)
        env[name] = np.full((1, 1, 1), float(instance.symbol(symbol)))
    return env


SYMBOLS = {
    s
    for build in ALL
    for spine in build().spines
    for link in spine.links
    for s in link.expr.free_symbols
    if s not in (i, j)
}


@pytest.mark.parametrize("build", ALL, ids=lambda b: b.__name__)
def test_spine_data_agrees_with_the_derivation(build: Build) -> None:
    verified = build().verify()
    compared = 0
    for spine, data in zip(build().spines, verified.spine_data(), strict=True):
        assert data["part"] in build().concludes
        for link, plain in zip(spine.links, data["links"], strict=True):
            typed = from_data(plain["data"])
            assert typed.to_data() == plain["data"]
            assert typed.axes <= {"j"}
            for seed in range(4):
                instance = build().setting.consistent_instance(random.Random(seed))
                instance.values[sympy.Symbol("t", nonnegative=True)] = Fraction(1, 100)
                try:
                    env = environment(instance, set(typed.variables()))
                    got = evaluate_data(plain["data"], env)
                    for a in range(instance.size(h)):
                        want = float(instance.evaluate(link.expr, {j: a + 1}))
                        have = float(got[a if got.shape[0] > 1 else 0, 0, 0])
                        assert have == pytest.approx(want, rel=1e-9, abs=1e-12)
                        compared += 1
                except Undetermined:
                    continue
    assert compared > 10


@pytest.mark.parametrize("build", ALL[:4], ids=lambda b: b.__name__)
def test_each_link_gives_something_away(build: Build) -> None:
    """On networks of any size, the links before the loss is used are ordered."""
    last = {"rate": "all points", "value": "error: all points"}
    for spine in build().spines:
        if spine.part == "outputs":
            continue
        for seed in range(12):
            instance = build().setting.consistent_instance(random.Random(seed))
            for a in range(1, instance.size(h) + 1):
                values = []
                for link in spine.links:
                    values.append(instance.evaluate(link.expr, {j: a}))
                    if link.step == last[link.kind]:
                        break
                assert len(values) == 5
                # ball arithmetic: certainly not decreasing
                assert all(not q > r for q, r in itertools.pairwise(values))


@pytest.mark.parametrize("build", ALL, ids=lambda b: b.__name__)
def test_conclusions_as_quantities(build: Build) -> None:
    verified = build().verify()
    for part in build().concludes:
        op, lhs, rhs = verified.conclusion_data(part)
        assert op == "<="
        assert from_data(lhs).axes <= {"j"}
        assert not from_data(rhs).axes
        names = from_data(lhs).variables() | from_data(rhs).variables()
        assert names & set(build().values())  # the bound mentions a constant of the statement
