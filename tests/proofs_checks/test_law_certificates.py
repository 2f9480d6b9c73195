"""Certificates of conservation laws: what is written, what the kernel accepts, and hostile files."""

from __future__ import annotations

import copy
import itertools
import json
import time
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from proofs_checks.audit import audit_file, audit_text
from proofs_checks.certificate import Certificate
from proofs_checks.law_certificates import count_certificate, law_certificate, model_data
from tests.quality.law_cases import CASES, count_data, law_data
from tests.quality.law_oracle import System
from theory.conservation import builders
from theory.conservation.analysis import analyse
from theory.conservation.lie import lie_rank
from theory.conservation.model import Law, Model
from theory.conservation.modular import PRIME
from theory.errors import LemmataError


def audit(data: dict[str, Any], **options: float) -> Any:
    return audit_text(json.dumps(data), **options)


def certificates_of(model: Model) -> tuple[list[Certificate], tuple[int, int]]:
    a = analyse(model)
    out = [law_certificate(model, a.laws)] if a.laws else []
    count = count_certificate(
        model,
        lower_laws=[law for law, flag in zip(a.laws, a.independent, strict=True) if flag],
        law_rank=(a.law_prime, a.law_point),
        words=a.lie.words,
        lie_rank=(a.lie.prime, a.lie.point),
        upper=a.upper,
    )
    return [*out, count], (a.lower, a.upper)


