"""`lemmata laws`: the JSON contract, certificates that the kernel accepts, and clear errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

KEYS = {
    "spec",
    "parameters",
    "lie_dimension",
    "laws",
    "degree",
    "polynomials",
    "linear_dimension",
    "rigor",
    "certificates",
    "seconds",
}


def test_json_contract_and_certificates(run, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    outcome = run("laws", "linear:5,4,5", "--json", "-o", folder)
    assert outcome.code == 0
    found = json.loads(outcome.out)
    assert found.keys() >= KEYS
    assert found["spec"] == "linear:5,4,5"
    assert found["parameters"] == 40
    assert found["lie_dimension"]["lower"] == 30
    assert found["laws"] == {"lower": 10, "upper": 10, "count": 10}
    assert found["degree"] == 2
    assert found["linear_dimension"] == len(found["polynomials"]) == 10
    assert found["rigor"] == "proved"
    assert all(p.keys() >= {"text", "latex", "degree", "independent"} for p in found["polynomials"])
    assert sum(p["independent"] for p in found["polynomials"]) == 10
    assert len(found["certificates"]) == 11
    assert all(Path(path).is_file() for path in found["certificates"])
    assert json.loads((folder / "laws.json").read_text())["laws"] == found["laws"]
    assert run("audit", *found["certificates"]).code == 0


@pytest.mark.parametrize(
    ("arguments", "count", "degree"),
    [
        (["relu:3,3,3"], 3, 2),
        (["relu:2,3,2", "--bias"], 3, 2),
        (["nmf:3,2,3"], 2, 1),
        (["attention:4,2"], 6, 2),
        (["conv:3,8,2"], 2, 2),
        (["residual:1,1,1"], 3, 2),
        (["linear:2,2,2", "--momentum", "1/2"], 1, 2),
        (["linear:2,2,2", "--momentum", "0"], 1, 2),
        (["linear:2,2,2", "--loss", "cross-entropy"], 5, 2),
        (["linear:3,2,3", "--mirror", "entropy"], 2, 1),
        (["linear:2,2,2", "--degree", "4"], 3, 4),
        (["icnn:3,2,1", "--degree", "2", "--mixed"], 2, 2),
    ],
)
def test_specifications(run, tmp_path: Path, arguments: list[str], count: int, degree: int) -> None:
    outcome = run("laws", *arguments, "--json", "-o", tmp_path)
    found = json.loads(outcome.out)
    assert (outcome.code, found["laws"]["count"], found["degree"]) == (0, count, degree)
    assert found["rigor"] == "proved"
    assert run("audit", *found["certificates"]).code == 0


@pytest.mark.parametrize(("spec", "interval"), [("linear:1,2,2,1", (6, 7)), ("nmf:1,2,1", (2, 3))])
def test_intervals_say_what_both_ends_rest_on(run, spec: str, interval: tuple[int, int]) -> None:
    found = json.loads(run("laws", spec, "--json").out)
    assert found["laws"] == {"lower": interval[0], "upper": interval[1], "count": None}
    assert "exact identity" in found["rests_on"]["lower"]
    assert "all brackets looked at" in found["rests_on"]["upper"]
    assert found["certificates"] == []
    assert f"exactly {interval[1]} independent smooth laws" in found["remark"]
    page = run("laws", spec).out
    assert f"between {interval[0]} and {interval[1]}" in page


def test_a_python_file(run, tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(
        "import sympy\nu, v, w = sympy.symbols('u v w')\nphi = [u * v / 3, u * w]\nbad = [sympy.exp(u)]\n"
    )
    found = json.loads(run("laws", f"{file}:phi", "--json").out)
    assert found["laws"]["count"] == 1
    assert found["polynomials"][0]["text"] == "u^2 - v^2 - w^2"
    outcome = run("laws", f"{file}:bad")
    assert outcome.code == 2
    assert "exp" in outcome.err


def test_a_special_point_is_reported(run) -> None:
    outcome = run("laws", "linear:2,2,2", "--at", "1,1,1,1,1,1,1,1", "--json")
    found = json.loads(outcome.out)
    assert (found["point"]["lie_dimension"], found["point"]["loss"]) == (3, 2)
    assert found["laws"]["count"] == 3
    page = run("laws", "linear:2,2,2", "--at", "1,1,1,1,1,1,1,1").out
    assert "special point: the Lie algebra has dimension 3 there, against 5" in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lineal:2,2"], "linear"),
        (["linear:2,0,2"], "linear"),
        (["linear:2,-1,2"], "linear"),
        (["linear:"], "linear"),
        (["linear:2,x"], "linear"),
        (["linear:2,2,2", "--bias"], "bias"),
        (["linear:2,2,2", "--loss", "hinge"], "cross-entropy"),
        (["linear:2,2,1", "--loss", "cross-entropy"], "two outputs"),
        (["linear:2,2,2", "--momentum", "fast"], "rational number"),
        (["linear:2,2,2", "--momentum", "-1"], "number >= 0"),
        (["linear:2,2,2", "--momentum", "1e5000"], "number >= 0"),
        (["linear:2,2,2", "--degree", "9" * 30], "at most 64"),
        (["linear:1,1,1", "--at", "1e999999999,0"], "not rational"),
        (["nmf:2,2,2", "--momentum", "1"], "Euclidean metric"),
        (["linear:2,2,2", "--mirror", "hyperbolic"], "entropy"),
        (["linear:2,2,2", "--degree", "0"], "at least degree 1"),
        (["linear:9,9,9", "--degree", "6"], "GiB"),
        (["linear:2,2,2", "--at", "1,2"], "8 coordinates"),
        (["linear:900,900,900"], "parameters"),
        (["nowhere.py:phi"], "nowhere.py"),
    ],
)
def test_bad_input(run, tmp_path: Path, arguments: list[str], words: str) -> None:
    folder = tmp_path / "new"
    outcome = run("laws", *arguments, "-o", folder)
    assert outcome.code == 2
    assert words in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""
    assert not folder.exists()


def test_what_is_beyond_the_kernel_is_not_called_proved(run, tmp_path: Path) -> None:
    found = json.loads(run("laws", "hadamard:1,70", "--json", "-o", tmp_path).out)
    assert found["rigor"] is None
    assert "beyond the limits of the audit kernel" in found["remark"]
    assert found["certificates"] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["laws.json"]
