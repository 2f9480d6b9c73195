"""Lemmata: check theorems about training neural networks.

``import lemmata as lm`` gives the public names below. They load on first use, so that the import
itself costs nothing: no torch, cvxpy or sympy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lemmata._version import __version__ as __version__

if TYPE_CHECKING:
    from lemmata import ops as ops
    from lemmata import strategies as strategies
    from numerics import descent as descent
    from numerics import minimax as minimax
    from numerics import models as models
    from numerics.ensemble import ensemble as ensemble
    from numerics.flow import integrate as integrate
    from numerics.generic_flow import generic_flow as generic_flow
    from numerics.problem import FlowOptions as FlowOptions
    from numerics.problem import FlowProblem as FlowProblem
    from proofs_checks import cases as cases
    from proofs_checks import obstruction as obstruction
    from proofs_checks.api import check as check
    from proofs_checks.api import constants as constants
    from proofs_checks.api import profile as profile
    from proofs_checks.api import replay as replay
    from proofs_checks.api import sharpen as sharpen
    from proofs_checks.api import verify as verify
    from proofs_checks.arrangement import arrangement as arrangement
    from proofs_checks.audit import audit_file as audit_file
    from proofs_checks.campaigns.run import campaign as campaign
    from proofs_checks.campaigns.summary import summarise as summarise
    from proofs_checks.case import Case as Case
    from proofs_checks.collapse import neural_collapse_metrics as neural_collapse_metrics
    from proofs_checks.collapse import phase_diagram as phase_diagram
    from proofs_checks.collapse_cases import FeatureCase as FeatureCase
    from proofs_checks.collapse_cases import GaussianCase as GaussianCase
    from proofs_checks.conjectures import dynamics as dynamics
    from proofs_checks.conjectures import optima as optima
    from proofs_checks.conjectures.case import ConjectureCase as ConjectureCase
    from proofs_checks.conjectures.conjecture import Conjecture as Conjecture
    from proofs_checks.conjectures.conjecture import assume as assume
    from proofs_checks.conjectures.conjecture import conjecture as conjecture
    from proofs_checks.conjectures.conjecture import constant as constant
    from proofs_checks.conjectures.samples import Sample as Sample
    from proofs_checks.conjectures.targets import refute as refute
    from proofs_checks.conjectures.testing import assert_holds as assert_holds
    from proofs_checks.data import Dataset as Dataset
    from proofs_checks.data import load_csv as load_csv
    from proofs_checks.data import shipped as shipped
    from proofs_checks.feasibility import collapse_feasibility as collapse_feasibility
    from proofs_checks.feasibility_law import cover_wendel_probability as cover_wendel_probability
    from proofs_checks.features import ufm as ufm
    from proofs_checks.features import upfm as upfm
    from proofs_checks.features_examples import horn_instance as horn_instance
    from proofs_checks.flow_ensemble import flow_ensemble as flow_ensemble
    from proofs_checks.law_drift import check_laws as check_laws
    from proofs_checks.law_drift import descent_check as descent_check
    from proofs_checks.laws import laws as laws
    from proofs_checks.laws import model_of as model_of
    from proofs_checks.linear_case import LinearCase as LinearCase
    from proofs_checks.margin_cases import ParityCase as ParityCase
    from proofs_checks.margin_cases import PerceptronCase as PerceptronCase
    from proofs_checks.margin_cases import UpdateCase as UpdateCase
    from proofs_checks.margins import margin as margin
    from proofs_checks.registry import all_statements as all_statements
    from proofs_checks.registry import statement as statement
    from proofs_checks.relu_cases import ReluCase as ReluCase
    from proofs_checks.relu_path import regularisation_path as regularisation_path
    from proofs_checks.relu_training import convex_relu as convex_relu
    from proofs_checks.verdict import Rigor as Rigor
    from proofs_checks.verdict import Status as Status
    from proofs_checks.verdict import Verdict as Verdict
    from theory import quantity as quantity
    from theory.array_functions import equal as equal
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
    "Conjecture": "proofs_checks.conjectures.conjecture:Conjecture",
    "ConjectureCase": "proofs_checks.conjectures.case:ConjectureCase",
    "Dataset": "proofs_checks.data:Dataset",
    "DerivationError": "theory.errors:DerivationError",
    "FeatureCase": "proofs_checks.collapse_cases:FeatureCase",
    "FlowOptions": "numerics.problem:FlowOptions",
    "FlowProblem": "numerics.problem:FlowProblem",
    "GaussianCase": "proofs_checks.collapse_cases:GaussianCase",
    "Law": "theory.conservation.model:Law",
    "LemmataError": "theory.errors:LemmataError",
    "LinearCase": "proofs_checks.linear_case:LinearCase",
    "Model": "theory.conservation.model:Model",
    "ParityCase": "proofs_checks.margin_cases:ParityCase",
    "PerceptronCase": "proofs_checks.margin_cases:PerceptronCase",
    "ReluCase": "proofs_checks.relu_cases:ReluCase",
    "Rigor": "proofs_checks.verdict:Rigor",
    "Sample": "proofs_checks.conjectures.samples:Sample",
    "Statement": "theory.statement:Statement",
    "Status": "proofs_checks.verdict:Status",
    "UpdateCase": "proofs_checks.margin_cases:UpdateCase",
    "Verdict": "proofs_checks.verdict:Verdict",
    "all_statements": "proofs_checks.registry:all_statements",
    "arrangement": "proofs_checks.arrangement:arrangement",
    "assert_holds": "proofs_checks.conjectures.testing:assert_holds",
    "assume": "proofs_checks.conjectures.conjecture:assume",
    "audit_file": "proofs_checks.audit:audit_file",
    "builders": "theory.conservation.builders",
    "campaign": "proofs_checks.campaigns.run:campaign",
    "cases": "proofs_checks.cases",
    "check": "proofs_checks.api:check",
    "check_laws": "proofs_checks.law_drift:check_laws",
    "collapse_feasibility": "proofs_checks.feasibility:collapse_feasibility",
    "conjecture": "proofs_checks.conjectures.conjecture:conjecture",
    "constant": "proofs_checks.conjectures.conjecture:constant",
    "constants": "proofs_checks.api:constants",
    "convex_relu": "proofs_checks.relu_training:convex_relu",
    "cover_wendel_probability": "proofs_checks.feasibility_law:cover_wendel_probability",
    "descent": "numerics.descent",
    "descent_check": "proofs_checks.law_drift:descent_check",
    "descent_drift": "theory.conservation.descent:descent_drift",
    "dynamics": "proofs_checks.conjectures.dynamics",
    "ensemble": "numerics.ensemble:ensemble",
    "equal": "theory.array_functions:equal",
    "flow_ensemble": "proofs_checks.flow_ensemble:flow_ensemble",
    "from_sympy": "theory.conservation.symbolic:from_sympy",
    "generic_flow": "numerics.generic_flow:generic_flow",
    "horn_instance": "proofs_checks.features_examples:horn_instance",
    "integrate": "numerics.flow:integrate",
    "law_from_sympy": "theory.conservation.symbolic:law_from_sympy",
    "law_to_sympy": "theory.conservation.symbolic:law_to_sympy",
    "laws": "proofs_checks.laws:laws",
    "load_csv": "proofs_checks.data:load_csv",
    "margin": "proofs_checks.margins:margin",
    "minimax": "numerics.minimax",
    "model_of": "proofs_checks.laws:model_of",
    "models": "numerics.models",
    "neural_collapse_metrics": "proofs_checks.collapse:neural_collapse_metrics",
    "obstruction": "proofs_checks.obstruction",
    "ops": "lemmata.ops",
    "optima": "proofs_checks.conjectures.optima",
    "phase_diagram": "proofs_checks.collapse:phase_diagram",
    "profile": "proofs_checks.api:profile",
    "quantity": "theory.quantity",
    "reachable_set": "theory.conservation.reachable:reachable_set",
    "refute": "proofs_checks.conjectures.targets:refute",
    "regularisation_path": "proofs_checks.relu_path:regularisation_path",
    "replay": "proofs_checks.api:replay",
    "sharpen": "proofs_checks.api:sharpen",
    "shipped": "proofs_checks.data:shipped",
    "statement": "proofs_checks.registry:statement",
    "strategies": "lemmata.strategies",
    "summarise": "proofs_checks.campaigns.summary:summarise",
    "ufm": "proofs_checks.features:ufm",
    "upfm": "proofs_checks.features:upfm",
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
