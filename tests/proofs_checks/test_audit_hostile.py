"""The audit kernel on hostile input, as a program, and its size and imports."""

from __future__ import annotations

import ast
import copy
import json
import os
import subprocess
import sys
import time
from fractions import Fraction as F
from pathlib import Path

import pytest
import sympy as sp

import proofs_checks.audit as kernel
from proofs_checks.audit import audit_file, audit_text, main
from proofs_checks.certificate import certificate_of_box_proof
from theory.boxes import prove_on_box

x = sp.Symbol("x", real=True)
FOLDER = Path(kernel.__file__).parent


def certificate():
    proof = prove_on_box(x * (1 - x), "<=", sp.Rational(1, 4), {x: (0, 1)})
    return json.loads(certificate_of_box_proof(proof).to_json())


def audit(data):
    return audit_text(json.dumps(data))


def hostile(**changes):
    data = certificate()
    for path, value in changes.items():
        *front, last = path.split("__")
        node = data
        for key in front:
            node = node[key]
        node[last] = copy.deepcopy(value)
    return data


X = ["var", "x", []]
DEEP = X
for _ in range(400):
    DEEP = ["neg", DEEP]
BIG = "1" + "0" * 3990


@pytest.mark.parametrize(
    "changes",
    [
        {"claim__lhs": ["mul", X, ["rat", "0.5"]]},
        {"claim__lhs": ["mul", X, ["rat", 1]]},
        {"claim__lhs": ["mul", X, ["rat", "2/4"]]},
        {"claim__lhs": ["mul", X, ["rat", "1/0"]]},
        {"claim__lhs": ["mul", X, ["rat", "-0"]]},
        {"claim__lhs": ["mul", X, ["rat", "nan"]]},
        {"claim__lhs": ["mul", X, ["rat", "inf"]]},
        {"claim__lhs": ["mul", X, ["rat", "0x1p5000"]]},
        {"claim__lhs": ["mul", X, ["rat", "0x1.8p+1"]]},
        {"claim__lhs": ["mul", X, ["rat", "١"]]},
        {"claim__lhs": ["mul", X, ["rat", "1" * 5000]]},
        {"claim__lhs": DEEP},
        {"claim__lhs": ["var", "w", []]},
        {"claim__lhs": ["var", "x", ["j"]]},
        {"claim__lhs": ["sum", "j", X]},
        {"claim__lhs": ["exp", X, X]},
        {"claim__lhs": ["pow", X, X]},
        {"claim__lhs": []},
        {"claim__lhs": "x"},
        {"claim__lhs": ["add"]},
        {"claim__lhs": ["exp", ["exp", ["exp", ["exp", ["rat", BIG]]]]]},
        {"claim__lhs": ["pow", ["add", X, ["rat", "2"]], ["rat", BIG]]},
        {"claim__lhs": ["pow", ["rat", "3/2"], ["rat", BIG + "1/" + BIG]]},
        {"claim__lhs": ["cos", ["rat", BIG]], "claim__rhs": ["rat", "-2"]},
        {"claim__relation": "=="},
        {"claim__relation": ["<"]},
        {"claim__variables": {}},
        {"claim__variables": []},
        {"claim__variables__x": ["0", "1"]},
        {"claim__variables__x__lo": "1"},
        {"claim__variables__x__lo": "2"},
        {"claim__variables__x__lo": 0},
        {"claim__variables__x__lo_open": 0},
        {"claim__variables__x__lo_open": "false"},
        {"claim": {}},
        {"claim": None},
        {"inputs": {"trust": "me"}},
        {"inputs": []},
        {"witness__precision": True},
        {"witness__precision": 10**9},
        {"witness__precision": 64.0},
        {"witness__precision": "64"},
        {"witness__precision": 0},
        {"witness__precision": -64},
        {"witness__leaves": True},
        {"witness__leaves": 99},
        {"witness__leaves": "3"},
        {"witness": {}},
        {"witness": []},
    ],
    ids=str,
)
def test_malformed_content_is_rejected_quickly(changes):
    data = hostile(**changes)
    if "claim__variables__x__lo" in changes and changes["claim__variables__x__lo"] == "1":
        data["claim"]["variables"]["x"]["lo_open"] = True  # an empty range would prove anything
    start = time.monotonic()
    result = audit(data)
    assert result.accepted is False or (result.accepted is None and "64.0" in str(changes))
    assert time.monotonic() - start < 5


def test_bad_variable_names_are_rejected():
    data = certificate()
    text = json.dumps(data).replace('"x"', '"\\ud800"')
    assert audit_text(text).accepted is False
    assert audit_text(json.dumps(data).replace('"x"', '"x y"')).accepted is False


def test_the_time_limit_holds():
    cuts = [["split", "x", str(F(1, 2**k))] for k in range(1, 3000)]
    data = hostile(claim__lhs=["cos", ["exp", X]], claim__rhs=["rat", "2"])
    data["witness"] = {"tree": cuts + [["value"]] * 3000, "precision": 1024, "leaves": 3000}
    start = time.monotonic()
    result = audit_text(json.dumps(data), seconds=0.05)
    assert result.accepted is False and "0.05 seconds" in result.reason
    assert time.monotonic() - start < 3


