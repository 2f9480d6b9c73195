"""`lemmata solve`: the JSON contracts, certificates that the kernel accepts, exit codes, and clear errors."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from proofs_checks.audit import audit_text

# Two points of each class in four coordinates, all classes apart.
APART = "a,b,c,d,cls\n1,0,0.1,0,x\n0.9,0,0,0.1,x\n0,1,0.1,0,y\n0,1.2,0,-0.1,y\n"
REGRESSION = "a,b,y\n1,0,1\n0,1,-0.5\n-1,1,0.25\n0.5,-1,2\n2,1,0\n"
RELU_KEYS = {
    "status",
    "objective",
    "lower_bound",
    "relative_gap",
    "rigor",
    "patterns",
    "patterns_complete",
    "neurons",
    "beta",
    "beta_max",
    "seconds",
    "certificate",
}
FEATURE_KEYS = {
    "status",
    "closed_form",
    "solver",
    "lower_bound",
    "relative_gap",
    "collapsed",
    "geometry",
    "tight",
    "rigor",
    "seconds",
    "certificate",
}


@pytest.fixture
def table(tmp_path: Path):  # type: ignore[no-untyped-def]
    def write(text: str) -> Path:
        path = tmp_path / "data.csv"
        path.write_text(text)
        return path

    return write


def accepted(certificate: dict) -> bool:  # type: ignore[type-arg]
    return bool(audit_text(json.dumps(certificate)).accepted)


def test_convex_relu(run, table, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path, out = table(REGRESSION), tmp_path / "out"
    outcome = run(
        "solve", "convex-relu", path, "--target", "y", "--beta", "0.1max", "--json", "-o", out
    )
    found = json.loads(outcome.out)
    assert outcome.code == 0 and set(found) >= RELU_KEYS
    assert found["status"] == "solved" and found["rigor"] == "proved"
    assert found["patterns_complete"] is True and found["patterns"] == 10
    assert 0 <= found["relative_gap"] <= 1e-9
    assert found["beta"] == pytest.approx(0.1 * found["beta_max"])
    assert set(found["seconds"]) == {"enumerate", "solve", "certify"}
    assert run("audit", found["certificate"]).code == 0
    with np.load(out / "network.npz") as network:
        W, v = network["W"], network["v"]
    X, y = np.array([[1, 0], [0, 1], [-1, 1], [0.5, -1], [2, 1]]), np.array([1, -0.5, 0.25, 2, 0])
    f = np.maximum(X @ W.T, 0) @ v
    value = 0.5 * np.sum((f - y) ** 2) + 0.5 * found["beta"] * (np.sum(W**2) + np.sum(v**2))
    assert value == pytest.approx(found["objective"], rel=1e-12)
    own = run(
        "solve", "convex-relu", path, "--target", "y", "--beta", found["beta"], "--json",
        "--network", out / "network.npz",
    )  # fmt: skip
    assert own.code == 0
    assert json.loads(own.out)["objective"] == pytest.approx(found["objective"], rel=1e-12)


def test_convex_relu_variants(run, table) -> None:  # type: ignore[no-untyped-def]
    path = table(REGRESSION)
    start = ("solve", "convex-relu", path, "--target", "y", "--json")
    zero = json.loads(run(*start, "--beta", "2max").out)
    assert zero["neurons"] == 0 and zero["objective"] == pytest.approx(0.5 * (1.25 + 0.0625 + 4))
    biased = run(*start, "--beta", "0.3", "--bias", "--exact-decimals")
    found = json.loads(biased.out)
    assert biased.code == 0 and accepted(found["certificate"])
    text = run("solve", "convex-relu", path, "--target", "y", "--beta", "0.3")
    assert text.code == 0 and "relative gap" in text.out and "proved" in text.out
    sampled = run(*start, "--beta", "0.3", "--sample", "3")
    assert json.loads(sampled.out)["patterns_complete"] is False
    assert sampled.code == {"solved": 0, "undecided": 3}[json.loads(sampled.out)["status"]]


@pytest.mark.parametrize("model", ["ufm", "upfm"])
@pytest.mark.parametrize("loss", ["ce", "mse"])
def test_features(run, model: str, loss: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    outcome = run(
        "solve", model, "--classes", 3, "--per-class", 4, "--loss", loss, "--lambda-w", 0.05,
        "--lambda-h", 0.02, "--json", "-o", tmp_path / "out",
    )  # fmt: skip
    found = json.loads(outcome.out)
    assert outcome.code == 0 and set(found) >= FEATURE_KEYS
    assert found["status"] == "solved" and found["tight"] == "proved"
    assert found["rigor"] == "proved" and found["collapsed"] is True
    frame = "etf" if (model, loss) == ("ufm", "ce") else "orthogonal-frame"
    assert found["geometry"] == frame
    assert found["solver"] == pytest.approx(found["closed_form"], rel=1e-7)
    assert found["lower_bound"] <= found["closed_form"] * (1 + 1e-12)
    with np.load(tmp_path / "out" / "features.npz") as network:
        W, H, sizes = network["W"], network["H"], network["multiplicities"]
    energy = 0.025 * np.sum(W**2) + 0.01 * np.sum(sizes * np.sum(H**2, axis=0))
    Z = W.T @ H
    entropy = np.mean(np.log(np.exp(Z).sum(axis=0)) - np.diag(Z))
    squares = np.sum((Z - np.eye(3)) ** 2) / 6
    fit = {"ce": entropy, "mse": squares}[loss]
    assert fit + energy == pytest.approx(found["solver"], rel=1e-9)
    assert run("audit", found["certificate"]).code == 0


def test_pages_say_what_the_json_says(run, table, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path, out = table(REGRESSION), tmp_path / "out"
    start = ("solve", "convex-relu", path, "--target", "y", "--beta", "0.3")
    page = run(*start, "-o", out)
    assert f"lemmata audit {out / 'certificate.json'}" in page.out
    own = run(*start, "--network", out / "network.npz")
    assert "your network: within" in own.out
    full = run("solve", "upfm", *FEATURES, "--full")
    assert full.code == 0 and "orthogonal-frame" in full.out
    rows = [f"{a},{b},{a * b}" for a, b in itertools.product((-1, 1), repeat=2)]
    corners = table("\n".join(["a,b,y", *rows]) + "\n")
    text = run("solve", "margin", corners, "--label", "y", "--space", "f1").out
    assert "4 entries: see --json" in text


def test_warnings_are_one_line(run) -> None:  # type: ignore[no-untyped-def]
    outcome = run(
        "solve", "upfm", "--classes", 3, "--per-class", 30, "--loss", "ce", "--lambda-w", 0.01,
        "--lambda-h", 0.01, "--full", "--json",
    )  # fmt: skip
    assert outcome.code == 0 and json.loads(outcome.out)["tight"] == "proved"
    assert outcome.err.startswith("lemmata: warning: ") and outcome.err.count("\n") == 1


def test_features_without_closed_form_and_beyond_the_threshold(run) -> None:  # type: ignore[no-untyped-def]
    start = ("solve", "ufm", "--classes", 3, "--loss", "ce", "--json")
    found = json.loads(
        run(*start, "--per-class", "6,2,2", "--lambda-w", 0.05, "--lambda-h", 0.05).out
    )
    assert found["closed_form"] is None and found["status"] == "solved"
    assert accepted(found["certificate"])
    zero = json.loads(run(*start, "--per-class", "4", "--lambda-w", 1, "--lambda-h", 1).out)
    assert zero["geometry"] == "zero" and zero["solver"] == pytest.approx(np.log(3), rel=1e-9)


def test_collapse(run, table, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = table(APART)
    outcome = run("solve", "collapse", path, "--label", "cls", "--json")
    found = json.loads(outcome.out)
    assert outcome.code == 0 and found["status"] == "solved"
    assert set(found) >= {"status", "feasible", "all", "rigor", "certificate"}
    assert found["feasible"] == {"x": True, "y": True} and found["all"] is True
    assert found["rigor"] == "proved" and accepted(found["certificate"])
    line = table("a,cls\n1,x\n2,x\n3,y\n4,y\n")
    outcome = run("solve", "collapse", line, "--label", "cls", "--json", "-o", tmp_path / "out")
    found = json.loads(outcome.out)
    assert outcome.code == 0 and found["feasible"] == {"x": False, "y": False}
    assert run("audit", found["certificate"]).code == 0
    wide = run("solve", "collapse", line, "--label", "cls", "--hidden", 60, "--seed", 1, "--json")
    again = run("solve", "collapse", line, "--label", "cls", "--hidden", 60, "--seed", 1, "--json")
    drop = ("seconds",)
    first, second = (
        {k: v for k, v in json.loads(o.out).items() if k not in drop} for o in (wide, again)
    )
    assert first == second and accepted(first["certificate"])


def test_margin(run, table) -> None:  # type: ignore[no-untyped-def]
    rows = [f"{a},{b},{a * b}" for a, b in itertools.product((-1, 1), repeat=2)]
    path = table("\n".join(["a,b,y", *rows]) + "\n")
    for space, value in (("f1", 0.25), ("f2", 0.353553390593)):
        outcome = run("solve", "margin", path, "--label", "y", "--space", space, "--json")
        found = json.loads(outcome.out)
        assert outcome.code == 0 and found["status"] == "solved" and found["rigor"] == "proved"
        # the points have norm √2
        assert found["lower"] <= value * 2**0.5 + 1e-9 and found["upper"] >= value * 2**0.5 - 1e-9
        assert found["upper"] - found["lower"] < 1e-6 and accepted(found["certificate"])


FEATURES = ("--classes", 3, "--per-class", 4, "--loss", "ce", "--lambda-w", 0.1, "--lambda-h", 0.1)


def changed(*changes: object) -> list[object]:
    """The arguments of a good run with some options replaced."""
    out = list(FEATURES)
    for name, value in zip(changes[::2], changes[1::2], strict=True):
        out[out.index(name) + 1] = value
    return ["solve", "upfm", *out]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["solve", "convex-relu", "{}", "--target", "y", "--beta", "0"], "positive"),
        (["solve", "convex-relu", "{}", "--target", "y", "--beta", "-1"], "positive"),
        (["solve", "convex-relu", "{}", "--target", "y", "--beta", "big"], "positive"),
        (["solve", "convex-relu", "{}", "--target", "Y", "--beta", "1"], "did you mean 'y'"),
        (["solve", "convex-relu", "none.csv", "--target", "y", "--beta", "1"], "not found"),
        (["solve", "convex-relu", "{}", "--target", "y", "--beta", "1", "--loss", "l1"], "loss"),
        (
            ["solve", "convex-relu", "{}", "--target", "y", "--beta", "1", "--network", "no.npz"],
            "not found",
        ),
        (
            ["solve", "convex-relu", "{}", "--target", "y", "--beta", "1", "--network", "{}"],
            "no NPZ file",
        ),
        (
            ["solve", "convex-relu", "{}", "--target", "y", "--beta", "1", "--loss", "logistic"],
            "1",
        ),
        (["solve", "collapse", "{}", "--label", "z"], "no label column"),
        (["solve", "margin", "{}", "--label", "y", "--space", "f1"], "classes"),
        (changed("--lambda-w", 0), "lambda"),
        (changed("--lambda-h", -1), "lambda"),
        (changed("--lambda-h", "nan"), "lambda"),
        (changed("--classes", 1), "classes"),
        (changed("--per-class", "2,3"), "class"),
        (changed("--per-class", "2,x,1"), "per-class"),
        (changed("--per-class", "0"), "per"),
        (changed("--loss", "hinge"), "loss"),
    ],
)
def test_bad_input(run, table, arguments: list[object], match: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = table(REGRESSION)
    filled = [path if a == "{}" else a for a in arguments]
    outcome = run(*filled, "-o", tmp_path / "out")
    assert outcome.code == 2 and outcome.out == "" and outcome.err.count("\n") == 1
    assert match in outcome.err and outcome.err.startswith("lemmata: ")
    assert not (tmp_path / "out").exists()


def test_too_many_patterns_are_refused_with_their_number(run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    rows = [",".join(f"{x:.3f}" for x in rng.standard_normal(9)) for _ in range(60)]
    path = tmp_path / "large.csv"
    path.write_text(",".join("abcdefghy") + "\n" + "\n".join(rows) + "\n")
    outcome = run("solve", "convex-relu", path, "--target", "y", "--beta", "0.5max")
    assert outcome.code == 2 and "sample" in outcome.err
