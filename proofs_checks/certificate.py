"""Certificates: exact numbers from which the audit kernel re-derives a claim.

A certificate is one JSON object with the fields ``format``, ``kind``, ``claim``, ``inputs``,
``witness``.  Rationals are "p/q" in lowest terms, binary64 numbers hexadecimal literals; JSON
numbers are used for counts only.  The claim is restated in full, so that its reader need not trust
the program that wrote it.  Kind "inequality on a box"::

    claim    {"variables": {name: {"lo": "p/q", "hi": "p/q", "lo_open": bool, "hi_open": bool}},
              "lhs": plain data, "relation": "<=" or "<", "rhs": plain data}
    inputs   {}
    witness  {"tree": nodes in preorder (see theory.boxes), "precision": bits, "leaves": count}

The other kinds are described in the modules of `proofs_checks.audit`, where they are re-checked: `counterexample` in
`proofs_checks.audit.counterexample`, and so on.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proofs_checks.files import replace_with
from theory.errors import LemmataError

if TYPE_CHECKING:
    from proofs_checks.audit import AuditResult
    from theory.boxes import BoxProof

FORMAT = "lemmata-certificate/1"
_FIELDS = ("format", "kind", "claim", "inputs", "witness")


@dataclass(frozen=True)
class Certificate:
    """One certificate; its dictionaries are plain JSON data and are not to be changed."""

    kind: str
    claim: Mapping[str, Any]
    inputs: Mapping[str, Any]
    witness: Mapping[str, Any]

    def to_data(self) -> dict[str, Any]:
        """Plain JSON data, all fields; raises `LemmataError` on inexact data."""
        content = dict(
            zip(_FIELDS, (FORMAT, self.kind, self.claim, self.inputs, self.witness), strict=True)
        )
        _refuse_inexact(content, "certificate")
        return content

    def to_json(self) -> str:
        """Canonical JSON text, one line for each field; raises `LemmataError` on inexact data."""
        content = self.to_data()
        lines = (
            f"{json.dumps(name)}: {json.dumps(content[name], sort_keys=True, separators=(',', ':'))}"
            for name in _FIELDS
        )
        return "{" + ",\n ".join(lines) + "}\n"

    @classmethod
    def from_json(cls, text: str) -> Certificate:
        """Read the JSON text of a certificate (its claim is *not* checked: `audit` does that).

        Raises `LemmataError` if the text is not JSON, repeats a key, holds an inexact number, or
        is not of this format.
        """
        try:
            data = json.loads(
                text, object_pairs_hook=_unique, parse_float=_refuse, parse_constant=_refuse
            )
        except LemmataError:
            raise
        except (ValueError, RecursionError) as error:
            raise LemmataError(f"not a certificate: no valid JSON ({error!s:.120})") from None
        if not isinstance(data, dict) or set(data) != set(_FIELDS) or data["format"] != FORMAT:
            raise LemmataError(
                f"not a certificate: expected exactly the fields {', '.join(_FIELDS)} and the format "
                f"{FORMAT!r}"
            )
        _, kind, *parts = (data[name] for name in _FIELDS)
        if not isinstance(kind, str) or not all(isinstance(part, dict) for part in parts):
            raise LemmataError("not a certificate: claim, inputs and witness must be JSON objects")
        return cls(kind, *parts)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write the file as a whole or not at all; returns its path."""
        target, text = Path(path), self.to_json()
        replace_with(target, partial(Path.write_text, data=text, encoding="utf-8", newline="\n"))
        return target

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Certificate:
        """Read a certificate file; raises `OSError`, or `LemmataError` as `from_json` does."""
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise LemmataError(f"not a certificate: {path} is not UTF-8 text ({error})") from None

    def audit(self) -> AuditResult:
        """What the audit kernel says about this certificate as a file: text beyond its limit is unreadable."""
        from proofs_checks.audit import AuditResult, audit_text
        from proofs_checks.audit.core import MAX_BYTES

        text = self.to_json()
        if len(text.encode()) > MAX_BYTES:
            return AuditResult(None, f"longer than {MAX_BYTES} bytes")
        return audit_text(text)


def certificate_of_box_proof(proof: BoxProof) -> Certificate:
    """The certificate of an inequality proved by `theory.boxes.prove_on_box`.

    Raises `LemmataError` if a variable's name is no plain ASCII identifier.
    """
    for name in proof.box:
        if not re.fullmatch("[A-Za-z_][A-Za-z0-9_]{0,63}", name):
            raise LemmataError(f"the variable {name!r} must be renamed to a plain identifier")
    variables = {
        name: {
            "lo": rational_text(side.lo),
            "hi": rational_text(side.hi),
            "lo_open": side.lo_open,
            "hi_open": side.hi_open,
        }
        for name, side in proof.box.items()
    }
    tree = [list(token) for token in proof.tree]
    leaves = sum(token[0] in ("value", "mean value") for token in tree)
    return Certificate(
        "inequality on a box",
        {
            "variables": variables,
            "lhs": _canonical(proof.lhs),
            "relation": proof.relation,
            "rhs": _canonical(proof.rhs),
        },
        {},
        {"tree": tree, "precision": proof.precision, "leaves": leaves},
    )


def rational_text(value: Fraction | int | str) -> str:
    """ "p/q" in lowest terms, or "p"."""
    return str(Fraction(value))


def _canonical(data: Any) -> Any:
    """Plain data as JSON lists, every rational in lowest terms."""
    if not isinstance(data, list | tuple):
        return data
    if len(data) == 2 and data[0] == "rat":
        return ["rat", rational_text(data[1])]
    return [_canonical(part) for part in data]


def _refuse_inexact(data: Any, where: str) -> None:
    if isinstance(data, Mapping):
        for key, value in data.items():
            if not isinstance(key, str):
                raise LemmataError(f"{where}: the key {key!r} is not a string")
            _refuse_inexact(value, f"{where}.{key}")
    elif isinstance(data, list | tuple):
        for value in data:
            _refuse_inexact(value, where)
    elif not isinstance(data, str | int) or data is None:
        raise LemmataError(
            f"{where}: {data!r} is not exact plain data; write rationals as 'p/q' and floats as float.hex()"
        )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        raise LemmataError("not a certificate: a key occurs twice in one object")
    return out


def _refuse(text: str) -> Any:
    raise LemmataError(f"not a certificate: the number {text:.40} is not exact")
