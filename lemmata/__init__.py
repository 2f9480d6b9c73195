"""Lemmata: check theorems about training neural networks.

``import lemmata as lm`` gives the public names below. They load on first use, so that the import
itself costs nothing: no torch, cvxpy or sympy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lemmata._version import __version__ as __version__

if TYPE_CHECKING:  # the same names as in _EXPORTS, for type checkers and editors
    from proofs_checks import cases as cases
    from proofs_checks import obstruction as obstruction
    from proofs_checks.api import check as check
    from proofs_checks.api import constants as constants
    from proofs_checks.api import profile as profile
    from proofs_checks.api import replay as replay
    from proofs_checks.api import sharpen as sharpen
    from proofs_checks.api import verify as verify
    from proofs_checks.audit import audit_file as audit_file
    from proofs_checks.case import Case as Case
    from proofs_checks.data import Dataset as Dataset
    from proofs_checks.data import load_csv as load_csv
    from proofs_checks.data import shipped as shipped
    from proofs_checks.law_drift import check_laws as check_laws
    from proofs_checks.law_drift import descent_check as descent_check
    from proofs_checks.laws import laws as laws
    from proofs_checks.laws import model_of as model_of
    from proofs_checks.linear_case import LinearCase as LinearCase
    from proofs_checks.registry import all_statements as all_statements
    from proofs_checks.registry import statement as statement
    from proofs_checks.verdict import Rigor as Rigor
    from proofs_checks.verdict import Status as Status
    from proofs_checks.verdict import Verdict as Verdict
    from theory.conservation import builders as builders
    from theory.conservation.descent import descent_drift as descent_drift
    from theory.conservation.model import Law as Law
    from theory.conservation.model import Model as Model
    from theory.conservation.reachable import reachable_set as reachable_set
    from theory.conservation.symbolic import from_sympy as from_sympy
    from theory.conservation.symbolic import law_from_sympy as law_from_sympy
    from theory.conservation.symbolic import law_to_sympy as law_to_sympy
    from theory.errors import DerivationError as DerivationError
    from theory.errors import LemmataError as LemmataError
    from theory.statement import Statement as Statement

# Public name -> where it lives; a module alone stands for itself.
_EXPORTS = {
    "Case": "proofs_checks.case:Case",
    "Dataset": "proofs_checks.data:Dataset",
    "DerivationError": "theory.errors:DerivationError",
    "Law": "theory.conservation.model:Law",
    "LemmataError": "theory.errors:LemmataError",
    "LinearCase": "proofs_checks.linear_case:LinearCase",
    "Model": "theory.conservation.model:Model",
    "Rigor": "proofs_checks.verdict:Rigor",
    "Statement": "theory.statement:Statement",
    "Status": "proofs_checks.verdict:Status",
    "Verdict": "proofs_checks.verdict:Verdict",
    "all_statements": "proofs_checks.registry:all_statements",
    "audit_file": "proofs_checks.audit:audit_file",
    "builders": "theory.conservation.builders",
    "cases": "proofs_checks.cases",
    "check": "proofs_checks.api:check",
    "check_laws": "proofs_checks.law_drift:check_laws",
    "constants": "proofs_checks.api:constants",
    "descent_check": "proofs_checks.law_drift:descent_check",
    "descent_drift": "theory.conservation.descent:descent_drift",
    "from_sympy": "theory.conservation.symbolic:from_sympy",
    "law_from_sympy": "theory.conservation.symbolic:law_from_sympy",
    "law_to_sympy": "theory.conservation.symbolic:law_to_sympy",
    "laws": "proofs_checks.laws:laws",
    "load_csv": "proofs_checks.data:load_csv",
    "model_of": "proofs_checks.laws:model_of",
    "obstruction": "proofs_checks.obstruction",
    "profile": "proofs_checks.api:profile",
    "reachable_set": "theory.conservation.reachable:reachable_set",
    "replay": "proofs_checks.api:replay",
    "sharpen": "proofs_checks.api:sharpen",
    "shipped": "proofs_checks.data:shipped",
    "statement": "proofs_checks.registry:statement",
    "verify": "proofs_checks.api:verify",
}

__all__ = [*_EXPORTS, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'lemmata' has no attribute {name!r}")
    module, _, attribute = _EXPORTS[name].partition(":")
    value = import_module(module)
    found = getattr(value, attribute) if attribute else value
    globals()[name] = found  # the next access does not come here
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
