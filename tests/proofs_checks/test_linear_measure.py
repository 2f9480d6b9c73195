"""The topic linear-networks from cases to reports: verdicts, models, early ends, definitions, replay."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import flint
import numpy as np
import pytest

from numerics.evaluate import Environment, freeze
from numerics.extended import scaled
from numerics.polynomial_flow import PolynomialOptions, integrate_polynomial
from proofs_checks import api, cases, linear_balls, linear_cases
from proofs_checks.batch import Batch
from proofs_checks.case import Case
from proofs_checks.claims import linear_networks as claims
from proofs_checks.constants import constants
from proofs_checks.data import Dataset
from proofs_checks.linear_batch import LinearBatch
from proofs_checks.linear_case import LinearCase
from proofs_checks.measure import batch_of, batches, measure_batch
from proofs_checks.profile import profile
from proofs_checks.record import record
from proofs_checks.registry import resolve
from proofs_checks.verdict import Rigor, Status
from theory import early_alignment as ea
from theory import linear_networks as ln
from theory.errors import LemmataError
from theory.instances import Instance
from theory.linear_networks_setting import eta, h, i, j, linear_network, m, n

DEFINED = [d for d in ln.IMBALANCE_DESCENT.definitions if d.name in ("D", "P", "Q")]
LINEAR = linear_cases.linear(count=9, seed=4)
RELU = Case.create(
    [[1.0, 0.5], [-0.5, -1.0]], [1.0, -1.0], W0=[[1.0, 0.2], [-0.3, -1.0]], v0=[2.0, 0.5], eps=0.5
)


def test_the_topic_is_registered_and_holds() -> None:
    statements = resolve(["linear-networks"])
    assert statements == list(ln.STATEMENTS)
    report = api.verify(statements, cases=9, seed=2)
    assert report.exit_code() == 0
    assert len(report.cases) == 18 == api.case_count(statements, None, 9)
    for row in report.statements:
        assert row.derivation == "verified" and row.counts["holds"] == 9
        assert row.rigor is Rigor.NUMERICAL
        assert all(v.error is not None and 0 < v.error < 1 for v in row.verdicts)
        measured_on = {type(c) for c in report.cases if c.hash in {v.case for v in row.verdicts}}
        assert measured_on == {
            Case if row.statement.setting.model == "two-layer-relu" else LinearCase
        }


def test_horizons_are_stated() -> None:
    flow, descent = (api.check(s, LINEAR[0]) for s in (ln.IMBALANCE_FLOW, ln.IMBALANCE_DESCENT))
    assert flow.horizon == (0.0, LINEAR[0].horizon) and not flow.domain_covered
    assert descent.horizon == (0.0, LINEAR[0].steps - 1.0) and descent.domain_covered


def test_resolutions_below_the_error_are_undecided() -> None:
    for statement in (ln.IMBALANCE_FLOW, ln.IMBALANCE_DESCENT):
        (part,) = statement.parts
        fine = replace(statement, parts=(replace(part, resolution=1e-30),))
        verdict = api.check(fine, LINEAR[0])
        assert verdict.status is Status.UNDECIDED and "straddles" in verdict.reason


def test_a_zero_layer_and_a_balanced_start_are_no_special_cases() -> None:
    """The scale is the size of the motion, so an imbalance of 0 is measured like any other."""
    for kind in ("zero layer", "balanced", "zero unit"):
        case = LINEAR[linear_cases.KINDS.index(kind)]
        assert kind in case.name
        for statement in (ln.IMBALANCE_FLOW, ln.IMBALANCE_DESCENT):
            verdict = api.check(statement, case)
            assert verdict.status is Status.HOLDS and (verdict.log_rhs or 0) > -np.inf


# -- models ---------------------------------------------------------------------------------------------------------
def test_cases_of_another_model_are_vacuous() -> None:
    statements = [ln.IMBALANCE_FLOW, ea.PHASE_LENGTH, ln.IMBALANCE_FLOW_RELU]
    rows = api.verdicts(statements, [LINEAR[0], RELU])
    foreign = {(0, 1), (1, 0), (2, 0)}
    for k, row in enumerate(rows):
        for which, verdict in enumerate(row):
            assert verdict.case == (LINEAR[0], RELU)[which].hash
            if (k, which) in foreign:
                assert verdict.status is Status.VACUOUS
                assert "give a case of that model" in verdict.reason
    assert rows[0][0].status is rows[2][1].status is Status.HOLDS


def test_batches_have_one_model_and_one_shape() -> None:
    found = batches([RELU, *LINEAR, RELU.replace(eps=0.25)])
    assert sorted(k for members, _ in found for k in members) == list(range(11))
    assert {type(b) for _, b in found} == {Batch, LinearBatch}
    with pytest.raises(LemmataError, match="one model"):
        batch_of([RELU, LINEAR[0]])
    with pytest.raises(LemmataError, match="same shape"):
        batch_of(LINEAR[:2])
    with pytest.raises(LemmataError, match="speaks of the model linear, the case is of the model"):
        measure_batch([ln.IMBALANCE_FLOW], batch_of([RELU]))


def test_statements_without_cases_or_with_a_wrong_claim_are_refused() -> None:
    other = replace(
        ln.IMBALANCE_FLOW, id="test/other", setting=replace(ln.LINEAR, model="transformer")
    )
    with pytest.raises(
        LemmataError, match="test/other speaks of the model 'transformer', for which there are no"
    ):
        api.verify([other])
    plain = replace(
        ln.IMBALANCE_FLOW, id="test/plain", claim="proofs_checks.claims.trajectory:TrajectoryClaim"
    )
    with pytest.raises(
        LemmataError, match="does not measure linear networks; derive it from FlowClaim"
    ):
        api.check(plain, LINEAR[0])


def test_other_losses_of_a_relu_network_are_within_the_statement() -> None:
    for loss in ln.ANY_LOSS.losses:
        assert api.check(ln.IMBALANCE_FLOW_RELU, RELU.replace(loss=loss)).status is Status.HOLDS
    verdict = api.check(ln.IMBALANCE_FLOW_RELU, RELU.replace(reduction="mean"))
    assert verdict.status is Status.VACUOUS and "change the reduction" in verdict.reason


# -- lanes that end early ---------------------------------------------------------------------------------------------
def test_a_flow_that_ends_early_is_undecided_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(field: Any, theta0: Any, until: float) -> Any:
        return integrate_polynomial(field, theta0, until, options=PolynomialOptions(max_steps=2))

    monkeypatch.setattr(claims, "integrate_polynomial", short)
    verdict = api.check(ln.IMBALANCE_FLOW, LINEAR[0])
    assert verdict.status is Status.UNDECIDED
    assert "budget" in verdict.reason
    assert verdict.horizon is not None and 0 < verdict.horizon[1] < LINEAR[0].horizon


def test_iterates_beyond_every_precision_are_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_balls, "WANTED", 200)
    monkeypatch.setattr(linear_balls, "MOST", linear_balls.PRECISION)
    verdict = api.check(ln.IMBALANCE_DESCENT, LINEAR[0])
    assert verdict.status is Status.UNDECIDED
    assert "iterates need more than 192 bits; use fewer steps or a smaller eta" in verdict.reason


def test_the_precision_grows_until_the_iterates_have_their_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(linear_balls, "WANTED", 200)
    iterates, bits = linear_balls.descend(LINEAR[0])
    assert len(iterates) == LINEAR[0].steps + 1 and bits == 2 * linear_balls.PRECISION
    with flint.ctx.workprec(bits):
        assert iterates[-1].force.rel_accuracy_bits() > 190


# -- the derivation speaks of what is measured ------------------------------------------------------------------------
def test_definitions_of_the_derivation_are_those_of_the_statement() -> None:
    """D, P and Q entry by entry: sums of symbolic length in the derivation, inner products in the statement."""
    rng = np.random.default_rng(8)
    shape = {n: 4, h: 3, m: 2}
    W1, W2, G = (rng.integers(-9, 9, s).astype(float) for s in ((4, 3), (3, 2), (4, 2)))
    values: dict[Any, Any] = {symbol: Fraction(k) for symbol, k in shape.items()}
    for label, array in (("W1", W1), ("W2", W2), ("G", G)):
        values |= {(label, (a + 1, b + 1)): Fraction(x) for (a, b), x in np.ndenumerate(array)}
    values[eta] = Fraction(1, 8)
    setting = linear_network()
    instance = Instance(random.Random(0), definitions=setting.definitions, values=values)
    columns = {"W1": W1.T, "W2": W2, "G1": (G @ W2.T).T, "G2": W1.T @ G}
    variables = {k: scaled(a[None, None, :, None, :]) for k, a in columns.items()}
    variables |= {k + "_": scaled(a[None, None, None, :, :]) for k, a in columns.items()}
    environment = Environment(variables)
    after = W1 - G @ W2.T / 8, W2 - W1.T @ G / 8
    stated = {
        d.name: environment.evaluate(freeze(d.value.to_data())).m[0, 0, :, :, 0] for d in DEFINED
    }
    stated["D_next"] = after[0].T @ after[0] - after[1] @ after[1].T  # what the claim measures
    for name, expected in stated.items():
        indices, body = setting.definitions[name]
        assert indices == (j, i)
        for (a, b), x in np.ndenumerate(expected):
            assert float(instance.evaluate(body, {j: a + 1, i: b + 1})) == pytest.approx(
                x, rel=1e-12
            )


def test_the_numbers_of_the_start_are_those_of_the_definitions() -> None:
    case = LINEAR[2]
    (claim,) = {t.claim for t in measure_batch([ln.IMBALANCE_FLOW], batch_of([case])).trackers}
    expected = case.W1.T @ case.W1 - case.W2 @ case.W2.T
    np.testing.assert_allclose(
        claim.numbers["D_0"].to_float()[0][0, 0, :, :, 0], expected, atol=1e-12
    )
    np.testing.assert_allclose(
        claim.numbers["A_0"].to_float()[0][0, 0, :, :, 0], case.W1.T @ case.W1, atol=1e-12
    )
    G = case.A.T @ (case.A @ case.W1 @ case.W2 - case.B)
    force = float(np.sum((G @ case.W2.T) ** 2) + np.sum((case.W1.T @ G) ** 2))
    assert claim.lane_value(("var", "R_0"))[0][0] == pytest.approx(force)


# -- reports, files, replay -------------------------------------------------------------------------------------------
def test_output_and_replay(tmp_path: Path) -> None:
    report = api.verify(list(ln.STATEMENTS), cases=3, seed=1, out=tmp_path)
    files = sorted((tmp_path / "cases").iterdir())
    assert {p.stem for p in files} == {c.hash for c in report.cases} and len(files) == 6
    for path in files:
        again = api.replay(path)
        assert again.identical
        linear = isinstance(again.case, LinearCase)
        expected = {s.id for s in ln.STATEMENTS if (s.setting.model == "linear") == linear}
        assert set(again.now) == expected
    names = {p.name for p in (tmp_path / "figures").glob("*.png")}
    assert {s.id.replace("/", "-") + ".png" for s in ln.STATEMENTS} <= names
    data = json.loads(files[0].read_text(encoding="utf-8"))
    data["case"]["format"] = "unknown"
    files[0].write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(LemmataError, match="not a case"):
        api.replay(files[0])


def test_models_side_by_side() -> None:
    report = api.verify([ln.IMBALANCE_DESCENT, ea.PHASE_LENGTH, ln.IMBALANCE_FLOW_RELU], cases=3)
    assert [s.statement.id for s in report.statements] == [
        "linear-networks/imbalance-descent",
        "early-alignment/phase-length",
        "linear-networks/imbalance-flow-relu",
    ]
    assert len(report.cases) == 9 and report.exit_code() == 0
    own = [{v.case for v in s.verdicts} for s in report.statements]
    assert not own[0] & own[1] and not own[1] & own[2] and not own[0] & own[2]


def test_a_recording_of_an_equality_shows_its_error_bound() -> None:
    recording = record(ln.IMBALANCE_FLOW, LINEAR[0])
    (curve,) = recording.curves
    assert curve.resolution == ln.FLOW_RESOLUTION
    assert (curve.log_gap <= curve.log_error).all() and (curve.log_error < np.log(1e-9)).all()
    assert curve.times[0] == 0 and curve.times[-1] == LINEAR[0].horizon
    assert recording.directions.size == 0
    inequality = record(ea.NORM_BOUND, cases.on([[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0], count=1)[0])
    assert all(c.resolution is None for c in inequality.curves)


def test_constants_and_profiles_say_that_there_are_none() -> None:
    with pytest.raises(
        LemmataError, match="no named constants in linear-networks/imbalance-flow: there is nothing"
    ):
        constants([ln.IMBALANCE_FLOW])
    with pytest.raises(LemmataError, match="no named constants"):
        constants(list(ln.STATEMENTS), joint=True)
    for statement in ln.STATEMENTS:
        with pytest.raises(LemmataError, match="has equations only: no step gives a factor away"):
            profile(statement)
    with pytest.raises(LemmataError, match="profiles follow two-layer ReLU networks only"):
        profile(ea.NORM_BOUND, case=LINEAR[0])  # type: ignore[arg-type]
    mixed = constants([ln.IMBALANCE_FLOW, ea.PHASE_LENGTH], cases=2)
    assert {row["statement"] for row in mixed} == {ea.PHASE_LENGTH.id}


# -- a user's data ----------------------------------------------------------------------------------------------------
RNG = np.random.default_rng(3)
DATA = Dataset("mine", RNG.standard_normal((6, 3)), np.array([1.0, -1.0] * 3))
WIDE = Dataset("wide", RNG.standard_normal((6, 60)), np.array([1.0, -1.0] * 3))


def test_data_are_inputs_and_labels_are_targets() -> None:
    report = api.verify(list(ln.STATEMENTS), dataset=DATA, cases=4)
    assert report.exit_code() == 0, report.complaints()
    for case in report.cases:
        assert case.name == "mine"
        if isinstance(case, LinearCase):
            assert np.array_equal(case.A, DATA.X) and np.array_equal(case.B[:, 0], DATA.y)


def test_wide_data_are_refused_by_the_flow_before_anything_is_measured() -> None:
    with pytest.raises(
        LemmataError, match="the gradient flow of layers 60×3 and 3×1 has 65160 terms"
    ):
        api.verify([ln.IMBALANCE_FLOW], dataset=WIDE)
    report = api.verify([ln.IMBALANCE_DESCENT], dataset=WIDE, cases=2)
    assert report.exit_code() == 0
