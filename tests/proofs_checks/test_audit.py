"""The audit kernel: true certificates pass, every mutant that is false or unproved is rejected."""

from __future__ import annotations

import copy
import json
import random
from fractions import Fraction as F
from pathlib import Path

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import proofs_checks.audit as kernel
from proofs_checks.audit import audit_text
from proofs_checks.certificate import certificate_of_box_proof
from theory.boxes import Range, prove_on_box

r, m = sp.Symbol("r", positive=True), sp.Symbol("m", positive=True)
x, y, z = sp.symbols("x y z", real=True)
OPEN_UNIT, half = Range(F(0), F(1), True, True), sp.Rational(1, 2)
FOLDER = Path(kernel.__file__).parent

# Every claim here touches: equality holds at a point of the closed box, so that the least change
# of a constant in the wrong direction makes it false.
CLAIMS = {
    "norm bound": (sp.sqrt(r) + 2 * m * (sp.sqrt(r) - r), "<=", 1, {r: OPEN_UNIT, m: (0, F(1, 4))}),
    "norm bound, strict": (
        sp.sqrt(r) + 2 * m * (sp.sqrt(r) - r),
        "<",
        1,
        {r: OPEN_UNIT, m: (0, F(1, 4))},
    ),
    "parabola": (x * (1 - x), "<=", sp.Rational(1, 4), {x: (0, 1)}),
    "exponential": (sp.Abs(sp.exp(-z) - 1), "<=", 2 * sp.Abs(z), {z: (-1, 1)}),
    "logarithm": (sp.log(1 + z), "<=", z, {z: (-half, 1)}),
    "product": (x * y, "<=", sp.Rational(3, 2), {x: (-1, F(3, 2)), y: (-1, 1)}),
    "numbers": (sp.sqrt(2) + sp.sqrt(3), "<", sp.Rational(315, 100), {}),
}


def certificate(name, **options):
    return json.loads(certificate_of_box_proof(prove_on_box(*CLAIMS[name], **options)).to_json())


def audit(data):
    return audit_text(json.dumps(data))


@pytest.mark.parametrize("name", CLAIMS)
def test_true_certificates_are_accepted(name):
    result = audit(certificate(name))
    assert result.accepted is True, result.reason
    assert result.reason.startswith("proved")
    for variable in certificate(name)["claim"]["variables"]:
        assert f"{variable} in " in result.reason


def replaced(data, path, value):
    out = copy.deepcopy(data)
    node = out
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return out


FALSE = [
    ("norm bound", ("claim", "rhs"), ["rat", "999999/1000000"]),
    ("norm bound", ("claim", "variables", "r", "hi"), "2"),
    ("norm bound", ("claim", "variables", "m", "hi"), "2"),
    ("norm bound, strict", ("claim", "variables", "r", "hi_open"), False),
    ("parabola", ("claim", "relation"), "<"),
    ("parabola", ("claim", "rhs"), ["rat", "249999/1000000"]),
    ("parabola", ("claim", "rhs"), ["neg", ["rat", "1/4"]]),
    ("exponential", ("claim", "relation"), "<"),
    ("exponential", ("claim", "variables", "z", "lo"), "-2"),
    ("exponential", ("claim", "rhs"), ["abs", ["var", "z", []]]),
    ("logarithm", ("claim", "relation"), "<"),
    ("logarithm", ("claim", "variables", "z", "lo"), "-1"),  # undefined there
    ("logarithm", ("claim", "variables", "z", "lo"), "-2"),
    ("product", ("claim", "variables", "x", "hi"), "1500001/1000000"),
    ("product", ("claim", "variables", "y", "lo"), "-2"),
    ("product", ("claim", "rhs"), ["rat", "149/100"]),
    ("numbers", ("claim", "rhs"), ["rat", "3146/1000"]),
    ("numbers", ("claim", "lhs"), ["rat", "315/100"]),
]