def test_memory_is_bounded():
    data = hostile()
    data["witness"] = {
        "tree": [["split", "x", str(F(1, 2**k))] for k in range(1, 11_000)],
        "precision": 64,
        "leaves": 1,
    }
    assert "open boxes" in audit(data).reason
    many = {f"v{k}": {"lo": "0", "hi": "1", "lo_open": False, "hi_open": False} for k in range(65)}
    assert "more than 64 variables" in audit(hostile(claim__variables=many)).reason


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{}", "[" * 200_000, "{" * 200_000, '{"a":' * 100_000, "\ufeff{}", '"\\ud800"', "1" * 10_000,
        '{"format": NaN}', '{"format": 1e999}', '{"format": Infinity}', '{"format": 1.5}',
    ],
)  # fmt: skip
def test_what_is_no_certificate_is_unreadable(text):
    assert audit_text(text).accepted is None


def test_wrong_top_level_is_unreadable():
    data = certificate()
    assert audit({**data, "format": "lemmata-certificate/2"}).accepted is None
    assert audit({**data, "kind": "inequality on a sphere"}).accepted is None
    assert audit({**data, "kind": ["inequality on a box"]}).accepted is None
    assert audit({**data, "note": "extra"}).accepted is None
    assert audit({k: v for k, v in data.items() if k != "inputs"}).accepted is None
    twice = json.dumps(data).replace('"inputs": {}', '"inputs": {}, "inputs": {}')
    assert audit_text(twice).accepted is None and "twice" in audit_text(twice).reason
    nested = json.dumps(data).replace('"lo": "0"', '"lo": "0", "lo": "0"')
    assert audit_text(nested).accepted is None


def test_hexadecimal_floats_are_read_exactly():
    data = hostile(claim__variables__x__lo="0x0.0p+0", claim__variables__x__hi=(1.0).hex())
    assert audit(data).accepted is True
    assert audit(hostile(claim__rhs=["rat", (0.25).hex()])).accepted is True
    assert audit(hostile(claim__rhs=["rat", (0.24999999999999997).hex()])).accepted is False
    assert (
        audit(hostile(claim__rhs=["rat", "0x1.0p-2"])).accepted is False
    )  # not how Python writes it
    assert audit(hostile(claim__variables__x__lo="0x0.0000000000001p-1022")).accepted is not None


# ------------------------------------------------------------------------------ files, exit codes


def test_exit_codes(tmp_path, capsys):
    good, bad, unreadable = (tmp_path / f"{name}.json" for name in ("good", "bad", "unreadable"))
    good.write_text(json.dumps(certificate()))
    bad.write_text(json.dumps(hostile(claim__relation="<")))
    unreadable.write_text("{")
    assert (
        main([str(good)]) == 0
        and "good.json: accepted: proved for x in [0, 1]" in capsys.readouterr().out
    )
    assert (
        main([str(good), str(bad)]) == 1 and "bad.json: rejected: leaf" in capsys.readouterr().out
    )
    assert (
        main([str(good), str(unreadable)]) == 2
        and "unreadable.json: unreadable" in capsys.readouterr().out
    )
    assert main([str(bad), str(unreadable)]) == 1
    assert main([str(tmp_path / "missing.json")]) == 2
    assert main([str(tmp_path)]) == 2
    assert main([]) == 2 and "usage" in capsys.readouterr().err


def test_unusual_files_are_unreadable(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\x00")
    assert audit_file(tmp_path / "binary").accepted is None
    (tmp_path / "large").write_bytes(b" " * ((8 << 20) + 1))
    assert audit_file(tmp_path / "large").accepted is None
    assert audit_file("\0").accepted is None
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert audit_file(tmp_path / "pipe").accepted is None


def test_the_module_runs_alone(tmp_path):
    path = certificate_of_box_proof(prove_on_box(x, "<=", 1, {x: (0, 1)})).write(
        tmp_path / "c.json"
    )
    code = (
        "import sys; from proofs_checks.audit import main; status = main(sys.argv[1:]);"
        "print({'numpy', 'torch', 'cvxpy', 'sympy', 'scipy', 'theory', 'numerics'} & set(sys.modules));"
        "sys.exit(status)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert out.returncode == 0 and out.stdout.endswith("set()\n"), out.stdout + out.stderr
    out = subprocess.run(
        [sys.executable, "-m", "proofs_checks.audit", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert out.returncode == 0 and "accepted" in out.stdout and not out.stderr


# ------------------------------------------------------------------------------- size and imports


def test_the_kernel_is_small_enough_to_read():
    lines = {path.name: len(path.read_text().splitlines()) for path in FOLDER.glob("*.py")}
    core = sum(
        lines.pop(name) for name in ("__init__.py", "__main__.py", "core.py", "arithmetic.py")
    )
    assert core <= 300
    assert all(count <= 200 for count in lines.values()), lines


def test_the_kernel_imports_only_the_standard_library_and_flint():
    allowed = set(sys.stdlib_module_names) | {"flint"}
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                names = [node.module or ""]
            for name in names:
                assert name.split(".")[0] in allowed or name.startswith("proofs_checks.audit"), (
                    path,
                    name,
                )
            if isinstance(node, ast.Name):
                assert node.id not in ("__import__", "eval", "exec"), path
    assert "importlib" not in "".join(path.read_text() for path in FOLDER.glob("*.py"))
