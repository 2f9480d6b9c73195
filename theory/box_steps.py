"""The box inequalities of a derivation: their search, and their proofs for certificates."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import sympy
from sympy import Expr

from theory.boxes import BoxProof, BoxRefutation, BoxUndecided, Range, prove_on_box
from theory.errors import DerivationError
from theory.symbols import instantiate, map_expressions

if TYPE_CHECKING:
    from theory.derivation import VerifiedDerivation
    from theory.justifications import OnBox


def search(step: OnBox) -> BoxProof | BoxRefutation | BoxUndecided:
    """Branch and bound for the reduced inequality of a step, whose constants have values.

    Raises:
        DerivationError: an end of the box is no rational number.
    """
    box = {
        symbol.name: Range(_fraction(lower), _fraction(upper), ends[0] == "(", ends[1] == ")")
        for symbol, _, lower, upper, ends in step.variables
    }
    return prove_on_box(step.reduced.lhs, step.reduced.op, step.reduced.rhs, box)


def box_proofs(verified: VerifiedDerivation) -> dict[str, BoxProof]:
    """Step name -> proof, for the steps of a verified derivation that rest on a box."""
    from theory.justifications import OnBox

    table = {
        c.symbol: sympy.Rational(
            verified.constants[c.name].numerator, verified.constants[c.name].denominator
        )
        for c in verified.derivation.constants
    }
    found = {}
    for step in verified.derivation.steps:
        if isinstance(step.by, OnBox):
            proof = search(map_expressions(step.by, lambda e: instantiate(e, table)))
            if not isinstance(proof, BoxProof):
                raise DerivationError(
                    f"step {step.name!r} was verified and its box is not proved now: {proof}"
                )
            found[step.name] = proof
    return found


def _fraction(q: Expr) -> Fraction:
    if not isinstance(q, sympy.Rational):
        raise DerivationError(
            f"the end {q} of a box must be a rational number; give the constants values"
        )
    return Fraction(int(q.p), int(q.q))
