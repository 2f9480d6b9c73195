"""What a search believes of a single case: only what exact or ball arithmetic confirms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from proofs_checks.conjectures.case import ConjectureCase
from proofs_checks.conjectures.conjecture import Conjecture, ConjectureError
from proofs_checks.conjectures.lanes import inputs_of
from proofs_checks.conjectures.report import Counterexample
from proofs_checks.verdict import Rigor


class Confirm:
    """Re-judges cases of one conjecture.

    Attributes:
        constants: exact values of its free constants. phantoms: how many float violations were not confirmed.
    """

    def __init__(
        self, conjecture: Conjecture, constants: Mapping[str, Fraction] | None = None
    ) -> None:
        self.conjecture = conjecture
        self.constants = dict(constants or {})
        self.phantoms = 0

    def exact(self, case: ConjectureCase, *, quick: bool = False) -> Any:
        """The `judge.ExactJudged` of a case.

        Args:
            quick: give up where balls of 128 bits leave it open.

        Raises:
            ConjectureError: a side is not a number although the hypotheses hold.
        """
        from proofs_checks.conjectures.judge import UNDEFINED
        from proofs_checks.conjectures.judge_exact import PRECISIONS, judge_exact
        from proofs_checks.conjectures.oracles import ball_oracles

        traced = self.conjecture.trace(case)
        oracles = ball_oracles() if traced.program.oracles else None
        precisions = PRECISIONS[:1] if quick else PRECISIONS
        judged = judge_exact(
            traced, case, constants=self.constants, oracles=oracles, precisions=precisions
        )
        if judged.status == UNDEFINED:
            shown = {path: [str(x) for x in entries] for path, entries in case.values.items()}
            raise ConjectureError(
                f"{self.conjecture.where(judged.line)}: not a number ({judged.reason}) on the case {shown!s:.400}; "
                "exclude such cases with lemmata.assume, or draw others"
            )
        return judged

    def fails(self, case: ConjectureCase) -> bool:
        """Whether a conclusion certainly fails."""
        from proofs_checks.conjectures.judge import VIOLATED

        if not case.admitted:
            return False
        found = bool(self.exact(case).status == VIOLATED)
        self.phantoms += not found
        return found

    def fails_if_defined(self, case: ConjectureCase) -> bool:
        """As `fails`; a side that is not a number is no failure, and no error."""
        try:
            return self.fails(case)
        except ConjectureError:
            return False

    def failing(self, cases: Sequence[ConjectureCase]) -> list[bool]:
        """Which of the cases, of one structure, fail by more than the error bound of floats."""
        return [verdict is True for verdict in self.verdicts(cases)]

    def verdicts(self, cases: Sequence[ConjectureCase]) -> list[bool | None]:
        """Whether cases of one structure fail, as far as the error bound of floats can tell; otherwise None."""
        from proofs_checks.conjectures.judge import UNDECIDED, VIOLATED, judge
        from proofs_checks.conjectures.oracles import float_oracles

        traced = self.conjecture.trace(cases[0])
        oracles = float_oracles() if traced.program.oracles else None
        values, radii = inputs_of(cases)
        judged = judge(traced, values, radii=radii, constants=self.constants, oracles=oracles)
        known = {VIOLATED: True, UNDECIDED: None}
        return [
            known.get(int(status), False) if case.admitted else False
            for status, case in zip(judged.status, cases, strict=True)
        ]

    def counterexample(self, case: ConjectureCase) -> Counterexample:
        """The report of a case that certainly fails, with a certificate where there can be one."""
        from proofs_checks.conjectures.certificate import certify

        traced = self.conjecture.trace(case)
        judged = self.exact(case)
        certificate, reason = certify(
            traced, case, judged, constants=self.constants, name=self.conjecture.name
        )
        conclusion = traced.program.conclusions[judged.conclusion]
        return Counterexample(
            case=case.to_json(),
            conclusion=conclusion.name,
            lhs=float(judged.lhs),
            rhs=float(judged.rhs),
            error=float(judged.error),
            rigor=Rigor.NUMERICAL if certificate is None else Rigor.PROVED,
            certificate=certificate,
            shapes=case.shapes,
            reason=reason,
            log_sides=judged.log_sides,
        )


__all__ = ["Confirm"]
