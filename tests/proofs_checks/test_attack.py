"""Attacks on statements: what they report, that they repeat, and what they refuse."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from proofs_checks import static_models
from proofs_checks.collapse_cases import GaussianCase
from proofs_checks.conjectures import attack_judging
from proofs_checks.conjectures.attack import attack
from proofs_checks.conjectures.attack_collapse import GaussianAdaptor
from proofs_checks.conjectures.attack_judging import NOT_MEASURED
from proofs_checks.conjectures.attack_models import ADAPTORS, adaptor, length, nearby
from proofs_checks.conjectures.report import SearchStatus
from proofs_checks.margin_cases import UpdateCase, updates
from proofs_checks.registry import all_statements
from proofs_checks.static import judge
from proofs_checks.static_models import StaticModel, read_case
from proofs_checks.verdict import Rigor, Status
from theory import linear_networks, margins
from theory.collapse_thresholds import COVER_WENDEL
from theory.early_alignment import NORM_BOUND
from theory.errors import LemmataError
from theory.quantity import equals, quantity, var
from theory.statement import Kind, Part, Setting

# what a perceptron without the factor 1/γ² would do
WRONG = replace(
    margins.PERCEPTRON_MISTAKES,
    id="planted/not-squared",
    parts=(Part("mistakes", 2 * var("mistakes") * var("gamma_sq") <= var("R_sq")),),
    derivations={},
)


def plain(report: Any) -> dict[str, Any]:
    """Everything but the seconds, through JSON."""
    data = json.loads(json.dumps(report.to_json()))
    del data["seconds"]
    return data


def test_a_wrong_statement_is_refuted_shrunk_and_certified() -> None:
    report = attack(WRONG, cases=200)
    assert report.status is SearchStatus.REFUTED and report.exit_code == 1
    found = report.counterexample
    assert found is not None and found.rigor is Rigor.PROVED
    assert found.certificate is not None and found.certificate.audit().accepted is True
    assert found.lhs > found.rhs
    case = read_case(found.case["case"])
    assert judge([WRONG], case)[0].status is Status.VIOLATED
    # two orthogonal points are needed: with one the bound has a factor 1/2 to spare only if 2 > 1
    assert sum(map(len, case.X)) <= 4 and all(abs(x) <= 1 for row in case.X for x in row)


def test_the_reported_verdict_is_the_one_that_replay_measures() -> None:
    found = attack(WRONG, cases=50).counterexample
    assert found is not None
    case = read_case(found.case["case"])
    now = json.loads(json.dumps(judge([WRONG], case)[0].to_json()))
    assert found.case["verdicts"] == {WRONG.id: now}


def test_the_same_seed_and_cases_give_the_same_report_for_any_number_of_processes() -> None:
    reports = [attack(WRONG, cases=60, seed=3), attack(WRONG, cases=60, seed=3, jobs=2)]
    assert plain(reports[0]) == plain(reports[1])
    true = [attack(margins.PERCEPTRON_MISTAKES, cases=60, seed=5, jobs=j) for j in (1, 2)]
    assert plain(true[0]) == plain(true[1])
    assert true[0].cases == 60


def test_a_true_statement_survives_with_its_tightest_case() -> None:
    shares: list[float] = []
    report = attack("margins/perceptron-mistakes", cases=120, progress=shares.append)
    assert report.status is SearchStatus.SURVIVED and report.exit_code == 0
    assert report.cases == 120 and 0 < report.deciding <= 120 and report.vacuous < 120
    assert shares == sorted(shares) and shares[-1] == 1.0
    assert report.tightest is not None
    ratio, data = report.tightest
    assert ratio == 1.0  # orthogonal points attain the bound
    verdict = judge([margins.PERCEPTRON_MISTAKES], read_case(data["case"]))[0]
    assert verdict.tightness == ratio


def test_a_wrong_constant_of_a_flow_is_refuted_and_says_what_it_rests_on() -> None:
    wrong = replace(
        NORM_BOUND.with_constants(C_w=Fraction(1, 4), C_f=Fraction(1, 4)), id="planted/eighth"
    )
    report = attack(wrong, cases=400)
    found = report.counterexample
    assert found is not None and found.certificate is None
    assert found.rigor is Rigor.NUMERICAL and "no certificate" in found.reason
    case = read_case(found.case["case"])
    assert case.n <= 2 and case.h <= 2


def test_only_the_setting_of_the_statement_is_attacked() -> None:
    for id in ("collapse/ufm-ce-value", "collapse/upfm-mse-value"):
        report = attack(id, cases=24)
        assert report.status is SearchStatus.SURVIVED and report.vacuous < 12


# -- models -----------------------------------------------------------------------------------------------------------
def test_every_registered_statement_has_an_adaptor() -> None:
    assert {s.setting.model for s in all_statements().values()} <= set(ADAPTORS)


@pytest.mark.parametrize("id", sorted({s.id for s in all_statements().values()}))
def test_drawn_moved_and_simpler_cases_are_cases_of_the_model(id: str) -> None:
    statement = all_statements()[id]
    own, rng = adaptor(statement), np.random.default_rng(0)
    drawn = [c for level in (0, 3, 9) for c in own.draw(rng, level)]
    assert drawn
    case = drawn[-1]
    for c in (*drawn, *own.mutate(case, rng, 0.1), *list(own.simpler(case))[:20]):
        assert c.model == statement.setting.model and c.loss in statement.setting.losses
        assert c.reduction == statement.setting.reduction
        assert read_case(json.loads(json.dumps(c.to_json()))).hash == c.hash
        assert all(type(k) is int for shape in own.shapes(c).values() for k in shape)
    again = adaptor(statement)
    repeated = [c for level in (0, 3, 9) for c in again.draw(np.random.default_rng(0), level)][:4]
    assert [c.hash for c in repeated[:4]] == [c.hash for c in drawn[: len(repeated)]]


def test_a_model_of_a_plugin_is_attacked_on_its_default_cases(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = "tests.proofs_checks.test_attack"
    model = StaticModel(f"{here}:PluginCase", "plugin/1", f"{here}:plugin_cases", 7)
    monkeypatch.setitem(static_models.MODELS, "plugin", model)
    statement = replace(
        margins.TELESCOPING,
        id="planted/plugin",
        setting=Setting("plugin", ("none",), "none"),
        derivations={},
    )
    report = attack(statement, cases=100)
    assert report.status is SearchStatus.SURVIVED and report.cases == 7


class PluginCase(UpdateCase):
    """A case of a model that only a plugin knows."""

    model = "plugin"  # type: ignore[misc]


def plugin_cases(*, count: int, seed: int) -> list[PluginCase]:
    return [PluginCase(c.w, c.w_bar, c.g, c.eta) for c in updates(count=count, seed=seed)]


def test_a_model_without_cases_is_refused() -> None:
    statement = replace(margins.TELESCOPING, id="planted/x", setting=Setting("nobody's"))
    with pytest.raises(LemmataError, match="no default cases"):
        attack(statement, cases=5)


class Raises:
    """A claim with an error in it."""

    def __init__(self, case: UpdateCase) -> None:
        self.case = case

    def measure(self, wanted: frozenset[str]) -> Any:
        raise ValueError("of its own")


def test_a_claim_that_raises_leaves_the_cases_undecided_and_is_named() -> None:
    here = "tests.proofs_checks.test_attack:Raises"
    statement = replace(margins.TELESCOPING, id="planted/raises", claim=here)
    report = attack(statement, cases=6)
    assert report.status is SearchStatus.UNDECIDED and report.deciding == 0
    assert "6 cases were not measured" in report.reason
    assert "ValueError: of its own" in report.reason


def test_a_hypothesis_that_never_holds_is_vacuous() -> None:
    never = replace(margins.EVEN, relation=quantity(1) <= 0)
    statement = replace(margins.PARITY_ODD, id="planted/never", hypotheses=(never,))
    assert attack(statement, cases=8).status is SearchStatus.VACUOUS


@pytest.mark.parametrize(
    "options",
    [
        {"seconds": 0},
        {"seconds": float("nan")},
        {"cases": 0},
        {"cases": 2.5},
        {"seed": -1},
        {"jobs": 0},
        {"jobs": True},
    ],
    ids=str,
)
def test_bad_budgets_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(LemmataError, match=next(iter(options))):
        attack(WRONG, **options)


# -- samples ----------------------------------------------------------------------------------------------------------
def test_the_tests_of_an_attack_share_one_error_probability() -> None:
    own, rng = GaussianAdaptor(COVER_WENDEL), np.random.default_rng(0)
    cases: list[GaussianCase] = []
    for level in range(40):
        cases += own.draw(rng, level)
        cases += own.mutate(cases[-1], rng, 0.1)
    cases += [own.again(c) for c in cases[:20]]
    assert sum(Fraction(1, c.comparisons) for c in cases) <= 1
    assert len({(c.K, c.n, c.d, c.draw) for c in cases}) == len(cases)
    fresh = own.again(cases[0])
    assert fresh.draw != cases[0].draw and fresh.samples > cases[0].samples


# -- numbers ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("x", [0.1, -3.75, 1e-9, 7, Fraction(22, 7), 12345.678, -2])
def test_simpler_numbers_are_shorter(x: Any) -> None:
    found = nearby(x)
    assert found and all(length(c) < length(x) for c in found)


def test_the_simplest_number_has_nothing_simpler() -> None:
    assert nearby(0) == []


def test_the_tightest_cases_of_every_part_and_shape_are_remembered() -> None:
    from proofs_checks.conjectures.attack import ELITE, ELITE_OF_SHAPE, _Seen

    seen = _Seen()
    case = updates(count=1)[0]
    verdict = judge([margins.TELESCOPING], case)[0]
    for k in range(3 * ELITE):
        for part, shift in (("a", 0.0), ("b", -100.0)):
            c = replace(case, eta=Fraction(k + 1))
            now = replace(verdict, part=part, log_tightness=k + shift)
            seen.add(c, now, {"w": [k % 2 if part == "a" else k]})
    best = {part: [-e[0] for e in seen.elite if e[3].part == part] for part in "ab"}
    top = 3 * ELITE - 1.0
    assert best["a"] == [top - k for k in range(2 * ELITE_OF_SHAPE)]
    assert best["b"] == [top - 100 - k for k in range(ELITE)]


def test_sides_are_shown_with_their_signs_and_a_bound_of_their_difference() -> None:
    """Sides that are negative, one that is 0, an equality that fails, and a step of gradient descent."""
    relations = {
        "negative": -var("R_sq") <= -2 * var("R_sq"),
        "zero": var("R_sq") <= quantity(0),
        "equality": equals(var("R_sq"), 3 * var("R_sq")),
    }
    for name, relation in relations.items():
        part = Part(name, relation, resolution=1e-9 if name == "equality" else None)
        kind = Kind.EQUALITY if name == "equality" else Kind.INEQUALITY
        wrong = replace(margins.PERCEPTRON_MISTAKES, id="x/wrong", kind=kind, parts=(part,))
        found = attack(wrong, cases=200).counterexample
        assert found is not None and found.rigor is Rigor.PROVED
        shown = found.to_json()
        assert shown["error"] == 0
        gap = shown["rhs"] - shown["lhs"]
        assert gap > 0 if name == "equality" else gap < 0
    sign = linear_networks.IMBALANCE_DESCENT
    S, D, D_next = linear_networks.S, linear_networks.D, linear_networks.D_next
    moved = replace(sign.parts[0], relation=equals(S + linear_networks.largest(D_next - D), S))
    found = attack(replace(sign, id="x/kept", parts=(moved,)), cases=200).counterexample
    assert found is not None and 0 <= found.error < 1


def test_a_budget_of_seconds_ends_batches_that_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cases of such a batch are undecided; the next batch is as large as the time allows."""
    own = [c for c in adaptor(NORM_BOUND).draw(np.random.default_rng(1), 0)][:4]
    with attack_judging.Judge(NORM_BOUND, seconds=60.0) as judge:
        (first,) = judge.batches(own)
        assert all(NOT_MEASURED not in v.reason for _, v in first)
        judge._pace = 1.5  # seconds for a case: two of them are a twentieth of the budget
        assert next(map(len, judge.batches(own))) == 2
    monkeypatch.setattr(attack_judging, "LEAST_SECONDS", 0.0)
    with attack_judging.Judge(NORM_BOUND, seconds=60.0, until=0.0) as judge:
        late = [v for batch in judge.batches(own) for _, v in batch]
    assert len(late) == 4 and {v.status for v in late} == {Status.UNDECIDED}
    assert all(v.reason.startswith(NOT_MEASURED) and "longer budget" in v.reason for v in late)
