"""Are the builders' models the networks that they claim to be? Against forward passes and autograd.

At random weights, the span of the gradients that much random data and many losses give must be that of the model's
fields: a φ that is too large loses laws, one that is too small invents them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest
import torch
from torch import Tensor

from tests.quality import networks as net
from tests.quality.networks import Metric, Network, fields_at, leak, rank
from theory.conservation import builders
from theory.conservation.laws import find_laws
from theory.conservation.model import Law, Model
from theory.conservation.polynomials import add, multiply

EXACT, WRONG = 1e-11, 1e-3  # of laws and of planted ones, relative to the terms that cancel


def _entropy(*blocks: str) -> Metric:
    return lambda weights: {name: weights[name] for name in blocks}


def _burg(weights: net.Weights) -> dict[str, Tensor]:
    return {name: w**2 for name, w in weights.items()}


def _classes(network: Network) -> Network:
    return replace(network, model=network.model.with_cross_entropy(), classes=True)


LINEAR = Network(builders.linear((2, 3, 2)), net.linear, (2,))
RELU = Network(builders.relu((2, 3, 2)), net.relu, (2,))
UV = Network(builders.matrix_factorisation(3, 2, 2), net.factorisation, (3,))
NETWORKS = {
    "linear": LINEAR,
    "deep linear": Network(builders.linear((2, 3, 3, 2)), net.linear, (2,)),
    "linear, one output": Network(builders.linear((2, 2, 1)), net.linear, (2,)),
    "relu": RELU,
    "relu, biases": Network(builders.relu((2, 3, 2), bias=True), net.relu, (2,)),
    "relu of one input, biases": Network(builders.relu((1, 3, 2), bias=True), net.relu, (1,)),
    "deep relu, biases": Network(builders.relu((2, 3, 2, 2), bias=True), net.relu, (2,)),
    "leaky relu": Network(builders.prelu((2, 3, 2)), net.leaky, (2,)),
    "deep leaky relu, biases": Network(
        builders.prelu((2, 2, 2, 2), bias=True), net.leaky, (2,)
    ),
    "learned slopes": Network(builders.prelu((2, 3, 2), learned_slopes=True), net.learned, (2,)),
    "deep learned slopes, biases": Network(
        builders.prelu((2, 2, 2, 1), bias=True, learned_slopes=True), net.learned, (2,)
    ),
    "square units": Network(builders.homogeneous(2, 3, 2, 2), net.power(2), (2,)),
    "cubic units, biases": Network(builders.homogeneous(2, 2, 2, 3, bias=True), net.power(3), (2,)),
    "factorisation": UV,
    "tensor": Network(builders.cp((2, 3, 2), 2), net.tensor3, (2, 3)),
    "diagonal": Network(builders.diagonal(3, 3), net.diagonal, (3,)),
    "hadamard": Network(builders.hadamard(3, 2), net.hadamard(2), (3,)),
    "cubic hadamard": Network(builders.hadamard(2, 3), net.hadamard(3), (2,)),
    "conv": Network(builders.conv(2, 4, 2, 2), net.convolution, (4,)),
    "conv, biases": Network(builders.conv(2, 3, 2, bias=True), net.convolution, (3,)),
    "linear conv": Network(builders.linear_conv((2, 3, 2)), net.stacked_convolution, (8,)),
    "attention": Network(builders.attention(3, 2), net.attention, (4, 3)),
    "wide attention": Network(builders.attention(2, 3), net.attention, (3, 2)),
    "nmf": Network(
        builders.nmf(2, 2, 3), net.nonnegative, (2,), metric=_entropy("U", "V"), positive=True
    ),
    "input-convex": Network(builders.icnn(2, 3, 2), net.convex, (2,), metric=_entropy("V")),
    "linear, entropy": Network(
        builders.with_mirror(LINEAR.model, "entropy"), net.linear, (2,),
        metric=_entropy("W1", "W2"), positive=True,
    ),
    "linear, burg": Network(
        builders.with_mirror(LINEAR.model, "burg"), net.linear, (2,), metric=_burg, positive=True
    ),
    "relu, entropy on the output": Network(
        builders.with_mirror(RELU.model, "entropy-output"), net.relu, (2,), metric=_entropy("W2")
    ),
    "classes, linear": _classes(LINEAR),
    "classes, relu": _classes(Network(builders.relu((2, 3, 3)), net.relu, (2,))),
    "classes, relu, biases": _classes(Network(builders.relu((2, 2, 3), bias=True), net.relu, (2,))),
    "classes, factorisation": _classes(UV),
    "classes, tensor": _classes(Network(builders.cp((2, 2, 3), 2), net.tensor3, (2, 2))),
    "classes, square units": _classes(Network(builders.homogeneous(2, 2, 2, 2), net.power(2), (2,))),
    "classes, conv": _classes(
        Network(builders.conv(2, 3, 2, 2), net.convolution, (3,))
    ),
    "classes, nmf": _classes(
        Network(builders.nmf(2, 2, 2), net.nonnegative, (2,), metric=_entropy("U", "V"), positive=True)
    ),
    "classes, input-convex": _classes(
        Network(builders.icnn(2, 2, 2), net.convex, (2,), metric=_entropy("V"))
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads cost more than they give on a hundred numbers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def laws_of(model: Model) -> tuple[Law, ...]:
    return find_laws(model, degree=model.default_degree, mixed=model.default_mixed)


@cache
def found(name: str) -> tuple[Law, ...]:
    return laws_of(NETWORKS[name].model)


def same_span(motions: Tensor, fields: Tensor) -> bool:
    return rank(motions) == rank(fields) == rank(torch.cat([motions, fields]))


@pytest.mark.parametrize("name", NETWORKS)
def test_model_is_the_network(name: str) -> None:
    network = NETWORKS[name]
    model = network.model
    # The second seed has units of deep layers that no data switch on or off: see `test_units_that_no_data_switch`.
    # at the second point a unit of the second layer is switched by no data: see `test_units_that_no_data_switch`
    for seed in (0,) if name == "deep learned slopes, biases" else (0, 1):
        theta = network.start(seed)
        motions = network.motions(theta, seed)
        assert same_span(motions, fields_at(model, theta))
        for law in found(name):
            assert leak(law, theta, motions) < EXACT


@pytest.mark.parametrize("name", NETWORKS)
def test_planted_laws_leak(name: str) -> None:
    network = NETWORKS[name]
    theta = network.start(0)
    motions = network.motions(theta, 0)
    planted = [{(i, i): 1} for i in range(network.model.size)]
    for law in [Law({}), *found(name)]:
        for square in planted:
            wrong = replace(law, polynomial=add(law.polynomial, square))
            assert leak(wrong, theta, motions) > WRONG, wrong


def test_wrong_models_are_told_apart() -> None:
    """φ too large, too small, of another network, or without its metric."""
    larger, smaller = builders.relu((2, 3, 2)), builders.linear((2, 3, 2))
    wrong = {
        "path products for a linear network": replace(NETWORKS["linear"], model=larger),
        "a linear network for a ReLU": replace(NETWORKS["relu"], model=smaller),
        "an entry of φ is missing": replace(
            UV, model=replace(UV.model, phi=UV.model.phi[1:], groups=())
        ),
        "all losses for a cross-entropy": replace(NETWORKS["classes, relu"], classes=False),
        "a cross-entropy for all losses": replace(LINEAR, classes=True),
        "without its metric": replace(NETWORKS["nmf"], metric=None),
        "a metric too many": replace(UV, metric=_burg),
        "cubes for squares": replace(NETWORKS["square units"], forward=net.power(3)),
        "fixed slopes for learned ones": replace(NETWORKS["learned slopes"], forward=net.leaky),
    }
    for what, network in wrong.items():
        theta = network.start(0)
        assert not same_span(network.motions(theta, 0), fields_at(network.model, theta)), what


@pytest.mark.parametrize(
    "widths, signs",
    [
        ((1, 3, 1), {}),  # one input: two patterns in all
        ((2, 1, 3, 2), {}),  # a bottleneck: all later units see one number that is never negative
        ((2, 3, 2, 2), {"W2": 1.0}),  # second layer always on
        ((2, 3, 2, 2), {"W2": -1.0}),  # dead
    ],
)
def test_units_that_no_data_switch(widths: tuple[int, ...], signs: dict[str, float]) -> None:
    """Without biases some path products come in fixed sums only: all laws hold, and there are more of them."""
    network = Network(builders.relu(widths), net.relu, widths[:1])
    theta = network.start(0)
    for name, rows in network.model.blocks:
        if name in signs:
            theta[torch.tensor(rows)] = signs[name] * theta[torch.tensor(rows)].abs()
    motions, fields = network.motions(theta, 0), fields_at(network.model, theta)
    assert rank(torch.cat([motions, fields])) == rank(fields) > rank(motions)
    for law in laws_of(network.model):
        assert leak(law, theta, motions) < EXACT


def test_deep_relu_that_data_switch() -> None:
    """Weights of both signs behind every hidden layer: the path products are what data can do."""
    network = Network(builders.relu((2, 3, 2, 2)), net.relu, (2,))
    theta = network.start(1)
    assert same_span(network.motions(theta, 1), fields_at(network.model, theta))


@pytest.mark.parametrize("hidden", [(1,), (1, 1), (2, 1), (1, 1, 1)])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("sign", [1, -1])
def test_residual_blocks(d: int, hidden: tuple[int, ...], sign: int) -> None:
    """In the patterns that data reach at the base point; for scalars of one sign with the logarithmic laws."""
    size = 2 * d * sum(hidden)
    # both signs where d > 1, one sign where d = 1
    point = [
        Fraction(sign * (3 + 7 * k % 11) * (-1) ** (k * (d - 1) // 2), 10) for k in range(size)
    ]
    model = builders.residual(d, hidden, base_point=point)
    network = Network(model, net.skip, (d,), samples=600)
    theta = torch.tensor([float(x) for x in point], dtype=torch.float64)
    motions, fields = network.motions(theta, 0), fields_at(model, theta)
    assert same_span(motions, fields)
    laws = laws_of(model)
    assert len(laws) >= sum(hidden)
    if d == 1:
        assert sum(bool(law.logarithms) for law in laws) == sum(hidden) - 1
    for law in laws:
        assert leak(law, theta, motions) < EXACT
        wrong = replace(law, polynomial=add(law.polynomial, {(0, 0): 1}))
        assert leak(wrong, theta, motions) > WRONG


@pytest.mark.parametrize("tau", [Fraction(0), Fraction(1, 2), Fraction(3)])
@pytest.mark.parametrize("widths", [(2, 2, 2), (1, 2, 1), (2, 2)])
def test_momentum(widths: tuple[int, ...], tau: Fraction) -> None:
    """θ' = u, u' = -τ u - ∇L, with s' = τ s or t' = 1 on the clock."""
    model = builders.linear(widths).with_momentum(tau)
    theta, u = (Network(model, net.linear, widths[:1]).start(seed) for seed in (0, 1))
    pushes = Network(model, net.linear, widths[:1]).motions(theta, 0)
    clock = 1.7
    state = torch.cat([theta, u, torch.tensor([clock], dtype=torch.float64)])
    speed = float(tau) * clock if tau else 1.0
    motions = torch.cat(
        [
            u.expand_as(pushes),
            -float(tau) * u - pushes,
            torch.full((len(pushes), 1), speed, dtype=torch.float64),
        ],
        dim=1,
    )
    assert same_span(motions, fields_at(model, state))
    laws = find_laws(model, degree=2)
    assert laws or widths == (2, 2)
    for law in laws:
        assert leak(law, state, motions) < EXACT
        # the law of the velocities without the clock that makes up for the friction, or of another clock
        wrong = replace(law, polynomial=multiply(law.polynomial, {(2 * model.size,): 1}))
        assert leak(wrong, state, motions) > WRONG
