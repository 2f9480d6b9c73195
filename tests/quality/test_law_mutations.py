"""Certificates of conservation laws under mutation: nothing passes whose claim is false or does not follow."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks.audit import audit_text
from tests.quality.law_cases import CASES, count_data, law_data
from tests.quality.law_oracle import is_true, paths
from theory.conservation.modular import PRIME


def audit(data: dict[str, Any]) -> Any:
    return audit_text(json.dumps(data))


def replaced(data: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    out = copy.deepcopy(data)
    at(out, path[:-1])[path[-1]] = value
    return out


def at(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


@pytest.mark.parametrize("name", CASES)
def test_true_certificates_are_accepted(name):
    for data in (law_data(name), count_data(name)):
        assert is_true(data)
        result = audit(data)
        assert result.accepted is True, result.reason
    assert data["claim"]["lower"] == data["claim"]["upper"]
    assert "exactly" in result.reason


LAWS, MODEL = ("claim", "laws"), ("claim", "model")

# Each of these makes the claim of the laws false.
FALSE = [
    ("matrix", (*LAWS, 0, "polynomial"), "u1^2 + 2*u2^2 - v1^2"),
    ("matrix", (*LAWS, 2, "polynomial"), "u1*u3 + u2*u4 + v1*v2"),
    ("matrix", (*LAWS, 2, "polynomial"), "u1*u4 + u2*u3 - v1*v2"),
    ("matrix", (*LAWS, 2, "polynomial"), "u1*u3 + u2*u4"),
    ("matrix", (*LAWS, 0, "polynomial"), "7"),
    ("matrix", (*LAWS, 0, "polynomial"), "0"),
    ("matrix", (*LAWS, 0, "logarithms"), [["1", "u1"]]),
    ("matrix", (*MODEL, "phi", 0), "u1*v1 - u3*v2"),
    ("matrix", (*MODEL, "phi", 0), "u1*v1"),
    ("matrix", (*MODEL, "phi", 1), "u2*v1 + u1*v2"),
    ("matrix", (*MODEL, "metric"), [[0, 0, "2"], *([k, k, "1"] for k in range(1, 6))]),
    ("paths", (*LAWS, 0, "polynomial"), "w1^2 + w2^2 - v^2"),
    ("paths", (*MODEL, "phi", 4), "w1"),
    ("fraction", (*MODEL, "denominators"), []),
    ("fraction", (*MODEL, "denominators", 0), "x^2 + y"),
    ("fraction", (*LAWS, 0, "polynomial"), "x^2 - y^2"),
    ("sum of fractions", (*MODEL, "denominators", 0), "1"),
    ("sum of fractions", (*MODEL, "phi", 1), "3*z^2"),
    ("sum of fractions", (*MODEL, "denominators", 2), "x^2"),
    ("metric", (*MODEL, "metric"), []),
    ("metric", (*MODEL, "metric", 1, 2), "2*v"),
    ("metric", (*MODEL, "metric", 1), [1, 0, "v"]),
    ("full metric", (*MODEL, "metric", 1), [0, 1, "-1"]),
    ("full metric", (*LAWS, 0, "polynomial"), "u^2 - v^2"),
    ("lopsided metric", (*MODEL, "metric", 0), [1, 0, "1"]),
    ("logarithm", (*LAWS, 0, "logarithms", 0, 0), "1"),
    ("logarithm", (*LAWS, 0, "logarithms", 0, 1), "y + 1"),
    ("logarithm", (*LAWS, 0, "logarithms", 0, 1), "2"),
    ("logarithm", (*LAWS, 0, "logarithms"), [["-1", "y"], ["1", "2*y"]]),
    ("logarithm", (*LAWS, 0, "polynomial"), "2*x"),
    ("logarithms", (*LAWS, 1, "logarithms", 1, 0), "1"),
    ("logarithms", (*LAWS, 0, "logarithms"), [["1", "u + v"], ["-1", "2*u + 2*v"]]),  # a constant
    ("no friction", (*MODEL, "momentum"), "1/3"),
    ("heavy ball", (*LAWS, 0, "polynomial"), "x*dot_y - y*dot_x"),
    ("heavy ball", (*LAWS, 0, "polynomial"), "s"),
    ("heavy ball", (*LAWS, 0, "polynomial"), "x*dot_y*s^2 - y*dot_x*s^2"),
    ("heavy ball", (*MODEL, "phi", 0), "x^2 + 2*y^2"),
    ("no friction", (*LAWS, 0, "polynomial"), "t"),
    ("no friction", (*LAWS, 0, "polynomial"), "x*dot_y*t - y*dot_x*t"),
    ("directions", (*MODEL, "directions"), []),
    ("directions", (*MODEL, "directions", 0, 1), [1, "1"]),
    ("directions", (*MODEL, "directions", 0, 0), [0, "2"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "value"), FALSE, ids=str)
def test_false_laws_are_rejected(name, path, value):
    data = replaced(law_data(name), path, value)
    assert not is_true(data)
    result = audit(data)
    assert result.accepted is False and re.search("not constant along|is a constant", result.reason)


@pytest.mark.parametrize("name", CASES)
def test_what_is_still_a_law_may_pass(name):
    data = law_data(name)
    data["claim"]["laws"] += copy.deepcopy(data["claim"]["laws"])
    for law in data["claim"]["laws"]:
        text = law["polynomial"]
        if re.fullmatch("[a-z]\\w*", text):
            law["polynomial"] = f"3*{text}"
            law["logarithms"] = [[str(3 * int(c)), f"1/2*{q}"] for c, q in law["logarithms"]]
        else:
            law["polynomial"] = (f"{text} + 1/2").replace("0 + ", "")
    assert is_true(data)
    assert audit(data).accepted is True


@pytest.mark.parametrize("name", CASES)
def test_counts_that_do_not_follow_are_rejected(name):
    data = count_data(name)
    n = len(data["witness"]["lie_rank"]["point"])
    lower, upper, words = (
        data["claim"]["lower"],
        data["claim"]["upper"],
        data["witness"]["brackets"],
    )
    laws = data["witness"]["laws"]
    mutants = {
        "lower + 1": [(("claim", "lower"), lower + 1)],
        "lower + 1, a law twice": [
            (("claim", "lower"), lower + 1), (("claim", "upper"), upper + 1),
            (("witness", "laws"), [*laws, laws[0]]), (("witness", "brackets"), words[1:]),
        ],
        "upper - 1": [(("claim", "upper"), upper - 1)],
        "upper - 1, a bracket twice": [
            (("claim", "upper"), upper - 1), (("claim", "lower"), lower - 1), (("witness", "laws"), laws[1:]),
            (("witness", "brackets"), [*words, words[0]]),
        ],
        "lower - 1, and the same laws": [(("claim", "lower"), lower - 1)],
        "upper + 1, and the same brackets": [(("claim", "upper"), upper + 1)],
        "a coordinate more": [
            (("witness", place, "point"), [*data["witness"][place]["point"], "5"]) for place in ("law_rank", "lie_rank")
        ],
        "a bracket twice": [(("witness", "brackets"), [*words[:-1], *([words[0]] if len(words) > 1 else [])])],
        "a bracket less": [(("witness", "brackets"), words[1:])],
        "a bracket of a field with itself": [(("witness", "brackets", 0), [words[0][0]] * 2)],
        "a law less": [(("witness", "laws"), laws[1:])],
        "a law more": [(("witness", "laws"), [*laws, laws[0]])],
        "the point 0": [(("witness", "lie_rank", "point"), ["0"] * n), (("witness", "law_rank", "point"), ["0"] * n)],
        "a composite modulus": [(("witness", "law_rank", "prime"), str(2**61 + 1))],
        "a product of primes": [(("witness", "lie_rank", "prime"), str((2**31 - 1) * (2**29 - 3)))],
    }  # fmt: skip
    for what, changes in mutants.items():
        mutant = data
        for path, value in changes:
            mutant = replaced(mutant, path, value)
        result = audit(mutant)
        assert result.accepted is False, (what, result.reason)


def test_special_points_are_rejected():
    """Where (U; V) has rank 1, if only modulo the prime, brackets and gradients span less."""
    data = count_data("matrix")
    assert data["claim"]["upper"] == 3
    for point in (["1"] * 6, ["1", "2", "2", "4", "0", "0"], [str(PRIME + 1)] * 6):
        result = audit(replaced(data, ("witness", "lie_rank", "point"), point))
        assert result.accepted is False and "rank" in result.reason
    for point in (["1"] * 6, ["0", "0", "1", "2", "0", "5"]):
        result = audit(replaced(data, ("witness", "law_rank", "point"), point))
        assert result.accepted is False and "rank" in result.reason
    small = ["1", "2", "-3", "5", "7", "-11"]
    for place in ("law_rank", "lie_rank"):
        assert audit(replaced(data, ("witness", place, "point"), small)).accepted is True


def test_a_logarithm_must_be_defined_at_the_point():
    data = count_data("logarithm")
    result = audit(replaced(data, ("witness", "law_rank", "point"), ["1", str(PRIME)]))
    assert result.accepted is False and "not defined" in result.reason


def test_every_part_is_needed_and_nothing_else_is_allowed():
    for data in (law_data("logarithm"), count_data("logarithm")):
        for path in paths(data):
            part = at(data, path)
            if isinstance(part, dict):
                assert audit(replaced(data, (*path, "note"), "1")).accepted is not True
                for key in part:
                    mutant = copy.deepcopy(data)
                    del at(mutant, path)[key]
                    assert audit(mutant).accepted is not True, (path, key)
            if path:
                for junk in (None, True, 7.5, 10**9, -1, "", "x y", {}, {"a": []}, [[]], [True]):
                    if json.dumps(junk) == json.dumps(part):
                        continue
                    assert audit(replaced(data, path, junk)).accepted is not True, (path, junk)


TOKENS = re.compile(r"\^[0-9]+|[0-9]+|[A-Za-z]\w*| [+-] |.")


@st.composite
def mutated(draw: Any, data: dict[str, Any]) -> dict[str, Any]:
    """One part changed at random."""
    path = draw(st.sampled_from([p for p in paths(data) if len(p) > 1]))
    out = copy.deepcopy(data)
    parent, key = at(out, path[:-1]), path[-1]
    part = parent[key]
    names = [*data["claim"]["model"]["variables"], "x"]
    if isinstance(part, str):
        tokens = TOKENS.findall(part) or [""]
        k = draw(st.integers(0, len(tokens) - 1))
        choices = [
            *names,
            "1",
            "2",
            "3",
            "1/2",
            "^2",
            "^3",
            "*",
            " + ",
            " - ",
            "-",
            "",
            "dot_x",
            "s",
            "0",
        ]
        tokens[k] = draw(st.sampled_from(choices))
        parent[key] = "".join(tokens)
        if draw(st.booleans()) and " + " in part:
            terms = part.split(" + ")
            del terms[draw(st.integers(0, len(terms) - 1))]
            parent[key] = " + ".join(terms)
    elif isinstance(part, int):
        parent[key] = part + draw(st.sampled_from([-2, -1, 1, 2]))
    elif isinstance(part, list) and part:
        k, j = (draw(st.integers(0, len(part) - 1)) for _ in range(2))
        action = draw(st.sampled_from(["drop", "repeat", "swap", "copy", "empty"]))
        if action == "drop":
            del part[k]
        elif action == "repeat":
            part.append(part[k])
        elif action == "swap":
            part[k], part[j] = part[j], part[k]
        elif action == "copy":
            part[k] = part[j]
        else:
            part.clear()
    elif isinstance(part, list):
        parent[key] = draw(
            st.sampled_from(
                [["1"], [[[0, "1"]]], [[0, 0, names[0]]], [["1", names[0]]], [[0]], [[0, 0]]]
            )
        )
    return out


@pytest.mark.parametrize("make", [law_data, count_data])
@given(data=st.data())
def test_random_mutants_are_never_accepted_when_false(make, data):
    mutant = make(data.draw(st.sampled_from(sorted(CASES))))
    for _ in range(data.draw(st.integers(1, 2))):
        mutant = data.draw(mutated(mutant))
    assert audit(mutant).accepted is not True or is_true(mutant)