@pytest.mark.parametrize(("name", "path", "value"), FALSE)
def test_false_claims_are_rejected(name, path, value):
    result = audit(replaced(certificate(name), path, value))
    assert result.accepted is False and result.reason


def test_swapped_sides_are_rejected():
    for name in CLAIMS:
        data = certificate(name)
        claim = data["claim"]
        claim["lhs"], claim["rhs"] = claim["rhs"], claim["lhs"]
        assert audit(data).accepted is False, name


def tree_mutants(data):
    """Each way of damaging the tree that leaves a proof of nothing."""
    tree = data["witness"]["tree"]
    for k, node in enumerate(tree):
        rest = tree[:k], tree[k + 1 :]
        if node[0] != "monotone":
            yield f"drop {k}", [*rest[0], *rest[1]]
        yield (
            f"repeat {k}",
            [*rest[0], node, node, *rest[1]] if node[0] != "monotone" else [*tree, node],
        )
        yield f"truncate at {k}", rest[0]
        if node[0] == "split":
            for at in ("1000", "-1000", "1/0", "0.5", 0, None, "nan", "0x1p+0", "1/2/3"):
                yield f"split {k} at {at}", [*rest[0], ["split", node[1], at], *rest[1]]
            lo, hi = (data["claim"]["variables"][node[1]][e] for e in ("lo", "hi"))
            for at in (lo, hi):  # a cut at an end would leave nothing on one side
                if k == 0:
                    yield f"split {k} at the end {at}", [*rest[0], ["split", node[1], at], *rest[1]]
            yield f"split {k} in no variable", [*rest[0], ["split", "nope", node[2]], *rest[1]]
        if node[0] == "monotone":
            other = "down" if node[2] == "up" else "up"
            yield f"turn {k}", [*rest[0], ["monotone", node[1], other], *rest[1]]
            yield f"turn {k} to nonsense", [*rest[0], ["monotone", node[1], "left"], *rest[1]]
        for junk in (
            [],
            ["leaf"],
            "value",
            None,
            ["value", "x"],
            ["split"],
            [["value"]],
            ["split", ["x"], "1/2"],
            {},
        ):
            yield f"{junk!r} for {k}", [*rest[0], junk, *rest[1]]
    yield "empty", []
    yield "one leaf too many", [*tree, ["value"]]
    yield "an object", {}


@pytest.mark.parametrize("name", CLAIMS)
def test_damaged_trees_are_rejected(name):
    data, seen = certificate(name), 0
    for what, tree in tree_mutants(data):
        for recount in (False, True):
            mutant = replaced(data, ("witness", "tree"), tree)
            if recount:
                mutant["witness"]["leaves"] = sum(n in (["value"], ["mean value"]) for n in tree)
            result = audit(mutant)
            assert result.accepted is False, (what, result.reason)
            seen += 1
    assert seen > 20


@pytest.mark.parametrize(
    "name", ["norm bound", "norm bound, strict", "parabola", "exponential", "logarithm"]
)
def test_a_touching_claim_needs_its_monotone_steps_and_its_cuts(name):
    data = certificate(name)
    tree = [node for node in data["witness"]["tree"] if node[0] != "monotone"]
    assert len(tree) < len(data["witness"]["tree"])
    assert audit(replaced(data, ("witness", "tree"), tree)).accepted is False
    for leaf in ("value", "mean value"):
        single = replaced(data, ("witness", "tree"), [[leaf]])
        single["witness"]["leaves"] = 1
        assert audit(single).accepted is False


def test_strictness_is_won_only_by_strict_monotonicity():
    """x - x^2/2 < 1/2 on [0, 1): slope 1 - x is strict inside, but not for a constant function."""
    proof = prove_on_box(x - x**2 / 2, "<", half, {x: Range(F(0), F(1), False, True)})
    data = json.loads(certificate_of_box_proof(proof).to_json())
    assert audit(data).accepted
    constant = replaced(data, ("claim", "lhs"), ["max", data["claim"]["lhs"], ["rat", "1/2"]])
    assert audit(constant).accepted is False
    closed = replaced(data, ("claim", "variables", "x", "hi_open"), False)
    assert audit(closed).accepted is False


