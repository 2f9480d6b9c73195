"""Descent: bad input is refused with a remedy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from numerics.descent import (
    GradientDescent,
    HeavyBall,
    Nesterov,
    RunOptions,
    Sampling,
)
from numerics.errors import NumericsError
from tests.numerics.reference_descent import quadratic, run


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"start": {}}, "at least one name"),
        ({"start": None}, "either start or resume"),
        ({"start": {"x": [[np.nan, 1.0, 1.0]]}}, r"start\['x'\]\[0, 0\] is nan"),
        ({"start": {"x": np.ones((0, 3))}}, r"has shape \(0, 3\)"),
        ({"start": {"x": np.ones((2, 3)), "y": np.ones(3)}}, "different numbers of lanes"),
        ({"start": {"x": [["a"]]}}, "no array of real numbers"),
        ({"start": {"x": [[1e200, 0, 0]]}}, "rescale"),
        ({"step": 0.0}, "positive and finite"),
        ({"step": -0.1}, "positive and finite"),
        ({"step": np.inf}, "positive and finite"),
        ({"step": [0.1, 0.2]}, r"shape \(2,\)"),
        ({"step": "fast"}, "give a number"),
        ({"step": lambda k: 0.1 if k < 3 else -1.0}, "k = 3 must be positive"),
        ({"iterations": 0}, "at least 1"),
        ({"iterations": 2.5}, "whole number"),
        ({"record_at": (3, 1), "quantities": {"f": quadratic}}, "increasing"),
        ({"record_at": (99,), "quantities": {"f": quadratic}}, "between 0 and 20"),
        ({"record_at": (1,)}, "name some"),
        ({"loss": lambda p: p["x"]}, r"not a scalar but \(3,\)"),
        ({"loss": lambda p: p["x"].sum().item()}, "evaluated over a batch"),
        ({"loss": lambda p: p["y"].sum()}, "evaluated over a batch"),
        ({"loss": lambda p: p["x"].float().sum()}, "float32 for a state in torch.float64"),
        ({"loss": lambda p: torch.log(p["x"]).sum()}, "not finite at the start in lanes"),
        ({"quantities": {"q": lambda p: p["x"].reshape(1, 3)}}, "scalar or a vector"),
        ({"lane_numbers": [1]}, "lane_numbers: give 4"),
        ({"start": {"x": np.full((2, 3), 1j)}}, "complex"),
        ({"loss": lambda p: 1 / 0}, "ZeroDivisionError"),
        ({"loss": 3}, "loss is a function"),
        ({"quantities": {"q": lambda p: p["w"]}}, "quantity 'q' cannot be evaluated: KeyError"),
    ],
)
def test_bad_input(more: dict[str, Any], match: str) -> None:
    with pytest.raises(NumericsError, match=match):
        run(GradientDescent(), **more)


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: HeavyBall(1.0), r"\[0, 1\)"),
        (lambda: Nesterov("fast"), "number or 'convex'"),
        (lambda: Nesterov(-0.1), r"\[0, 1\)"),
        (lambda: Nesterov.strongly_convex(2.0, 1.0), "0 < mu <= L"),
        (lambda: RunOptions(device="tpu"), "unknown device"),
        (lambda: RunOptions(dtype="float16"), "unknown dtype"),
        (lambda: RunOptions(bound_limit=0), "at least 1"),
        (lambda: Sampling(size=0, batch=1, seed=0), "at least 1"),
        (lambda: Sampling(size=2, batch=3, seed=0, replace=False), "replace=True"),
        (lambda: Sampling(size=2, batch=1, seed=-1), "seed"),
        (lambda: Sampling(size=2, batch=1, seed=0.5), "whole numbers"),  # type: ignore[arg-type]
    ],
)
def test_bad_options(build: Callable[[], Any], match: str) -> None:
    with pytest.raises(NumericsError, match=match):
        build()


def test_a_method_is_no_name() -> None:
    with pytest.raises(NumericsError, match="GradientDescent"):
        run("gd")  # type: ignore[arg-type]


def test_a_result_does_not_resume_another_method() -> None:
    result = run(GradientDescent(), iterations=2)
    with pytest.raises(NumericsError, match="another kind of method"):
        run(HeavyBall(0.5), start=None, resume=result)
    stopped = run(
        GradientDescent(), loss=lambda p: p["x"] ** 2, start={"x": [1.0]}, step=1e100, iterations=3
    )
    with pytest.raises(NumericsError, match="has stopped"):
        run(GradientDescent(), start=None, resume=stopped)
