"""Each constant: as stated, the best value of the same proof, the best value that cases support."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from proofs_checks.cases import for_statement
from proofs_checks.derivations import load_derivation
from proofs_checks.observed import Observed, observe
from proofs_checks.registry import statement as find
from theory.errors import LemmataError
from theory.statement import Constant, Statement

if TYPE_CHECKING:
    from theory.sharpen import Sharpened

CASES = 48  # default number of cases for observed values
Progress = Callable[[int], None]


def sharpen(statement: Statement | str, constant: str, *, loss: str | None = None) -> Sharpened:
    """The best value of a constant with which every step of the proof still verifies, the others as stated.

    Args:
        loss: whose derivation; by default the loss on which the proof gives least.

    Raises:
        LemmataError: the statement is only stated, or has no such constant or derivation.
    """
    s = find(statement) if isinstance(statement, str) else statement
    c = s.constant(constant)
    if not s.derivations:
        raise LemmataError(
            f"{s.id} is stated, not derived: it has no proof to sharpen; see `lemmata list`"
        )
    if loss is not None and loss not in s.derivations:
        raise LemmataError(
            f"{s.id} has no derivation for the loss {loss!r}; it has: {', '.join(s.derivations)}"
        )
    found = _by_loss(s, c)
    return found[loss] if loss is not None else _weakest(c, found)


def _by_loss(statement: Statement, constant: Constant) -> dict[str, Sharpened]:
    from theory.sharpen import sharpen as bracket

    out = {}
    for loss, path in statement.derivations.items():
        derivation = load_derivation(path)
        if constant.name in {c.name for c in derivation.constants}:
            out[loss] = bracket(derivation, constant.name)
    return out


def _weakest(constant: Constant, found: dict[str, Sharpened]) -> Sharpened:
    pick = max if constant.better == "smaller" else min
    return pick(found.values(), key=lambda s: s.proof_sharp)


def constants(
    statements: Sequence[Statement],
    *,
    cases: int | None = None,
    seed: int = 0,
    joint: bool = False,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Rows of the constants table, as plain data.

    A row has the keys statement, constant, direction, stated, proof_sharp (the value that serves every loss of the
    statement; None where it is not derived), observed, observed_on {cases, seed, horizon, relation}, and by_loss with
    the bracket of each derivation (the value that fails, the value that verifies) and the step that blocks.

    With ``joint`` a row has the keys statement, loss, constants (two names) and pareto (pairs of values that verify
    jointly, none better in both); pairs without a trade-off are left out.

    Raises:
        LemmataError: none of the statements has a named constant.
    """
    if statements and not any(s.constants for s in statements):
        names = ", ".join(s.id for s in statements)
        raise LemmataError(
            f"no named constants in {names}: there is nothing to compare; see `lemmata show ID`"
        )
    if joint:
        return _joint(statements, progress)
    rows = []
    for s in statements:
        if s.constants:
            sample = for_statement(s, None, count=cases or CASES, seed=seed)
            observed = observe(s, sample)
            rows += [_row(s, c, observed[c.name], seed) for c in s.constants]
        if progress is not None:
            progress(1)
    return rows


def _row(s: Statement, c: Constant, observed: Observed, seed: int) -> dict[str, Any]:
    found = _by_loss(s, c)
    return {
        "statement": s.id,
        "constant": c.name,
        "direction": c.better,
        "stated": float(c.value),
        "proof_sharp": float(_weakest(c, found).proof_sharp) if found else None,
        "observed": observed.value,
        "observed_on": {
            "cases": observed.cases,
            "seed": seed,
            "horizon": observed.horizon,
            "relation": observed.relation,
        },
        "by_loss": {
            loss: {
                "proof_sharp": str(b.proof_sharp),
                "fails_at": None if b.bracket[0] is None else str(b.bracket[0]),
                "blocked_by": b.blocked_by,
            }
            for loss, b in found.items()
        },
    }


def _joint(statements: Sequence[Statement], progress: Progress | None) -> list[dict[str, Any]]:
    from theory.sharpen import pareto

    rows = []
    for s in statements:
        for loss, path in s.derivations.items():
            derivation = load_derivation(path)
            own = [c.name for c in s.constants if c.name in {d.name for d in derivation.constants}]
            for pair in combinations(own, 2):
                points = pareto(derivation, pair)
                if len(points) > 1:
                    values = [{k: float(v) for k, v in p.items()} for p in points]
                    rows.append(
                        {"statement": s.id, "loss": loss, "constants": list(pair), "pareto": values}
                    )
        if progress is not None:
            progress(1)
    return rows
