"""The models without time: where their default cases come from, and how a saved case is read.

A model is one entry of the table; everything is named, so that nothing is imported before it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proofs_checks.case import Case
from proofs_checks.linear_case import FORMAT as LINEAR_FORMAT
from proofs_checks.linear_case import LinearCase
from proofs_checks.measure import AnyCase
from proofs_checks.named import load
from proofs_checks.static import StaticCase
from theory.errors import LemmataError


@dataclass(frozen=True)
class StaticModel:
    """One model without time.

    Attributes:
        case: "module:class" of its cases, whose ``from_json`` reads the format.
        format: the "format" of a saved case.
        cases: "module:function" of its default cases, called with ``count`` and ``seed``.
        count: how many there are by default.
    """

    case: str
    format: str
    cases: str
    count: int

    def default(self, *, count: int, seed: int) -> list[StaticCase]:
        """The default cases."""
        found: list[StaticCase] = list(
            load(self.cases, "case set", "module:function")(count=count, seed=seed)
        )
        return found


_CASES, _MARGINS = "proofs_checks.collapse_cases", "proofs_checks.margin_cases"
MODELS: dict[str, StaticModel] = {
    "ufm": StaticModel(f"{_CASES}:FeatureCase", "lemmata-feature-case/1", f"{_CASES}:ufm", 64),
    "upfm": StaticModel(f"{_CASES}:FeatureCase", "lemmata-feature-case/1", f"{_CASES}:upfm", 64),
    "gaussian-points": StaticModel(
        f"{_CASES}:GaussianCase", "lemmata-gaussian-case/1", f"{_CASES}:gaussian", 6
    ),
    "convex-relu": StaticModel(
        "proofs_checks.relu_cases:ReluCase",
        "lemmata-relu-case/1",
        "proofs_checks.relu_cases:relu",
        16,
    ),
    "parity": StaticModel(
        f"{_MARGINS}:ParityCase", "lemmata-parity-case/1", f"{_MARGINS}:parities", 36
    ),
    "perceptron": StaticModel(
        f"{_MARGINS}:PerceptronCase", "lemmata-perceptron-case/1", f"{_MARGINS}:perceptrons", 48
    ),
    "update": StaticModel(
        f"{_MARGINS}:UpdateCase", "lemmata-update-case/1", f"{_MARGINS}:updates", 48
    ),
}


def read_case(data: Any) -> AnyCase:
    """The case that plain data stand for, whatever its model.

    Raises:
        LemmataError: the data are no case of any model.
    """
    format = data.get("format") if isinstance(data, Mapping) else None
    if format == LINEAR_FORMAT:
        return LinearCase.from_json(data)
    for model in MODELS.values():
        if format == model.format:
            found: StaticCase = load(model.case, "case").from_json(data)
            return found
    return Case.from_json(data)


def no_data(model: str) -> LemmataError:
    """Why a statement is not measured on a data set."""
    return LemmataError(
        f"statements about the model {model!r} have cases of their own: leave --data out, or make a case and use "
        "lemmata.check"
    )
