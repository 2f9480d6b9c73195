"""Hypothesis strategies for data sets, networks, matrices and operators.

They compose with ``@given``, and ``lemmata.conjecture`` searches what they can draw.
"""

from proofs_checks.strategies import *  # noqa: F403
from proofs_checks.strategies import __all__ as __all__
