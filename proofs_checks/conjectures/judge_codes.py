"""What is concluded about one lane; see `proofs_checks.conjectures.judge`."""

from __future__ import annotations

VACUOUS, HOLDS, VIOLATED, UNDECIDED, UNDEFINED = range(5)
NAMES = ("vacuous", "holds", "violated", "undecided", "undefined")