MODELS = {
    "factorisation": (lambda: builders.matrix_factorisation(3, 3, 2), (3, 3)),
    "deep linear": (lambda: builders.linear([2, 3, 3, 2]), (12, 12)),
    "interval": (lambda: builders.linear([1, 2, 2, 1]), (6, 7)),
    "relu": (lambda: builders.relu([2, 3, 2, 2], bias=True), (5, 5)),
    "nmf": (lambda: builders.nmf(3, 2, 3), (2, 2)),
    "attention": (lambda: builders.attention(2, 2), (6, 6)),
    "cross-entropy": (lambda: builders.linear([2, 2, 2]).with_cross_entropy(), (5, 5)),
    "heavy ball": (lambda: builders.linear([2, 2, 2]).with_momentum(Fraction(1, 2)), (1, 1)),
    "heavy ball, no friction": (lambda: builders.linear([2, 2, 2]).with_momentum(Fraction(0)), (1, 1)),
    "heavy ball, relu": (lambda: builders.relu([2, 2, 1]).with_momentum(Fraction(2, 3)), (0, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_what_is_found_is_accepted(name, tmp_path):
    make, bounds = MODELS[name]
    certificates, found = certificates_of(make())
    assert found == bounds
    for k, certificate in enumerate(certificates):
        result = audit_file(certificate.write(tmp_path / f"{k}.json"))
        assert result.accepted is True, result.reason
    number = f"exactly {bounds[0]}" if bounds[0] == bounds[1] else "at least 6 and at most 7"
    assert f"near a generic point {number} functionally independent laws" in result.reason


def test_a_large_network_is_audited_in_seconds():
    """15,625 path products; the laws meet few of the fields' variables."""
    model = builders.relu([5, 5, 5, 5, 5, 5], bias=True)
    certificates, bounds = certificates_of(model)
    assert bounds == (20, 20) and len(model.phi) > 15_000
    start = time.perf_counter()
    assert all(certificate.audit().accepted for certificate in certificates)
    assert time.perf_counter() - start < 30


def test_the_model_is_restated_in_full():
    model = CASES["sum of fractions"].model
    assert model_data(model) == {
        "variables": ["x", "y", "z"],
        "phi": ["x", "3*z", "2*y"],
        "denominators": ["y", "y", "x"],
        "directions": [[[0, "1"], [2, "1"]], [[0, "1"], [1, "-2"], [2, "5"]]],
        "metric": [],
        "momentum": "",
    }
    assert model_data(CASES["heavy ball"].model)["momentum"] == "1/2"
    assert model_data(CASES["metric"].model)["metric"] == [[0, 0, "u"], [1, 1, "v"]]
    (law,) = law_data("logarithm")["claim"]["laws"]
    assert law == {"polynomial": "x", "logarithms": [["-1", "y"]]}


def test_certificates_are_deterministic_json():
    case = CASES["matrix"]
    certificate = law_certificate(case.model, case.laws)
    text = certificate.to_json()
    assert Certificate.from_json(text).to_json() == text
    assert json.loads(text)["inputs"] == {} and json.loads(text)["witness"] == {}


def test_field_numbers_are_those_of_the_full_list():
    """φ = w1 v, 5, w1 v, 0, w2 v: the model's own list has two fields, the kernel's has five."""
    phi = ({(0, 2): 1}, {(): 5}, {(0, 2): 1}, {}, {(1, 2): 1})
    for momentum, shift in ((None, 0), (Fraction(1, 3), 1)):
        model = Model("repeated", ("w1", "w2", "v"), phi, momentum=momentum)
        assert len(model.fields) == 2 + shift
        n = model.dimension
        found = lie_rank(model.fields, n)
        place = (found.prime, found.point)
        certificate = count_certificate(
            model, lower_laws=(), law_rank=(PRIME, ()), words=found.words, lie_rank=place, upper=n - found.rank
        )  # fmt: skip
        used = {i for word in certificate.witness["brackets"] for i in word}
        assert used == {0, 4} if shift == 0 else used <= {0, 1, 5}
        assert certificate.audit().accepted is True


@pytest.mark.parametrize("momentum", [Fraction(0), Fraction(1), Fraction(3, 2)])
@pytest.mark.parametrize("name", ["fraction", "sum of fractions", "paths", "directions"])
def test_bounds_without_laws_agree_with_an_independent_count(name, momentum):
    model = replace(CASES[name].model, momentum=momentum)
    n = model.dimension
    found = lie_rank(model.fields, n)
    certificate = count_certificate(
        model,
        lower_laws=(),
        law_rank=(PRIME, ()),
        words=found.words,
        lie_rank=(found.prime, found.point),
        upper=n - found.rank,
    )
    assert certificate.audit().accepted is True
    assert System(model_data(model)).number_of_laws == n - found.rank


def test_the_writer_refuses_what_does_not_fit():
    case = CASES["matrix"]
    n = case.model.dimension
    words, place = [(0,), (1,), (0, 1)], (PRIME, range(3, 3 + n))
    options: dict[str, Any] = {
        "lower_laws": case.laws,
        "law_rank": place,
        "words": words,
        "lie_rank": place,
        "upper": 3,
    }
    assert count_certificate(case.model, **options).audit().accepted is True
    with pytest.raises(LemmataError, match="needs at least one"):
        law_certificate(case.model, [])
    with pytest.raises(LemmataError, match="give 4"):
        count_certificate(case.model, **{**options, "upper": 2})
    for word in ((2,), (-1,), (0, 7)):
        with pytest.raises(LemmataError, match="none of the model's"):
            count_certificate(case.model, **{**options, "words": [*words[:2], word]})
    for key in ("law_rank", "lie_rank"):
        with pytest.raises(LemmataError, match="5 coordinates, not 6"):
            count_certificate(case.model, **{**options, key: (PRIME, range(5))})


def test_a_false_law_is_written_but_not_accepted():
    model = CASES["matrix"].model
    result = law_certificate(model, [*CASES["matrix"].laws, Law({(0, 0): 1})]).audit()
    assert result.accepted is False
    assert result.reason.startswith("law 4, 'u1^2', is not constant along field 0 of 2")


# ------------------------------------------------------------------------------------ hostile files


def hostile(data: dict[str, Any], **changes: Any) -> dict[str, Any]:
    out = copy.deepcopy(data)
    for path, value in changes.items():
        *front, last = path.split("__")
        node = out
        for key in front:
            node = node[int(key) if isinstance(node, list) else key]
        node[int(last) if isinstance(node, list) else last] = value
    return out


TEXTS = [
    "", " ", "x ", " x", "+ x", "x +", "x+y", "x  + y", "- x", "--x", "x - -y", "x + + y", "x\t+ y", "x + y\n", "(x)",
    "2x", "x*2", "x*x", "y*x", "x**2", "x*", "*x", "1*x", "0*x", "x + 0", "01*x", "-0", "2/4*x", "1/0", "1/0*x",
    "3/1*x", "1.5*x", "0x1.0p+0*x", "0x1.8000000000000p+1*x", "x + x", "x*y - x*y", "z", "x + z", "dot_x", "x^1", "x^0",
    "x^-2", "x^02", "x^", "^2", "x^2^2", "x^65", "x^64*y", "x^99", "x^1000000000", "x^1/2", "x²", "x·y", "٣*x", "ｘ",
    "1e3*x", "nan", "inf", "x + inf", "7" * 5000, "7" * 5000 + "*x", "x\x00", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_texts_that_are_no_polynomials_are_rejected(text):
    data = hostile(
        law_data("fraction"), claim__laws=[{"polynomial": "x^2 + y^2", "logarithms": []}]
    )
    assert audit(data).accepted is True
    places = ("claim__laws__0__polynomial", "claim__model__phi__0", "claim__model__denominators__0")
    logarithm = {"claim__laws__0__logarithms": [["1", text]]}
    metric = {"claim__model__metric": [[0, 0, "1"], [1, 1, text]]}
    for changes in (*({place: text} for place in places), logarithm, metric):
        result = audit(hostile(data, **changes))
        assert result.accepted is False and "is not constant" not in result.reason, changes


@pytest.mark.parametrize(
    "changes",
    [
        {"claim__model__variables": []},
        {"claim__model__variables": ["x", "x"]},
        {"claim__model__variables": ["x", "y", "1z"]},
        {"claim__model__variables": ["x", "y", "z z"]},
        {"claim__model__variables": ["x", "y", "_z"]},
        {"claim__model__variables": ["x", "y", "é"]},
        {"claim__model__variables": ["x", "y", "z\n"]},
        {"claim__model__variables": ["x", "y", "a" * 65]},
        {"claim__model__variables": ["x", "y", ["z"]]},
        {"claim__model__variables": {"x": 0, "y": 1}},
        {"claim__model__variables": "xy"},
        {"claim__model__variables": ["x", "y", *(f"v{k}" for k in range(2047))]},
        {"claim__model__phi": []},
        {"claim__model__phi": "x"},
        {"claim__model__phi": ["x", 1]},
        {"claim__model__phi": [["x"]]},
        {"claim__model__phi": ["0"] * ((1 << 18) + 1), "claim__model__denominators": []},
        {"claim__model__denominators": ["0"]},
        {"claim__model__denominators": ["1", "1"]},
        {"claim__model__denominators": None},
        {"claim__model__directions": [[[1, "1"]]]},
        {"claim__model__directions": [[[-1, "1"]]]},
        {"claim__model__directions": [[[False, "1"]]]},
        {"claim__model__directions": [[["0", "1"]]]},
        {"claim__model__directions": [[[0, 1]]]},
        {"claim__model__directions": [[[0, "0"]]]},
        {"claim__model__directions": [[[0, "1/0"]]]},
        {"claim__model__directions": [[[0, "1"], [0, "1"]]]},
        {"claim__model__directions": [[[0, "1", "1"]]]},
        {"claim__model__directions": [[]]},
        {"claim__model__directions": [{}]},
        {"claim__model__directions": [[0, "1"]]},
        {"claim__model__metric": [[0, 2, "1"]]},
        {"claim__model__metric": [[0, -1, "1"]]},
        {"claim__model__metric": [[True, True, "1"]]},
        {"claim__model__metric": [[0, 0, "1"], [0, 0, "1"]]},
        {"claim__model__metric": [[0, 0]]},
        {"claim__model__metric": {"0": "1"}},
        {"claim__model__momentum": "-1"},
        {"claim__model__momentum": "1/0"},
        {"claim__model__momentum": 0},
        {"claim__model__momentum": None},
        {"claim__model__momentum": False},
        {"claim__model__momentum": "1", "claim__model__metric": [[0, 0, "1"]]},
        {"claim__model__momentum": "1", "claim__model__variables": ["x", "y", "s"]},
        {"claim__model__momentum": "0", "claim__model__variables": ["x", "y", "t"]},
        {"claim__model__momentum": "1", "claim__model__variables": ["x", "y", "dot_x"]},
        {"claim__laws": []},
        {"claim__laws": {}},
        {"claim__laws": None},
        {"claim__laws__0": "x^2 + y^2"},
        {"claim__laws__0__logarithms": None},
        {"claim__laws__0__logarithms": [["1"]]},
        {"claim__laws__0__logarithms": [["1", "0"]]},
        {"claim__laws__0__logarithms": [[1, "x"]]},
        {"claim__laws__0__logarithms": [["1/0", "x"]]},
        {"claim__laws__0__logarithms": ["1", "x"]},
        {"claim__laws__0__logarithms": [["1", "5"]] * 17},
        {"claim__laws__0__polynomial": None},
        {"claim__laws__0__polynomial": 7},
        {"claim__laws__0__polynomial": ["x"]},
        {"claim": []},
        {"claim__model": "x*y"},
        {"inputs": {"trust": "me"}},
        {"witness": {"laws": []}},
        {"witness": []},
    ],
    ids=lambda changes: ascii(changes)[:60],
)
def test_malformed_laws_are_rejected(changes):
    start = time.monotonic()
    result = audit(hostile(law_data("fraction"), **changes))
    assert result.accepted is False and "is not constant" not in result.reason
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "changes",
    [
        {"claim__lower": True, "claim__upper": True},
        {"claim__lower": "3"},
        {"claim__lower": -1},
        {"claim__lower": 4},
        {"claim__upper": 2},
        {"claim__upper": 7},
        {"claim__upper": 10**3000},
        {"claim__upper": None},
        *({f"witness__{place}__prime": p}
          for place in ("law_rank", "lie_rank")
          for p in ("7", "0", "1", "-7", "1073741827/2", str(2**61 + 1), str((2**31 - 1) ** 2), str(2**64 - 59),
                    str(2**89 - 1), str(1 << 30), "x", "", PRIME, None, "2" * 5000)),
        *({f"witness__{place}__point": point}
          for place in ("law_rank", "lie_rank")
          for point in ([], ["1"] * 5, ["1"] * 7, ["1/2", *"12345"], [1, 2, 3, 4, 5, 6], ["x"] * 6, "123456", None)),
        {"witness__lie_rank": None},
        {"witness__law_rank": [str(PRIME), ["1"] * 6]},
        {"witness__brackets__0": []},
        {"witness__brackets__0": 0},
        {"witness__brackets__0": [2]},
        {"witness__brackets__0": [-1]},
        {"witness__brackets__0": [False]},
        {"witness__brackets__0": ["0"]},
        {"witness__brackets__0": [[0]]},
        {"witness__brackets__0": [10**3000]},
        {"witness__brackets__0": [0] * 65},
        {"witness__brackets__0": [0] * 64},
        {"witness__brackets": {}},
        {"witness__brackets": None},
        {"witness__laws": None},
        {"witness__laws__0": {}},
        {"witness__laws__0__polynomial": "u1^2 + u2^2 - 2*v1^2"},
        {"witness__laws__0__polynomial": "7"},
    ],
    ids=lambda changes: ascii(changes)[:60],
)  # fmt: skip
def test_malformed_counts_are_rejected(changes):
    start = time.monotonic()
    result = audit(hostile(count_data("matrix"), **changes))
    assert result.accepted is False and result.reason
    assert time.monotonic() - start < 5


def sums(names: list[str], degree: int, count: int) -> str:
    """A polynomial of many terms."""
    return " + ".join(
        "*".join(c) for c in itertools.islice(itertools.combinations(names, degree), count)
    )


X = [f"x{k}" for k in range(40)]
LONG = "7" * 3990
LAW = {"polynomial": "x0", "logarithms": []}


@pytest.mark.parametrize(
    ("model", "law"),
    [
        ({}, {"logarithms": [["1", sums(X, 3, 400)]] * 16}),
        ({}, {"logarithms": [["1", f"{LONG}*x{k} + {LONG}*x{k + 1}"] for k in range(16)]}),
        ({"phi": [" + ".join(f"1/{10**1500 + k}*x{k}" for k in range(40))]}, {}),
        ({"phi": [sums(X, 5, 2000)], "metric": [[a, b, sums(X, 4, 300)] for a in range(5) for b in range(40)]}, {}),
        ({"phi": ["x0"] * 2000, "denominators": [sums(X[k % 30 :], 3, 4) for k in range(2000)],
          "directions": [[[k, "1/3"] for k in range(2000)]]}, {}),
        ({"phi": ["x0"] * 2000, "directions": [[[k, f"1/{10**1500 + 7 + k}"] for k in range(2000)]]}, {}),
    ],
    ids=["logarithms", "long coefficients", "long denominators", "metric", "fractions", "directions"],
)  # fmt: skip
def test_memory_is_bounded(model, law):
    data = law_data("fraction")
    parts = {
        "variables": X,
        "phi": ["x0"],
        "denominators": [],
        "directions": [],
        "metric": [],
        "momentum": "",
    }
    data["claim"] = {"model": parts | model, "laws": [LAW | law]}
    result = audit(data)
    assert result.accepted is False
    assert result.reason.startswith("not re-derived within the limits of the kernel")


def test_the_time_limit_holds():
    data = count_data("matrix")
    data["claim"]["model"] |= {
        "variables": X[:6],
        "phi": [sums(X[:6], 3, 20), sums(X[:6], 4, 15), sums(X[:6], 2, 15)],
    }
    data["claim"] |= {"lower": 0, "upper": 5}
    data["witness"] |= {"laws": [], "brackets": [[0, 1, 2] * 21]}
    start = time.monotonic()
    result = audit(data, seconds=0.2)
    assert result.accepted is False and "0.2 seconds" in result.reason
    assert time.monotonic() - start < 3
