"""Every entry of the inequality library is proved, and survives an attempt to falsify it."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest
import sympy
from hypothesis import assume, given
from hypothesis import strategies as st

from theory.errors import DerivationError
from theory.inequalities import LIBRARY
from theory.inequality_proofs import Increasing, Squares, Zero, on_range
from theory.instances import Instance, Undetermined
from theory.symbols import Atom, Vec, index, size

i, n = index("i"), size("n")
KINDS: dict[str, Any] = {
    "real": lambda name: sympy.Symbol(name, real=True),
    "vector": lambda name: Vec(name),
    "term": lambda name: Atom(name, i),
    "range": lambda _: (i, 1, n),
}


# arguments at which the side conditions hold, made from arbitrary ones
MEETS_CONDITIONS: dict[str, Any] = {
    "equal_squares": lambda q: {"a": abs(q["a"]), "b": abs(q["a"])},
    "ordered_squares": lambda q: {"a": q["a"], "b": abs(q["a"]) + abs(q["b"])},
    "exp_mono": lambda q: {"a": q["a"], "b": q["a"] + abs(q["b"])},
    "log_mono": lambda q: {"a": abs(q["a"]) + Fraction(1, 99), "b": abs(q["a"]) + abs(q["b"]) + 1},
    "geometric_mean": lambda q: {k: abs(a) for k, a in q.items()},
    "positive_root": lambda q: {"a": abs(q["a"]) + Fraction(1, 99)},
    "log_one_plus_le": lambda q: {"z": abs(q["z"]) - Fraction(98, 99)},
    "exp_lipschitz": lambda q: {"z": q["z"] / 4},
    "exp_lipschitz_on": lambda q: {"z": q["z"], "m": abs(q["z"]) + abs(q["m"]) + Fraction(1, 99)},
}


@pytest.mark.parametrize("name", LIBRARY)
def test_proof(name: str) -> None:
    entry = LIBRARY[name]
    assert entry.checks
    assert entry.argument
    entry.prove()


def instance(seed: int, reals: dict[str, float]) -> Instance:
    drawn = Instance(random.Random(seed))
    for name, value in reals.items():
        drawn.values[sympy.Symbol(name, real=True)] = value
    return drawn


@pytest.mark.parametrize("name", LIBRARY)
@given(data=st.data())
def test_not_falsified(name: str, data: st.DataObject) -> None:
    entry = LIBRARY[name]
    claim = entry.build(
        **{p: KINDS[k](p) for p, k in zip(entry.parameters, entry.kinds, strict=True)}
    )
    number = st.fractions(-4, 4, max_denominator=1000)
    reals = {
        p: data.draw(number, p)
        for p, k in zip(entry.parameters, entry.kinds, strict=True)
        if k == "real"
    }
    reals = MEETS_CONDITIONS.get(name, dict)(reals)
    drawn = instance(data.draw(st.integers(0, 10**6), "seed"), reals)
    try:
        met = all(drawn.compare(c) is True for c in claim.conditions)
        assume(met)
        assert drawn.compare(claim.relation) is not False, drawn.point()
    except Undetermined:
        assume(False)


def test_side_conditions_matter() -> None:
    """Without its side condition an entry is false somewhere: the conditions are no decoration."""
    points = {
        "exp_lipschitz": {"z": -2},
        "exp_lipschitz_on": {"z": -2, "m": 1},
        "equal_squares": {"a": 1, "b": 2},
        "ordered_squares": {"a": 1, "b": -2},
        "exp_mono": {"a": 2, "b": 1},
        "log_mono": {"a": 2, "b": 1},
        "positive_root": {"a": -1},
    }
    for name, values in points.items():
        entry = LIBRARY[name]
        claim = entry.build(**{p: KINDS["real"](p) for p in entry.parameters})
        drawn = instance(0, values)
        assert any(drawn.compare(c) is False for c in claim.conditions), name
        assert drawn.compare(claim.relation) is False, name


def test_wrong_proofs_are_refused() -> None:
    a = sympy.Symbol("a", real=True)
    z = sympy.Symbol("z", nonnegative=True)
    for check in (
        Zero(a**2 - a),
        Squares(a**2 - 1, ((1, a),)),
        Squares(-(a**2), ((-1, a),)),
        Increasing("false", z - sympy.exp(z), z),
        Increasing("false", sympy.sin(z), z),
        on_range("false", sympy.E, 2, {}),
        on_range("false", sympy.exp(z), 1 + z, {"z": (0, 1)}),
    ):
        with pytest.raises(DerivationError):
            check.run("planted")
