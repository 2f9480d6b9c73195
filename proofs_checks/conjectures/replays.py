"""Verdicts on single cases of conjectures and statements, saved and replayed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from proofs_checks import api
from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.conjecture import Conjecture
from proofs_checks.conjectures.judge import judge_exact
from proofs_checks.conjectures.judge_codes import HOLDS, NAMES, UNDEFINED, VIOLATED
from proofs_checks.conjectures.oracles import ball_oracles, float_oracles
from proofs_checks.verdict import Rigor, Status, Verdict
from theory.errors import LemmataError
from theory.statement import Statement

CONJECTURE_CASEFILE = "lemmata-conjecture-casefile/1"


def verdict_on(target: Conjecture | Statement, case: Any) -> Verdict:
    """The verdict of a conjecture or statement on one case.

    Exact inputs in ball arithmetic are rigorous, but without a certificate the verdict is no more than `numerical`.

    Raises:
        LemmataError: a conjecture that is undefined on the case although its hypotheses hold, or has free constants.
    """
    if isinstance(target, Statement):
        return api.check(target, case)
    traced = target.trace(case)
    if traced.constants:
        raise LemmataError(
            f"{target.name} has the free constant {next(iter(traced.constants))!r}: it claims nothing for a single "
            "value; search for its best value with lemmata.refute, or put a number there"
        )
    found = judge_exact(traced, case, oracles=ball_oracles(), floats=float_oracles())
    if found.status == UNDEFINED:
        raise LemmataError(f"{target.where(found.line)}: {found.reason}")
    status = Status(NAMES[found.status])
    decided = found.status in (HOLDS, VIOLATED)
    lhs, rhs = (_logarithm(x) for x in (found.lhs, found.rhs))
    if found.log_sides is not None:  # no float holds them
        lhs, rhs = (-math.inf if x is None else x for x in found.log_sides)
    ratio = found.log_ratio if decided and not math.isnan(found.log_ratio) else None
    return Verdict(
        target.name,
        case.hash,
        status,
        Rigor.NUMERICAL,
        tightness=None if ratio is None else math.exp(ratio) if ratio < 709 else math.inf,
        log_tightness=ratio,
        error=found.error if decided else None,
        log_lhs=lhs if decided else None,
        log_rhs=rhs if decided else None,
        domain_covered=True,
        reason=found.reason,
    )


def _logarithm(x: float) -> float | None:
    """None for what has no logarithm: the reason names such a side."""
    if math.isnan(x) or x < 0:
        return None
    return math.log(x) if x else -math.inf


def casefile(target: Conjecture | Statement, case: Any, verdict: Verdict) -> dict[str, Any]:
    """A case with the verdict on it, as plain data that `lemmata replay` reads."""
    if isinstance(target, Statement):
        return api.casefile(case, {target.id: verdict})
    return {
        "format": CONJECTURE_CASEFILE,
        "conjecture": target.name,
        "case": case.to_json(),
        "verdict": verdict.to_json(),
    }


def replay(data: Mapping[str, Any], target: Conjecture | Statement | None) -> api.ReplayReport:
    """Judge a saved case of a conjecture again.

    Raises:
        LemmataError: the file and the conjecture do not belong together, or the case is malformed.
    """
    if not isinstance(target, Conjecture) or data.get("conjecture") != target.name:
        raise LemmataError(
            f"the case was saved for the conjecture {data.get('conjecture')!r:.60}; name the file that holds it: "
            "--target FILE.py::NAME"
        )
    case = ConjectureCase.from_json(data.get("case"))
    saved = data.get("verdict")
    if not isinstance(saved, Mapping):
        raise LemmataError("the case file has no verdict to compare with")
    # through JSON, so that both sides have the same number formats
    now = json.loads(json.dumps(verdict_on(target, case).to_json()))
    return api.ReplayReport(case, now == saved, {target.name: dict(saved)}, {target.name: now})
