"""Certificates as files: exact text, strict reading, all or nothing on disk."""

from __future__ import annotations

import os
from fractions import Fraction

import pytest
import sympy as sp

from proofs_checks.certificate import Certificate, certificate_of_box_proof
from theory.boxes import Range, prove_on_box
from theory.errors import LemmataError

x, y = sp.symbols("x y", real=True)


@pytest.fixture
def certificate() -> Certificate:
    box = {x: Range(Fraction(0), Fraction(1), True, False), y: (-1, "1/3")}
    return certificate_of_box_proof(prove_on_box(x * y + y**2, "<=", 2, box))


def test_round_trip(certificate, tmp_path):
    text = certificate.to_json()
    assert Certificate.from_json(text) == certificate
    assert Certificate.from_json(text).to_json() == text
    path = certificate.write(tmp_path / "c.json")
    assert path.read_text() == text and Certificate.read(path) == certificate
    assert certificate.audit().accepted


def test_the_claim_is_restated_in_full(certificate):
    assert certificate.claim["variables"] == {
        "x": {"lo": "0", "hi": "1", "lo_open": True, "hi_open": False},
        "y": {"lo": "-1", "hi": "1/3", "lo_open": False, "hi_open": False},
    }
    assert certificate.claim["relation"] == "<=" and certificate.claim["rhs"] == ["rat", "2"]


def test_rationals_are_written_in_lowest_terms():
    proof = prove_on_box(
        ["mul", ["rat", "2/4"], ["var", "x"]], "<=", ["rat", "6/4"], {"x": (0, "4/4")}
    )
    certificate = certificate_of_box_proof(proof)
    assert certificate.claim["lhs"][1] == ["rat", "1/2"] and certificate.claim["rhs"] == [
        "rat",
        "3/2",
    ]
    assert certificate.audit().accepted


def test_writing_is_all_or_nothing(certificate, tmp_path, monkeypatch):
    target = tmp_path / "c.json"
    target.write_text("old")

    def fail(*_args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        certificate.write(target)
    assert [p.name for p in tmp_path.iterdir()] == ["c.json"] and target.read_text() == "old"


@pytest.mark.parametrize("value", [0.5, float("nan"), None, {1: "2"}, object()])
def test_inexact_data_are_not_written(certificate, tmp_path, value):
    broken = Certificate(certificate.kind, {"value": [value]}, {}, {})
    with pytest.raises(LemmataError, match=r"not exact|not a string"):
        broken.write(tmp_path / "c.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", '{"format": "lemmata-certificate/1"}', "[" * 100_000, "nul",
        '{"format":"lemmata-certificate/2","kind":"k","claim":{},"inputs":{},"witness":{}}',
        '{"format":"lemmata-certificate/1","kind":"k","kind":"k","claim":{},"inputs":{},"witness":{}}',
        '{"format":"lemmata-certificate/1","kind":"k","claim":{"a":0.5},"inputs":{},"witness":{}}',
        '{"format":"lemmata-certificate/1","kind":"k","claim":{"a":NaN},"inputs":{},"witness":{}}',
        '{"format":"lemmata-certificate/1","kind":1,"claim":{},"inputs":{},"witness":{}}',
        '{"format":"lemmata-certificate/1","kind":"k","claim":[],"inputs":{},"witness":{}}',
    ],
)  # fmt: skip
def test_what_is_no_certificate_is_refused(text):
    with pytest.raises(LemmataError, match="not a certificate"):
        Certificate.from_json(text)


def test_unreadable_files(tmp_path):
    (tmp_path / "c.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(LemmataError, match="UTF-8"):
        Certificate.read(tmp_path / "c.json")
    with pytest.raises(FileNotFoundError):
        Certificate.read(tmp_path / "missing.json")


def test_names_that_the_kernel_would_not_read_are_refused():
    mu = sp.Symbol(r"\mu")
    with pytest.raises(LemmataError, match="renamed"):
        certificate_of_box_proof(prove_on_box(mu, "<=", 1, {mu: (0, 1)}))


def test_a_certificate_that_is_too_long_for_a_file_is_not_accepted() -> None:
    digits = "1" * 2000
    claim = {"points": [[digits]] * 5000, "labels": [], "hidden": {}, "feasible": {}}
    result = Certificate("linear feasibility", claim, {}, {}).audit()
    assert result.accepted is None and "longer than" in result.reason
