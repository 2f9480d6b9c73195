"""The audit kernel re-checks certificates and trusts nothing that their writer computed.

The core is `core` (files, limits, verdict) and `arithmetic` (enclosures); `box` with `closed_form`
is one kind, `laws` and `lie` are two more, over `model` and `polynomials`.  Standard library and
python-flint only, and no code shared with `theory`, so that no mistake there can certify itself.
"""

from proofs_checks.audit import box, laws, lie
from proofs_checks.audit.core import KINDS, AuditResult, audit_file, audit_text, main

KINDS["inequality on a box"] = box.check
KINDS["conservation law"] = laws.check
KINDS["law count"] = lie.check
__all__ = ["KINDS", "AuditResult", "audit_file", "audit_text", "main"]
