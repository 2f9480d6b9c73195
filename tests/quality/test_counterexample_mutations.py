"""Certificates of counterexamples with one or two changes: the kernel accepts only those that are still true."""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from proofs_checks.audit import audit_text
from proofs_checks.audit.program_shapes import READERS
from tests.quality.counterexample_examples import EXAMPLES, data
from tests.quality.counterexample_oracle import is_true

SECONDS = 3.0
TEXTS = ["0", "1", "-1", "7/3", "1/0", "nan", "inf", "1e9", "2/4", " 1", "1" * 5000, "", "x"]
TEXTS += ["0x1.0000000000000p-1000", "0x1.0p+0", "-7/2", "1000000000000", "<=", "<", "==", "claim"]
NUMBERS = [0, 1, 2, -1, 5, 10**6, 10**40, True, None, "1", [], {}, [[1]]]


def nodes(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all parts below the root."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, part in items:
        yield (*path, key)
        if isinstance(part, dict | list):
            yield from nodes(part, (*path, key))


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def replacements(part: Any) -> list[Any]:
    """Other values for one part of a certificate."""
    if isinstance(part, str):
        return [*TEXTS, *sorted(READERS), 1, None, [part], part + "0", "-" + part]
    if isinstance(part, list):
        shorter, doubled = part[:-1], part + part[-1:]
        return [shorter, doubled, part[::-1], part[1:], [part], [], "", 0, None, {}, [*part, 0]]
    if isinstance(part, dict):
        first = next(iter(part), None)
        fewer = {k: v for k, v in part.items() if k != first}
        return [fewer, {**part, "more": 0}, {}, [], 0, {**fewer, f"{first} ": part.get(first)}]
    return [part + 1, part - 1, -part, 2 * part, *NUMBERS]


def verdict(certificate: Any) -> bool | None:
    """What the kernel says, in little time; what it accepts must be true."""
    start = time.process_time()
    result = audit_text(json.dumps(certificate), seconds=SECONDS)
    assert time.process_time() - start < SECONDS + 1
    if result.accepted:
        assert is_true(certificate["claim"]), (result.reason, certificate["claim"])
    return result.accepted


def changed(original: Any, path: tuple[Any, ...], value: Any) -> Any:
    out = copy.deepcopy(original)
    at(out, path[:-1])[path[-1]] = copy.deepcopy(value)
    return out


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_every_change_of_one_part(name: str) -> None:
    """All parts of claim and witness, each with all its replacements."""
    original = data(name)
    assert verdict(original)
    changes = [
        (path, value)
        for path in nodes(original)
        for value in replacements(at(original, path))
        if json.dumps(value) != json.dumps(at(original, path))
    ]
    # the long programs have more parts than others; a part of their changes, and all of the others
    changes = random.Random(name).sample(changes, min(len(changes), 400))
    verdicts = [verdict(changed(original, *change)) for change in changes]
    assert verdicts.count(False) > len(verdicts) // 2
    if name in ("product", "gap", "least loss"):  # other numbers may make another true claim
        assert any(verdicts)


@pytest.mark.parametrize("name", ["kinks", "descent", "equality", "gap", "logarithms"])
def test_changes_that_still_form_a_program(name: str) -> None:
    """Operators, arguments, sides and numbers are exchanged for others that fit, several at once."""
    rng = random.Random(name)
    original = data(name)
    accepted = 0
    for _ in range(300):
        out = copy.deepcopy(original)
        program = out["claim"]["program"]
        for _ in range(rng.choice([1, 1, 2, 3])):
            kind = rng.randrange(4)
            k = rng.randrange(1, len(program["instructions"]))
            step = program["instructions"][k]
            if kind == 0 and step[0] not in ("input", "constant"):
                same = [op for op in READERS if READERS[op][:2] == READERS[step[0]][:2]]
                step[0] = rng.choice(same)
            if kind == 1 and step[1]:
                step[1][rng.randrange(len(step[1]))] = rng.randrange(k)
            if kind == 2:
                relation = rng.choice(program["hypotheses"] + program["conclusions"])
                relation[rng.choice([0, 2])] = rng.randrange(len(program["instructions"]))
                relation[1] = rng.choice(["<=", "<", "=="])
            if kind == 3:
                values = rng.choice(list(out["claim"]["inputs"].values()))["values"]
                values[rng.randrange(len(values))] = rng.choice(["0", "1", "-2", "5/7", "9"])
        accepted += bool(verdict(out))
    assert accepted > 3


def test_changes_of_the_nested_certificate_of_an_optimum() -> None:
    """Bounds that do not follow, another instance, another kind: nothing of it is accepted."""
    original = data("least loss")
    (number,) = original["witness"]["optima"]
    for field, value in [
        ("lower", "2"),
        ("upper", "1/2"),
        ("beta", "3"),
        ("X", [["3"]]),
        ("y", ["4"]),
    ]:
        path = ("witness", "optima", number, "claim", field)
        assert verdict(changed(original, path, value)) is False
    path = ("claim", "program", "instructions", int(number), 2, "parameters")
    for part, value in [
        ("arguments", ["X", "y", "lower"]),
        ("arguments", ["X", "y", "y"]),
        ("arguments", ["y", "X", "beta"]),
        ("fixed", {"loss": "logistic"}),
        ("fixed", {}),
        ("certificate", "margin"),
        ("certificate", "counterexample"),
    ]:
        assert verdict(changed(original, (*path, part), value)) is False
    itself = changed(original, ("witness", "optima", number), original)
    assert verdict(itself) is False
    nested = {**original["witness"]["optima"][number], "kind": "counterexample"}
    assert verdict(changed(original, ("witness", "optima", number), nested)) is False
    for optima in ({}, {**original["witness"]["optima"], "0": nested}):
        assert verdict(changed(original, ("witness", "optima"), optima)) is False
    kind = ("claim", "program", "instructions", int(number), 2, "kind")
    assert verdict(changed(original, kind, "flow")) is False
