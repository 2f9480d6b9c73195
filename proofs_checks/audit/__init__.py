"""The audit kernel re-checks certificates and trusts nothing that their writer computed.

The core is `core` (files, limits, verdict) and `arithmetic` (enclosures).  Kinds: `box` with
`closed_form`; `laws` and `lie`, over `model` and `polynomials`; `arrangement`, `relu` and `margin`,
over `sign_tree` and `branches`; `features` and `copositive`, over `quadratic`; `feasibility`;
`counterexample`, over `program`.
Standard library and python-flint only, and no code shared with `theory` or with those who write
certificates, so that no mistake there can certify itself.
"""

from proofs_checks.audit import (
    arrangement,
    box,
    copositive,
    counterexample,
    feasibility,
    features,
    laws,
    lie,
    margin,
    relu,
)
from proofs_checks.audit.core import KINDS, AuditResult, audit_file, audit_text, main

KINDS["inequality on a box"] = box.check
KINDS["conservation law"] = laws.check
KINDS["law count"] = lie.check
KINDS["activation patterns"] = arrangement.check
KINDS["convex optimum: ReLU network"] = relu.check
KINDS["convex optimum: unconstrained features"] = features.check
KINDS["relaxation gap"] = copositive.check
KINDS["linear feasibility"] = feasibility.check
KINDS["margin"] = margin.check
KINDS["counterexample"] = counterexample.check
__all__ = ["KINDS", "AuditResult", "audit_file", "audit_text", "main"]
