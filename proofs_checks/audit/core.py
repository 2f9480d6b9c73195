"""Reading a certificate, the limits, and the verdict on it."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flint import fmpq, fmpz

FORMAT, FIELDS = "lemmata-certificate/1", ("claim", "format", "inputs", "kind", "witness")
MAX_BYTES, MAX_DIGITS, MAX_SECONDS = 8 << 20, 4000, 60.0


class Rejected(Exception):
    """The claim is false or malformed, or does not follow from the witness."""


class Unreadable(Exception):
    """Not a certificate that this program knows."""


@dataclass(frozen=True)
class AuditResult:
    """``accepted``: True, False, None (unreadable); ``reason``: what was proved, or is wrong."""

    accepted: bool | None
    reason: str


class Clock:
    """The time limit; every loop of the kernel looks at it."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.end = seconds, time.monotonic() + seconds

    def tick(self) -> None:
        if time.monotonic() > self.end:
            raise Rejected(f"not re-derived within {self.seconds:g} seconds")


# A kind checks (claim, inputs, witness, clock): it raises Rejected, or returns the claim in words.
KINDS: dict[str, Callable[[Any, Any, Any, Clock], str]] = {}


def fields(data: Any, names: Sequence[str], what: str) -> list[Any]:
    """The values of an object that has exactly these fields, in this order."""
    if not isinstance(data, dict) or set(data) != set(names):
        raise Rejected(f"{what}: expected an object with exactly the fields {', '.join(names)}")
    return [data[name] for name in names]


def exact(text: Any, what: str) -> fmpq:
    """A rational "p/q" in lowest terms, or a finite binary64 number as a hexadecimal literal."""
    if isinstance(text, str) and len(text) <= MAX_DIGITS:
        match = re.fullmatch(r"(-?[0-9]+)(?:/([0-9]*[1-9][0-9]*))?", text)
        if match and str(number := fmpq(fmpz(match[1]), fmpz(match[2] or "1"))) == text:
            return number
        pattern = r"-?0x[01]\.[0-9a-f]{1,13}p[+-]([0-9]{1,3}|10[01][0-9]|102[0-3])"
        if re.fullmatch(pattern, text) and (binary := float.fromhex(text)).hex() == text:
            return fmpq(*binary.as_integer_ratio())
    raise Rejected(f"{what}: {text!a:.60} is neither 'p/q' in lowest terms nor a hexadecimal float")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise Unreadable("a key occurs twice in one object")
    return dict(pairs)


def _inexact(text: str) -> Any:
    raise Unreadable(f"the number {text:.40} is not exact: write 'p/q' or a hexadecimal float")


def audit_text(text: str, *, seconds: float = MAX_SECONDS) -> AuditResult:
    """Re-check the JSON text of one certificate."""
    try:
        hooks: Any = {"object_pairs_hook": _object, "parse_float": _inexact}
        data = json.loads(text, parse_constant=_inexact, **hooks)
        if not isinstance(data, dict) or sorted(data) != list(FIELDS) or data["format"] != FORMAT:
            raise Unreadable(f"not {FORMAT}, or fields other than {', '.join(FIELDS)}")
        claim, _, inputs, kind, witness = (data[name] for name in FIELDS)
        if not isinstance(kind, str) or kind not in KINDS:
            raise Unreadable(f"unknown kind {kind!a:.60}; known: {', '.join(KINDS)}")
        return AuditResult(True, KINDS[kind](claim, inputs, witness, Clock(seconds)))
    except Rejected as error:
        return AuditResult(False, str(error))
    except (Unreadable, ValueError, RecursionError) as error:
        return AuditResult(None, f"{type(error).__name__}: {error!s:.200}")


def audit_file(path: str | os.PathLike[str], *, seconds: float = MAX_SECONDS) -> AuditResult:
    """Re-check one certificate file of at most MAX_BYTES bytes."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise Unreadable("not a regular file")
        with open(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise Unreadable(f"longer than {MAX_BYTES} bytes")
        text = raw.decode("utf-8")
    except (Unreadable, OSError, ValueError) as error:
        return AuditResult(None, f"{type(error).__name__}: {error!s:.200}")
    return audit_text(text, seconds=seconds)


def main(paths: Sequence[str]) -> int:
    """A line for each file; 0: all accepted, 1: some rejected, 2: else (unreadable, no file)."""
    results = [audit_file(path) for path in paths]
    for path, result in zip(paths, results, strict=True):
        word = {True: "accepted", False: "rejected", None: "unreadable"}[result.accepted]
        print(ascii(f"{path}: {word}: {result.reason}")[1:-1])
    if not paths:
        print("usage: python -m proofs_checks.audit FILE...", file=sys.stderr)
    verdicts = {result.accepted for result in results} or {None}
    return 1 if False in verdicts else 2 if None in verdicts else 0