def test_a_jump_at_an_open_end_is_not_overlooked():
    """x + 5 step(1 - x) rises on [0, 1) up to 6, and is 1 at the end that is left out."""
    jump = ["step", ["add", ["rat", "1"], ["neg", ["var", "x"]]]]
    claim = {
        "variables": {"x": {"lo": "0", "hi": "1", "lo_open": False, "hi_open": True}},
        "lhs": ["add", ["var", "x"], ["mul", ["rat", "5"], jump]],
        "relation": "<=",
        "rhs": ["rat", "1"],
    }
    data = certificate("parabola")
    for tree in ([["monotone", "x", "up"], ["value"]], [["mean value"]], [["value"]]):
        witness = {"tree": tree, "precision": 64, "leaves": 1}
        assert audit({**data, "claim": claim, "witness": witness}).accepted is False
    six = {**data, "claim": {**claim, "rhs": ["rat", "6"]}}
    assert audit({**six, "witness": {"tree": [["value"]], "precision": 64, "leaves": 1}}).accepted


def paths(node, here=()):
    yield here
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in items:
        yield from paths(value, (*here, key))


ATOMS = st.one_of(
    st.sampled_from(["<", "<=", "up", "down", "value", "mean value", "x", "z", "split", "monotone"]), st.booleans(),
    st.fractions(-2, 2, max_denominator=9).map(str), st.integers(0, 70), st.just(["value"]), st.just(["rat", "1/2"]),
    st.just(["var", "x", []]), st.just({}), st.just([]), st.none(),
)  # fmt: skip


def holds_numerically(claim, rng):
    names = list(claim["variables"])
    for _ in range(60):
        env = {}
        for name in names:
            side = claim["variables"][name]
            lo, hi = F(side["lo"]), F(side["hi"])
            ends = [F(0)] * (not side["lo_open"]) + [F(1)] * (not side["hi_open"])
            w = rng.choice(
                [*ends, F(rng.randint(1, 999), 1000), F(1, 2), F(1, 10**6), 1 - F(1, 10**6)]
            )
            at = lo + (hi - lo) * w
            env[name] = mpmath.mpf(at.numerator) / at.denominator
        with mpmath.workdps(40):
            gap = numeric(claim["lhs"], env) - numeric(claim["rhs"], env)
            if not (gap < 1e-25):
                return False
    return True


def numeric(data, env):
    op, *args = data
    if op == "var":
        return env[args[0]]
    if op == "rat":
        return mpmath.mpf(F(args[0]).numerator) / F(args[0]).denominator
    if op == "pow":
        q = F(args[1][1])
        return numeric(args[0], env) ** (mpmath.mpf(q.numerator) / q.denominator)
    v = [numeric(arg, env) for arg in args]
    table = {
        "add": lambda: mpmath.fsum(v), "mul": lambda: mpmath.fprod(v), "neg": lambda: -v[0], "max": lambda: max(v),
        "min": lambda: min(v), "div": lambda: v[0] / v[1], "abs": lambda: abs(v[0]), "pi": lambda: +mpmath.pi,
    }  # fmt: skip
    return table[op]() if op in table else getattr(mpmath, op)(v[0])


@settings(max_examples=300)
@given(st.sampled_from(sorted(CLAIMS)), st.data())
def test_random_mutants_are_never_accepted_when_false(name, draw):
    data = certificate(name)
    for _ in range(draw.draw(st.integers(1, 2))):
        options = [p for p in paths(data) if p]
        data = replaced(data, draw.draw(st.sampled_from(options)), draw.draw(ATOMS))
        if not all(isinstance(data.get(k), dict) for k in ("claim", "witness")):
            break
    result = audit(data)
    assert result.accepted is not True or holds_numerically(data["claim"], random.Random(0))
