"""Cases: bad input is refused with a remedy, plain data lose nothing, the hash sees what matters."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proofs_checks.case import Case
from theory.errors import LemmataError

NAN, INF = math.nan, math.inf
GOOD: dict[str, Any] = {
    "X": [[1.0, 0.5], [-0.25, 1.0]],
    "y": [1.0, -1.0],
    "W0": [[0.6, 0.8], [1.0, -2.0], [0.1, 0.2]],
    "signs": [1.0, -1.0, 1.0],
    "eps": 1e-3,
}
DROP = object()


def build(**changes: Any) -> Case:
    """A good case with changes; DROP removes an argument."""
    kwargs = {k: v for k, v in {**GOOD, **changes}.items() if v is not DROP}
    return Case.create(kwargs.pop("X"), kwargs.pop("y"), **kwargs)


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("nan point", {"X": [[1.0, NAN], [0.0, 1.0]]}, r"X\[0, 1\] is nan; remove or replace"),
    ("infinite point", {"X": [[1.0, 1.0], [-INF, 1.0]]}, r"X\[1, 0\] is -inf; remove or replace"),
    ("nan label", {"y": [1.0, NAN]}, r"y\[1\] is nan; remove or replace"),
    (
        "nan direction",
        {"W0": [[NAN, 1.0]], "signs": [1.0]},
        r"W0\[0, 0\] is nan; remove or replace",
    ),
    ("no points", {"X": np.empty((0, 2)), "y": []}, "X is empty .* give at least one entry"),
    ("no coordinates", {"X": np.empty((2, 0))}, "X is empty .* give at least one entry"),
    ("no neurons", {"W0": np.empty((0, 2)), "signs": []}, "W0 is empty .* give at least one entry"),
    ("flat points", {"X": [1.0, 2.0]}, "X has 1 dimensions, expected 2"),
    ("flat directions", {"W0": [1.0, 2.0]}, "W0 has 1 dimensions, expected 2"),
    ("ragged points", {"X": [[1.0, 2.0], [1.0]]}, "X is not a rectangular array of numbers"),
    ("text", {"X": [["a", "b"], ["c", "d"]]}, "X is not a rectangular array of numbers"),
    ("too few labels", {"y": [1.0]}, "2 points and y 1 labels; give one label per point"),
    (
        "other dimension",
        {"W0": [[1.0, 2.0, 3.0]], "signs": [1.0]},
        "3 columns and X 2; they must agree",
    ),
    ("label 0", {"y": [1.0, 0.0]}, r"label .*0.0.* of point 1 is not ±1; map the two classes"),
    ("label 2", {"y": [2.0, 1.0], "loss": "logistic2"}, r"label .*2.0.* of point 0 is not ±1; map"),
    (
        "zero direction",
        {"W0": [[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]},
        "row 1 of W0 is zero: .*; drop it",
    ),
    ("nothing but zeros", {"X": np.zeros((2, 2))}, "all points are zero: nothing would move; give"),
    ("huge point", {"X": [[1.0, 0.5], [1e200, 0.0]]}, "row 1 of X has length 1e.200.*; rescale"),
    ("overflow", {"X": [[1e308, 1e308], [1.0, 0.0]]}, "row 0 of X has length 1.41e.308.*; rescale"),
    ("tiny point", {"X": [[1e-200, 0.0], [1.0, 0.0]]}, "row 0 of X has length 1e-200.*; rescale"),
    (
        "huge direction",
        {"W0": [[1e200, 0.0]], "signs": [1.0]},
        "row 0 of W0 has length 1e.200.*; resc",
    ),
    ("unknown loss", {"loss": "hinge"}, "unknown loss 'hinge'; use one of exponential, logistic2"),
    ("unknown reduction", {"reduction": "max"}, "unknown reduction 'max'; use one of sum, mean"),
    ("neither signs nor v0", {"signs": DROP}, "give either signs .* or v0"),
    ("both signs and v0", {"v0": [1.0, 1.0, 1.0]}, "give either signs .* or v0"),
    ("sign 0", {"signs": [1.0, 0.0, 1.0]}, "signs must be 3 numbers ±1"),
    ("too few signs", {"signs": [1.0, -1.0]}, "signs must be 3 numbers ±1"),
    ("too few v0", {"signs": DROP, "v0": [1.0]}, "v0 must have 3 entries, not 1"),
    ("infinite v0", {"signs": DROP, "v0": [1.0, INF, 0.0]}, r"v0\[1\] is inf; remove or replace"),
    ("no scale", {"eps": DROP}, "give either eps or log10_eps"),
    ("two scales", {"log10_eps": -3.0}, "give either eps or log10_eps"),
    ("eps 0", {"eps": 0.0}, "eps = 0.0: .* must be a positive number"),
    ("eps negative", {"eps": -1e-3}, "eps = -0.001: .* must be a positive number"),
    ("eps nan", {"eps": NAN}, "eps = nan: .* must be a positive number"),
    ("eps infinite", {"eps": INF}, "eps = inf: .* must be a positive number"),
    ("eps text", {"eps": "small"}, "eps = 'small': .* must be a positive number"),
    (
        "log eps infinite",
        {"eps": DROP, "log10_eps": -INF},
        "log10_eps = -inf is not a finite number",
    ),
]


@pytest.mark.parametrize("changes,message", [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_input_is_refused_with_a_remedy(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LemmataError, match=message):
        build(**changes)


def test_a_zero_point_is_a_point() -> None:
    assert build(X=[[0.0, 0.0], [1.0, 0.5]]).n == 2


def test_arrays_are_copied_and_frozen() -> None:
    X = np.array(GOOD["X"])
    case = build(X=X)
    X[0, 0] = 7.0
    assert case.X[0, 0] == 1.0
    for array in (case.X, case.y, case.W0, case.v0):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


def test_balance_is_exact() -> None:
    assert build().balanced
    assert build(signs=DROP, v0=[1.0, 1.0, 1.0]).balanced is False
    # 3² + 4² = 5², exactly; in floating point 0.6² + 0.8² = 1 only by rounding
    assert build(W0=[[3.0, 4.0]], signs=DROP, v0=[-5.0]).balanced
    assert Fraction(0.6) ** 2 + Fraction(0.8) ** 2 != 1
    assert not build(W0=[[0.6, 0.8]], signs=DROP, v0=[1.0]).balanced


finite = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda v: abs(v) > 1e-100)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    n, d, h = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))

    def rows(m: int) -> list[list[float]]:
        return draw(st.lists(st.lists(finite, min_size=d, max_size=d), min_size=m, max_size=m))

    squared = draw(st.booleans())
    start: dict[str, Any] = (
        {"signs": draw(st.lists(st.sampled_from([-1.0, 1.0]), min_size=h, max_size=h))}
        if draw(st.booleans())
        else {"v0": draw(st.lists(finite, min_size=h, max_size=h))}
    )
    return Case.create(
        rows(n),
        draw(st.lists(finite if squared else st.sampled_from([-1.0, 1.0]), min_size=n, max_size=n)),
        W0=rows(h),
        log10_eps=draw(st.floats(-2000, 1)),
        loss="squared"
        if squared
        else draw(st.sampled_from(["exponential", "logistic2", "logistic"])),
        reduction=draw(st.sampled_from(["sum", "mean", "half-mean"])),
        name=draw(st.text(max_size=5)),
        seed=draw(st.integers(0, 2**63)),
        **start,
    )


@given(cases())
def test_json_round_trip_is_bit_for_bit(case: Case) -> None:
    back = Case.from_json(json.loads(json.dumps(case.to_json())))
    assert back.to_json() == case.to_json()
    assert back.hash == case.hash
    for a, b in ((case.X, back.X), (case.y, back.y), (case.W0, back.W0), (case.v0, back.v0)):
        assert a.tobytes() == b.tobytes()
    assert (back.log_eps, back.balanced, back.name, back.seed) == (
        case.log_eps,
        case.balanced,
        case.name,
        case.seed,
    )


def test_hash_ignores_name_and_seed_only() -> None:
    case = build()
    assert build(name="other", seed=5).hash == case.hash
    changed = [
        build(X=[[1.0, np.nextafter(0.5, 1)], [-0.25, 1.0]]),
        build(y=[1.0, 1.0]),
        build(W0=[[0.6, 0.8], [1.0, -2.0], [0.1, np.nextafter(0.2, 1)]]),
        build(signs=[1.0, 1.0, 1.0]),
        build(eps=1e-3 * (1 + 1e-14)),
        build(loss="logistic2"),
        build(reduction="mean"),
        case.replace(v0=case.v0 * np.array([1.0, 1.0, 2.0])),
    ]
    hashes = {case.hash, *(c.hash for c in changed)}
    assert len(hashes) == 1 + len(changed)
    assert all(len(h) == 16 and int(h, 16) >= 0 for h in hashes)


def test_hash_tells_whether_the_balance_is_meant() -> None:
    balanced = build(W0=[[0.6, 0.8]], signs=[1.0])
    explicit = build(W0=[[0.6, 0.8]], signs=DROP, v0=balanced.v0)
    assert not explicit.balanced and explicit.hash != balanced.hash


TAMPERED: list[tuple[str, Any, str]] = [
    ("no object", [1, 2], "not a case"),
    ("other format", {"format": "lemmata-case/99"}, "not a case"),
    ("missing field", {"X": DROP}, "malformed case: KeyError"),
    ("decimal numbers", {"y": [1.0, -1.0]}, "malformed case: TypeError"),
    ("no hexadecimal number", {"y": ["one", "two"]}, "malformed case: ValueError"),
    ("nan", {"log_eps": "nan"}, "log_eps is nan, which is not finite"),
    ("nan point", {"X": [["nan", "0x1p0"], ["0x1p0", "0x1p0"]]}, "remove or replace"),
    ("unknown loss", {"loss": "hinge"}, "unknown loss 'hinge'"),
    ("unbalanced", {"v0": ["0x1p0", "-0x1p1", "0x1p0"]}, "v0 does not equal ±‖w_j0‖"),
    ("zero sign", {"v0": ["0x1p0", "0x0p0", "0x1p0"]}, "signs must be 3 numbers ±1"),
    ("rows", {"X": 3}, "malformed case: TypeError"),
    ("seed", {"seed": "many"}, "malformed case: ValueError"),
]


@pytest.mark.parametrize("changes,message", [t[1:] for t in TAMPERED], ids=[t[0] for t in TAMPERED])
def test_tampered_plain_data_are_refused(changes: Any, message: str) -> None:
    data = build().to_json()
    data = (
        {k: v for k, v in {**data, **changes}.items() if v is not DROP}
        if isinstance(changes, dict)
        else changes
    )
    with pytest.raises(LemmataError, match=message):
        Case.from_json(data)


def test_scale_survives_far_below_the_smallest_float() -> None:
    case = build(eps=DROP, log10_eps=-768.0)
    mantissa, exponent = case.eps
    assert 0.5 <= mantissa <= 2.0
    # log10 of mantissa * 2**exponent
    assert math.log10(mantissa) + exponent * math.log10(2) == pytest.approx(-768.0, abs=1e-10)


@given(st.floats(-300, 2))
def test_scale_agrees_with_floats_where_they_can_hold_it(log10: float) -> None:
    case = build(eps=DROP, log10_eps=log10)
    mantissa, exponent = case.eps
    assert math.ldexp(mantissa, exponent) == pytest.approx(math.exp(case.log_eps), rel=1e-12)


def test_weights_of_the_reductions() -> None:
    assert [build(reduction=r).weight for r in ("sum", "mean", "half-mean")] == [1.0, 0.5, 0.25]


def test_replace_keeps_what_is_not_named_and_checks_again() -> None:
    case = build(eps=DROP, log10_eps=-500.0, loss="logistic2", name="a", seed=3)
    other = case.replace(W0=2 * case.W0)
    assert other.log_eps == case.log_eps and other.loss == "logistic2" and other.seed == 3
    assert other.balanced and np.array_equal(np.sign(other.v0), np.sign(case.v0))
    assert np.array_equal(other.v0, 2 * case.v0)
    assert case.replace(eps=0.25).log_eps == math.log(0.25)
    assert case.replace().to_json() == case.to_json()
    with pytest.raises(LemmataError, match="is not ±1"):
        case.replace(y=[1.0, 3.0])
    with pytest.raises(LemmataError, match="give either eps or log10_eps"):
        case.replace(eps=0.1, log10_eps=-1.0)


def test_only_what_is_integrated_together_is_grouped() -> None:
    case = build()
    assert case.group() == build(eps=0.5, W0=3 * np.array(GOOD["W0"]), name="b").group()
    assert case.group() != build(loss="logistic2").group()
    assert case.group() != build(reduction="mean").group()
    # the same bytes in another shape are other data
    flat = Case.create(
        [[1.0], [0.5], [-0.25], [1.0]], [1.0, -1.0, 1.0, -1.0], W0=[[1.0]], signs=[1.0], eps=1.0
    )
    assert flat.X.tobytes() == case.X.tobytes() and flat.group() != case.group()
