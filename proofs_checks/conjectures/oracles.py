"""What conjectures measure elsewhere: oracles by kind, for the interpreters of programs.

``floats(parameters, args)`` takes arguments (mid, rad), arrays of shapes (B, ...), and gives (mid, rad), arrays (B,),
with |true - mid| <= rad whatever the true arguments are within their radii; rad is infinite where nothing is known.
``balls(parameters, args, bits)``, where an oracle has it, takes flat lists of exact rationals and gives a list of one
ball that is proved to contain the value, with the data of the certificate that proves it. ``reason(parameters, args)``
says in words why there is no bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from flint import arb

from proofs_checks.batch import Float
from proofs_checks.conjectures.flow_oracle import FlowOracle
from proofs_checks.conjectures.optima_oracle import OptimumOracle

Pair = tuple[Float, Float]
FloatOracle = Callable[[Mapping[str, Any], Sequence[Pair]], Pair]
BallOracle = Callable[
    [Mapping[str, Any], Sequence[Any], int], tuple[list[arb], dict[str, Any] | None]
]


class Oracle(Protocol):
    """What every oracle has."""

    def floats(self, parameters: Mapping[str, Any], args: Sequence[Pair]) -> Pair:
        """Values and error radii."""
        ...

    def reason(self, parameters: Mapping[str, Any], args: Sequence[Float]) -> str:
        """Why there is no bound."""
        ...


_OPTIMUM = OptimumOracle()
ORACLES: dict[str, Oracle] = {"flow": FlowOracle(), "optimum": _OPTIMUM}


def float_oracles() -> dict[str, FloatOracle]:
    """Kind -> `floats`, for `numerics.program_values` and `numerics.program_bounds`."""
    return {kind: oracle.floats for kind, oracle in ORACLES.items()}


def ball_oracles() -> dict[str, BallOracle]:
    """Kind -> `balls`, of the oracles that have certificates."""
    return {"optimum": _OPTIMUM.balls}
