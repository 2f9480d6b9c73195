"""Kind "margin" of the audit kernel: what it accepts, and that nothing altered or hostile passes."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import pytest

from proofs_checks.audit import audit_text
from proofs_checks.certificate import Certificate
from proofs_checks.margin_cases import ParityCase
from proofs_checks.margins import margin

Data = dict[str, Any]


@cache
def _text(name: str) -> str:
    rng = np.random.default_rng(5)
    space, what = name.split()
    if what == "parity":
        case = ParityCase(3, 2)
        result = margin(case.points, case.labels, space=space)
    elif what == "zero":
        case = ParityCase(3, 3)
        result = margin(case.points, case.labels, space=space)
    else:
        X, y = rng.integers(-9, 10, (6, 3)), [1, -1, 1, 1, -1, -1]
        result = margin(X, y, space=space)
    assert result.certificate is not None
    return result.certificate.to_json()


NAMES = [f"{space} {what}" for space in ("f1", "f2") for what in ("parity", "zero", "drawn")]


def data_of(name: str) -> Data:
    found: Data = json.loads(_text(name))
    return found


def verdict(data: Data) -> bool | None:
    return audit_text(json.dumps(data)).accepted


@pytest.mark.parametrize("name", NAMES)
def test_it_accepts_what_is_written_and_says_what_it_proved(name: str) -> None:
    result = audit_text(_text(name))
    assert result.accepted, result.reason
    assert result.reason.startswith("proved: the margin of")
    assert Certificate.from_json(_text(name)).audit().accepted


def leaves(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to all numbers and texts."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    elif isinstance(data, list):
        for k, value in enumerate(data):
            yield from leaves(value, (*path, k))
    else:
        yield path


def put(data: Data, path: tuple[Any, ...], value: Any) -> Data:
    out = copy.deepcopy(data)
    at: Any = out
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return out


def at(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


# -- hostile values ---------------------------------------------------------------------------------------------------
HOSTILE = [None, True, [], {}, "", "nan", "inf", "1/0", "2/4", "0x1.8p+9999", "9" * 5000, -1, 2**80]


@pytest.mark.parametrize("name", NAMES)
def test_hostile_values_never_crash(name: str) -> None:
    data, rng = data_of(name), random.Random(name)
    paths = [p for p in leaves(data) if p[0] in ("claim", "witness")]
    for path in rng.sample(paths, min(25, len(paths))):
        for value in HOSTILE:
            # True == 1 in Python, not in a certificate
            if json.dumps(value) != json.dumps(at(data, path)):
                assert verdict(put(data, path, value)) is not True, (path, value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "path",
    [
        ("claim",),
        ("inputs",),
        ("witness",),
        ("claim", "points"),
        ("claim", "points", 0),
        ("claim", "labels"),
        ("claim", "space"),
        ("claim", "lower"),
        ("witness", "q"),
        ("witness", "network"),
        ("witness", "bound"),
    ],
)
def test_hostile_structures_never_crash(name: str, path: tuple[Any, ...]) -> None:
    data = data_of(name)
    for value in [*HOSTILE, [[]], [{}], ["x"], {"a": 1}, [None], [[[1]]]]:
        if value != at(data, path):
            assert verdict(put(data, path, value)) is not True, value


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_or_further_field_is_refused(name: str) -> None:
    data = data_of(name)
    for part in ("claim", "witness"):
        for key in data[part]:
            less = copy.deepcopy(data)
            del less[part][key]
            assert verdict(less) is not True
        more = copy.deepcopy(data)
        more[part]["more"] = "1"
        assert verdict(more) is not True


# -- false claims -----------------------------------------------------------------------------------------------------
def number(text: str) -> Fraction:
    return Fraction(float.fromhex(text)) if "0x" in text else Fraction(text)


@pytest.mark.parametrize("name", [n for n in NAMES if "zero" not in n])
def test_tighter_bounds_are_rejected(name: str) -> None:
    data = data_of(name)
    lower, upper = (number(data["claim"][k]) for k in ("lower", "upper"))
    for key, value in (
        ("lower", upper * Fraction(10**6 + 1, 10**6)),
        ("lower", lower + (upper - lower) * 2 + Fraction(1, 10**15)),
        ("upper", lower * Fraction(10**6 - 1, 10**6)),
        ("upper", Fraction(0)),
    ):
        result = audit_text(json.dumps(put(data, ("claim", key), str(value))))
        assert result.accepted is False, (key, result.reason)
    # looser ones follow
    assert verdict(put(data, ("claim", "lower"), str(lower / 2)))
    assert verdict(put(data, ("claim", "upper"), str(upper * 2)))


@pytest.mark.parametrize("name", NAMES)
def test_negative_bounds_and_unnormalised_weights_are_rejected(name: str) -> None:
    data = data_of(name)
    assert verdict(put(data, ("claim", "lower"), "-1")) is False
    assert verdict(put(data, ("claim", "upper"), "-1")) is False
    q = [number(t) for t in data["witness"]["q"]]
    half = [str(a / 2) for a in q]
    assert verdict(put(data, ("witness", "q"), half)) is False
    shifted = [str(q[0] + 2), str(q[1] - 2), *map(str, q[2:])]
    assert verdict(put(data, ("witness", "q"), shifted)) is False
    assert verdict(put(data, ("witness", "q"), data["witness"]["q"][:-1])) is False


@pytest.mark.parametrize("name", ["f1 drawn", "f2 drawn"])
def test_other_points_or_labels_are_rejected(name: str) -> None:
    data = data_of(name)
    for i in range(6):
        flipped = put(data, ("claim", "labels", i), -data["claim"]["labels"][i])
        assert verdict(flipped) is False
    support = [i for i, a in enumerate(data["witness"]["q"]) if number(a) > 0]
    for i in support:
        # a point that moves towards the origin has a smaller margin
        half = [str(number(t) / 2) for t in data["claim"]["points"][i]]
        assert verdict(put(data, ("claim", "points", i), half)) is False


def test_the_network_counts_its_variation() -> None:
    """Outer weights twice as large do not give a margin twice as large."""
    data = data_of("f1 drawn")
    doubled = [[str(2 * number(c)), u] for c, u in data["witness"]["network"]]
    data = put(data, ("witness", "network"), doubled)
    assert verdict(data)
    lower = number(data["claim"]["lower"])
    assert verdict(put(data, ("claim", "lower"), str(2 * lower))) is False


def test_a_space_is_not_taken_for_the_other() -> None:
    for name in NAMES:
        data = data_of(name)
        other = {"f1": "f2", "f2": "f1"}[data["claim"]["space"]]
        swapped = put(data, ("claim", "space"), other)
        # the witness of a zero margin is the same in both
        assert verdict(swapped) is ("zero" in name)


def test_a_false_zero_is_rejected() -> None:
    for name in ("f1 drawn", "f2 drawn"):
        data = put(data_of(name), ("claim", "upper"), "0")
        data = put(put(data, ("claim", "lower"), "0"), ("witness", "network"), [])
        assert verdict(put(data, ("witness", "bound"), "zero")) is False
    zero = data_of("f1 zero")
    n = len(zero["claim"]["points"])
    alone = ["1", *["0"] * (n - 1)]
    assert verdict(put(zero, ("witness", "q"), alone)) is False
    # the kinks vanish on the pair of antipodal points, what is linear does not
    pair = ["1/2", *["0"] * (n - 2), "1/2"]
    assert zero["claim"]["labels"][0] == -zero["claim"]["labels"][-1]
    assert verdict(put(zero, ("witness", "q"), pair)) is False


def test_a_positive_margin_needs_a_network() -> None:
    for name in ("f1 drawn", "f2 drawn"):
        assert verdict(put(data_of(name), ("witness", "network"), [])) is False
    zero = data_of("f2 zero")
    assert verdict(put(zero, ("claim", "lower"), "1/1000000")) is False


@pytest.mark.parametrize("name", ["f1 drawn", "f2 drawn", "f1 parity", "f2 parity"])
@pytest.mark.parametrize("lower", ["1000", "1/1000000", "true upper"])
def test_a_function_that_vanishes_proves_no_margin(name: str, lower: str) -> None:
    """0 >= lower · 0 holds for every bound; neither c = 0, u = 0, inactive neurons nor α = 0 separate anything."""
    data = data_of(name)
    d, n = len(data["claim"]["points"][0]), len(data["claim"]["points"])
    none: list[list[Any]] = [["0"] * n, ["0"]]
    if name.startswith("f1"):
        unit = ["1", *["0"] * (d - 1)]
        none = [[["0", unit]], [["1", ["0"] * d]], [["1", unit], ["-1", unit]], [["0", unit]] * 3]
    claimed = data["claim"]["upper"] if lower == "true upper" else lower
    for network in none:
        for upper in (data["claim"]["upper"], "2000"):
            claim = {**data["claim"], "lower": claimed, "upper": upper}
            witness = {**data["witness"], "network": network}
            assert verdict({**data, "claim": claim, "witness": witness}) is False, network


def test_a_lower_bound_above_the_upper_one_is_rejected() -> None:
    data = data_of("f1 drawn")
    claim = {**data["claim"], "lower": data["claim"]["upper"], "upper": data["claim"]["lower"]}
    result = audit_text(json.dumps({**data, "claim": claim}))
    assert result.accepted is False
    assert "above the upper one" in result.reason


def test_angles_of_zero_and_pi_are_exact() -> None:
    """K(x, 2x) = |x|², K(x, -x) = 0: the margin of x and -x with equal labels is ‖x‖/2."""
    result = margin([["3/10", "4/10"], ["-3/10", "-4/10"]], [1, 1], space="f2")
    assert result.certificate is not None
    assert result.lower == pytest.approx(math.sqrt(0.25) / 2, rel=1e-14)
    result = margin([["1/3", "1/7"], ["2/3", "2/7"]], [1, 1], space="f2")
    assert result.lower == pytest.approx(math.hypot(1 / 3, 1 / 7) / math.sqrt(2), rel=1e-14)
    assert result.relative_gap < 1e-14


# -- random changes of one number -------------------------------------------------------------------------------------
def _larger(text: str) -> str:
    return str(number(text) + Fraction(1, 1000))


def _smaller(text: str) -> str:
    return str(number(text) - Fraction(1, 1000))


@pytest.mark.parametrize("change", [_larger, _smaller])
@pytest.mark.parametrize("name", ["f1 drawn", "f2 drawn"])
def test_a_changed_number_is_noticed(name: str, change: Callable[[str], str]) -> None:
    """Bounds this tight leave no room: the margin moves with every point that it depends on."""
    data = data_of(name)
    support = [i for i, a in enumerate(data["witness"]["q"]) if number(a) > 0]
    paths: list[tuple[Any, ...]] = [("witness", "q", i) for i in support]
    paths += [("claim", "points", i, k) for i in support for k in range(3)]
    for path in paths:
        assert verdict(put(data, path, change(at(data, path)))) is False, path


def test_numbers_beyond_binary64_are_no_trouble() -> None:
    big = "1" + "0" * 400
    claim = {"space": "f1", "points": [[big]], "labels": [1], "lower": big[:-1], "upper": big}
    network = [["1", ["1"]]]
    tree = {"reflections": [], "inside": [], "plus": [0, [""], [""]], "minus": [["0"]]}
    data = {
        "format": "lemmata-certificate/1",
        "kind": "margin",
        "claim": claim,
        "inputs": {},
        "witness": {"network": network, "q": ["1"], "bound": tree},
    }
    result = audit_text(json.dumps(data))
    assert result.accepted, result.reason
    assert "e+399" in result.reason
